"""One run of the loop in a process of its own, and when each person was marked; and lessons to watch.

    python -m benchmarks.watching '{"config": "config.yaml", "sources": ["video.mp4"], ...}'

prints what :class:`Watched` holds. It is the program's own run, but for being told when a mark reaches the ledger.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from optimind.app.running import RunOptions, run
from optimind.config import load_config
from optimind.pipeline.standing import Standing
from optimind.plugin_api import RecordRow

__all__ = ["Lesson", "Watched", "enrol", "make_lesson", "watch"]

REPOSITORY = Path(__file__).resolve().parent.parent
LESSONS = Path(__file__).resolve().parent / "lessons"
"""The recordings stay here, for the next time; about 20 MB a minute."""
START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Watched:
    """``summary`` is `run --json`'s; ``marked_s`` by camera and person the second of the recording at which they were
    in the ledger; ``memory_mb`` pairs of a second of the run and the memory in use then."""

    summary: dict[str, Any]
    marked_s: dict[str, dict[str, float]]
    memory_mb: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A recording by ``make_classroom.py`` in ``folder``, and who is in it."""

    folder: Path
    truth: dict[str, Any]

    @property
    def video(self) -> Path:
        return self.folder / "video.mp4"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    def to_mark(self, least_s: float) -> dict[str, float]:
        """Who is in view for ``least_s`` or longer, and from which second."""
        return {
            name: arrives for name, (arrives, leaves) in self.truth["present"].items() if leaves - arrives >= least_s
        }


def make_lesson(shared: Path, *, seed: int, seconds: float) -> Lesson:
    """The recording of ``seed``, made where it is not in :data:`LESSONS` yet: the same seed gives the same one.

    Making it takes longer than watching it, and needs both cores, which those that are being watched need too.
    """
    folder = LESSONS / f"seed-{seed}-{seconds:g}s"
    if not folder.is_dir():
        LESSONS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=LESSONS) as unfinished:
            _make(shared, Path(unfinished) / "lesson", seed=seed, seconds=seconds)
            (Path(unfinished) / "lesson").rename(folder)
    return Lesson(folder, json.loads((folder / "truth.json").read_text()))


def _make(shared: Path, folder: Path, *, seed: int, seconds: float) -> None:
    maker = [sys.executable, str(shared / "tools" / "make_classroom.py"), "--faces", str(shared / "data" / "faces")]
    options = ["--out", str(folder), "--seconds", str(seconds), "--seed", str(seed)]
    subprocess.run([*maker, *options], check=True, stdout=subprocess.DEVNULL)


def enrol(dataset: Path, gallery: Path, config: Path | None = None) -> None:
    """Encode the photographs of ``dataset``."""
    told = ["--config", str(config)] if config else []
    program = [sys.executable, str(REPOSITORY / "main.py"), "encode", *told]
    order = ["--dataset", str(dataset), "--output", str(gallery), "--json"]
    done = subprocess.run([*program, *order], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)


def watch(
    sources: Sequence[Path | str],
    gallery: Path,
    data: Path,
    *,
    pace: Literal["live", "fast"],
    config: Path | None = None,
    seconds: float | None = None,
) -> Watched:
    """Run the loop on ``sources``, a camera each."""
    order = {
        "sources": [str(source) for source in sources],
        "gallery": str(gallery),
        "data": str(data),
        "pace": pace,
        "config": str(config) if config else None,
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "benchmarks.watching", json.dumps(order)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Watched(**json.loads(done.stdout))


def main() -> None:
    """Do what the order on the command line says, and print what came of it."""
    logging.disable(logging.WARNING)
    order = json.loads(sys.argv[1])
    marked: dict[str, dict[str, float]] = {}
    memory: list[tuple[float, float]] = []
    began_s = time.monotonic()

    def on_marked(row: RecordRow) -> None:
        if row.last_seen_at is not None:
            marked.setdefault(row.camera, {})[row.person_id] = (row.last_seen_at - START).total_seconds()

    def on_tick(_: Standing) -> None:
        now_s = time.monotonic() - began_s
        if not memory or now_s - memory[-1][0] >= 1:
            memory.append((now_s, _resident_mb()))

    folder = Path(order["data"])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    config = load_config(Path(order["config"]) if order["config"] else _empty_config(folder))
    options = RunOptions(
        sources=order["sources"],
        gallery=Path(order["gallery"]),
        data=folder,
        pace=order["pace"],
        start_at=START,
        seconds=order["seconds"],
    )
    result = run(config, options, stop=threading.Event(), on_marked=on_marked, on_tick=on_tick)
    print(json.dumps({"summary": result.summary, "marked_s": marked, "memory_mb": memory}))


def _empty_config(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text("cameras: []\n")
    return path


def _resident_mb() -> float:
    """Memory in use, in MiB; Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    main()
