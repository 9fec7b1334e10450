"""Tracks of unknown people for tests: who somebody is decides the vector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import VisitorSeen, VisitorShot
from optimind.storage.visitors import KeptShot

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
DIMENSION = 8


def vector_of(person: int) -> NDArray[np.float64]:
    """Strangers are 1.41 apart."""
    return np.asarray(np.eye(DIMENSION)[person])


def make_seen(
    person: int,
    track: int = 1,
    *,
    run: str = "run",
    camera: str = "door",
    first_s: float = 0.0,
    last_s: float = 10.0,
    shots: int = 2,
    ended: bool = True,
    embedder: str = "line",
) -> VisitorSeen:
    """``person`` (0-7) from ``first_s`` to ``last_s`` seconds after 8:00, with pictures of one grey."""
    at = START + timedelta(seconds=last_s)
    picture = np.full((60, 60, 3), 20 * person, np.uint8)
    return VisitorSeen(
        at=at,
        camera=camera,
        track_id=f"{run}-{camera}-{track}",
        first_seen_at=START + timedelta(seconds=first_s),
        last_seen_at=at,
        embedder=embedder,
        samples=3,
        shots=tuple(VisitorShot(at, vector_of(person), picture, 30.0, 0.9 - 0.01 * n) for n in range(shots)),
        ended=ended,
    )


def kept_shots(seen: VisitorSeen, picture: bytes = b"JPEG") -> list[KeptShot]:
    """What is stored of it, with ``picture`` for each JPEG."""
    return [KeptShot(seen.camera, shot.at, shot.quality, shot.face_px, shot.vector, picture) for shot in seen.shots]
