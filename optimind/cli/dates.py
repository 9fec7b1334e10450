"""Dates and times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from typing import Final, overload

from optimind.errors import UsageError

__all__ = ["day_or_today", "parse_day", "parse_moment"]

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999


@overload
def parse_day(text: str, option: str) -> date: ...
@overload
def parse_day(text: None, option: str) -> None: ...
@overload
def parse_day(text: str | None, option: str) -> date | None: ...
def parse_day(text: str | None, option: str) -> date | None:
    """The date that stands behind ``option``; None for none. Raises :class:`UsageError`."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no date", mend="write it as 2026-09-01") from error
    return _checked(day, f"{option} {text!r}")


def day_or_today(text: str | None, option: str, zone: tzinfo) -> date:
    """The date that stands behind ``option``, else today's where the clocks show ``zone``. Raises UsageError."""
    return parse_day(text, option) or datetime.now(zone).date()


def parse_moment(text: str, option: str, zone: tzinfo) -> datetime:
    """The moment, in UTC, that stands behind ``option``, where the clocks show ``zone``. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no time", mend="write it as 2026-09-01T08:00") from error
    _checked(moment.date(), f"{option} {text!r}")
    # In UTC: in a zone, minutes that are added are those that the clocks show, also in the night in which they change.
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def _checked(day: date, what: str) -> date:
    """The day, if it is one that a register can be of."""
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise UsageError(f"{what} is not between {_FIRST_YEAR} and {_LAST_YEAR}", mend="correct the year")
    return day
