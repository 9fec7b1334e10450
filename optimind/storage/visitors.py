"""Visitors: people whom nobody enrolled, kept in the ledger's database for as long as the settings say.

Their pictures are in the database and not in files of their own: one transaction writes all there is of somebody, and
one deletes it, so that nothing can be left behind. SQLite overwrites what is deleted (``secure_delete``), and what
deletes here empties the files beside it.

Each visit and each picture has its own days, by this machine's clock: one who comes every day has no more of them.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Self

import numpy as np
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from optimind.core.events import VisitorSeen
from optimind.core.types import Vectors
from optimind.core.visitors import VisitorIndex
from optimind.errors import StorageError, UsageError
from optimind.sealing import PLAIN, Sealer
from optimind.storage import visitor_rows as rows
from optimind.storage.database import Database
from optimind.storage.tables import StoredShot, StoredVisit, StoredVisitor
from optimind.storage.text import storable
from optimind.storage.visitor_rows import MOST_SHOTS, MOST_VISITS, Forgotten, Kept, KeptShot, Visitor

__all__ = ["MOST_SHOTS", "MOST_VISITORS", "MOST_VISITS", "Forgotten", "Kept", "KeptShot", "Visitor", "VisitorStore"]

log = logging.getLogger(__name__)

MOST_VISITORS = 2000
"""So many visitors are kept; of more, those go first who were not seen for longest."""
_NO_SYNC = {"synchronize_session": False}


class VisitorStore:
    """The visitors in the database at ``url``; used by one thread.

    Every method raises :class:`StorageError` where the database fails. Nothing is changed then, and the object stays
    usable. What is deleted stays deleted where the files beside an SQLite database cannot be emptied afterwards; that
    is logged, and tried again with the next deletion or :meth:`sweep`.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = True,
        patience_s: float | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sealer: Sealer = PLAIN,
    ) -> None:
        """Open ``url``; for ``create`` and ``patience_s`` see :class:`Database`. ``clock`` gives the aware time.

        ``sealer`` encrypts and decrypts pictures and vectors. What it cannot open raises :class:`SealRefused`.
        """
        self._database = Database(url, create=create, patience_s=patience_s)
        self._clock = clock
        self._sealer = sealer
        self._versions: dict[int, int] = {}
        self._is_scrubbed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; may be called twice."""
        self._database.close()

    def keep(self, seen: VisitorSeen, shots: Sequence[KeptShot], index: VisitorIndex) -> Kept:
        """Enter a track, with ``shots`` (one or more), for the visitor whom it shows; the same track replaces itself.

        ``index`` is always the same one, of ``seen.embedder``, with this object; it is brought up to date first, also
        with what other programs have changed. Visitors of another embedder are not compared.
        """
        with self._database.writing() as session:
            self._refresh(session, seen.embedder, index)
            own = session.get(StoredVisit, storable(seen.track_id))
            if own is not None:
                kept = Kept(own.visitor_id, is_new=False)
            else:
                kept = self._placed(session, seen, index, np.array([shot.vector for shot in shots]))
            for other in kept.alike:
                rows.move(session, other, kept.visitor_id)
            kept_at = self._clock()
            rows.enter(session, kept.visitor_id, seen, shots, kept_at=kept_at, sealer=self._sealer)
            rows.touch(session, kept.visitor_id, kept_at=kept_at)
        return kept

    def withdraw(self, track_id: str) -> Forgotten:
        """Take out a track that turned out to be of somebody enrolled, and its visitor where nothing else is left."""
        track_id = storable(track_id)
        with self._database.writing() as session:
            visit = session.get(StoredVisit, track_id)
            if visit is None:
                return Forgotten()
            visitor_id = visit.visitor_id
            session.delete(visit)
            session.flush()
            pictures = rows.count(session, StoredShot, StoredShot.track_id == track_id)
            session.execute(delete(StoredShot).where(StoredShot.track_id == track_id), execution_options=_NO_SYNC)
            is_empty = not rows.count(session, StoredShot, StoredShot.visitor_id == visitor_id)
            left = rows.delete_all(session, [visitor_id]) if is_empty else Forgotten()
            if not is_empty:
                rows.touch(session, visitor_id)
        self._scrub()
        return Forgotten(left.visitors, 1 + left.tracks, pictures + left.pictures)

    def visitors(self, *, since: datetime | None = None, camera: str | None = None) -> list[Visitor]:
        """All visitors, those seen last before: only those seen ``since`` then, and by ``camera``."""
        with self._database.reading() as session:
            found = rows.read(session)
        wanted = [one for one in found if since is None or one.last_seen_at >= since]
        wanted = [one for one in wanted if camera is None or camera in one.cameras]
        return sorted(wanted, key=lambda one: (one.last_seen_at, one.visitor_id), reverse=True)

    def visitor(self, visitor_id: int) -> Visitor:
        """One of them. Raises :class:`UsageError` where there is none of that number."""
        with self._database.reading() as session:
            found = rows.read(session, visitor_id)
        if not found:
            raise UsageError(f"there is no visitor {visitor_id}", mend="optimind visitors list shows who there is")
        return found[0]

    def shots(self, visitor_id: int) -> list[KeptShot]:
        """The visitor's pictures, the best first."""
        query = select(StoredShot).where(StoredShot.visitor_id == visitor_id)
        with self._database.reading() as session:
            return [
                KeptShot(
                    row.camera,
                    row.taken_at,
                    row.quality,
                    row.face_px,
                    np.frombuffer(rows.opened(self._sealer, row.vector), rows.VECTOR),
                    rows.opened(self._sealer, row.picture),
                )
                for row in session.scalars(query.order_by(StoredShot.quality.desc(), StoredShot.shot_id))
            ]

    def vectors(self, embedder: str) -> dict[int, Vectors]:
        """The embeddings (n, dimension) of each visitor whom ``embedder`` knows."""
        query = select(StoredVisitor.visitor_id).where(StoredVisitor.embedder == storable(embedder))
        with self._database.reading() as session:
            return rows.vectors_of(session, list(session.scalars(query)), self._sealer)

    def merge(self, kept_id: int, other_id: int) -> Visitor:
        """Make the two one visitor, called ``kept_id``; the days of each visit and picture go on as they were.

        Raises :class:`UsageError` where one is not there, both are the same, or another embedder's.
        """
        one, other = self.visitor(kept_id), self.visitor(other_id)
        if kept_id == other_id or one.embedder != other.embedder:
            raise UsageError(
                f"visitors {kept_id} and {other_id} cannot be one",
                mend="name two that were seen with the same engine; optimind visitors list --json says which",
            )
        with self._database.writing() as session:
            of_both = select(func.max(StoredVisitor.kept_at)).where(StoredVisitor.visitor_id.in_([kept_id, other_id]))
            kept_at = session.scalar(of_both)
            rows.move(session, other_id, kept_id)
            rows.prune(session, kept_id)
            rows.touch(session, kept_id, kept_at=kept_at)
        self._scrub()
        return self.visitor(kept_id)

    def forget(self, visitor_ids: Collection[int] | None = None) -> Forgotten:
        """Delete these visitors (None: all) with their visits and pictures; those that are not there are no error."""
        with self._database.writing() as session:
            ids = list(session.scalars(select(StoredVisitor.visitor_id))) if visitor_ids is None else list(visitor_ids)
            gone = rows.delete_all(session, ids)
        self._scrub()
        return gone

    def sweep(self, before: datetime) -> Forgotten:
        """Delete the visits and pictures kept before ``before``, the visitors of whom nothing is left then, and who is
        too many (:data:`MOST_VISITORS`)."""
        last = select(StoredVisitor.visitor_id).order_by(StoredVisitor.kept_at.desc(), StoredVisitor.visitor_id.desc())
        extra = last.offset(MOST_VISITORS).limit(MOST_VISITORS)
        with self._database.reading() as session:
            is_due = rows.is_any_older(session, before) or session.scalars(extra).first() is not None
        if not is_due:
            # Most of the time there is nothing, and nothing then waits for the right to write.
            if not self._is_scrubbed:
                self._scrub()
            return Forgotten()
        with self._database.writing() as session:
            old = rows.delete_older(session, before)
            more = rows.delete_all(session, list(session.scalars(extra)))
        self._scrub()
        return Forgotten(*(one + other for one, other in zip(old, more, strict=True)))

    def _scrub(self) -> None:
        """Empty the files beside the database after a commit, which holds whatever becomes of this."""
        self._is_scrubbed = False
        try:
            self._is_scrubbed = self._database.scrub()
        except StorageError as error:
            log.warning(
                "visitors were deleted, but their bytes may still be in the file beside the database: %s", error
            )

    def _refresh(self, session: Session, embedder: str, index: VisitorIndex) -> None:
        query = select(StoredVisitor.visitor_id, StoredVisitor.version)
        there = {row[0]: row[1] for row in session.execute(query.where(StoredVisitor.embedder == storable(embedder)))}
        for gone in self._versions.keys() - there.keys():
            index.remove(gone)
        changed = [visitor for visitor, version in there.items() if self._versions.get(visitor) != version]
        known = rows.vectors_of(session, changed, self._sealer)
        for visitor in changed:
            if visitor in known:
                index.put(visitor, known[visitor])
            else:
                # The pictures went before the visits: nobody is known by them any more.
                index.remove(visitor)
        self._versions = there

    def _placed(self, session: Session, seen: VisitorSeen, index: VisitorIndex, samples: Vectors) -> Kept:
        elsewhere = rows.at_the_same_time(session, seen)
        placed = index.place(samples, elsewhere=elsewhere)
        if placed.visitor is None:
            row = StoredVisitor(embedder=storable(seen.embedder), kept_at=self._clock())
            session.add(row)
            session.flush()
            return Kept(row.visitor_id, is_new=True)
        # Two who were seen beside each other are two, however alike.
        beside = rows.beside(session, placed.visitor, placed.alike) if placed.alike else set()
        return Kept(placed.visitor, is_new=False, alike=tuple(one for one in placed.alike if one not in beside))
