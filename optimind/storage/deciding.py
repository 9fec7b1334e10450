"""Brings records in line with everything that is known of them: what was seen, the meeting's rules, what people said.

It works on many records at once, with a handful of queries, whether one mark has come or a whole class is closed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from optimind.core.decisions import Decision, Evidence, EvidenceKind, Rule, Watched, decide, first_suspicion
from optimind.core.events import AttendanceStatus
from optimind.core.registers import seconds_seen
from optimind.core.timetable import Meeting
from optimind.storage.known import Best, Known, known_of, meeting_of, on_roster
from optimind.storage.school_tables import StoredCorrection
from optimind.storage.tables import Record
from optimind.storage.watching import MINUTES_KEPT

__all__ = ["Best", "decide_records", "meeting_of", "on_roster"]

_BY_CAMERA = "camera"
_BY_RULE = "rule"
_NEEDS_ALL = (Rule.NEVER_SEEN, Rule.WENT_OUT, Rule.LEFT_EARLY)
_NEEDS_THE_BEGINNING = (Rule.LATE, Rule.TOO_LATE)


def decide_records(
    session: Session, records: Sequence[Record], now: datetime, said: Mapping[str, AttendanceStatus]
) -> list[Record]:
    """Set what each record says from all that is known at ``now``; return those about which there is something to say.

    ``said`` is, by record, the status that a mark named; it counts where no timetable decides.
    """
    known = known_of(session, records)
    return [record for record in records if _decide(record, known, now, said.get(record.record_id))]


def _decide(record: Record, known: Known, now: datetime, said: AttendanceStatus | None) -> bool:
    evidence = known.evidence.get(record.record_id, [])
    if not evidence and record.first_seen_at is not None:
        # It was seen, and the evidence was kept long enough (privacy.keep_sightings_days): what was decided stays.
        return _corrected(record, known.corrections.get(record.record_id))
    held = known.meetings.get(record.session_id)
    if held is None:
        decision: Decision | None = _without_timetable(record, evidence, said)
        during = evidence
    else:
        meeting, closed_at = held
        watched = known.watched.get(record.session_id, ())
        if not watched and closed_at is not None and now - meeting.ends_at >= MINUTES_KEPT:
            watched = _as_once_watched(record, meeting)
        at = now if closed_at is None else closed_at
        decision = _in_meeting(record, meeting, evidence, known, watched=watched, now=at)
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
    suspicion = first_suspicion(evidence)
    if suspicion:
        reason = f"the face may be a picture: {suspicion}"
        return Decision(status=AttendanceStatus.NEEDS_REVIEW, rule=Rule.SUSPECTED, reason=reason)
    kept = AttendanceStatus(record.status) if record.rule == Rule.SEEN else AttendanceStatus.PRESENT
    return Decision(status=said or kept, rule=Rule.SEEN, reason="was seen")


def _as_once_watched(record: Record, meeting: Meeting) -> Watched:
    """What must have been watched for the record to be what it is; the minutes themselves were kept long enough."""
    if record.rule in _NEEDS_ALL:
        return [(meeting.opens_at, meeting.ends_at)]
    if record.rule in _NEEDS_THE_BEGINNING and record.last_seen_at is not None:
        return [(meeting.opens_at, record.last_seen_at)]
    return ()


def _in_meeting(
    record: Record, meeting: Meeting, evidence: Sequence[Evidence], known: Known, *, watched: Watched, now: datetime
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
        watched=watched,
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
