"""Four cameras at once on this machine, in real time, with the engine ``arcface`` and the test data's networks.

Four lessons as in :mod:`benchmarks.live`, of different people, a camera each in one process; everybody who is enrolled
in any of them is in the one gallery. Who sits in two of them counts from where they came first.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.engines_here import TEST_EMBEDDER, engines_here
from benchmarks.live import IN_VIEW_S
from benchmarks.watching import Lesson, Watched, enrol, make_lesson, watch

CAMERAS = 4
SECONDS = 60.0


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Make the lessons, watch them together, and compare with who was there."""
    with tempfile.TemporaryDirectory() as name, engines_here(shared, ("arcface",)):
        folder = Path(name)
        lessons = [make_lesson(shared, seed=200 + room, seconds=SECONDS) for room in range(CAMERAS)]
        config = folder / "config.yaml"
        config.write_text(f"cameras: []\nengine: arcface\nengines: {{arcface: {{embedder: {TEST_EMBEDDER}}}}}\n")
        enrol(_together(lessons, folder / "dataset"), folder / "gallery.pickle", config)
        videos = [lesson.video for lesson in lessons]
        watched = watch(videos, folder / "gallery.pickle", folder / "data", pace="live", config=config)
        figures = figures_of(lessons, watched)
    lines = [
        "| cameras at once | marked, of those in view for 8 s | names of who is not there | marked after, median "
        "| frame handled after, 95 % | cores | peak memory | frames dropped by a camera |",
        "|---|---|---|---|---|---|---|---|",
        f"| {CAMERAS} of 1080p, 15 frames/s, on {os.cpu_count()} cores | {figures['marked']} of {figures['to_mark']} "
        f"| {figures['wrong']} | {figures['marked_after_s']:.1f} s | {figures['delay_p95_ms']:.0f} ms "
        f"| {figures['cores']:.2f} | {figures['peak_mb']:.0f} MB | {', '.join(map(str, figures['dropped']))} |",
    ]
    return figures, "\n".join(lines)


def figures_of(lessons: list[Lesson], watched: Watched) -> dict[str, Any]:
    """Who was marked, how soon, and what it took.

    A mark is a person's and not a camera's: who sits in two of the rooms is to be marked from when they came first, and
    a name is wrong where nobody of that name was before the camera that gave it.
    """
    arrives: dict[str, float] = {}
    for lesson in lessons:
        for person, at_s in lesson.to_mark(IN_VIEW_S).items():
            arrives[person] = min(at_s, arrives.get(person, at_s))
    marked: dict[str, float] = {}
    wrong = []
    for number, lesson in enumerate(lessons, start=1):
        for person, at_s in watched.marked_s.get(f"camera-{number}", {}).items():
            marked[person] = min(at_s, marked.get(person, at_s))
            if person not in lesson.truth["boxes"]:
                wrong.append(person)
    summary = watched.summary
    found = marked.keys() & arrives.keys()
    return {
        "marked": len(found),
        "to_mark": len(arrives),
        "missed": sorted(arrives.keys() - marked.keys()),
        "wrong": len(wrong),
        "wrong_names": sorted(wrong),
        "marked_after_s": statistics.median(marked[person] - arrives[person] for person in found),
        "delay_p95_ms": summary["delays_ms"]["frame"]["p95"],
        "cores": summary["cpu_cores"],
        "peak_mb": summary["peak_rss_mb"],
        "dropped": [camera["frames"]["dropped"] for camera in summary["cameras"]],
        "most_waiting": summary["detection"]["most_waiting"],
    }


def _together(lessons: list[Lesson], dataset: Path) -> Path:
    for lesson in lessons:
        shutil.copytree(lesson.dataset, dataset, dirs_exist_ok=True)
    return dataset
