"""A small school with everything that is stored of people, for tests that forget, show or encrypt it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from ledger_marks import START, make_mark
from school import entries
from sqlalchemy.orm import Session

from optimind.app.forgetting import Places
from optimind.config import sqlite_url
from optimind.core.events import AttendanceStatus, VisitorSeen
from optimind.core.registers import record_id
from optimind.core.visitors import VisitorIndex
from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.gallery.format import Unused
from optimind.sealing import PLAIN, Purpose, Sealer
from optimind.storage import Correction, Ledger, NewConsent, VisitorStore, open_ledger
from optimind.storage.database import Database
from optimind.storage.school_tables import RecordShot
from optimind.storage.visitors import KeptShot

EMBEDDER = "test-embedder"
DIMENSION = 16
ANNA, NAMESAKE, BO = "1042771190", "2001", "7"
NAMES = {ANNA: "Anna Berg", NAMESAKE: "Anna Berg", BO: "Bo Ek"}


def vector(person_id: str, number: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A template's vector: of one person near each other, of two far."""
    seed = int(hashlib.sha256(person_id.encode()).hexdigest()[:8], 16)
    centre = np.random.default_rng(seed).normal(size=DIMENSION)
    drift = np.random.default_rng(seed + number + 1).normal(size=DIMENSION)
    return np.asarray(centre / np.linalg.norm(centre) + 0.01 * drift, dtype=np.float64)


def picture(word: str) -> bytes:
    """Bytes that stand for a JPEG: 3 kB that nothing else begins or goes on with."""
    return b"\xff\xd8\xff\xe0" + np.random.default_rng(len(word) + sum(word.encode())).bytes(3000)


@dataclass(frozen=True)
class School:
    """Where the stores are."""

    folder: Path

    @property
    def places(self) -> Places:
        """The places as commands take them."""
        return Places(url=self.url, gallery=self.folder / "g.pickle", dataset=self.folder / "datasets")

    @property
    def url(self) -> str:
        """The ledger's URL."""
        return sqlite_url(self.folder / "data" / "optimind.db")

    def ledger(self) -> Ledger:
        """The ledger, opened."""
        return open_ledger(self.url)

    def everything(self) -> bytes:
        """The bytes of all files below the folder, but for locks and settings."""
        files = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.suffix not in {".lock", ".yaml", ".py"})
        return b"\n".join(str(p).encode() + b"\n" + p.read_bytes() for p in files)


def make_school(folder: Path, sealer: Sealer = PLAIN, sinks: tuple[str, ...] = ("sheets",)) -> School:
    """Make photographs, gallery, ledger, visitors, consents, evidence and pictures."""
    school = School(folder)
    _photographs(school.places.dataset)
    save_gallery(school.places.gallery, gallery_of(school.places.gallery), sealer)
    with school.ledger() as ledger:
        _register(ledger, sinks)
    _shots(school.url, sealer)
    return school


def gallery_of(path: Path) -> GalleryFile:
    """The gallery of the three, with a photograph of somebody that shows the same as one of Anna's."""
    files = {ANNA: ["1042771190_Anna_Berg.jpg", "1042771190/b.jpg"], NAMESAKE: ["2001_Anna_Berg.jpg"], BO: ["7/1.jpg"]}
    samples = tuple(
        Sample(person, NAMES[person], vector(person, n), file, 9, 9, f"{person}{n}" * 8, f"p{person}{n}", 90.0, 50.0)
        for person, own in files.items()
        for n, file in enumerate(own)
    )
    twin = "shows the same as 1042771190/b.jpg, of someone else; none of them is enrolled"
    unused = (
        Unused("7/2.jpg", 9, 9, "aa", "pp", "duplicate", twin),
        Unused("1042771190/c.jpg", 9, 9, "bb", "qq", "no_face", "no face was found"),
        Unused("7/3.jpg", 9, 9, "cc", "rr", "no_face", "no face was found"),
    )
    return GalleryFile(EMBEDDER, DIMENSION, samples, unused, "test", 3, path)


def _photographs(dataset: Path) -> None:
    for file in (
        "1042771190_Anna_Berg.jpg",
        "1042771190/b.jpg",
        "1042771190/c.jpg",
        "2001_Anna_Berg.jpg",
        "7/1.jpg",
        "7/2.jpg",
    ):
        path = dataset / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(file))


def _register(ledger: Ledger, sinks: tuple[str, ...]) -> None:
    marks = [make_mark(person, session="maths", name=NAMES[person]) for person in NAMES]
    ledger.record_many(marks, sinks)
    ledger.record_many([make_mark(ANNA, session="art", name=NAMES[ANNA])], sinks)
    mine = record_id(START.date(), "maths", ANNA)
    said = Correction(record_id=mine, status=AttendanceStatus.LATE, actor="Ms Hill", why="Anna Berg came by bus")
    ledger.correct([said], sinks)
    for person in (ANNA, BO):
        ledger.school.excuse(person, date(2026, 9, 2), date(2026, 9, 3), why=f"{NAMES[person]} is ill", actor="Ms Hill")
    ledger.school.set_roster("7b", entries(NAMES), date(2026, 9, 1))
    ledger.consents.give(
        [NewConsent(person_id=person, given_on=date(2026, 8, 1), given_by=f"parent of {person}") for person in NAMES],
        actor="office",
    )


def _shots(url: str, sealer: Sealer) -> None:
    database = Database(url)
    try:
        with database.writing() as session:
            for person in (ANNA, BO):
                add_shot(session, record_id(START.date(), "maths", person), picture(f"shot of {person}"), sealer)
    finally:
        database.close()
    with VisitorStore(url, sealer=sealer) as store:
        for number, person in enumerate((ANNA, "a stranger")):
            keep_visitor(store, person, number)


def add_shot(session: Session, record: str, jpeg: bytes, sealer: Sealer, kept_at: datetime | None = None) -> None:
    """Keep the best picture of a record."""
    session.add(
        RecordShot(
            record_id=record,
            camera="room-101",
            taken_at=START,
            kept_at=kept_at or datetime.now(UTC),
            quality=1.0,
            face_px=90.0,
            picture=sealer.seal(jpeg, Purpose.SHOT),
        )
    )


def keep_visitor(store: VisitorStore, person: str, number: int) -> int:
    """Keep somebody as a visitor, as a run does that does not know them."""
    first_at = START + timedelta(hours=number)
    faces = [(vector(person, n), picture(f"{person}{n}")) for n in range(2)]
    shots = [KeptShot("door", first_at, 1.0 - n / 10, 90.0, *face) for n, face in enumerate(faces)]
    seen = VisitorSeen(
        at=first_at,
        camera="door",
        track_id=f"run-door-{number}",
        first_seen_at=first_at,
        last_seen_at=first_at + timedelta(seconds=9),
        embedder=EMBEDDER,
        samples=2,
        shots=(),
        ended=True,
    )
    return store.keep(seen, shots, VisitorIndex(None)).visitor_id
