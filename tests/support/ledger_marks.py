"""Marks for tests of the ledger: a person seen for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from optimind.plugin_api import AttendanceMarked, AttendanceStatus, Sighting

START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def make_mark(
    person: str = "17",
    *,
    sighting: str = "",
    first_s: float = 0.0,
    last_s: float = 10.0,
    session: str = "maths",
    status: AttendanceStatus = AttendanceStatus.PRESENT,
    **changes: Any,
) -> AttendanceMarked:
    """A sighting of ``person`` from ``first_s`` to ``last_s`` seconds after 8:00; ``changes`` are its other fields."""
    first_at, last_at = START + timedelta(seconds=first_s), START + timedelta(seconds=last_s)
    values: dict[str, Any] = {
        "camera": "room-101",
        "name": f"Name {person}",
        "similarity": 0.8,
        "margin": 0.2,
        "samples": 3,
        "embedder": "dlib",
        "box": (0.0, 0.0, 100.0, 100.0),
        **changes,
    }
    seen = Sighting(
        at=last_at,
        sighting_id=sighting or f"s-{person}",
        person_id=person,
        first_seen_at=first_at,
        last_seen_at=last_at,
        **values,
    )
    return AttendanceMarked(
        at=last_at, camera=seen.camera, date=START.date(), session=session, status=status, sighting=seen
    )
