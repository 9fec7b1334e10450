"""What the database knows about records: what was seen, what is held, who belongs to it, what people said.

A handful of queries, whether one mark has come or a whole class is closed.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select
from sqlalchemy.orm import Session

from optimind.core.decisions import Evidence, EvidenceKind, Watched
from optimind.core.registers import covered
from optimind.core.timetable import AttendanceRules, Meeting
from optimind.storage.chunks import chunks
from optimind.storage.school_tables import (
    StoredCorrection,
    StoredExcuse,
    StoredMember,
    StoredSession,
    WatchedMinute,
)
from optimind.storage.tables import Record, StoredSighting

__all__ = ["Best", "Known", "known_of", "meeting_of", "on_roster"]

_MINUTE = timedelta(minutes=1)
_AN_HOUR = timedelta(hours=1)

# Put together once: each is asked for with every mark.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_SIGHTINGS = StoredSighting.__table__.columns
_EVIDENCE = select(
    *(_SIGHTINGS[name] for name in ("record_id", "first_seen_at", "last_seen_at", "kind", "suspicion"))
).where(_SIGHTINGS.record_id.in_(_IDS))
_RANKED = (
    select(
        *(_SIGHTINGS[name] for name in ("record_id", "camera", "similarity", "margin", "embedder")),
        func.row_number()
        .over(
            partition_by=_SIGHTINGS.record_id,
            order_by=(_SIGHTINGS.similarity.desc(), _SIGHTINGS.margin.desc(), _SIGHTINGS.sighting_id.desc()),
        )
        .label("rank"),
    )
    .where(_SIGHTINGS.record_id.in_(_IDS))
    .subquery()
)
_BEST = select(*(_RANKED.columns[name] for name in ("record_id", "camera", "similarity", "margin", "embedder"))).where(
    _RANKED.columns["rank"] == 1
)
_MEETINGS = select(StoredSession).where(StoredSession.session_id.in_(_IDS))
_CORRECTIONS = (
    select(StoredCorrection)
    .where(StoredCorrection.record_id.in_(_IDS), StoredCorrection.withdrawn_at.is_(None))
    .order_by(StoredCorrection.correction_id)
)
_EXCUSES = (
    select(StoredExcuse)
    .where(
        StoredExcuse.person_id.in_(_IDS),
        StoredExcuse.withdrawn_at.is_(None),
        StoredExcuse.first_day <= bindparam("last"),
        StoredExcuse.last_day >= bindparam("first"),
    )
    .order_by(StoredExcuse.excuse_id.desc())
)
_MEMBERS = (
    select(
        *(StoredMember.__table__.columns[name] for name in ("class_id", "person_id", "name", "first_day", "last_day"))
    )
    .where(StoredMember.__table__.columns.class_id.in_(_IDS))
    .order_by(StoredMember.__table__.columns.first_day)
)
_WATCHED = select(*(WatchedMinute.__table__.columns[name] for name in ("room", "minute_at", "seconds"))).where(
    WatchedMinute.__table__.columns.room.in_(_IDS),
    WatchedMinute.__table__.columns.minute_at > bindparam("after"),
    WatchedMinute.__table__.columns.minute_at < bindparam("before"),
)


@dataclass(frozen=True, slots=True)
class Best:
    """Of a record's sightings the one that says most surely who it is."""

    camera: str
    similarity: float
    margin: float
    embedder: str


@dataclass(slots=True)
class Known:
    """What the database knows about some records."""

    evidence: Mapping[str, list[Evidence]]
    best: Mapping[str, Best]
    meetings: Mapping[str, tuple[Meeting, datetime | None]]
    corrections: Mapping[str, StoredCorrection]
    rosters: Mapping[tuple[str, date], Mapping[str, str]]
    excuses: Mapping[str, list[StoredExcuse]]
    watched: Mapping[str, Watched]


def meeting_of(stored: StoredSession) -> Meeting:
    """The meeting with the rules that held when it was held."""
    return Meeting(
        session=stored.session,
        date=stored.date,
        class_id=stored.class_id,
        room=stored.room,
        opens_at=stored.opens_at,
        starts_at=stored.starts_at,
        ends_at=stored.ends_at,
        rules=AttendanceRules(
            opens_before=stored.starts_at - stored.opens_at,
            late_after=_length(stored.late_after_s),
            absent_after=_length(stored.absent_after_s),
            leave_early=_length(stored.leave_early_s),
        ),
        by_hand=stored.by_hand,
    )


def on_roster(session: Session, class_id: str, day: date) -> dict[str, str]:
    """The names of those who are on the roster of ``class_id`` on ``day``, by person."""
    query = select(StoredMember.person_id, StoredMember.name).where(
        StoredMember.class_id == class_id,
        StoredMember.first_day <= day,
        (StoredMember.last_day.is_(None)) | (StoredMember.last_day >= day),
    )
    return {row.person_id: row.name for row in session.execute(query.order_by(StoredMember.first_day))}


def known_of(session: Session, records: Sequence[Record]) -> Known:
    """Look up what is known of ``records``, whether they are in the database yet or not."""
    ids = [record.record_id for record in records]
    meetings = _meetings(session, {record.session_id for record in records if record.session_id})
    classes = {(stored.class_id, stored.date) for stored in meetings.values()}
    people = {record.person_id for record in records if record.session_id}
    return Known(
        evidence=_evidence(session, ids),
        best=_best(session, ids),
        meetings={key: (meeting_of(stored), stored.closed_at) for key, stored in meetings.items()},
        corrections=_corrections(session, ids),
        rosters=_rosters(session, classes),
        excuses=_excuses(session, people, [stored.date for stored in meetings.values()]),
        watched=_watched(session, list(meetings.values())),
    )


def _evidence(session: Session, ids: Sequence[str]) -> dict[str, list[Evidence]]:
    found: dict[str, list[Evidence]] = defaultdict(list)
    for some in chunks(ids):
        for record_id, first_at, last_at, kind, suspicion in session.execute(_EVIDENCE, {"ids": some}):
            found[record_id].append(Evidence(first_at, last_at, EvidenceKind(kind), suspicion))
    return found


def _best(session: Session, ids: Sequence[str]) -> dict[str, Best]:
    """The database finds them: a day's sightings of one person may be thousands."""
    found = {}
    for some in chunks(ids):
        found.update({record_id: Best(*rest) for record_id, *rest in session.execute(_BEST, {"ids": some})})
    return found


def _meetings(session: Session, ids: set[str]) -> dict[str, StoredSession]:
    found = {}
    for some in chunks(sorted(ids)):
        for stored in session.scalars(_MEETINGS, {"ids": some}):
            found[stored.session_id] = stored
    return found


def _corrections(session: Session, ids: Sequence[str]) -> dict[str, StoredCorrection]:
    found = {}
    for some in chunks(ids):
        for correction in session.scalars(_CORRECTIONS, {"ids": some}):
            found[correction.record_id] = correction
    return found


def _excuses(session: Session, people: set[str], days: Sequence[date]) -> dict[str, list[StoredExcuse]]:
    found: dict[str, list[StoredExcuse]] = defaultdict(list)
    if not days:
        return found
    for some in chunks(sorted(people)):
        for excuse in session.scalars(_EXCUSES, {"ids": some, "first": min(days), "last": max(days)}):
            found[excuse.person_id].append(excuse)
    return found


def _rosters(session: Session, classes: Collection[tuple[str, date]]) -> dict[tuple[str, date], dict[str, str]]:
    """The names on the rosters of ``classes``, each on its day, by person."""
    found: dict[tuple[str, date], dict[str, str]] = {each: {} for each in classes}
    days: dict[str, list[date]] = defaultdict(list)
    for class_id, day in classes:
        days[class_id].append(day)
    for some in chunks(sorted(days)):
        for class_id, person_id, name, first_day, last_day in session.execute(_MEMBERS, {"ids": some}):
            for day in days[class_id]:
                if first_day <= day and (last_day is None or day <= last_day):
                    found[class_id, day][person_id] = name
    return found


def _watched(session: Session, meetings: Sequence[StoredSession]) -> Mapping[str, Watched]:
    """When the room of each of ``meetings`` was watched during it, by its id."""
    found: dict[str, Watched] = {}
    # Meetings that are near to each other are looked up together; a mark that comes late may be of one long ago.
    for some in _near(sorted(meetings, key=lambda each: each.opens_at)):
        minutes: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        window = {
            "ids": sorted({each.room for each in some}),
            "after": some[0].opens_at - _MINUTE,
            "before": max(each.ends_at for each in some),
        }
        for room, minute_at, seconds in session.execute(_WATCHED, window):
            minutes[room].append((minute_at, minute_at + timedelta(seconds=seconds)))
        spans = {room: covered(mine) for room, mine in minutes.items()}
        for each in some:
            near = spans.get(each.room, ())
            found[each.session_id] = [span for span in near if span[0] < each.ends_at and span[1] > each.opens_at]
    return found


def _near(meetings: Sequence[StoredSession]) -> list[list[StoredSession]]:
    """``meetings``, in order, in groups that are less than an hour apart."""
    groups: list[list[StoredSession]] = []
    ends_at: datetime | None = None
    for each in meetings:
        if ends_at is not None and each.opens_at < ends_at + _AN_HOUR:
            groups[-1].append(each)
            ends_at = max(ends_at, each.ends_at)
        else:
            groups.append([each])
            ends_at = each.ends_at
    return groups


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
