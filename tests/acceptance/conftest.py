"""Runs the real program in its own process, and makes small recordings of real people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from program import Program


@pytest.fixture(scope="session")
def program(repository: Path) -> Program:
    """Call ``main.py`` with the given arguments; ``cwd`` is where it runs."""

    def call(*arguments: object, cwd: Path, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(repository / "main.py"), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False)

    return call


@pytest.fixture(scope="session")
def lesson_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One folder for all test processes, with a space in its name."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "class room"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def classroom(shared: Path, lesson_folder: Path) -> tuple[Path, dict[str, Any]]:
    """A labelled recording of real people: its folder and its truth. Made once for all test processes."""
    folder = lesson_folder
    command = [sys.executable, str(shared / "tools" / "make_classroom.py"), "--faces", str(shared / "data" / "faces")]
    sizes = ["--students", "5", "--absent", "2", "--strangers", "2", "--seconds", "14", "--size", "1280x720"]
    with FileLock(folder / "lock"):
        if not (folder / "truth.json").exists():
            made = [*command, "--out", str(folder), *sizes, "--seed", "11"]
            subprocess.run(made, check=True, capture_output=True)
    return folder, json.loads((folder / "truth.json").read_text())


@pytest.fixture(scope="session")
def gallery(classroom: tuple[Path, dict[str, Any]], program: Program) -> Path:
    """The gallery of the recording's enrolled people."""
    folder, _ = classroom
    path = folder / "gallery.pickle"
    with FileLock(folder / "lock"):
        if not path.exists():
            done = program("encode", "--dataset", folder / "dataset", "--output", path, "--json", cwd=folder)
            assert done.returncode in (0, 3), done.stderr
    return path
