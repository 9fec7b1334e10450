"""What each sink still has to get: kept in the ledger's database, entered in the transaction of the mark itself."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, case, func, insert, literal, or_, select, update

from optimind.core.types import require_aware
from optimind.plugin_api import RecordRow
from optimind.storage.chunks import chunks
from optimind.storage.database import Database
from optimind.storage.dead_letter import DEAD, LONGEST_ERROR, DeadLetter
from optimind.storage.rows import as_row
from optimind.storage.second_look import SecondLook
from optimind.storage.tables import OutboxEntry, Record

__all__ = ["Outbox", "Waiting"]

_PENDING: ColumnElement[bool] = and_(
    OutboxEntry.delivered_version < OutboxEntry.version, OutboxEntry.dead_version < OutboxEntry.version
)
_LONGEST_WAIT = timedelta(hours=6)
"""No attempt is put off for longer: one that is was noted before the clock was set back."""


class Waiting(NamedTuple):
    """How many records ``sink`` lacks, since when, how many it does not take at all, and what it said last."""

    sink: str
    pending: int
    oldest: datetime | None
    dead: int
    last_error: str | None


class Outbox:
    """What the sinks have and lack. Every method is one transaction; raises :class:`StorageError` when it fails.

    ``dead_letter`` holds what a sink does not take for good, ``second_look`` what is looked at once more.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self.dead_letter = DeadLetter(database, clock)
        self.second_look = SecondLook(database, clock)

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
            moment = OutboxEntry.next_attempt_at
            query = query.where(or_(moment <= require_aware(now, "now"), moment > now + _LONGEST_WAIT))
        with self._database.reading() as session:
            return [(as_row(record), record.version) for record in session.scalars(query)]

    def delivered(self, sink: str, versions: Sequence[tuple[str, int]], *, final: bool = True) -> None:
        """Note that ``sink`` has these ``(record_id, version)``; a record that has changed meanwhile stays pending.

        Unless that is ``final`` they are looked at once more.
        """
        if not versions:
            return
        seen = {"confirmed_version": bindparam("b_version"), "doubt": 0}
        unseen = {"doubt": case((OutboxEntry.doubt == 1, 0), else_=OutboxEntry.doubt)}
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
                **(seen if final else unseen),
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
            last_error=error[:LONGEST_ERROR],
            next_attempt_at=require_aware(next_attempt_at, "next_attempt_at"),
        )

    def redeliver(self, sink: str, record_ids: Sequence[str]) -> None:
        """Make these records pending again: ``sink`` had them and has lost them. Unknown ids are left alone.

        What an earlier delivery may still do to them stays noted.
        """
        self._update(sink, record_ids, **self._lost())

    def redeliver_all(self, sink: str, since: datetime) -> int:
        """Make all that ``sink`` got since then pending again: nothing of it is there. Return how many records."""
        had = (OutboxEntry.sink == sink, OutboxEntry.delivered_version > 0, OutboxEntry.delivered_at >= since)
        with self._database.writing() as session:
            count = session.scalar(select(func.count()).select_from(OutboxEntry).where(*had)) or 0
            change = update(OutboxEntry).where(*had).values(**self._lost())
            session.execute(change.execution_options(synchronize_session=False))
        return count

    def _lost(self) -> dict[str, object]:
        now = self._clock()
        return {
            "delivered_version": 0,
            "confirmed_version": 0,
            "pending_since": now,
            "next_attempt_at": now,
        }

    def backfill(self, sink: str) -> int:
        """Enter every record that ``sink`` was never meant to get, as for a sink switched on later; return how many."""
        now = self._clock()
        known = select(OutboxEntry.record_id).where(OutboxEntry.sink == sink, OutboxEntry.record_id == Record.record_id)
        zeros = ["delivered_version", "attempts", "dead_version", "doubt", "confirmed_version"]
        columns = ["sink", "record_id", "version", "pending_since", "next_attempt_at", *zeros]
        missing = select(
            literal(sink),
            Record.record_id,
            Record.version,
            literal(now, OutboxEntry.pending_since.type),
            literal(now, OutboxEntry.next_attempt_at.type),
            *[literal(0) for _ in zeros],
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

    def waiting(self) -> list[Waiting]:
        """Return how each sink is doing that ever was to get something, by its name."""
        each = select(
            OutboxEntry.sink,
            func.count(case((_PENDING, 1))),
            func.min(case((_PENDING, OutboxEntry.pending_since))),
            func.count(case((DEAD, 1))),
        )
        said = select(OutboxEntry.last_error).where(_PENDING, OutboxEntry.last_error.is_not(None))
        latest = said.order_by(OutboxEntry.next_attempt_at.desc(), OutboxEntry.id.desc()).limit(1)
        with self._database.reading() as session:
            return [
                Waiting(sink, pending, oldest, dead, session.scalar(latest.where(OutboxEntry.sink == sink)))
                for sink, pending, oldest, dead in session.execute(
                    each.group_by(OutboxEntry.sink).order_by(OutboxEntry.sink)
                )
            ]

    def _update(self, sink: str, record_ids: Sequence[str], **values: object) -> None:
        with self._database.writing() as session:
            for ids in chunks(record_ids):
                mine = update(OutboxEntry).where(OutboxEntry.sink == sink, OutboxEntry.record_id.in_(ids))
                session.execute(mine.values(**values).execution_options(synchronize_session=False))
