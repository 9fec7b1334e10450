"""What encryption costs: opening the gallery of a school, and reading what is kept of visitors."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from optimind.config import sqlite_url
from optimind.core.events import VisitorSeen
from optimind.core.visitors import VisitorIndex
from optimind.gallery import GalleryFile, Sample, load_gallery, save_gallery
from optimind.sealing import PLAIN, Sealer, SealingKey
from optimind.storage.visitors import KeptShot, VisitorStore

PEOPLE, PHOTOGRAPHS, DIMENSION = 1200, 3, 128
VISITORS, SHOTS, PICTURE_BYTES = 100, 4, 16_000
TIMES = 5


def measure(_shared: Path) -> tuple[dict[str, Any], str]:
    """Measure with and without a key; returns the figures and their table."""
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "plain": _side(Path(folder), "plain", PLAIN),
            "encrypted": _side(Path(folder), "encrypted", Sealer(SealingKey(bytes(range(32))))),
        }
    lines = [
        f"Encryption at rest: {PEOPLE} people with {PHOTOGRAPHS} photographs, {VISITORS * SHOTS} pictures of visitors.",
        "",
        "| | open the gallery, s | write it, s | its size, MB | keep a visitor, ms | read their vectors, s |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in sides.items():
        lines.append(
            f"| {name} | {one['open_s']:.3f} | {one['write_s']:.3f} | {one['megabytes']:.2f} "
            f"| {one['keep_ms']:.1f} | {one['vectors_s']:.3f} |"
        )
    return sides, "\n".join(lines)


def _side(folder: Path, name: str, sealer: Sealer) -> dict[str, float]:
    path = folder / f"{name}.pickle"
    gallery = _gallery(path)
    write_s = _best(lambda: save_gallery(path, gallery, sealer))
    open_s = _best(lambda: load_gallery(path, sealer))
    with VisitorStore(sqlite_url(folder / f"{name}.db"), sealer=sealer) as store:
        index = VisitorIndex(None)
        began = time.perf_counter()
        for number in range(VISITORS):
            store.keep(*_visitor(number), index)
        keep_ms = (time.perf_counter() - began) / VISITORS * 1000
        vectors_s = _best(lambda: store.vectors("test"))
    megabytes = path.stat().st_size / 1e6
    return {
        "open_s": open_s,
        "write_s": write_s,
        "megabytes": megabytes,
        "keep_ms": keep_ms,
        "vectors_s": vectors_s,
    }


def _best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _gallery(path: Path) -> GalleryFile:
    rng = np.random.default_rng(1)
    samples = tuple(
        Sample(str(person), f"Person {person}", rng.normal(size=DIMENSION), f"{person}/{n}.jpg", 9, 9, f"{n}" * 64)
        for person in range(PEOPLE)
        for n in range(PHOTOGRAPHS)
    )
    return GalleryFile("test", DIMENSION, samples, (), "test", 3, path)


def _visitor(number: int) -> tuple[VisitorSeen, list[KeptShot]]:
    rng = np.random.default_rng(number)
    at = datetime(2026, 9, 1, tzinfo=UTC) + timedelta(minutes=number)
    seen = VisitorSeen(
        at=at,
        camera="door",
        track_id=f"run-door-{number}",
        first_seen_at=at,
        last_seen_at=at,
        embedder="test",
        samples=SHOTS,
        shots=(),
        ended=True,
    )
    centre = rng.normal(size=DIMENSION)
    return seen, [KeptShot("door", at, 1.0, 90.0, centre, rng.bytes(PICTURE_BYTES)) for _ in range(SHOTS)]
