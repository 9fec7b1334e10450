"""Dates and times as people write them on the command line."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import overload

from optimind.errors import UsageError

__all__ = ["day_or_today", "parse_day", "parse_moment"]


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
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no date", mend="write it as 2026-09-01") from error


def day_or_today(text: str | None, option: str, zone: tzinfo) -> date:
    """The date that stands behind ``option``, else today's where the clocks show ``zone``. Raises UsageError."""
    return parse_day(text, option) or datetime.now(zone).date()


def parse_moment(text: str, option: str, zone: tzinfo) -> datetime:
    """The moment that stands behind ``option``, where the clocks show ``zone``. Raises :class:`UsageError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no time", mend="write it as 2026-09-01T08:00") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
