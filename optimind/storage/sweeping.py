"""Deletes what was kept long enough: each function works inside one transaction of the caller."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session, aliased

from optimind.storage.audit import erase_lines, erase_records
from optimind.storage.school_tables import (
    AuditEntry,
    RecordShot,
    StoredCorrection,
    StoredExcuse,
    StoredMember,
    StoredSession,
    WatchedMinute,
)
from optimind.storage.tables import OutboxEntry, Record, StoredSighting

__all__ = ["old_evidence", "sweep_minutes", "sweep_records", "sweep_school", "sweep_shots", "sweep_sightings"]

AT_ONCE = 500
"""So many records go in one transaction: others that write wait no longer than for that."""
_NO_SYNC = {"synchronize_session": False}


def sweep_records(session: Session, before: date, sinks: Sequence[str]) -> dict[str, int]:
    """Delete up to :data:`AT_ONCE` records of days before ``before``, all that belongs to them, and what the log says.

    One that a sink among ``sinks`` has not got yet stays, and so does one whose meeting is not closed.
    """
    open_ = select(StoredSession.session_id).where(StoredSession.closed_at.is_(None))
    old = select(Record.record_id).where(Record.date < before, Record.session_id.not_in(open_))
    for sink in sinks:
        old = old.where(_has(sink))
    ids = list(session.scalars(old.limit(AT_ONCE)))
    counts = {"records": len(ids)}
    for table in (StoredSighting, RecordShot, StoredCorrection, OutboxEntry):
        counts[table.__tablename__] = _delete(session, table, table.record_id.in_(ids))
    _delete(session, Record, Record.record_id.in_(ids))
    counts["audit lines"] = erase_records(session, ids)
    return counts


def sweep_school(session: Session, before: date) -> dict[str, int]:
    """Delete excuses and places on rosters that ended before ``before``, and what the log says of those excuses."""
    ended = select(StoredExcuse.person_id).where(StoredExcuse.last_day < before).distinct()
    lines = select(AuditEntry.number).where(
        AuditEntry.person_id.in_(ended),
        AuditEntry.record_id.is_(None),
        AuditEntry.action.in_(("excused", "excuse withdrawn")),
        AuditEntry.at < before.isoformat(),
    )
    numbers = list(session.scalars(lines))
    erase_lines(session, numbers)
    return {
        "excuses": _delete(session, StoredExcuse, StoredExcuse.last_day < before),
        "members": _delete(session, StoredMember, StoredMember.last_day < before),
        "audit lines": len(numbers),
    }


def old_evidence(session: Session, before: date) -> list[str]:
    """Up to :data:`AT_ONCE` records of days before ``before`` that have evidence still and whose meeting is closed.

    It reads many rows where there are none, so it is not for a transaction that writes.
    """
    open_ = select(StoredSession.session_id).where(StoredSession.closed_at.is_(None))
    has_some = exists().where(StoredSighting.record_id == Record.record_id)
    old = select(Record.record_id).where(Record.date < before, Record.session_id.not_in(open_), has_some)
    return list(session.scalars(old.limit(AT_ONCE)))


def sweep_sightings(session: Session, record_ids: Sequence[str]) -> int:
    """Delete the evidence of these records."""
    return _delete(session, StoredSighting, StoredSighting.record_id.in_(record_ids))


def sweep_shots(session: Session, before: datetime) -> int:
    """Delete the pictures of records that were kept before ``before``."""
    return _delete(session, RecordShot, RecordShot.kept_at < before)


def sweep_minutes(session: Session, before: datetime) -> int:
    """Delete the minutes before ``before``, but for those of a meeting that is not closed."""
    held = aliased(StoredSession)
    needed = exists().where(
        held.room == WatchedMinute.room,
        held.closed_at.is_(None),
        held.opens_at <= WatchedMinute.minute_at,
        held.ends_at >= WatchedMinute.minute_at,
    )
    return _delete(session, WatchedMinute, (WatchedMinute.minute_at < before) & ~needed)


def _has(sink: str) -> ColumnElement[bool]:
    """Whether ``sink`` has got the newest version of the record."""
    return exists().where(
        OutboxEntry.record_id == Record.record_id,
        OutboxEntry.sink == sink,
        OutboxEntry.delivered_version >= OutboxEntry.version,
    )


def _delete(session: Session, table: type[object], where: ColumnElement[bool]) -> int:
    result = session.execute(delete(table).where(where), execution_options=_NO_SYNC)
    return int(result.rowcount)  # type: ignore[attr-defined] # a delete's result has a count
