"""The best picture of each record: what a teacher looks at when a mark is in doubt."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from optimind.storage.database import Database
from optimind.storage.school_tables import RecordShot
from optimind.storage.tables import Record
from optimind.storage.text import storable

__all__ = ["KeptPortrait", "RecordShots"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPortrait:
    """One picture as it is kept: a JPEG, when and by which camera it was taken, the face's width in it, its quality."""

    record_id: str
    camera: str
    taken_at: datetime
    quality: float
    face_px: float
    picture: bytes = field(repr=False)


class RecordShots:
    """Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def keep(self, portrait: KeptPortrait) -> bool:
        """Keep the picture where the record exists and has none that is as good; returns whether it was kept."""
        with self._database.writing() as session:
            if session.get(Record, portrait.record_id) is None:
                return False
            known = session.get(RecordShot, portrait.record_id)
            if known is not None and known.quality >= portrait.quality:
                return False
            self._put(session, known, portrait)
            return True

    def of(self, record_id: str) -> KeptPortrait | None:
        """Return the picture of a record; None where none is kept."""
        with self._database.reading() as session:
            known = session.get(RecordShot, record_id)
            if known is None:
                return None
            return KeptPortrait(
                record_id=known.record_id,
                camera=known.camera,
                taken_at=known.taken_at,
                quality=known.quality,
                face_px=known.face_px,
                picture=known.picture,
            )

    def sweep(self, before: datetime) -> int:
        """Delete the pictures that were kept before ``before``; return how many those are."""
        old = RecordShot.kept_at < before
        with self._database.reading() as session:
            if session.execute(select(RecordShot.record_id).where(old).limit(1)).first() is None:
                return 0
        with self._database.writing() as session:
            result = session.execute(delete(RecordShot).where(old))
            gone = int(result.rowcount)  # type: ignore[attr-defined] # a delete's result has a count
        self._database.scrub()
        return gone

    def _put(self, session: Session, known: RecordShot | None, portrait: KeptPortrait) -> None:
        row = known or RecordShot(record_id=portrait.record_id)
        row.camera = storable(portrait.camera)
        row.taken_at, row.kept_at = portrait.taken_at, self._clock()
        row.quality, row.face_px, row.picture = portrait.quality, portrait.face_px, portrait.picture
        session.add(row)
