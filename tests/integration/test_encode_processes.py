"""Encoding with real processes: Ctrl-C, kill -9, a dying worker, a second encoder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import pytest

from optimind.gallery import load_gallery
from optimind.testing.engines import blank, paint_face

PHOTOGRAPHS = 60

# What the encoder's own process runs; a file, because the spawned workers import it again.
SCRIPT = """
import json, os, sys, threading, time
from pathlib import Path

from optimind.errors import OptiMindError
from optimind.gallery.encoder import encode_dataset
from optimind.testing.engines import FakeDetector, FakeEmbedder, FakeEngineFactory


class SlowEmbedder(FakeEmbedder):
    def embed(self, image, faces):
        time.sleep({pause})
        if {deadly} and image.shape[1] == 120 + 20:
            os.kill(os.getpid(), 9)
        if {failing} and image.shape[1] == 120 + 20:
            raise ValueError("no luck")
        return super().embed(image, faces)


class SlowFactory(FakeEngineFactory):
    def __call__(self):
        return FakeDetector.create(40), SlowEmbedder()


if __name__ == "__main__":
    if {has_thread}:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

    def progress(done, total):
        print(f"{{done}}/{{total}}", flush=True)

    try:
        report = encode_dataset(Path("data"), Path("g.pickle"), SlowFactory(), {workers}, progress)
    except OptiMindError as error:
        print(f"error: {{error}}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(report.as_json()))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(PHOTOGRAPHS):
        picture = blank(120 + number, 120)
        paint_face(picture, number % 5, 20, 20, 80)
        (tmp_path / f"data/p{number % 5}").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"data/p{number % 5}/{number:02d}.png"), picture)
    return tmp_path


@pytest.fixture(params=["forked", "spawned"])
def start(folder: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts the encoder; its processes are forked unless it has another thread."""
    if request.param == "forked" and not Path("/proc/self/task").exists():
        pytest.skip("processes are forked on Linux only")
    running: list[subprocess.Popen[str]] = []

    def run(
        *, workers: int = 2, pause: float = 0.05, deadly: bool = False, failing: bool = False
    ) -> subprocess.Popen[str]:
        script = folder / f"encode_{workers}_{deadly}.py"
        has_thread = request.param == "spawned"
        settings = {"workers": workers, "pause": pause, "deadly": deadly, "failing": failing, "has_thread": has_thread}
        script.write_text(SCRIPT.format(**settings))
        process = subprocess.Popen(
            [sys.executable, "-u", str(script)],
            cwd=folder,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # its own group, as a terminal would give it
        )
        running.append(process)
        return process

    yield run
    for process in running:
        with suppress(ProcessLookupError):  # also what a process that has ended left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen[str], done: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line.partition("/")[0]) >= done:
            return
    pytest.fail("it ended before: " + (process.stderr.read() if process.stderr else ""))


def members(group: int) -> list[int]:
    """Return the processes of a group that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def until_gone(group: int) -> list[int]:
    deadline = time.monotonic() + 10
    while (left := members(group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")


@pytest.mark.parametrize("workers", [1, 2])
def test_it_works_at_all(folder: Path, start: Start, workers: int) -> None:
    process = start(workers=workers, pause=0)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert f'"enrolled": {PHOTOGRAPHS}' in out
    gallery = load_gallery(folder / "g.pickle")
    assert [s.embedding.argmax() for s in gallery.samples] == [int(s.person_id[1]) for s in gallery.samples]


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_done_and_says_so(folder: Path, start: Start, workers: int) -> None:
    process = start(workers=workers)
    wait_for(process, 10)
    os.killpg(process.pid, signal.SIGINT)
    sent_at = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - sent_at < 5
    assert process.returncode == 1
    assert err.startswith("error: interrupted: ")
    assert f"of {PHOTOGRAPHS} are kept; run the same command to go on" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert until_gone(process.pid) == []
    kept = int(err.split()[2])
    assert kept >= 10
    out, _ = start(workers=workers, pause=0).communicate(timeout=60)
    assert out.splitlines()[0] == f"{kept}/{PHOTOGRAPHS}"
    assert f'"enrolled": {PHOTOGRAPHS - kept}, "reused": {kept}' in out


@linux
@pytest.mark.parametrize("moment_s", [0, 0.005, 0.01, 0.02, 0.15])
def test_ctrl_c_while_the_workers_start(start: Start, moment_s: float) -> None:
    """The first moments of a process: its imports, before it can ignore anything by itself."""
    process = start(workers=2, pause=1)
    wait_for(process, 0)
    time.sleep(moment_s)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == f"error: interrupted: 0 of {PHOTOGRAPHS} are kept; run the same command to go on\n"
    assert until_gone(process.pid) == []


@linux
@pytest.mark.parametrize("start", ["forked", "spawned"], indirect=True)
def test_they_are_forked_only_where_there_are_no_threads(start: Start, request: pytest.FixtureRequest) -> None:
    process = start(workers=2)
    wait_for(process, 10)
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in members(process.pid)]
    is_forked = request.node.callspec.params["start"] == "forked"
    assert (len(commands) == 3 and len(set(commands)) == 1) == is_forked


@linux
def test_a_worker_ends_at_a_sigterm_of_its_own_and_the_parent_says_so(start: Start) -> None:
    process = start(workers=2)
    wait_for(process, 10)
    os.kill(max(set(members(process.pid)) - {process.pid}), signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error: an encoding process died")
    assert "Traceback" not in err
    assert until_gone(process.pid) == []


@linux
def test_workers_never_hear_of_ctrl_c(start: Start) -> None:
    """A terminal sends it to all of them; what to do about it is the parent's affair alone."""
    process = start(workers=2)
    wait_for(process, 10)
    for pid in set(members(process.pid)) - {process.pid}:
        os.kill(pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert f'"enrolled": {PHOTOGRAPHS}' in out


@linux
def test_kill_9_of_the_parent_leaves_no_worker_no_lock_and_loses_nothing(folder: Path, start: Start) -> None:
    process = start(workers=2)
    wait_for(process, 12)
    process.kill()
    process.wait()
    assert until_gone(process.pid) == []
    assert not (folder / "g.pickle").exists()
    assert (folder / "g.pickle.journal").exists()
    out, err = start(workers=2, pause=0).communicate(timeout=60)
    assert err == ""
    kept = int(out.partition("/")[0])
    assert kept >= 12
    assert f'"samples": {PHOTOGRAPHS}, "enrolled": {PHOTOGRAPHS - kept}, "reused": {kept}' in out
    assert not (folder / "g.pickle.journal").exists()


@linux
def test_a_worker_that_dies_is_an_error_not_a_hang(folder: Path, start: Start) -> None:
    process = start(workers=2, pause=0, deadly=True)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "an encoding process died (out of memory, or killed) while looking at one of: " in err
    assert "p0/20.png" in err
    # Only what the two were at, not what was waiting for them.
    assert err.count(".png") <= 16
    assert "mend: run the same command again" in err
    assert "Traceback" not in err
    assert until_gone(process.pid) == []
    (folder / "data/p0/20.png").unlink()
    process = start(workers=2, pause=0, deadly=True)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f'"samples": {PHOTOGRAPHS - 1}' in out


@pytest.mark.parametrize("workers", [1, 2])
def test_an_engine_that_fails_names_the_photograph_and_the_others_are_kept(
    folder: Path, start: Start, workers: int
) -> None:
    process = start(workers=workers, pause=0, failing=True)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error: the engine failed on p0/20.png: ValueError: no luck\n")
    assert "Traceback" not in err
    # Those that were looked at together with it are looked at again, alone.
    kept = int(out.splitlines()[-1].partition("/")[0])
    assert kept >= 4
    (folder / "data/p0/20.png").unlink()
    out, _ = start(workers=workers, pause=0).communicate(timeout=60)
    assert f'"samples": {PHOTOGRAPHS - 1}, "enrolled": {PHOTOGRAPHS - 1 - kept}, "reused": {kept}' in out


def test_a_second_encoder_is_told_at_once(start: Start) -> None:
    first = start(workers=1)
    wait_for(first, 3)
    began = time.monotonic()
    second = start(workers=1)
    _, err = second.communicate(timeout=30)
    assert second.returncode == 1
    assert f"process {first.pid} is writing the gallery g.pickle" in err
    assert "g.pickle.lock" in err
    assert time.monotonic() - began < 10
    out, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (0, "")
    assert f'"samples": {PHOTOGRAPHS}' in out
