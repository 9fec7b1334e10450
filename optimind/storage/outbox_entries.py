"""Makes the outbox ask for records that have changed, in the transaction of the change."""

from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from optimind.storage.chunks import chunks
from optimind.storage.tables import OutboxEntry, Record

__all__ = ["enter_in_outbox"]


def enter_in_outbox(session: Session, records: Sequence[Record], sinks: Sequence[str], now: datetime) -> None:
    """Make the outbox of each of ``sinks`` ask for the records' newest versions."""
    if not sinks:
        return
    known = _entered(session, records, sinks)
    fresh: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    woken: list[dict[str, Any]] = []
    for record, sink in product(records, sinks):
        entry = known.get((sink, record.record_id))
        values: dict[str, Any] = {"version": record.version}
        if entry is None or entry[1] >= entry[0]:
            values |= {"pending_since": now, "next_attempt_at": now}
        if entry is None:
            fresh.append({"sink": sink, "record_id": record.record_id, **values})
        elif entry[0] != record.version:
            key = {"its_sink": sink, "its_record": record.record_id}
            (woken if "pending_since" in values else waiting).append({**key, **values})
    table: Any = OutboxEntry.__table__
    mine = (table.c.sink == bindparam("its_sink"), table.c.record_id == bindparam("its_record"))
    if fresh:
        session.execute(insert(OutboxEntry), fresh)
    for changes in (waiting, woken):
        if changes:
            session.connection().execute(table.update().where(*mine), changes)


def _entered(
    session: Session, records: Sequence[Record], sinks: Sequence[str]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Of the entries of ``records``, by sink and record: the version that is wanted, and the one that is there."""
    columns = OutboxEntry.__table__.columns
    known: dict[tuple[str, str], tuple[int, int]] = {}
    for some in chunks([record.record_id for record in records]):
        query = select(columns.sink, columns.record_id, columns.version, columns.delivered_version).where(
            columns.record_id.in_(some), columns.sink.in_(sinks)
        )
        known |= {(sink, rid): (version, delivered) for sink, rid, version, delivered in session.execute(query)}
    return known
