"""Records as they begin: of whom nothing is decided yet."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from optimind.core.events import AttendanceMarked, AttendanceStatus
from optimind.core.registers import record_id, session_id
from optimind.core.timetable import Meeting
from optimind.storage.tables import Record
from optimind.storage.text import storable

__all__ = ["PlainSession", "make_record", "record_of"]

_CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class PlainSession:
    """A session that is in no timetable."""

    date: date
    session: str


def make_record(meeting: Meeting | PlainSession, person_id: str, name: str, now: datetime) -> Record:
    """A record of ``meeting`` of somebody of whom nothing was seen; not in the database yet."""
    return _begun(
        record_id(meeting.date, meeting.session, person_id),
        PlainSession(meeting.date, meeting.session),
        meeting if isinstance(meeting, Meeting) else None,
        now,
        person_id=storable(person_id),
        name=storable(name),
        status=str(AttendanceStatus.NEEDS_REVIEW),
        first_seen_at=None,
        last_seen_at=None,
        camera="",
        similarity=None,
        margin=None,
        source="",
    )


def record_of(key: str, mark: AttendanceMarked, now: datetime) -> Record:
    """The record with the id ``key`` that ``mark`` is the first to tell of; not in the database yet."""
    sighting = mark.sighting
    return _begun(
        key,
        PlainSession(mark.date, mark.session),
        mark.meeting,
        now,
        person_id=storable(sighting.person_id),
        name=storable(sighting.name),
        status=str(mark.status),
        first_seen_at=sighting.first_seen_at,
        last_seen_at=sighting.last_seen_at,
        camera=storable(sighting.camera),
        similarity=sighting.similarity,
        margin=sighting.margin,
        source=_CAMERA,
    )


def _begun(key: str, held: PlainSession, meeting: Meeting | None, now: datetime, **told: Any) -> Record:
    """A record of the session ``held``, which ``meeting`` is in the timetable, with the columns ``told``."""
    return Record(
        record_id=key,
        date=held.date,
        session=storable(held.session),
        seconds_seen=0.0,
        version=0,
        created_at=now,
        updated_at=now,
        session_id="" if meeting is None else session_id(meeting.date, meeting.session),
        class_id="" if meeting is None else storable(meeting.class_id),
        starts_at=None if meeting is None else meeting.starts_at,
        rule="",
        reason="",
        embedder="",
        **told,
    )
