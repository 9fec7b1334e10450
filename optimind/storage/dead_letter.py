"""The dead letter: records that a sink does not take for good, each with its reason, until a person says otherwise.

Nothing is lost by it. The record stays in the register, and a newer version of it is sent like any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, select, update

from optimind.plugin_api import RecordRow
from optimind.storage.chunks import chunks
from optimind.storage.database import Database
from optimind.storage.rows import as_row
from optimind.storage.tables import OutboxEntry, Record

__all__ = ["DEAD", "LONGEST_ERROR", "DeadLetter", "DeadRow"]

LONGEST_ERROR = 500
DEAD: ColumnElement[bool] = (OutboxEntry.delivered_version < OutboxEntry.version) & (
    OutboxEntry.dead_version >= OutboxEntry.version
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRow:
    """A record that ``sink`` does not take: how often it was tried, since when it is given up, and why."""

    sink: str
    row: RecordRow
    attempts: int
    dead_at: datetime | None
    reason: str


class DeadLetter:
    """What was given up. Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def put(self, sink: str, versions: Sequence[tuple[str, int]], reason: str) -> None:
        """Give these ``(record_id, version)`` up; a record that has changed meanwhile stays pending."""
        if not versions:
            return
        buried = (
            update(OutboxEntry.__table__)  # type: ignore[arg-type] # a declarative class's __table__ is a Table
            .where(
                OutboxEntry.sink == sink,
                OutboxEntry.record_id == bindparam("b_record_id"),
                OutboxEntry.version == bindparam("b_version"),
            )
            .values(
                dead_version=bindparam("b_version"),
                dead_at=self._clock(),
                last_error=reason[:LONGEST_ERROR],
                attempts=OutboxEntry.attempts + 1,
                # A newer version is sent at once.
                next_attempt_at=self._clock(),
            )
        )
        with self._database.writing() as session:
            session.connection().execute(
                buried, [{"b_record_id": rid, "b_version": number} for rid, number in versions]
            )

    def rows(self, sink: str | None = None) -> list[DeadRow]:
        """Return what ``sink`` (None: any) does not take, the longest dead first."""
        query = select(OutboxEntry, Record).join(Record, Record.record_id == OutboxEntry.record_id).where(DEAD)
        if sink is not None:
            query = query.where(OutboxEntry.sink == sink)
        with self._database.reading() as session:
            return [
                DeadRow(
                    sink=entry.sink,
                    row=as_row(record),
                    attempts=entry.attempts,
                    dead_at=entry.dead_at,
                    reason=entry.last_error or "",
                )
                for entry, record in session.execute(query.order_by(OutboxEntry.dead_at, OutboxEntry.id))
            ]

    def count(self, sink: str) -> int:
        """Return how many records ``sink`` does not take."""
        with self._database.reading() as session:
            return session.scalar(select(func.count()).where(OutboxEntry.sink == sink, DEAD)) or 0

    def retry(self, sink: str | None = None, record_ids: Sequence[str] | None = None) -> int:
        """Make these records (None: all) pending again for ``sink`` (None: for each); return how many that were."""
        now = self._clock()
        again = {"dead_version": 0, "dead_at": None, "attempts": 0, "next_attempt_at": now}
        wanted: list[Sequence[str] | None] = [None] if record_ids is None else list(chunks(record_ids))
        count = 0
        with self._database.writing() as session:
            for ids in wanted:
                mine = [DEAD]
                mine += [] if sink is None else [OutboxEntry.sink == sink]
                mine += [] if ids is None else [OutboxEntry.record_id.in_(ids)]
                count += session.scalar(select(func.count()).select_from(OutboxEntry).where(*mine)) or 0
                change = update(OutboxEntry).where(*mine).values(**again)
                session.execute(change.execution_options(synchronize_session=False))
        return count
