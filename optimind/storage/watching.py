"""When which camera gave pictures, a minute at a time: many minutes in a handful of statements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from optimind.storage.chunks import chunks
from optimind.storage.school_tables import WatchedMinute
from optimind.storage.text import storable

__all__ = ["MINUTES_KEPT", "Watch", "keep_watches"]

MINUTES_KEPT = timedelta(days=90)
"""So long it is known when which camera watched."""

_FIGURES = ("seconds", "faces", "named")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One minute of a camera in ``room``: the seconds in which it gave pictures, and the faces it saw at once."""

    camera: str
    room: str
    minute_at: datetime
    seconds: float
    faces: int
    named: int


def keep_watches(session: Session, watches: Sequence[Watch]) -> None:
    """Keep ``watches``, in the caller's transaction; of a minute that is known the larger figures stay."""
    rows: dict[tuple[str, datetime], dict[str, Any]] = {}
    for watch in watches:
        minute_at = watch.minute_at.astimezone(UTC).replace(second=0, microsecond=0)
        camera, figures = storable(watch.camera), (min(60.0, watch.seconds), watch.faces, watch.named)
        row = rows.get((camera, minute_at))
        if row is None:
            room = storable(watch.room)
            row = rows[camera, minute_at] = {"camera": camera, "room": room, "minute_at": minute_at}
        row |= {name: max(value, row.get(name, 0)) for name, value in zip(_FIGURES, figures, strict=True)}
    changed = []
    for camera, minute_at, *figures in _known(session, rows.keys()):
        row = rows.pop((camera, minute_at))
        largest = [max(row[name], old) for name, old in zip(_FIGURES, figures, strict=True)]
        if largest != figures:
            key = {"its_camera": camera, "its_minute": minute_at}
            changed.append({**key, **dict(zip(_FIGURES, largest, strict=True))})
    table = WatchedMinute.__table__
    if rows:
        session.connection().execute(table.insert(), list(rows.values()))  # type: ignore[attr-defined] # it is a Table
    if changed:
        mine = (table.c.camera == bindparam("its_camera"), table.c.minute_at == bindparam("its_minute"))
        session.connection().execute(table.update().where(*mine), changed)  # type: ignore[attr-defined] # it is a Table


def _known(session: Session, keys: Collection[tuple[str, datetime]]) -> list[Any]:
    """Those of ``keys`` that are in the database, each with its figures."""
    columns = WatchedMinute.__table__.columns
    cameras, minutes = sorted({camera for camera, _ in keys}), sorted({minute_at for _, minute_at in keys})
    wanted = (columns.camera, columns.minute_at, *(columns[name] for name in _FIGURES))
    found = []
    for some in chunks(minutes):
        for few in chunks(cameras):
            query = select(*wanted).where(columns.minute_at.in_(some), columns.camera.in_(few))
            found += [row for row in session.execute(query) if (row.camera, row.minute_at) in keys]
    return found
