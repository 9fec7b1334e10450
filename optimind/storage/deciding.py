"""Brings records in line with everything that is known of them: what was seen, the meeting's rules, what people said.

It works on many records at once, with a handful of queries, whether one mark has come or a whole class is closed.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from optimind.core.decisions import Decision, Evidence, EvidenceKind, Rule, Watched, decide, first_suspicion
from optimind.core.events import AttendanceStatus
from optimind.core.registers import covered, seconds_seen
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

__all__ = ["Best", "decide_records", "meeting_of", "on_roster"]

_BY_CAMERA = "camera"
_BY_RULE = "rule"
_MINUTE = timedelta(minutes=1)
_AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Best:
    """Of a record's sightings the one that says most surely who it is."""

    camera: str
    similarity: float
    margin: float
    embedder: str


@dataclass(slots=True)
class _Known:
    """What the database knows about the records that are decided."""

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


def decide_records(
    session: Session, records: Sequence[Record], now: datetime, said: Mapping[str, AttendanceStatus]
) -> list[Record]:
    """Set what each record says from all that is known at ``now``; return those about which there is something to say.

    ``said`` is, by record, the status that a mark named; it counts where no timetable decides.
    """
    known = _known(session, records)
    return [record for record in records if _decide(record, known, now, said.get(record.record_id))]


def on_roster(session: Session, class_id: str, day: date) -> dict[str, str]:
    """The names of those who are on the roster of ``class_id`` on ``day``, by person."""
    query = select(StoredMember.person_id, StoredMember.name).where(
        StoredMember.class_id == class_id,
        StoredMember.first_day <= day,
        (StoredMember.last_day.is_(None)) | (StoredMember.last_day >= day),
    )
    return {row.person_id: row.name for row in session.execute(query.order_by(StoredMember.first_day))}


def _decide(record: Record, known: _Known, now: datetime, said: AttendanceStatus | None) -> bool:
    evidence = known.evidence.get(record.record_id, [])
    held = known.meetings.get(record.session_id)
    if held is None:
        decision: Decision | None = _without_timetable(record, evidence, said)
        during = evidence
    else:
        meeting, closed_at = held
        decision = _in_meeting(record, meeting, evidence, known, now if closed_at is None else closed_at)
        during = [_clipped(each, meeting) for each in evidence if meeting.overlaps(each.first_at, each.last_at)]
    correction = known.corrections.get(record.record_id)
    if decision is None and correction is None:
        return False
    if decision is not None:
        record.status, record.rule, record.reason = str(decision.status), str(decision.rule), decision.reason
        record.source = _BY_CAMERA if during else _BY_RULE
    _set_times(record, during)
    best = known.best.get(record.record_id)
    if best is not None:
        record.camera, record.similarity, record.margin = best.camera, best.similarity, best.margin
        record.embedder = best.embedder
    if correction is not None:
        record.status, record.rule = correction.status, str(Rule.CORRECTED)
        record.reason = f"{correction.actor}: {correction.why}" if correction.why else f"by {correction.actor}"
        record.source = correction.origin
    return True


def _without_timetable(record: Record, evidence: Sequence[Evidence], said: AttendanceStatus | None) -> Decision | None:
    if not evidence:
        return None
    suspicion = first_suspicion(evidence)
    if suspicion:
        reason = f"the face may be a picture: {suspicion}"
        return Decision(status=AttendanceStatus.NEEDS_REVIEW, rule=Rule.SUSPECTED, reason=reason)
    kept = AttendanceStatus(record.status) if record.rule == Rule.SEEN else AttendanceStatus.PRESENT
    return Decision(status=said or kept, rule=Rule.SEEN, reason="was seen")


def _in_meeting(
    record: Record, meeting: Meeting, evidence: Sequence[Evidence], known: _Known, now: datetime
) -> Decision | None:
    roster = known.rosters[meeting.class_id, meeting.date]
    record.name = roster.get(record.person_id, record.name)
    excuse = next(
        (
            each.why
            for each in known.excuses.get(record.person_id, [])
            if each.first_day <= meeting.date <= each.last_day and each.class_id in ("", meeting.class_id)
        ),
        None,
    )
    return decide(
        meeting,
        evidence,
        # Of a class without a roster everybody belongs to it who comes.
        is_member=not roster or record.person_id in roster,
        excuse=excuse,
        watched=known.watched.get(record.session_id, ()),
        now=now,
    )


def _set_times(record: Record, during: Sequence[Evidence]) -> None:
    seen = [(each.first_at, each.last_at) for each in during if each.kind is EvidenceKind.SEEN]
    record.first_seen_at = min((each.first_at for each in during), default=None)
    record.last_seen_at = max((each.last_at for each in during), default=None)
    record.seconds_seen = seconds_seen(seen)


def _clipped(evidence: Evidence, meeting: Meeting) -> Evidence:
    first_at = max(evidence.first_at, meeting.opens_at)
    return Evidence(first_at, max(first_at, min(evidence.last_at, meeting.ends_at)), evidence.kind, evidence.suspicion)


# -- what the database knows ------------------------------------------------------------------------------------------


def _known(session: Session, records: Sequence[Record]) -> _Known:
    ids = [record.record_id for record in records]
    meetings = _meetings(session, {record.session_id for record in records if record.session_id})
    classes = {(stored.class_id, stored.date) for stored in meetings.values()}
    people = {record.person_id for record in records if record.session_id}
    evidence, best = _evidence(session, ids)
    return _Known(
        evidence=evidence,
        best=best,
        meetings={key: (meeting_of(stored), stored.closed_at) for key, stored in meetings.items()},
        corrections=_corrections(session, ids),
        rosters=_rosters(session, classes),
        excuses=_excuses(session, people, [stored.date for stored in meetings.values()]),
        watched=_watched(session, list(meetings.values())),
    )


def _evidence(session: Session, ids: Sequence[str]) -> tuple[dict[str, list[Evidence]], dict[str, Best]]:
    """By record, all that was seen, and the best of it."""
    columns = StoredSighting.__table__.columns
    found: dict[str, list[Evidence]] = defaultdict(list)
    ranks: dict[str, tuple[float, float, str]] = {}
    best: dict[str, Best] = {}
    names = ("record_id", "first_seen_at", "last_seen_at", "kind", "suspicion")
    wanted = [columns[name] for name in (*names, "similarity", "margin", "sighting_id", "camera", "embedder")]
    for some in chunks(ids):
        query = select(*wanted).where(columns.record_id.in_(some))
        for record, first_at, last_at, kind, suspicion, *rank, camera, embedder in session.execute(query):
            found[record].append(Evidence(first_at, last_at, EvidenceKind(kind), suspicion))
            surely = (rank[0], rank[1], rank[2])
            if record not in ranks or surely > ranks[record]:
                ranks[record] = surely
                best[record] = Best(camera, rank[0], rank[1], embedder)
    return found, best


def _meetings(session: Session, ids: set[str]) -> dict[str, StoredSession]:
    found = {}
    for some in chunks(sorted(ids)):
        for stored in session.scalars(select(StoredSession).where(StoredSession.session_id.in_(some))):
            found[stored.session_id] = stored
    return found


def _corrections(session: Session, ids: Sequence[str]) -> dict[str, StoredCorrection]:
    found = {}
    for some in chunks(ids):
        query = select(StoredCorrection).where(
            StoredCorrection.record_id.in_(some), StoredCorrection.withdrawn_at.is_(None)
        )
        for correction in session.scalars(query.order_by(StoredCorrection.correction_id)):
            found[correction.record_id] = correction
    return found


def _excuses(session: Session, people: set[str], days: Sequence[date]) -> dict[str, list[StoredExcuse]]:
    found: dict[str, list[StoredExcuse]] = defaultdict(list)
    for some in chunks(sorted(people)):
        query = select(StoredExcuse).where(
            StoredExcuse.person_id.in_(some),
            StoredExcuse.withdrawn_at.is_(None),
            StoredExcuse.first_day <= max(days),
            StoredExcuse.last_day >= min(days),
        )
        for excuse in session.scalars(query.order_by(StoredExcuse.excuse_id.desc())):
            found[excuse.person_id].append(excuse)
    return found


def _rosters(session: Session, classes: Collection[tuple[str, date]]) -> dict[tuple[str, date], dict[str, str]]:
    """The names on the rosters of ``classes``, each on its day, by person."""
    found: dict[tuple[str, date], dict[str, str]] = {each: {} for each in classes}
    days: dict[str, list[date]] = defaultdict(list)
    for class_id, day in classes:
        days[class_id].append(day)
    columns = StoredMember.__table__.columns
    wanted = (columns.class_id, columns.person_id, columns.name, columns.first_day, columns.last_day)
    for some in chunks(sorted(days)):
        query = select(*wanted).where(columns.class_id.in_(some)).order_by(columns.first_day)
        for class_id, person_id, name, first_day, last_day in session.execute(query):
            for day in days[class_id]:
                if first_day <= day and (last_day is None or day <= last_day):
                    found[class_id, day][person_id] = name
    return found


def _watched(session: Session, meetings: Sequence[StoredSession]) -> Mapping[str, Watched]:
    """When the room of each of ``meetings`` was watched during it, by its id."""
    rooms: dict[str, list[StoredSession]] = defaultdict(list)
    for stored in meetings:
        rooms[stored.room].append(stored)
    return {key: spans for room, mine in rooms.items() for key, spans in _watched_in(session, room, mine).items()}


def _watched_in(session: Session, room: str, meetings: Sequence[StoredSession]) -> dict[str, Watched]:
    columns = WatchedMinute.__table__.columns
    found: dict[str, Watched] = {}
    # Meetings that are near to each other are looked up together; a mark that comes late may be of one long ago.
    for some in _near(sorted(meetings, key=lambda each: each.opens_at)):
        first_at, last_at = some[0].opens_at, max(each.ends_at for each in some)
        query = select(columns.minute_at, columns.seconds).where(
            columns.room == room,
            columns.minute_at > first_at - _MINUTE,
            columns.minute_at < last_at,
        )
        spans = covered(
            (minute_at, minute_at + timedelta(seconds=seconds)) for minute_at, seconds in session.execute(query)
        )
        for each in some:
            found[each.session_id] = [span for span in spans if span[0] < each.ends_at and span[1] > each.opens_at]
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
