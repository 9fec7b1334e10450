"""The register of a class in a month, from the ledger."""

from __future__ import annotations

import calendar
from datetime import date, tzinfo

from optimind.errors import UsageError
from optimind.exports import MonthRegister, month_register
from optimind.storage import Ledger

__all__ = ["class_month", "session_month"]


def class_month(ledger: Ledger, class_id: str, month: date, zone: tzinfo) -> MonthRegister:
    """Return the register of ``class_id`` in the month that begins on ``month``; times are shown in ``zone``.

    Everybody on the class's roster in that month has a line, and who came without being on it. Raises
    :class:`UsageError` where nothing is known of the class in that month.
    """
    last = _last_of(month)
    rows = ledger.register(class_id=class_id, between=(month, last))
    people = {
        member.person_id: member.name
        for member in ledger.school.members(class_id)
        if member.first_day <= last and (member.last_day is None or member.last_day >= month)
    }
    if not rows and not people:
        raise UsageError(
            f"nothing is known of a class {class_id!r} in {month:%Y-%m}",
            mend="write the class as the timetable does; without a timetable name a session: --session day",
        )
    return month_register(rows, title=class_id, month=month, people=people, zone=zone)


def session_month(ledger: Ledger, session: str, month: date, zone: tzinfo) -> MonthRegister:
    """As :func:`class_month` for a session of no timetable: who came to it."""
    rows = ledger.register(session=session, between=(month, _last_of(month)))
    if not rows:
        raise UsageError(
            f"there is no record of a session {session!r} in {month:%Y-%m}",
            mend="look which there are: optimind attendance",
        )
    return month_register(rows, title=session, month=month, people={}, zone=zone)


def _last_of(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])
