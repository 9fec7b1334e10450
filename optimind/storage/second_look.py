"""What a sink took and is looked at once more, and deliveries of which nobody knows whether they came about.

A request may be carried out long after the process that made it gave up waiting, or died: then an older version of a
row comes over a newer one, or a row over another one's. So that this is noticed, every delivery is noted before it is
made. What was delivered after one without a known end is sent again a while later, when the late one has had its time;
of all else it is looked then whether it is there.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, or_, select, update

from optimind.core.types import require_aware
from optimind.plugin_api import RecordRow
from optimind.storage.chunks import chunks
from optimind.storage.database import Database
from optimind.storage.rows import as_row
from optimind.storage.tables import OutboxEntry, Record, SinkTarget

__all__ = ["Delivered", "SecondLook"]

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = 0
_TRIED = 1
_UNKNOWN = 2
"""The values of ``doubt``: a delivery is under way; one before it ended nobody knows how."""
_HAS_NEWEST: ColumnElement[bool] = OutboxEntry.delivered_version >= OutboxEntry.version


class Delivered(NamedTuple):
    """A record that a sink has, its version, and whether an earlier delivery may still come over it."""

    row: RecordRow
    version: int
    in_doubt: bool


class SecondLook:
    """Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, sink: str, record_ids: Sequence[str]) -> None:
        """Note that a delivery of these records begins."""
        self._turn(sink, record_ids, (_TRIED, _UNKNOWN), (_NONE, _TRIED))

    def is_over(self, sink: str, record_ids: Sequence[str]) -> None:
        """Note that the delivery under way ended and will not come about later."""
        self._turn(sink, record_ids, (_TRIED, _NONE))

    def had_its_time(self, sink: str, record_ids: Sequence[str]) -> None:
        """Note that no earlier delivery of these records comes about any more, as they were looked at."""
        self._turn(sink, record_ids, (_TRIED, _NONE), (_UNKNOWN, _NONE))

    def _turn(self, sink: str, record_ids: Sequence[str], *turns: tuple[int, int]) -> None:
        """Turn the first of each two doubts of these records into the second, in this order."""
        with self._database.writing() as session:
            for ids in chunks(record_ids):
                mine = update(OutboxEntry).where(OutboxEntry.sink == sink, OutboxEntry.record_id.in_(ids))
                for before, after in turns:
                    change = mine.where(OutboxEntry.doubt == before).values(doubt=after)
                    session.execute(change.execution_options(synchronize_session=False))

    def in_doubt(self, sink: str, record_ids: Sequence[str]) -> set[str]:
        """Return which of these records an earlier delivery may still come over."""
        found: set[str] = set()
        with self._database.reading() as session:
            for ids in chunks(record_ids):
                query = select(OutboxEntry.record_id).where(
                    OutboxEntry.sink == sink, OutboxEntry.doubt == _UNKNOWN, OutboxEntry.record_id.in_(ids)
                )
                found.update(session.scalars(query))
        return found

    def is_any_open(self, sink: str) -> bool:
        """Whether of any delivery the end is not known."""
        query = select(OutboxEntry.id).where(OutboxEntry.sink == sink, OutboxEntry.doubt != _NONE).limit(1)
        with self._database.reading() as session:
            return session.scalar(query) is not None

    def due(self, sink: str, before: datetime, limit: int) -> list[Delivered]:
        """Return up to ``limit`` records that ``sink`` took before that moment and that were not looked at since."""
        query = (
            select(Record, OutboxEntry.delivered_version, OutboxEntry.doubt)
            .join(OutboxEntry, OutboxEntry.record_id == Record.record_id)
            .where(
                OutboxEntry.sink == sink,
                _HAS_NEWEST,
                OutboxEntry.confirmed_version < OutboxEntry.delivered_version,
                # One in the future was noted before the clock was set back.
                or_(
                    OutboxEntry.delivered_at <= require_aware(before, "before"),
                    OutboxEntry.delivered_at > self._clock(),
                ),
            )
            .order_by(OutboxEntry.delivered_at, OutboxEntry.id)
            .limit(limit)
        )
        with self._database.reading() as session:
            return [
                Delivered(as_row(record), version, doubt == _UNKNOWN)
                for record, version, doubt in session.execute(query)
            ]

    def sample(self, sink: str, number: int, since: datetime) -> list[RecordRow]:
        """Of the records delivered since then that were looked at and found, return the first and last ``number``."""
        query = (
            select(Record)
            .join(OutboxEntry, OutboxEntry.record_id == Record.record_id)
            .where(
                OutboxEntry.sink == sink,
                _HAS_NEWEST,
                OutboxEntry.confirmed_version >= OutboxEntry.delivered_version,
                OutboxEntry.delivered_at >= since,
            )
            .limit(number)
        )
        orders = (
            (OutboxEntry.delivered_at, OutboxEntry.id),
            (OutboxEntry.delivered_at.desc(), OutboxEntry.id.desc()),
        )
        with self._database.reading() as session:
            found = [as_row(record) for order in orders for record in session.scalars(query.order_by(*order))]
        return list({row.record_id: row for row in found}.values())

    def target_since(self, sink: str, target: str) -> datetime:
        """Return since when ``sink`` writes to ``target``; a new one begins now, the first was there from the start."""
        with self._database.writing() as session:
            known = session.get(SinkTarget, sink)
            if known is None:
                known = SinkTarget(sink=sink, target=target, since=_EVER)
                session.add(known)
            elif known.target != target:
                known.target, known.since = target, self._clock()
            return known.since

    def confirm(self, sink: str, versions: Sequence[tuple[str, int]]) -> None:
        """Note that these ``(record_id, version)`` are there; what was delivered anew since is left alone."""
        if not versions:
            return
        seen = (
            update(OutboxEntry.__table__)  # type: ignore[arg-type] # a declarative class's __table__ is a Table
            .where(
                OutboxEntry.sink == sink,
                OutboxEntry.record_id == bindparam("b_record_id"),
                OutboxEntry.delivered_version == bindparam("b_version"),
            )
            .values(confirmed_version=bindparam("b_version"))
        )
        with self._database.writing() as session:
            session.connection().execute(seen, [{"b_record_id": rid, "b_version": number} for rid, number in versions])
