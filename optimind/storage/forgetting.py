"""Takes a person out of the ledger: each function works inside one transaction of the caller."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Delete, delete, func, select, update
from sqlalchemy.orm import Session

from optimind.storage.audit import Said, append, erase
from optimind.storage.chunks import chunks
from optimind.storage.person_rows import record_ids_of, tables_in, wheres
from optimind.storage.privacy_tables import ForgottenRecord
from optimind.storage.school_tables import StoredSession
from optimind.storage.tables import OutboxEntry, Record

__all__ = ["Erased", "forget", "fulfilled", "pending", "wishes"]

_NO_SYNC = {"synchronize_session": False}
_KEPT = frozenset({"audit", "records"})
"""What the deletion by table leaves to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was taken out: rows by table, records that stay under ``pseudonym``, and lines of the audit log."""

    rows: dict[str, int]
    kept_counts: int
    pseudonym: str
    audit_lines: int


def forget(
    session: Session, person_id: str, *, sinks: Sequence[str], keep_counts: bool, actor: str, now: datetime
) -> Erased:
    """Take everything of ``person_id`` out, and note which records ``sinks``, and those that had them, must forget."""
    ids = record_ids_of(session, person_id)
    _note(session, ids, sinks, now)
    counts: dict[str, int] = {}
    for table in reversed(tables_in(session)):
        if table.name in _KEPT:
            continue
        for where in wheres(table, person_id, ids):
            counts[table.name] = counts.get(table.name, 0) + _delete(session, delete(table).where(where))
    kept = _pseudonymise(session, person_id) if keep_counts else (0, "")
    counts["records"] = _delete(session, delete(Record).where(Record.person_id == person_id))
    erased = erase(session, person_id, ids)
    rows = {name: number for name, number in counts.items() if number}
    if rows or kept[0] or erased:
        detail = {"rows": rows, "kept_counts": kept[0], "audit_lines": erased}
        append(session, now, [Said(actor=actor, action="forgotten", detail=detail)])
    return Erased(rows=rows, kept_counts=kept[0], pseudonym=kept[1], audit_lines=erased)


def _delete(session: Session, rows: Delete) -> int:
    result = session.execute(rows, execution_options=_NO_SYNC)
    return int(result.rowcount)  # type: ignore[attr-defined] # a delete's result has a count


def wishes(session: Session, sink: str) -> list[str]:
    """The ids of the records that ``sink`` must still forget."""
    query = select(ForgottenRecord.record_id).where(ForgottenRecord.sink == sink)
    return list(session.scalars(query.order_by(ForgottenRecord.record_id)))


def fulfilled(session: Session, sink: str, record_ids: Sequence[str]) -> None:
    """Note that ``sink`` has forgotten these."""
    for ids in chunks(record_ids):
        mine = delete(ForgottenRecord).where(ForgottenRecord.sink == sink, ForgottenRecord.record_id.in_(ids))
        session.execute(mine, execution_options=_NO_SYNC)


def _note(session: Session, record_ids: Sequence[str], sinks: Sequence[str], now: datetime) -> None:
    wanted = {(sink, record_id) for sink in sinks for record_id in record_ids}
    for ids in chunks(record_ids):
        query = select(OutboxEntry.sink, OutboxEntry.record_id).where(OutboxEntry.record_id.in_(ids))
        wanted |= {(sink, record_id) for sink, record_id in session.execute(query)}
    for sink, record_id in sorted(wanted):
        session.merge(ForgottenRecord(sink=sink, record_id=record_id, noted_at=now))
    session.flush()


def _pseudonymise(session: Session, person_id: str) -> tuple[int, str]:
    """Give the records that nothing changes any more to somebody who is nobody; the others are deleted later.

    The id of a record follows from its person, so it is another one too; what would tell when somebody came goes.
    """
    pseudonym = f"forgotten-{secrets.token_hex(4)}"
    open_ = select(StoredSession.session_id).where(StoredSession.closed_at.is_(None))
    query = select(Record).where(Record.person_id == person_id, Record.session_id.not_in(open_))
    count = 0
    for record in session.scalars(query).all():
        values: dict[str, Any] = {
            "record_id": f"r{secrets.token_hex(16)}",
            "person_id": pseudonym,
            "name": pseudonym,
            "first_seen_at": None,
            "last_seen_at": None,
            "similarity": None,
            "margin": None,
            "camera": "",
            "embedder": "",
            "reason": "",
            "version": Record.version + 1,
        }
        mine = update(Record).where(Record.record_id == record.record_id).values(**values)
        session.execute(mine, execution_options=_NO_SYNC)
        count += 1
    session.expire_all()
    return (count, pseudonym) if count else (0, "")


def pending(session: Session) -> dict[str, int]:
    """How many records each sink must still forget."""
    query = select(ForgottenRecord.sink, func.count().label("waiting")).group_by(ForgottenRecord.sink)
    return {row.sink: row.waiting for row in session.execute(query)}
