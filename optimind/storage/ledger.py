"""The ledger: the register's truth, of which every sheet and export is a copy."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from optimind.core.events import AttendanceMarked
from optimind.core.registers import record_id
from optimind.core.timetable import Meeting
from optimind.errors import StorageError
from optimind.plugin_api import RecordRow
from optimind.storage.audit import AuditLog
from optimind.storage.consents import Consents
from optimind.storage.correcting import Correction, Unseen, correct, withdraw
from optimind.storage.database import Database
from optimind.storage.outbox import Outbox
from optimind.storage.personal import PersonalData
from optimind.storage.record_shots import RecordShots
from optimind.storage.recording import keep, redecide, settle
from optimind.storage.rows import as_row
from optimind.storage.school import School
from optimind.storage.sheet_cells import SheetCells
from optimind.storage.tables import Record, StoredSighting
from optimind.storage.text import storable

__all__ = ["Correction", "Ledger", "SightingRow", "Unseen", "open_ledger"]

_ATTEMPTS: Final = 3
_Result = TypeVar("_Result")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def open_ledger(url: str, *, create: bool = True) -> "Ledger":
    """Open the ledger at the database ``url``, creating it where it is missing. Raises :class:`StorageError`.

    Without ``create``, for those who only read, a missing SQLite file raises :class:`UsageError`.
    """
    return Ledger(url, create=create)


@dataclass(frozen=True, slots=True, kw_only=True)
class SightingRow:
    """One piece of evidence for a record: a sighting's newest state, or that somebody came ``in`` or went ``out``."""

    sighting_id: str
    kind: str
    camera: str
    first_seen_at: datetime
    last_seen_at: datetime
    similarity: float
    margin: float
    samples: int
    embedder: str
    suspicion: str


class Ledger:
    """The records of all sessions, the evidence behind them, each sink's outbox; safe to use from many threads.

    ``school`` is what is known of classes and sessions, ``shots`` are the records' best pictures, ``audit`` is the log
    of all decisions and corrections, ``cells`` what stands in sinks in which people may change a status, ``consents``
    who agreed to be recognised, ``personal`` all that is stored of one person.

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
        self.school = School(self._database, clock)
        self.shots = RecordShots(self._database, clock)
        self.audit = AuditLog(self._database, clock)
        self.cells = SheetCells(self._database)
        self.consents = Consents(self._database, clock)
        self.personal = PersonalData(self._database, clock)

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
        rows = self._written(lambda session: keep(session, marks, sinks, self._clock()))
        return [rows[record_id(mark.date, mark.session, mark.sighting.person_id)] for mark in marks]

    def settle(
        self, meeting: Meeting, now: datetime, sinks: Sequence[str] = (), *, only_known: bool = False
    ) -> list[RecordRow]:
        """Decide about everybody on the roster of ``meeting`` as things stand at ``now``; return what has changed.

        Whoever is absent gets a record. From the end of the meeting on it is closed, and settling it again changes
        nothing. One in whose room no camera gave any picture is left alone: nobody knows whether it was held. So is,
        with ``only_known``, one of which nothing was kept so far.
        """
        clock = self._clock()
        return self._written(lambda session: settle(session, meeting, now, sinks, clock, only_known=only_known))

    def redecide(self, records: Sequence[str], sinks: Sequence[str] = ()) -> list[RecordRow]:
        """Decide again about these records, as after a correction or an excuse; return what has changed."""
        return self._written(lambda session: redecide(session, records, sinks, self._clock()))

    def correct(
        self, corrections: Sequence[Correction], sinks: Sequence[str] = (), *, unseen: Sequence[Unseen] = ()
    ) -> list[RecordRow]:
        """Take what people say of records, whatever was and will be seen; return the records as they now stand.

        Who of ``unseen`` has no record gets one. One of a record that does not exist is left out.
        """
        rows = self._written(lambda session: correct(session, corrections, unseen, sinks, self._clock()))
        return list(rows.values())

    def withdraw(self, record: str, *, actor: str, why: str = "", sinks: Sequence[str] = ()) -> RecordRow | None:
        """Take the newest correction of a record back, so that the one before it or what was seen counts again.

        None where there is nothing to take back.
        """
        return self._written(lambda session: withdraw(session, record, (actor, why), sinks, self._clock()))

    def _written(self, work: Callable[[Session], _Result]) -> _Result:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._database.writing() as session:
                    return work(session)
            except StorageError as error:
                # On a database server another process may enter the same person, or the next line of the audit log, at
                # the same moment; at the next attempt the row is there.
                if attempt == _ATTEMPTS or not isinstance(error.__cause__, IntegrityError):
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def register(
        self,
        session: str | None = None,
        date: dt.date | None = None,
        *,
        class_id: str | None = None,
        between: tuple[dt.date, dt.date] | None = None,
    ) -> list[RecordRow]:
        """Return the records of ``session``, ``date`` and ``class_id`` (None: of all), from the first day to the last.

        They are ordered by date, session, name and person.
        """
        query = select(Record)
        if session is not None:
            query = query.where(Record.session == storable(session))
        if date is not None:
            query = query.where(Record.date == date)
        if class_id is not None:
            query = query.where(Record.class_id == storable(class_id))
        if between is not None:
            query = query.where(Record.date.between(*between))
        with self._database.reading() as transaction:
            rows = [as_row(record) for record in transaction.scalars(query)]
        return sorted(rows, key=lambda row: (row.date, row.session, row.name.casefold(), row.person_id))

    def row(self, record: str) -> RecordRow | None:
        """Return the record with this id; None where there is none."""
        with self._database.reading() as transaction:
            found = transaction.get(Record, record)
            return None if found is None else as_row(found)

    def evidence(self, record: str) -> list[SightingRow]:
        """Return what was seen of the person of this record, by time."""
        query = select(StoredSighting).where(StoredSighting.record_id == record)
        with self._database.reading() as transaction:
            found = transaction.scalars(query.order_by(StoredSighting.first_seen_at, StoredSighting.sighting_id))
            return [
                SightingRow(
                    sighting_id=each.sighting_id,
                    kind=each.kind,
                    camera=each.camera,
                    first_seen_at=each.first_seen_at,
                    last_seen_at=each.last_seen_at,
                    similarity=each.similarity,
                    margin=each.margin,
                    samples=each.samples,
                    embedder=each.embedder,
                    suspicion=each.suspicion,
                )
                for each in found
            ]

    def backfill(self, sink: str) -> int:
        """Enter in ``sink``'s outbox all records made before it was switched on; return how many those are."""
        return self.outbox.backfill(sink)
