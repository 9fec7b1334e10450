"""A class, its meeting and what happens in it, for tests of the ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from optimind.core.events import AttendanceMarked, AttendanceStatus, Sighting
from optimind.core.registers import record_id
from optimind.core.timetable import AttendanceRules, Meeting
from optimind.storage.correcting import Correction, Unseen
from optimind.storage.school import Watch

__all__ = ["DAY", "MEETING", "START", "at", "mark", "said", "unseen", "watches"]

DAY = date(2026, 9, 7)
START = datetime(2026, 9, 7, 8, 0, tzinfo=UTC)
MEETING = Meeting(
    session="7b maths 08:00",
    date=DAY,
    class_id="7b",
    room="101",
    opens_at=START - timedelta(minutes=15),
    starts_at=START,
    ends_at=START + timedelta(minutes=45),
    rules=AttendanceRules(late_after=timedelta(minutes=5), absent_after=timedelta(minutes=20)),
)


def at(minutes: float) -> datetime:
    """So many minutes after the start."""
    return START + timedelta(minutes=minutes)


def mark(person: str, first: float, last: float, *, sighting: str = "", **changes: Any) -> AttendanceMarked:
    """That ``person`` was seen in the meeting from minute ``first`` to ``last``; ``changes`` are of the sighting."""
    values: dict[str, Any] = {
        "camera": "camera-101",
        "name": f"Name {person}",
        "similarity": 0.8,
        "margin": 0.2,
        "samples": 3,
        "embedder": "dlib",
        "box": (0.0, 0.0, 100.0, 100.0),
        **changes,
    }
    seen = Sighting(
        at=at(last),
        sighting_id=sighting or f"s-{person}",
        person_id=person,
        first_seen_at=at(first),
        last_seen_at=at(last),
        **values,
    )
    return AttendanceMarked(
        at=at(last),
        camera=seen.camera,
        date=DAY,
        session=MEETING.session,
        status=AttendanceStatus.PRESENT,
        sighting=seen,
        meeting=MEETING,
    )


def watches(first: int, last: int, *, camera: str = "camera-101", seconds: float = 60.0) -> list[Watch]:
    """That a camera of the room watched from minute ``first`` to ``last``."""
    return [
        Watch(camera=camera, room="101", minute_at=at(minute), seconds=seconds, faces=3, named=2)
        for minute in range(first, last)
    ]


def unseen(person: str) -> Unseen:
    """Somebody of whom there is no record yet."""
    return Unseen(meeting=MEETING, person_id=person, name=f"Name {person}")


def said(person: str, status: AttendanceStatus, *, actor: str = "Ms Lang", why: str = "bus") -> Correction:
    """What a person says of the record of ``person``."""
    return Correction(record_id=record_id(DAY, MEETING.session, person), status=status, actor=actor, why=why)
