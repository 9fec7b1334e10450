"""The evidence behind the records: the newest state of each sighting, many in a handful of statements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from optimind.core.events import AttendanceMarked
from optimind.storage.chunks import chunks
from optimind.storage.tables import StoredSighting
from optimind.storage.text import storable

__all__ = ["EvidenceKeeper"]

_Key = tuple[str, str]
_SEEN = "seen"


class EvidenceKeeper:
    """Takes marks one after the other and then writes what of them is new, in the caller's transaction.

    A suspicion that one state of a sighting had stays, in whatever order they come. Coming and going are evidence of
    their own.
    """

    def __init__(self, session: Session, marks: Sequence[tuple[str, AttendanceMarked]]) -> None:
        """Look up what is known of ``marks``, each with the id of its record, which must be in the database."""
        self._session = session
        self._known = _known(session, sorted({(key, _name_of(mark)) for key, mark in marks}))
        self._new: dict[_Key, dict[str, Any]] = {}
        self._newer: dict[_Key, dict[str, Any]] = {}
        self._suspected: dict[_Key, dict[str, Any]] = {}

    def take(self, record: str, mark: AttendanceMarked) -> bool:
        """Take ``mark`` as evidence for the record with the id ``record``; False where nothing changes."""
        values = _values_of(record, mark)
        key = (record, values["sighting_id"])
        known = self._known.get(key)
        if known is None:
            self._known[key] = (values["last_seen_at"], values["suspicion"])
            self._new[key] = values
            return True
        known_at, suspicion = known
        values["suspicion"] = suspicion or values["suspicion"]
        if known_at > mark.sighting.last_seen_at:
            if values["suspicion"] == suspicion:
                return False
            self._known[key] = (known_at, values["suspicion"])
            kept = self._new.get(key) or self._newer.get(key) or self._suspected.setdefault(key, {})
            kept["suspicion"] = values["suspicion"]
            return True
        self._known[key] = (values["last_seen_at"], values["suspicion"])
        (self._new if key in self._new else self._newer)[key] = values
        return True

    def write(self) -> None:
        """Write what was taken."""
        table: Any = StoredSighting.__table__
        connection = self._session.connection()
        if self._new:
            connection.execute(table.insert(), list(self._new.values()))
        mine = (table.c.record_id == bindparam("its_record"), table.c.sighting_id == bindparam("its_sighting"))
        # First those of which only the suspicion is new: a newer state, which has it too, may have come after.
        for changes in (self._suspected, self._newer):
            if changes:
                rows = [
                    {"its_record": record, "its_sighting": name, **_changing(values)}
                    for (record, name), values in changes.items()
                ]
                connection.execute(table.update().where(*mine), rows)


def _known(session: Session, keys: Sequence[_Key]) -> dict[_Key, tuple[datetime, str]]:
    columns = StoredSighting.__table__.columns
    wanted = (columns.record_id, columns.sighting_id, columns.last_seen_at, columns.suspicion)
    found: dict[_Key, tuple[datetime, str]] = {}
    records = {record for record, _ in keys}
    for some in chunks(sorted({name for _, name in keys})):
        # By the sightings alone: one is evidence for few records, and asking for both would try every pair.
        for record, name, last_at, suspicion in session.execute(select(*wanted).where(columns.sighting_id.in_(some))):
            if record in records:
                found[record, name] = (last_at, suspicion)
    return found


def _name_of(mark: AttendanceMarked) -> str:
    name = mark.sighting.sighting_id
    if mark.kind != _SEEN:
        name = f"{name}/{mark.kind}/{mark.sighting.first_seen_at.timestamp():.3f}"
    return storable(name)


def _values_of(record: str, mark: AttendanceMarked) -> dict[str, Any]:
    sighting = mark.sighting
    return {
        "sighting_id": _name_of(mark),
        "record_id": record,
        "camera": storable(sighting.camera),
        "first_seen_at": sighting.first_seen_at,
        "last_seen_at": sighting.last_seen_at if mark.kind == _SEEN else sighting.first_seen_at,
        "similarity": sighting.similarity,
        "margin": sighting.margin,
        "samples": sighting.samples,
        "embedder": storable(sighting.embedder),
        "suspicion": storable(sighting.suspicion),
        "kind": mark.kind,
    }


def _changing(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("record_id", "sighting_id")}
