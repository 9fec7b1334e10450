"""What each sink still has to get: kept in the ledger's database, entered in the transaction of the mark itself."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, insert, literal, select, update

from optimind.core.types import require_aware
from optimind.plugin_api import RecordRow
from optimind.storage.chunks import chunks
from optimind.storage.database import Database
from optimind.storage.tables import OutboxEntry, Record

__all__ = ["Outbox", "as_row"]

_LONGEST_ERROR = 500
_PENDING: ColumnElement[bool] = OutboxEntry.delivered_version < OutboxEntry.version


def as_row(record: Record) -> RecordRow:
    """Return the record as it leaves the ledger; its times are in UTC."""
    return RecordRow(
        record_id=record.record_id,
        date=record.date,
        session=record.session,
        person_id=record.person_id,
        name=record.name,
        status=record.status,
        first_seen_at=record.first_seen_at,
        last_seen_at=record.last_seen_at,
        seconds_seen=record.seconds_seen,
        camera=record.camera,
        similarity=record.similarity,
        margin=record.margin,
        source=record.source,
        class_id=record.class_id,
        starts_at=record.starts_at,
        rule=record.rule,
        reason=record.reason,
        embedder=record.embedder,
        version=record.version,
    )


class Outbox:
    """What the sinks have and lack. Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def due(self, sink: str, limit: int, now: datetime | None = None) -> list[tuple[RecordRow, int]]:
        """Return up to ``limit`` records that ``sink`` lacks, longest waiting first, each with its version.

        With ``now``, those whose next attempt lies after it are left out; without, waiting ones are included.
        """
        query = (
            select(Record)
            .join(OutboxEntry, OutboxEntry.record_id == Record.record_id)
            .where(OutboxEntry.sink == sink, _PENDING)
            .order_by(OutboxEntry.pending_since, OutboxEntry.id)
            .limit(limit)
        )
        if now is not None:
            query = query.where(OutboxEntry.next_attempt_at <= require_aware(now, "now"))
        with self._database.reading() as session:
            return [(as_row(record), record.version) for record in session.scalars(query)]

    def delivered(self, sink: str, versions: Sequence[tuple[str, int]]) -> None:
        """Note that ``sink`` has these ``(record_id, version)``; a record that has changed meanwhile stays pending."""
        if not versions:
            return
        now = self._clock()
        mine = (OutboxEntry.sink == sink, OutboxEntry.record_id == bindparam("b_record_id"))
        done = (
            update(OutboxEntry.__table__)  # type: ignore[arg-type] # a declarative class's __table__ is a Table
            .where(*mine, OutboxEntry.delivered_version < bindparam("b_version"))
            .values(
                delivered_version=bindparam("b_version"),
                delivered_at=now,
                attempts=0,
                last_error=None,
                next_attempt_at=now,
            )
        )
        with self._database.writing() as session:
            session.connection().execute(
                done, [{"b_record_id": rid, "b_version": version} for rid, version in versions]
            )
            for ids in chunks([rid for rid, _ in versions]):
                changed = update(OutboxEntry).where(OutboxEntry.sink == sink, OutboxEntry.record_id.in_(ids), _PENDING)
                session.execute(changed.values(pending_since=now))

    def delayed(self, sink: str, record_ids: Sequence[str], error: str, next_attempt_at: datetime) -> None:
        """Note that ``sink`` did not take these records: why, and when to try again."""
        self._update(
            sink,
            record_ids,
            attempts=OutboxEntry.attempts + 1,
            last_error=error[:_LONGEST_ERROR],
            next_attempt_at=require_aware(next_attempt_at, "next_attempt_at"),
        )

    def redeliver(self, sink: str, record_ids: Sequence[str]) -> None:
        """Make these records pending again: ``sink`` had them and has lost them. Unknown ids are left alone."""
        now = self._clock()
        self._update(sink, record_ids, delivered_version=0, pending_since=now, next_attempt_at=now)

    def backfill(self, sink: str) -> int:
        """Enter every record that ``sink`` was never meant to get, as for a sink switched on later; return how many."""
        now = self._clock()
        known = select(OutboxEntry.record_id).where(OutboxEntry.sink == sink, OutboxEntry.record_id == Record.record_id)
        columns = ["sink", "record_id", "version", "delivered_version", "pending_since", "next_attempt_at", "attempts"]
        missing = select(
            literal(sink),
            Record.record_id,
            Record.version,
            literal(0),
            literal(now, OutboxEntry.pending_since.type),
            literal(now, OutboxEntry.next_attempt_at.type),
            literal(0),
        ).where(~known.exists())
        with self._database.writing() as session:
            entered = select(func.count()).select_from(Record).where(~known.exists())
            count = session.scalar(entered) or 0
            if count:
                session.execute(insert(OutboxEntry).from_select(columns, missing.order_by(Record.created_at)))
        return count

    def lag(self, sink: str) -> tuple[int, datetime | None]:
        """Return how many records ``sink`` lacks, and since when the longest waiting one does."""
        query = select(func.count(), func.min(OutboxEntry.pending_since)).where(OutboxEntry.sink == sink, _PENDING)
        with self._database.reading() as session:
            count, oldest = session.execute(query).one()
        return count, oldest

    def _update(self, sink: str, record_ids: Sequence[str], **values: object) -> None:
        with self._database.writing() as session:
            for ids in chunks(record_ids):
                mine = update(OutboxEntry).where(OutboxEntry.sink == sink, OutboxEntry.record_id.in_(ids))
                session.execute(mine.values(**values).execution_options(synchronize_session=False))
