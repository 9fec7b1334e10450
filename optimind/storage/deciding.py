"""Brings records in line with everything that is known of them: what was seen, the meeting's rules, what people said.

It works on many records at once, with a handful of queries, whether one mark has come or a whole class is closed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from optimind.core.decisions import Decision, Evidence, EvidenceKind, Rule, Watched, decide
from optimind.core.events import AttendanceStatus
from optimind.core.registers import seconds_seen
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
    meetings: Mapping[str, StoredSession]
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
    if not evidence and record.first_seen_at is not None:
        # It was seen, and the evidence was kept long enough (privacy.keep_sightings_days): what was decided stays.
        return _corrected(record, known.corrections.get(record.record_id))
    stored = known.meetings.get(record.session_id)
    if stored is None:
        decision: Decision | None = _without_timetable(record, evidence, said)
        during = evidence
    else:
        meeting = meeting_of(stored)
        decision = _in_meeting(record, meeting, evidence, known, now if stored.closed_at is None else stored.closed_at)
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
    _corrected(record, correction)
    return True


def _corrected(record: Record, correction: StoredCorrection | None) -> bool:
    """Set what a person said, if anybody did."""
    if correction is None:
        return False
    record.status, record.rule = correction.status, str(Rule.CORRECTED)
    record.reason = f"{correction.actor}: {correction.why}" if correction.why else f"by {correction.actor}"
    record.source = correction.origin
    return True


def _without_timetable(record: Record, evidence: Sequence[Evidence], said: AttendanceStatus | None) -> Decision | None:
    if not evidence:
        return None
    suspicion = next((each.suspicion for each in evidence if each.suspicion), "")
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
        watched=known.watched.get(meeting.room, ()),
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
    return _Known(
        evidence=_evidence(session, ids),
        best=_best(session, ids),
        meetings=meetings,
        corrections=_corrections(session, ids),
        rosters={each: on_roster(session, *each) for each in classes},
        excuses=_excuses(session, people, [stored.date for stored in meetings.values()]),
        watched=_watched(session, list(meetings.values())),
    )


def _evidence(session: Session, ids: Sequence[str]) -> dict[str, list[Evidence]]:
    columns = StoredSighting.__table__.columns
    found: dict[str, list[Evidence]] = defaultdict(list)
    for some in chunks(ids):
        query = select(
            columns.record_id, columns.first_seen_at, columns.last_seen_at, columns.kind, columns.suspicion
        ).where(columns.record_id.in_(some))
        for record_id, first_at, last_at, kind, suspicion in session.execute(query):
            found[record_id].append(Evidence(first_at, last_at, EvidenceKind(kind), suspicion))
    return found


def _best(session: Session, ids: Sequence[str]) -> dict[str, Best]:
    """The database finds them: a day's sightings of one person may be thousands."""
    columns = StoredSighting.__table__.columns
    order = (columns.similarity.desc(), columns.margin.desc(), columns.sighting_id.desc())
    rank = func.row_number().over(partition_by=columns.record_id, order_by=order).label("rank")
    wanted = (columns.record_id, columns.camera, columns.similarity, columns.margin, columns.embedder)
    found = {}
    for some in chunks(ids):
        ranked = select(*wanted, rank).where(columns.record_id.in_(some)).subquery()
        query = select(*(ranked.columns[column.name] for column in wanted)).where(ranked.columns["rank"] == 1)
        found.update({record_id: Best(*rest) for record_id, *rest in session.execute(query)})
    return found


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


def _watched(session: Session, meetings: Sequence[StoredSession]) -> Mapping[str, Watched]:
    found: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for room in {stored.room for stored in meetings}:
        mine = [stored for stored in meetings if stored.room == room]
        first_at, last_at = min(each.opens_at for each in mine), max(each.ends_at for each in mine)
        query = select(WatchedMinute.minute_at, WatchedMinute.seconds).where(
            WatchedMinute.room == room,
            WatchedMinute.minute_at > first_at - timedelta(minutes=1),
            WatchedMinute.minute_at < last_at,
        )
        for minute_at, seconds in session.execute(query):
            found[room].append((minute_at, minute_at + timedelta(seconds=seconds)))
    return found


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
