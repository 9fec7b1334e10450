"""All that the ledger holds of one person: to show it, to forget it, to prove that it is gone; and what goes by age."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from optimind.sealing import Sealer
from optimind.storage import forgetting, person_rows, sweeping
from optimind.storage.audit import Said, append
from optimind.storage.database import Database
from optimind.storage.forgetting import Erased
from optimind.storage.redacting import redact
from optimind.storage.resealing import reseal
from optimind.storage.searching import Search, Wanted, search_files, search_tables
from optimind.storage.text import storable
from optimind.storage.watching import MINUTES_KEPT

__all__ = ["PersonalData"]


_SWEEPER = "privacy sweep"
_LINES = "audit lines"


class PersonalData:
    """Every method raises :class:`StorageError` when the database fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    # -- one person

    def rows(self, person_id: str) -> dict[str, list[dict[str, Any]]]:
        """All rows of the person, by table."""
        with self._database.reading() as session:
            return person_rows.rows_of(session, storable(person_id))

    def counts(self, person_id: str) -> dict[str, int]:
        """How many rows of the person each table has."""
        with self._database.reading() as session:
            return person_rows.count_rows(session, storable(person_id))

    def names(self, person_id: str) -> list[str]:
        """What the tables call the person."""
        with self._database.reading() as session:
            return person_rows.names_of(session, storable(person_id))

    def forget(self, person_id: str, *, sinks: Sequence[str], keep_counts: bool, actor: str) -> Erased:
        """Take everything of the person out of the tables; :meth:`scrub` takes it out of the bytes as well.

        What ``sinks``, and others that had it, must forget is noted in the same transaction. With ``keep_counts``
        records that nothing changes any more stay, of a pseudonym.
        """
        with self._database.writing() as session:
            return forgetting.forget(
                session,
                storable(person_id),
                sinks=sinks,
                keep_counts=keep_counts,
                actor=storable(actor),
                now=self._clock(),
            )

    def redact(self, wanted: Wanted, *, is_decided: bool) -> tuple[int, list[str]]:
        """Take the person out of what people wrote of others; return of how many texts, and which records to redecide.

        Once these are decided again, with ``is_decided``, what is left in the reasons of records goes too. Lines of the
        audit log that tell of the person lose what they say.
        """
        with self._database.writing() as session:
            return redact(session, _storable(wanted), is_decided=is_decided, now=self._clock())

    def scrub(self) -> bool:
        """Leave nothing in the files of SQLite but what is in the tables; False where a reader is in the way."""
        self._database.compact()
        return self._database.scrub()

    def search_tables(self, wanted: Wanted) -> Search:
        """Look for the person in every table."""
        with self._database.reading() as session:
            return search_tables(session, _storable(wanted))

    def search_files(self, wanted: Wanted) -> Search | None:
        """Look for the person in the bytes of an SQLite database's files; None for a database server."""
        if self._database.path is None:
            return None
        files = [Path(f"{self._database.path}{suffix}") for suffix in ("", "-wal", "-journal")]
        with self._database.reading() as session:
            return search_files(session, files, _storable(wanted))

    # -- what sinks must forget

    def wishes(self, sink: str) -> list[str]:
        """The ids of the records that ``sink`` must still forget."""
        with self._database.reading() as session:
            return forgetting.wishes(session, sink)

    def pending(self) -> dict[str, int]:
        """How many records each sink must still forget."""
        with self._database.reading() as session:
            return forgetting.pending(session)

    def fulfilled(self, sink: str, record_ids: Sequence[str]) -> None:
        """Note that ``sink`` has forgotten these."""
        with self._database.writing() as session:
            forgetting.fulfilled(session, sink, record_ids)

    # -- what goes by age

    def sweep(
        self,
        *,
        records_before: date | None,
        sightings_before: date | None,
        shots_before: datetime,
        sinks: Sequence[str],
    ) -> dict[str, int]:
        """Delete what is older (None: nothing), and the minutes watched of 90 days ago; return how much, by table.

        What ``sinks`` have not got yet stays. Where something went, the audit log gets a line with the counts.
        """
        counts: Counter[str] = Counter()
        self._repeat(lambda session: {"shots": sweeping.sweep_shots(session, shots_before)}, counts, once=True)
        minutes_before = self._clock() - MINUTES_KEPT
        self._repeat(lambda session: {"watched": sweeping.sweep_minutes(session, minutes_before)}, counts, once=True)
        if records_before is not None:
            day = records_before
            self._repeat(lambda session: sweeping.sweep_records(session, day, sinks), counts)
            self._repeat(lambda session: sweeping.sweep_school(session, day), counts, once=True)
        if sightings_before is not None:
            counts["sightings"] += self._sweep_sightings(sightings_before)
        gone = {name: number for name, number in sorted(counts.items()) if number}
        if gone:
            with self._database.writing() as session:
                # How many lines of the log went is said where they went.
                detail = {name: number for name, number in gone.items() if name != _LINES}
                append(session, self._clock(), [Said(actor=_SWEEPER, action="swept", detail=detail)])
            self._database.scrub()
        return gone

    def _sweep_sightings(self, before: date) -> int:
        count = 0
        while True:
            with self._database.reading() as session:
                ids = sweeping.old_evidence(session, before)
            if not ids:
                return count
            with self._database.writing() as session:
                count += sweeping.sweep_sightings(session, ids)

    def _repeat(self, work: Callable[[Session], dict[str, int]], counts: Counter[str], *, once: bool = False) -> None:
        """Do ``work`` until nothing is left for it, each time in a transaction of its own."""
        while True:
            with self._database.writing() as session:
                done = work(session)
                if done.get(_LINES):
                    said = Said(actor=_SWEEPER, action="swept", detail={"audit_lines": done[_LINES]})
                    append(session, self._clock(), [said])
            counts.update(done)
            if once or not any(done.values()):
                return

    # -- encryption

    def reseal(self, sealer: Sealer) -> dict[str, int]:
        """Bring all pictures and vectors to what ``sealer`` writes; return how many were changed, by table."""
        changed = reseal(self._database, sealer)
        if any(changed.values()):
            self.scrub()
        return changed


def _storable(wanted: Wanted) -> Wanted:
    return replace(wanted, person_id=storable(wanted.person_id), names=tuple(map(storable, wanted.names)))
