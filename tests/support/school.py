"""A small school for the tests: one class, one room, one lesson a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from optimind.core.timetable import AttendanceRules, Meeting, Timetable, WeeklySession
from optimind.plugin_api import AttendanceMarked, AttendanceStatus, Sighting
from optimind.storage import Ledger, RosterEntry, Watch

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 9, 1)
"""A Tuesday."""
CLASS = "7B"
RULES = AttendanceRules(
    late_after=timedelta(minutes=5), absent_after=timedelta(minutes=30), leave_early=timedelta(minutes=10)
)


def timetable(rules: AttendanceRules = RULES) -> Timetable:
    """Maths from 8:00 to 8:45 and art from then to 9:30, Monday to Friday, in room 101 with camera c1."""
    days = frozenset(range(5))
    lessons = [
        WeeklySession(
            class_id=CLASS, name=name, room="101", weekdays=days, start=time(*start), end=time(*end), rules=rules
        )
        for name, start, end in [("maths", (8, 0), (8, 45)), ("art", (8, 45), (9, 30))]
    ]
    return Timetable(lessons, zone=BERLIN, rooms={"c1": "101"})


def maths(rules: AttendanceRules = RULES) -> Meeting:
    """The first lesson of :data:`DAY`."""
    return timetable(rules).on(DAY)[0]


def seen(
    meeting: Meeting, person: str, first_min: float, last_min: float, *, kind: str = "seen", **changes: object
) -> AttendanceMarked:
    """A mark of ``person`` from ``first_min`` to ``last_min`` minutes after the start of ``meeting``."""
    first_at = meeting.starts_at + timedelta(minutes=first_min)
    last_at = meeting.starts_at + timedelta(minutes=last_min)
    values = {"sighting_id": f"s-{person}-{first_min}", "suspicion": "", **changes}
    sighting = Sighting(
        at=last_at,
        camera="c1",
        person_id=person,
        name=f"Name {person}",
        first_seen_at=first_at,
        last_seen_at=last_at,
        similarity=0.8,
        margin=0.2,
        samples=3,
        embedder="dlib",
        box=(0.0, 0.0, 100.0, 100.0),
        **values,  # type: ignore[arg-type] # a test's own fields
    )
    return AttendanceMarked(
        at=last_at,
        camera="c1",
        date=meeting.date,
        session=meeting.session,
        status=AttendanceStatus.NEEDS_REVIEW if sighting.suspicion else AttendanceStatus.PRESENT,
        sighting=sighting,
        kind=kind,  # type: ignore[arg-type] # a test's own text
        meeting=meeting,
    )


def entries(people: Mapping[str, str]) -> list[RosterEntry]:
    """The lines of a roster without dates: names by person."""
    return [RosterEntry(person_id=person_id, name=name) for person_id, name in people.items()]


def enter_class(ledger: Ledger, people: Iterable[str] = ("1", "2", "3")) -> None:
    """Put ``people`` on the roster of the class, from the beginning."""
    ledger.school.set_roster(CLASS, entries({each: f"Name {each}" for each in people}), DAY)


def watch(ledger: Ledger, meeting: Meeting, first_min: int = 0, last_min: int | None = None, faces: int = 3) -> None:
    """Let the camera have watched from one minute of ``meeting`` to another (None: to its end)."""
    length = round((meeting.ends_at - meeting.starts_at).total_seconds() / 60) if last_min is None else last_min
    ledger.school.watched(
        [
            Watch(
                camera="c1",
                room=meeting.room,
                minute_at=meeting.starts_at + timedelta(minutes=minute),
                seconds=60.0,
                faces=faces,
                named=min(faces, 2),
            )
            for minute in range(first_min, length)
        ]
    )


def at(meeting: Meeting, minutes: float) -> datetime:
    """So many minutes after the start."""
    return meeting.starts_at + timedelta(minutes=minutes)
