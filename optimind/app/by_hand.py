"""Sessions that somebody starts and stops by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from optimind.app.timetables import timetable_of
from optimind.config import Config
from optimind.core.timetable import AttendanceRules, Meeting
from optimind.errors import UsageError
from optimind.storage import Ledger

__all__ = ["running", "start", "stop"]

_LONGEST = timedelta(days=1)
_LONGEST_NAME = 64


def start(
    config: Config, ledger: Ledger, *, class_id: str, name: str, room: str | None, at: datetime, minutes: float
) -> Meeting:
    """Begin a session now; a run that watches the room notices it within seconds. Raises :class:`UsageError`.

    ``room`` None: that of the only camera. Who comes is present; nobody is late who comes before the end.
    """
    timetable = timetable_of(config)
    rooms = sorted(set(timetable.rooms.values()))
    if room is None and len(rooms) == 1:
        room = rooms[0]
    if room not in rooms:
        known = ", ".join(rooms) or "none: add a camera to config.yaml"
        what = "say in which room" if room is None else f"no camera of this machine hangs in room {room}"
        raise UsageError(what, mend=f"--room with one of: {known}")
    if max(len(class_id), len(name)) > _LONGEST_NAME or not (class_id + name).isprintable():
        raise UsageError(
            "no class and no session is called so", mend=f"write at most {_LONGEST_NAME} letters, such as 7B and extra"
        )
    local = at.astimezone(config.zone())
    session = " ".join(part for part in (class_id, name, f"{local:%H:%M}") if part)
    meeting = Meeting(
        session=session,
        date=local.date(),
        class_id=class_id,
        room=room,
        opens_at=at,
        starts_at=at,
        ends_at=at + min(timedelta(minutes=minutes), _LONGEST),
        rules=AttendanceRules(opens_before=timedelta(0), late_after=None),
        by_hand=True,
    )
    if any(each.session == session for each in (*_of_day(ledger, meeting), *timetable.on(meeting.date))):
        raise UsageError(f'there is a session called "{session}" today already', mend="give this one another --name")
    ledger.school.enter(meeting)
    return meeting


def stop(ledger: Ledger, session: str | None, at: datetime) -> Meeting:
    """End a session that was started by hand, the only one where none is named. Raises :class:`UsageError`."""
    going_on = running(ledger, at)
    named = [meeting for meeting in going_on if session in {None, meeting.session}]
    if len(named) != 1:
        names = ", ".join(f'"{meeting.session}"' for meeting in going_on) or "none"
        raise UsageError("say which session is to end", mend=f"optimind session stop NAME; going on by hand: {names}")
    ended = replace(named[0], ends_at=max(at, named[0].starts_at + timedelta(seconds=1)))
    ledger.school.enter(ended)
    return ended


def running(ledger: Ledger, at: datetime) -> list[Meeting]:
    """The sessions that were started by hand and go on at ``at``, by their start."""
    known = ledger.school.meetings(at, at, only_open=True)
    return [meeting for meeting in known if meeting.by_hand and meeting.starts_at <= at < meeting.ends_at]


def _of_day(ledger: Ledger, meeting: Meeting) -> list[Meeting]:
    known = ledger.school.meetings(meeting.starts_at - _LONGEST, meeting.starts_at + _LONGEST)
    return [each for each in known if each.date == meeting.date]
