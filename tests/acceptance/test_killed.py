"""A run that is stopped, in order or not, loses nothing that was marked, and a restart marks nobody twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from program import Program

START = "2026-09-01T08:00:00+02:00"


@pytest.fixture
def command(repository: Path, classroom: tuple[Path, dict[str, Any]], gallery: Path, tmp_path: Path) -> list[str]:
    folder, _ = classroom
    options = ["--source", str(folder / "video.mp4"), "--gallery", str(gallery), "--data", str(tmp_path / "data")]
    return [sys.executable, str(repository / "main.py"), "run", *options, "--pace", "fast", "--start", START, "--json"]


def register(program: Program, data: Path) -> list[dict[str, Any]]:
    done = program("attendance", "--data", data, "--format", "json", cwd=data.parent)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


@pytest.fixture
def running(command: list[str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has marked somebody and is still at it."""
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True)
    deadline = time.monotonic() + 120
    while "  present  " not in (tmp_path / "log").read_text():
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with process:
        yield process
        process.kill()


def marked(tmp_path: Path) -> set[str]:
    """Who was announced as marked."""
    lines = (tmp_path / "log").read_text().splitlines()
    return {line.rpartition(" (")[2].partition(")")[0] for line in lines if "  present  " in line}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_run_in_order(
    number: signal.Signals, running: subprocess.Popen[str], tmp_path: Path, program: Program
) -> None:
    running.send_signal(number)
    out, _ = running.communicate(timeout=60)
    told = (tmp_path / "log").read_text()
    assert running.returncode == 0, told
    assert "Traceback" not in told
    summary = json.loads(out)
    rows = register(program, tmp_path / "data")
    assert {row["person_id"] for row in rows} == set(summary["people"]) >= marked(tmp_path)


def test_kill_9_loses_no_mark_and_a_restart_marks_nobody_twice(
    running: subprocess.Popen[str],
    command: list[str],
    classroom: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    program: Program,
) -> None:
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = {row["person_id"]: row for row in register(program, tmp_path / "data")}
    assert marked(tmp_path) <= set(before)
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert again.returncode == 0, again.stderr
    rows = register(program, tmp_path / "data")
    people = [row["person_id"] for row in rows]
    assert sorted(people) == sorted(classroom[1]["present"])
    for row in rows:
        earlier = before.get(row["person_id"], row)
        assert row["record_id"] == earlier["record_id"]
        # The same recording seen twice is the same time seen, not twice as much.
        assert row["seconds_seen"] <= 14


def test_two_runs_at_once_share_a_ledger(command: list[str], tmp_path: Path, program: Program) -> None:
    pair = [
        subprocess.Popen([*command, "--seconds", "3"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in pair:
        with process:
            _, told = process.communicate(timeout=240)
        assert process.returncode == 0, told.decode()
    people = [row["person_id"] for row in register(program, tmp_path / "data")]
    assert people
    assert len(people) == len(set(people))


def test_a_disk_without_room_for_a_ledger_is_said_before_anything_is_seen(command: list[str], tmp_path: Path) -> None:
    # A limit on the size of files, of 16 KiB, stands in for the disk.
    limited = ["bash", "-c", 'ulimit -f 16; exec "$@"', "limited", *command]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, done.stderr
    assert "error: the ledger" in done.stderr
    assert "mend:" in done.stderr
