"""Encrypts, decrypts or re-encrypts the pictures and vectors that are in the database, in place."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import select, update

from optimind.sealing import Purpose, Sealer
from optimind.storage.database import Database
from optimind.storage.school_tables import RecordShot
from optimind.storage.tables import StoredShot

__all__ = ["reseal"]

_AT_ONCE = 200


class _Column(NamedTuple):
    key: Any
    data: Any
    purpose: Purpose
    what: str


_COLUMNS = (
    _Column(StoredShot.shot_id, StoredShot.vector, Purpose.VISITOR, "what is kept of visitors"),
    _Column(StoredShot.shot_id, StoredShot.picture, Purpose.VISITOR, "what is kept of visitors"),
    _Column(RecordShot.record_id, RecordShot.picture, Purpose.SHOT, "the picture of a record"),
)


def reseal(database: Database, sealer: Sealer) -> dict[str, int]:
    """Bring every picture and vector to what ``sealer`` writes; return how many were changed, by table.

    A few hundred at a time, each in a transaction: where it is cut off, doing it again completes it. Raises
    :class:`SealRefused` where one cannot be opened.
    """
    counts: dict[str, int] = {}
    for column in _COLUMNS:
        table = column.key.class_.__tablename__
        for changed in _pieces(database, sealer, column):
            counts[table] = counts.get(table, 0) + changed
    return counts


def _pieces(database: Database, sealer: Sealer, column: _Column) -> Iterator[int]:
    last = None
    while True:
        query = select(column.key, column.data).order_by(column.key).limit(_AT_ONCE)
        if last is not None:
            query = query.where(column.key > last)
        with database.writing() as session:
            rows = session.execute(query).all()
            stale = [(key, data) for key, data in rows if not sealer.is_current(data)]
            for key, data in stale:
                new = sealer.seal(sealer.open(data, column.purpose, column.what), column.purpose)
                changed = update(column.key.class_).where(column.key == key).values({column.data.key: new})
                session.execute(changed, execution_options={"synchronize_session": False})
        if not rows:
            return
        last = rows[-1][0]
        yield len(stale)
