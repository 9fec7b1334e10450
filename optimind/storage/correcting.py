"""What people say of a record: each function works inside one transaction of the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from optimind.core.decisions import Rule
from optimind.core.events import AttendanceStatus
from optimind.core.registers import record_id
from optimind.core.timetable import Meeting
from optimind.plugin_api import RecordRow
from optimind.storage.audit import Said, append, last_said
from optimind.storage.deciding import decide_records
from optimind.storage.new_records import PlainSession, make_record
from optimind.storage.recording import enter_session, finish, records_by_id
from optimind.storage.rows import as_row
from optimind.storage.school_tables import StoredCorrection
from optimind.storage.tables import Record
from optimind.storage.text import storable

__all__ = ["Correction", "Unseen", "correct", "withdraw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What somebody says of a record: who (``actor``), why, and where they said it (``manual``, ``sheet`` ...)."""

    record_id: str
    status: AttendanceStatus
    actor: str
    why: str
    origin: str = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Somebody who has no record of ``meeting`` yet."""

    meeting: Meeting | PlainSession
    person_id: str
    name: str

    @property
    def record_id(self) -> str:
        """The id that their record gets."""
        return record_id(self.meeting.date, self.meeting.session, self.person_id)


def correct(
    session: Session,
    corrections: Sequence[Correction],
    unseen: Sequence[Unseen],
    sinks: Sequence[str],
    now: datetime,
) -> dict[str, RecordRow]:
    """Take ``corrections``; who of ``unseen`` has no record gets one first. Returns the records, by their id.

    One of a record that does not exist is left out.
    """
    records = records_by_id(session, [each.record_id for each in corrections], for_update=True)
    before = {key: as_row(record) for key, record in records.items()}
    for person in unseen:
        if person.record_id not in records:
            if isinstance(person.meeting, Meeting):
                enter_session(session, person.meeting)
            records[person.record_id] = make_record(person.meeting, person.person_id, person.name, now)
            session.add(records[person.record_id])
    session.flush()
    said = []
    for each in corrections:
        record = records.get(each.record_id)
        if record is None:
            continue
        session.add(
            StoredCorrection(
                record_id=each.record_id,
                status=str(each.status),
                why=storable(each.why),
                actor=storable(each.actor),
                origin=each.origin,
                at=now,
            )
        )
        old = before.get(each.record_id)
        said.append(_said(record, each, None if old is None else old.status))
    session.flush()
    append(session, now, said)
    decide_records(session, list(records.values()), now, {})
    return finish(session, records.values(), before, sinks, now)


def withdraw(
    session: Session, key: str, said_by: tuple[str, str], sinks: Sequence[str], now: datetime
) -> RecordRow | None:
    """Take the newest correction of the record ``key`` back; None where there is none. ``said_by``: who, and why."""
    actor, why = said_by
    query = select(StoredCorrection).where(StoredCorrection.record_id == key, StoredCorrection.withdrawn_at.is_(None))
    newest = session.scalars(query.order_by(StoredCorrection.correction_id.desc()).limit(1)).one_or_none()
    records = records_by_id(session, [key], for_update=True)
    if newest is None or key not in records:
        return None
    record = records[key]
    before = {key: as_row(record)}
    newest.withdrawn_at = now
    _undo(session, record)
    session.flush()
    detail = {"date": record.date.isoformat(), "session": record.session, "status": newest.status, "why": why}
    append(
        session,
        now,
        [
            Said(
                actor=storable(actor),
                action="correction withdrawn",
                record_id=key,
                person_id=record.person_id,
                detail=detail,
            )
        ],
    )
    decide_records(session, [record], now, {})
    return finish(session, [record], before, sinks, now)[key]


def _undo(session: Session, record: Record) -> None:
    """Let the record be what it was decided to be last: that stays where what it was decided by is no longer kept."""
    said = last_said(session, record.record_id, "decided")
    if said is None or said.detail.get("rule") == Rule.TAKEN_BACK:
        # What stays where nothing was ever seen of the person, and nobody else said anything.
        record.status, record.rule, record.source = str(AttendanceStatus.NEEDS_REVIEW), str(Rule.TAKEN_BACK), "manual"
        record.reason = "a correction was taken back, and nothing else is known"
        return
    record.status, record.rule = said.detail["status"], said.detail["rule"]
    record.reason, record.source = said.detail["reason"], said.actor


def _said(record: Record, correction: Correction, was: str | None) -> Said:
    detail = {
        "date": record.date.isoformat(),
        "session": record.session,
        "name": record.name,
        "was": was,
        "status": str(correction.status),
        "why": storable(correction.why),
        "origin": correction.origin,
    }
    return Said(
        actor=storable(correction.actor),
        action="corrected",
        record_id=record.record_id,
        person_id=record.person_id,
        detail=detail,
    )
