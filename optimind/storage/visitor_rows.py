"""The rows of visitors: what is written and read of them inside a transaction of :class:`VisitorStore`."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased

from optimind.core.events import VisitorSeen
from optimind.core.types import Vectors
from optimind.core.visitors import Interval, visits_of
from optimind.sealing import PLAIN, Purpose, Sealer
from optimind.storage.tables import StoredShot, StoredVisit, StoredVisitor
from optimind.storage.text import storable

MOST_SHOTS = 12
"""So many pictures of one visitor are kept: the newest and the best."""
NEWEST_SHOTS = 4
"""So many of them are the newest, however poor: who comes often is known by them when the older ones go."""
MOST_VISITS = 500
"""So many tracks of one visitor are kept, the newest: a poster is seen again and again."""
_AT_ONCE = timedelta(seconds=1)
"""Two tracks of one camera that are there together for longer are two people."""
VECTOR = "<f8"
_NO_SYNC = {"synchronize_session": False}
_DATED: tuple[type[StoredVisit | StoredShot], ...] = (StoredVisit, StoredShot)


@dataclass(frozen=True, slots=True)
class KeptShot:
    """One picture of a visitor: ``picture`` is a JPEG, ``face_px`` the face's width in it."""

    camera: str
    taken_at: datetime
    quality: float
    face_px: float
    vector: NDArray[np.float64] = field(repr=False)
    picture: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visitor:
    """What is known of a visitor without looking at the pictures. ``visits`` are first and last seen, in order."""

    visitor_id: int
    embedder: str
    visits: tuple[Interval, ...]
    cameras: tuple[str, ...]
    pictures: int
    face_px: float

    @property
    def first_seen_at(self) -> datetime:
        """When they came first."""
        return self.visits[0][0]

    @property
    def last_seen_at(self) -> datetime:
        """When they were seen last."""
        return max(last for _, last in self.visits)


class Kept(NamedTuple):
    """What became of a track: its visitor, whether that is a new one, and who turned out to be the same."""

    visitor_id: int
    is_new: bool
    alike: tuple[int, ...] = ()


class Forgotten(NamedTuple):
    """How much was deleted."""

    visitors: int = 0
    tracks: int = 0
    pictures: int = 0


def at_the_same_time(session: Session, seen: VisitorSeen) -> set[int]:
    """The visitors who were in front of the same camera, in the same run, while ``seen`` was there."""
    query = select(StoredVisit.visitor_id, StoredVisit.track_id).where(
        StoredVisit.camera == storable(seen.camera),
        StoredVisit.first_seen_at < seen.last_seen_at - _AT_ONCE,
        StoredVisit.last_seen_at > seen.first_seen_at + _AT_ONCE,
    )
    run = _run_of(storable(seen.track_id))
    return {visitor for visitor, track_id in session.execute(query) if _run_of(track_id) == run}


def beside(session: Session, visitor_id: int, others: Sequence[int]) -> set[int]:
    """Those of ``others`` who were in front of the same camera, in the same run, together with a visitor."""
    own, theirs = aliased(StoredVisit), aliased(StoredVisit)
    query = select(theirs.visitor_id, theirs.track_id, theirs.first_seen_at, theirs.last_seen_at, own).where(
        own.visitor_id == visitor_id,
        theirs.visitor_id.in_(others),
        theirs.camera == own.camera,
        theirs.first_seen_at < own.last_seen_at,
        theirs.last_seen_at > own.first_seen_at,
    )
    return {
        visitor
        for visitor, track_id, first, last, mine in session.execute(query)
        if _run_of(track_id) == _run_of(mine.track_id)
        and min(last, mine.last_seen_at) - max(first, mine.first_seen_at) > _AT_ONCE
    }


def _run_of(track_id: str) -> str:
    """The run and camera of a track: a recording that is run again shows the same people at the same time."""
    return track_id.rpartition("-")[0]


def enter(
    session: Session,
    visitor_id: int,
    seen: VisitorSeen,
    shots: Sequence[KeptShot],
    *,
    kept_at: datetime,
    sealer: Sealer = PLAIN,
) -> None:
    """Write the track ``seen`` with its ``shots``, in place of what was written of it before.

    ``kept_at`` is now; ``sealer`` encrypts pictures and vectors. Of a track that goes on for days a picture may be
    older; its days count from its own time.
    """
    track_id = storable(seen.track_id)
    session.merge(
        StoredVisit(
            track_id=track_id,
            visitor_id=visitor_id,
            camera=storable(seen.camera),
            first_seen_at=seen.first_seen_at,
            last_seen_at=seen.last_seen_at,
            kept_at=kept_at,
        )
    )
    session.execute(delete(StoredShot).where(StoredShot.track_id == track_id), execution_options=_NO_SYNC)
    for shot in shots:
        session.add(
            StoredShot(
                visitor_id=visitor_id,
                track_id=track_id,
                camera=storable(shot.camera),
                taken_at=shot.taken_at,
                kept_at=kept_at - max(seen.last_seen_at - shot.taken_at, timedelta(0)),
                quality=shot.quality,
                face_px=shot.face_px,
                vector=sealer.seal(np.asarray(shot.vector, dtype=VECTOR).tobytes(), Purpose.VISITOR),
                picture=sealer.seal(shot.picture, Purpose.VISITOR),
            )
        )
    session.flush()
    prune(session, visitor_id)


def prune(session: Session, visitor_id: int) -> None:
    """Let the oldest tracks go where there are too many, and of the pictures the poorest that are not the newest."""
    tracks = select(StoredVisit.track_id).where(StoredVisit.visitor_id == visitor_id)
    newest = tracks.order_by(StoredVisit.kept_at.desc(), StoredVisit.last_seen_at.desc(), StoredVisit.track_id)
    extra = list(session.scalars(newest))[MOST_VISITS:]
    _delete(session, StoredShot, StoredShot.track_id, extra)
    _delete(session, StoredVisit, StoredVisit.track_id, extra)
    shots = select(StoredShot.shot_id, StoredShot.kept_at).where(StoredShot.visitor_id == visitor_id)
    ranked = session.execute(shots.order_by(StoredShot.quality.desc(), StoredShot.shot_id.desc())).all()
    # Sorting is stable: of one moment the best come first.
    new = {shot_id for shot_id, _ in sorted(ranked, key=lambda shot: shot.kept_at, reverse=True)[:NEWEST_SHOTS]}
    others = [shot_id for shot_id, _ in ranked if shot_id not in new]
    _delete(session, StoredShot, StoredShot.shot_id, others[MOST_SHOTS - len(new) :])


def delete_older(session: Session, before: datetime) -> Forgotten:
    """Delete the visits and pictures kept before then, and the visitors of whom nothing else is left."""
    counts, changed = [0, 0], set[int]()
    for number, table in enumerate(_DATED):
        old = table.kept_at < before
        changed |= set(session.scalars(select(table.visitor_id).where(old).distinct()))
        counts[number] = count(session, table, old)
        session.execute(delete(table).where(old), execution_options=_NO_SYNC)
    gone = 0
    for visitor_id in changed:
        if any(count(session, table, table.visitor_id == visitor_id) for table in _DATED):
            touch(session, visitor_id)
        else:
            gone += delete_all(session, [visitor_id]).visitors
    return Forgotten(gone, *counts)


def is_any_older(session: Session, before: datetime) -> bool:
    """Whether a visit or picture was kept before then."""
    oldest = (session.scalar(select(func.min(table.kept_at))) for table in _DATED)
    return any(kept_at is not None and kept_at < before for kept_at in oldest)


def _delete(session: Session, table: type[StoredVisit | StoredShot], key: Any, values: Sequence[Any]) -> None:
    for start in range(0, len(values), 500):
        session.execute(delete(table).where(key.in_(values[start : start + 500])), execution_options=_NO_SYNC)


def move(session: Session, visitor_id: int, to: int) -> None:
    """Give ``to`` all there is of ``visitor_id``, who is no more."""
    for table in (StoredVisit, StoredShot):
        moved = update(table).where(table.visitor_id == visitor_id).values(visitor_id=to)
        session.execute(moved, execution_options=_NO_SYNC)
    session.execute(delete(StoredVisitor).where(StoredVisitor.visitor_id == visitor_id), execution_options=_NO_SYNC)


def touch(session: Session, visitor_id: int, *, kept_at: datetime | None = None) -> None:
    """Note that the visitor has changed and, with ``kept_at``, that something was kept then."""
    changed = update(StoredVisitor).where(StoredVisitor.visitor_id == visitor_id)
    values: dict[str, Any] = {"version": StoredVisitor.version + 1}
    if kept_at is not None:
        values["kept_at"] = kept_at
    session.execute(changed.values(**values), execution_options=_NO_SYNC)


def delete_all(session: Session, visitor_ids: Sequence[int]) -> Forgotten:
    """Delete these visitors, their visits and pictures, and count them."""
    counts = [0, 0, 0]
    for visitor_id in visitor_ids:
        # Children first, so that it does not hang on what a database thinks of cascades.
        for number, table in ((2, StoredShot), (1, StoredVisit), (0, StoredVisitor)):
            counts[number] += count(session, table, table.visitor_id == visitor_id)
            session.execute(delete(table).where(table.visitor_id == visitor_id), execution_options=_NO_SYNC)
    return Forgotten(*counts)


def count(session: Session, table: type[StoredVisitor | StoredVisit | StoredShot], where: Any) -> int:
    """Count the rows of ``table`` for which ``where`` holds."""
    return session.scalar(select(func.count()).select_from(table).where(where)) or 0


def opened(sealer: Sealer, data: bytes) -> bytes:
    """What is in a picture or vector of a visitor. Raises :class:`SealRefused`."""
    return sealer.open(data, Purpose.VISITOR, "what is kept of visitors")


def vectors_of(session: Session, visitor_ids: Sequence[int], sealer: Sealer = PLAIN) -> dict[int, Vectors]:
    """The vectors of these visitors, (n, dimension) each. Raises :class:`SealRefused`."""
    found: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for start in range(0, len(visitor_ids), 500):
        query = select(StoredShot.visitor_id, StoredShot.vector).order_by(StoredShot.shot_id)
        for visitor, vector in session.execute(
            query.where(StoredShot.visitor_id.in_(visitor_ids[start : start + 500]))
        ):
            found[visitor].append(np.frombuffer(opened(sealer, vector), VECTOR))
    return {visitor: np.array(own) for visitor, own in found.items()}


def read(session: Session, visitor_id: int | None = None) -> list[Visitor]:
    """All visitors, or the one of that number, without their pictures."""

    def of(query: Any, table: Any) -> Any:
        return session.execute(query if visitor_id is None else query.where(table.visitor_id == visitor_id))

    tracks: dict[int, list[Interval]] = defaultdict(list)
    cameras: dict[int, set[str]] = defaultdict(set)
    columns = (StoredVisit.visitor_id, StoredVisit.camera, StoredVisit.first_seen_at, StoredVisit.last_seen_at)
    for visitor, camera, first, last in of(select(*columns), StoredVisit):
        tracks[visitor].append((first, last))
        cameras[visitor].add(camera)
    shots = select(StoredShot.visitor_id, func.count(), func.max(StoredShot.face_px)).group_by(StoredShot.visitor_id)
    pictures = {visitor: (count, px) for visitor, count, px in of(shots, StoredShot)}
    rows = of(select(StoredVisitor.visitor_id, StoredVisitor.embedder), StoredVisitor)
    return [
        Visitor(
            visitor,
            embedder,
            tuple(visits_of(tracks[visitor])),
            tuple(sorted(cameras[visitor])),
            *pictures.get(visitor, (0, 0.0)),
        )
        for visitor, embedder in rows
        if visitor in tracks
    ]
