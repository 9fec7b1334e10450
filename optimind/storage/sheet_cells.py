"""Which statuses stand in a sink because it was given them: whatever else stands there was written by a person.

A status is entered before it is sent, and the others are dropped once it is known to be there. So a process that is
killed in between leaves more than one, and neither is taken for a person's.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ForeignKey, String, Text, delete, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from optimind.storage.chunks import chunks
from optimind.storage.database import Database
from optimind.storage.tables import Base, OutboxEntry, Record

__all__ = ["SheetCells", "StoredCell"]

_NO_SYNC = {"synchronize_session": False}


class StoredCell(Base):
    """The statuses of one record that may stand in a sink by us, apart by spaces, the newest last."""

    __tablename__ = "sheet_cells"

    sink: Mapped[str] = mapped_column(String(64), primary_key=True)
    record_id: Mapped[str] = mapped_column(
        ForeignKey("records.record_id", ondelete="CASCADE", name="fk_sheet_cells_record"), primary_key=True, index=True
    )
    statuses: Mapped[str] = mapped_column(Text)


class SheetCells:
    """Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, sink: str, record_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the statuses that may stand in ``sink`` by us, by record; a record that it never got is left out."""
        with self._database.reading() as session:
            return {key: frozenset(text.split()) for key, text in _stored(session, sink, record_ids).items()}

    def may_write(self, sink: str, statuses: Mapping[str, str]) -> None:
        """Note, before they are sent, that these statuses (by record) may stand in ``sink`` from now on."""
        self._enter(sink, statuses, lambda old, new: old if new in old.split() else f"{old} {new}")

    def wrote(self, sink: str, statuses: Mapping[str, str]) -> None:
        """Note that these statuses (by record), and no others, stand in ``sink`` by us."""
        self._enter(sink, statuses, lambda _old, new: new)

    def forget(self, sink: str) -> None:
        """Drop everything about ``sink``, as for a spreadsheet that is begun anew."""
        with self._database.writing() as session:
            session.execute(delete(StoredCell).where(StoredCell.sink == sink).execution_options(**_NO_SYNC))

    def sinks_of(self, record_ids: Sequence[str]) -> list[str]:
        """Return the sinks that were ever meant to get one of these records."""
        found: set[str] = set()
        with self._database.reading() as session:
            for some in chunks(record_ids):
                query = select(OutboxEntry.sink).where(OutboxEntry.record_id.in_(some)).distinct()
                found.update(session.scalars(query))
        return sorted(found)

    def _enter(self, sink: str, statuses: Mapping[str, str], joined: Callable[[str, str], str]) -> None:
        if not statuses:
            return
        with self._database.reading() as session:
            if not _changes(_stored(session, sink, list(statuses)), statuses, joined):
                return
        with self._database.writing() as session:
            stored = _stored(session, sink, list(statuses))
            changed = _changes(stored, statuses, joined)
            # A record that was deleted since it was sent has no row any more that one of these could refer to.
            there = _existing(session, [key for key in changed if key not in stored])
            fresh = [
                {"sink": sink, "record_id": key, "statuses": text} for key, text in changed.items() if key in there
            ]
            if fresh:
                session.execute(insert(StoredCell), fresh)
            for key in changed.keys() & stored.keys():
                mine = update(StoredCell).where(StoredCell.sink == sink, StoredCell.record_id == key)
                session.execute(mine.values(statuses=changed[key]).execution_options(**_NO_SYNC))


def _changes(
    stored: Mapping[str, str], statuses: Mapping[str, str], joined: Callable[[str, str], str]
) -> dict[str, str]:
    wanted = {key: joined(stored[key], status) if key in stored else status for key, status in statuses.items()}
    return {key: text for key, text in wanted.items() if stored.get(key) != text}


def _stored(session: Session, sink: str, record_ids: Sequence[str]) -> dict[str, str]:
    columns = StoredCell.__table__.columns
    found: dict[str, str] = {}
    for some in chunks(record_ids):
        query = select(columns.record_id, columns.statuses).where(columns.sink == sink, columns.record_id.in_(some))
        found.update((key, text) for key, text in session.execute(query))
    return found


def _existing(session: Session, record_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(record_ids):
        found.update(session.scalars(select(Record.record_id).where(Record.record_id.in_(some))))
    return found
