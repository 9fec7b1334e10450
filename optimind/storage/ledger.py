"""The ledger: the register's truth, of which every sheet and export is a copy."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from optimind.core.events import AttendanceMarked, AttendanceStatus, Sighting
from optimind.core.registers import record_id, seconds_seen
from optimind.errors import StorageError
from optimind.plugin_api import RecordRow
from optimind.storage.database import Database
from optimind.storage.outbox import Outbox, as_row
from optimind.storage.tables import OutboxEntry, Record, StoredSighting

__all__ = ["Ledger", "open_ledger", "storable"]

_SOURCE = "camera"
_ATTEMPTS = 3
_NO_SYNC = {"synchronize_session": False}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def open_ledger(url: str, *, create: bool = True) -> "Ledger":
    """Open the ledger at the database ``url``, creating it where it is missing. Raises :class:`StorageError`.

    Without ``create``, for those who only read, a missing SQLite file raises :class:`UsageError`.
    """
    return Ledger(url, create=create)


class Ledger:
    """The records of all sessions, the sightings behind them, each sink's outbox; safe to use from many threads.

    Every method raises :class:`StorageError` when the database fails. The transaction is then undone as a whole and the
    object stays usable: once the disk has room again, the same call succeeds.
    """

    def __init__(self, url: str, *, clock: Callable[[], dt.datetime] = _now, create: bool = True) -> None:
        """Open ``url``, for example ``sqlite:///data/optimind.db``; ``clock`` returns the current aware time.

        For ``create`` see :func:`open_ledger`.
        """
        self._database = Database(url, create=create)
        self._clock = clock
        self.outbox = Outbox(self._database, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()

    @property
    def path(self) -> Path | None:
        """The file of an SQLite ledger; None for a database server."""
        return self._database.path

    def delivery_lock(self, sink: str) -> AbstractContextManager[bool]:
        """Give, during the block, whether this process alone may deliver to ``sink`` from this SQLite ledger."""
        return self._database.lock(sink)

    def record(self, mark: AttendanceMarked, sinks: Sequence[str] = ()) -> RecordRow:
        """Keep ``mark``, enter it in the outbox of each of ``sinks``, and return its record as it now stands.

        When this returns, the mark survives a power cut. Recording the same mark again changes nothing.
        """
        return self.record_many([mark], sinks)[0]

    def record_many(self, marks: Sequence[AttendanceMarked], sinks: Sequence[str] = ()) -> list[RecordRow]:
        """Keep all ``marks`` in one transaction; return the record of each, in order. See :meth:`record`."""
        for mark in marks:
            if not (math.isfinite(mark.sighting.similarity) and math.isfinite(mark.sighting.margin)):
                raise ValueError(
                    f"similarity and margin must be finite, got {mark.sighting.similarity, mark.sighting.margin}"
                )
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._database.writing() as session:
                    return [self._keep(session, mark, sinks) for mark in marks]
            except StorageError as error:
                # On a database server another process may enter the same person at the same moment; at the next attempt
                # the row is there.
                if attempt == _ATTEMPTS or not isinstance(error.__cause__, IntegrityError):
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def register(self, session: str | None = None, date: dt.date | None = None) -> list[RecordRow]:
        """Return the records of ``session`` and ``date`` (None: of all), ordered by date, session, name and person."""
        query = select(Record)
        if session is not None:
            query = query.where(Record.session == storable(session))
        if date is not None:
            query = query.where(Record.date == date)
        with self._database.reading() as transaction:
            rows = [as_row(record) for record in transaction.scalars(query)]
        return sorted(rows, key=lambda row: (row.date, row.session, row.name.casefold(), row.person_id))

    def backfill(self, sink: str) -> int:
        """Enter in ``sink``'s outbox all records made before it was switched on; return how many those are."""
        return self.outbox.backfill(sink)

    def _keep(self, session: Session, mark: AttendanceMarked, sinks: Sequence[str]) -> RecordRow:
        key = record_id(mark.date, mark.session, mark.sighting.person_id)
        record = session.get(Record, key, with_for_update=True)
        before = None if record is None else as_row(record)
        now = self._clock()
        if record is None:
            record = _new_record(key, mark, now)
            session.add(record)
            session.flush()
        if _keep_sighting(session, key, mark.sighting):
            _recompute(session, record, mark)
        if as_row(record) != before:
            record.version += 1
            record.updated_at = now
        _enter(session, record, list(dict.fromkeys(sinks)), now)
        session.flush()
        return as_row(record)


def storable(text: str) -> str:
    """Write out the lone surrogates that an undecodable file name leaves in a text: no database takes them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _new_record(key: str, mark: AttendanceMarked, now: dt.datetime) -> Record:
    sighting = mark.sighting
    return Record(
        record_id=key,
        date=mark.date,
        session=storable(mark.session),
        person_id=storable(sighting.person_id),
        name=storable(sighting.name),
        status=str(mark.status),
        first_seen_at=sighting.first_seen_at,
        last_seen_at=sighting.last_seen_at,
        seconds_seen=0.0,
        camera=storable(sighting.camera),
        similarity=sighting.similarity,
        margin=sighting.margin,
        source=_SOURCE,
        version=0,
        created_at=now,
        updated_at=now,
    )


def _keep_sighting(session: Session, key: str, sighting: Sighting) -> bool:
    """Store the newest state of ``sighting`` as evidence for the record ``key``; False where that changes nothing.

    A suspicion that one state had stays, in whatever order they come.
    """
    columns = StoredSighting.__table__.columns
    values = {
        "sighting_id": storable(sighting.sighting_id),
        "record_id": key,
        "camera": storable(sighting.camera),
        "first_seen_at": sighting.first_seen_at,
        "last_seen_at": sighting.last_seen_at,
        "similarity": sighting.similarity,
        "margin": sighting.margin,
        "samples": sighting.samples,
        "embedder": storable(sighting.embedder),
        "suspicion": storable(sighting.suspicion),
    }
    mine = (columns.record_id == key, columns.sighting_id == values["sighting_id"])
    stored = session.execute(select(columns.last_seen_at, columns.suspicion).where(*mine)).one_or_none()
    if stored is None:
        session.execute(insert(StoredSighting).values(**values))
        return True
    stored_at, suspicion = stored
    values["suspicion"] = suspicion or values["suspicion"]
    if stored_at > sighting.last_seen_at:
        if values["suspicion"] == suspicion:
            return False
        values = {"suspicion": values["suspicion"]}
    session.execute(update(StoredSighting).where(*mine).values(**values), execution_options=_NO_SYNC)
    return True


def _recompute(session: Session, record: Record, mark: AttendanceMarked) -> None:
    """Derive the record from all of its sightings, so that the order in which they came does not matter.

    A day's sightings of one person may be thousands, and this runs several times a second on small machines: so the
    database finds the best one, and of the others the two times and whether it is suspected are all that is fetched.
    One that is suspected is enough for the record to need review.
    """
    columns = StoredSighting.__table__.columns
    own = columns.record_id == record.record_id
    order = (columns.similarity.desc(), columns.margin.desc(), columns.sighting_id.desc())
    best = session.execute(
        select(columns.camera, columns.similarity, columns.margin).where(own).order_by(*order).limit(1)
    ).one()
    is_suspected = (columns.suspicion != "").label("is_suspected")
    seen = session.execute(select(columns.first_seen_at, columns.last_seen_at, is_suspected).where(own)).all()
    record.first_seen_at = min(first for first, _, _ in seen)
    record.last_seen_at = max(last for _, last, _ in seen)
    record.seconds_seen = seconds_seen((first, last) for first, last, _ in seen)
    record.camera, record.similarity, record.margin = best
    status = AttendanceStatus.NEEDS_REVIEW if any(suspected for _, _, suspected in seen) else mark.status
    record.name, record.status = storable(mark.sighting.name), str(status)


def _enter(session: Session, record: Record, sinks: Sequence[str], now: dt.datetime) -> None:
    """Make the outbox of each of ``sinks`` ask for the record's newest version."""
    columns = OutboxEntry.__table__.columns
    mine = (columns.record_id == record.record_id, columns.sink.in_(sinks))
    query = select(columns.sink, columns.version, columns.delivered_version).where(*mine)
    known = {entry.sink: entry for entry in session.execute(query)} if sinks else {}
    for sink in sinks:
        entry = known.get(sink)
        values: dict[str, Any] = {"version": record.version}
        if entry is None or entry.delivered_version >= entry.version:
            values |= {"pending_since": now, "next_attempt_at": now}
        if entry is None:
            session.execute(insert(OutboxEntry).values(sink=sink, record_id=record.record_id, **values))
        elif entry.version != record.version:
            change = update(OutboxEntry).where(OutboxEntry.record_id == record.record_id, OutboxEntry.sink == sink)
            session.execute(change.values(**values), execution_options=_NO_SYNC)
