"""An hour of lessons without a pause: does memory grow?

One recording of two minutes is shown again and again by a source of its own (an extension, as anybody could write it),
in pace ``fast``, so that an hour of camera time passes in about a quarter of one. Everybody leaves and comes back at
each turn: tracks end and begin, marks are renewed, as over many lessons. Not part of `make bench`; name it.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.watching import enrol, make_lesson, watch

LESSON_S = 120.0
HOURS = 1.0
EARLY_S = 300.0
SOURCE = '''
"""A recording that begins again whenever it has ended."""

import dataclasses
from datetime import timedelta

from optimind.plugin_api import Source
from optimind.sources.file import FileSource


class AgainSource(Source):
    name = "again"
    live = False

    def __init__(self, camera, path):
        self._camera, self._path, self._turn_s, self._last_s = camera, path, 0.0, 0.0
        self._file = FileSource.create(camera, path)

    @classmethod
    def accepts(cls, spec):
        return spec.startswith("again:")

    @classmethod
    def create(cls, camera, spec):
        return cls(camera, spec.removeprefix("again:"))

    def open(self):
        self._file.open()

    def read(self):
        frame = self._file.read()
        if frame is None:
            self._file.close()
            self._file = FileSource.create(self._camera, self._path)
            self._file.open()
            self._turn_s = self._last_s + 0.1
            frame = self._file.read()
        position_s = self._turn_s + frame.position_s
        self._last_s = position_s
        moved = timedelta(seconds=self._turn_s)
        return dataclasses.replace(frame, position_s=position_s, captured_at=frame.captured_at + moved)

    def close(self):
        self._file.close()
'''


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Run for :data:`HOURS` of the recording's time; returns the figures and a table of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lesson = make_lesson(shared, seed=301, seconds=LESSON_S)
        (folder / "plugins").mkdir()
        (folder / "plugins" / "again.py").write_text(SOURCE)
        (folder / "config.yaml").write_text("cameras: []\nplugins_folder: plugins\n")
        enrol(lesson.dataset, folder / "gallery.pickle")
        watched = watch(
            [f"again:{lesson.video}"],
            folder / "gallery.pickle",
            folder / "data",
            pace="fast",
            config=folder / "config.yaml",
            seconds=HOURS * 3600,
        )
    # Memory is noted by the run's own clock; the recording's runs faster by so much.
    faster = HOURS * 3600 / watched.summary["seconds"]
    early = [mb for at_s, mb in watched.memory_mb if EARLY_S <= at_s * faster < 2 * EARLY_S]
    late = [mb for at_s, mb in watched.memory_mb if at_s * faster >= HOURS * 3600 - EARLY_S]
    figures = {
        "hours": HOURS,
        "times_real": faster,
        "early_mb": statistics.median(early),
        "late_mb": statistics.median(late),
        "growth": statistics.median(late) / statistics.median(early) - 1,
        "peak_mb": watched.summary["peak_rss_mb"],
        "tracks": watched.summary["tracks"],
        "people": len(watched.summary["people"]),
    }
    lines = [
        "| hours of lessons | times real time | memory after 5 to 10 minutes | in the last 5 minutes | growth | peak "
        "| tracks |",
        "|---|---|---|---|---|---|---|",
        f"| {HOURS:g} | {faster:.1f} | {figures['early_mb']:.0f} MB | {figures['late_mb']:.0f} MB "
        f"| {figures['growth']:+.1%} | {figures['peak_mb']:.0f} MB | {figures['tracks']} |",
    ]
    return figures, "\n".join(lines)
