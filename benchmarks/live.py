"""Lessons in real time, as a camera on the wall gives them: who is marked, how soon, how late, and at what cost.

Ten recordings of a minute (1080p, 15 frames a second, 24 students, 4 enrolled ones who are absent, 4 strangers), each
in pace ``live`` and in pace ``fast``. The peer is the tutorials' loop, which does with each frame what ``run`` does
when it gets to it: :mod:`benchmarks.classroom` measures it; here it is told how many frames of a live camera it sees.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.watching import Lesson, Watched, enrol, make_lesson, watch

SEEDS = range(11, 21)
SECONDS = 60.0
IN_VIEW_S = 8.0
"""Who is in view for so long is to be marked."""


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Make the lessons, watch them, and compare with who was there."""
    rows = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            lesson = make_lesson(shared, seed=seed, seconds=SECONDS)
            gallery = Path(folder) / "gallery.pickle"
            enrol(lesson.dataset, gallery)
            live = watch([lesson.video], gallery, Path(folder) / "live", pace="live")
            fast = watch([lesson.video], gallery, Path(folder) / "fast", pace="fast")
            rows.append({"seed": seed, **live_figures(lesson, live), **_fast_figures(lesson, fast)})
    together = {
        "marked": sum(row["marked"] for row in rows),
        "to_mark": sum(row["to_mark"] for row in rows),
        "wrong": sum(row["wrong"] for row in rows),
        "marked_after_s": statistics.median(after for row in rows for after in row["after_s"]),
        "delay_p95_ms": max(row["delay_p95_ms"] for row in rows),
        "cores": statistics.median(row["cores"] for row in rows),
        "peak_mb": max(row["peak_mb"] for row in rows),
        "times_real": statistics.median(row["times_real"] for row in rows),
        "fast_marked": sum(row["fast_marked"] for row in rows),
        "fast_wrong": sum(row["fast_wrong"] for row in rows),
    }
    lines = [
        "| lesson | marked, of those in view for 8 s | strangers and absent marked | marked after, median "
        "| frame handled after, 95 % | cores | peak memory | fast: marked | wrong | times real time |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(str(row["seed"]), {**row, "marked_after_s": statistics.median(row["after_s"])}) for row in rows),
        _line("all (worst delay and memory)", together),
    ]
    return {"lessons": rows, "all": together}, "\n".join(lines)


def live_figures(lesson: Lesson, live: Watched, camera: str = "camera-1") -> dict[str, Any]:
    """What came of one lesson: who was marked, after how many seconds, and what the loop says of itself."""
    marked, to_mark = live.marked_s.get(camera, {}), lesson.to_mark(IN_VIEW_S)
    summary = live.summary
    frames = next(each["frames"] for each in summary["cameras"] if each["id"] == camera)
    if frames["read"] != frames["processed"] + frames["dropped"]:
        raise SystemExit(f"{lesson.folder}: frames are not accounted for: {frames}")
    return {
        "marked": len(set(marked) & set(to_mark)),
        "to_mark": len(to_mark),
        "wrong": len(set(marked) - set(lesson.truth["present"])),
        "after_s": [round(marked[name] - arrives, 2) for name, arrives in to_mark.items() if name in marked],
        "missed": sorted(set(to_mark) - set(marked)),
        "delay_p95_ms": summary["delays_ms"]["frame"]["p95"],
        "cores": summary["cpu_cores"],
        "peak_mb": summary["peak_rss_mb"],
        "dropped": frames["dropped"],
    }


def _fast_figures(lesson: Lesson, fast: Watched) -> dict[str, Any]:
    marked = set(fast.marked_s.get("camera-1", {}))
    return {
        "times_real": lesson.truth["seconds"] / fast.summary["seconds"],
        "fast_marked": len(marked & set(lesson.to_mark(IN_VIEW_S))),
        "fast_wrong": len(marked - set(lesson.truth["present"])),
    }


def _line(name: str, row: dict[str, Any]) -> str:
    cells = (
        name,
        f"{row['marked']} of {row['to_mark']}",
        f"{row['wrong']}",
        f"{row['marked_after_s']:.1f} s",
        f"{row['delay_p95_ms']:.0f} ms",
        f"{row['cores']:.2f}",
        f"{row['peak_mb']:.0f} MB",
        f"{row['fast_marked']} of {row['to_mark']}",
        f"{row['fast_wrong']}",
        f"{row['times_real']:.1f}",
    )
    return f"| {' | '.join(cells)} |"
