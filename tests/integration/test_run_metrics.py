"""The metrics of a run, fetched over HTTP while it goes on; its status line, in a real terminal."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from optimind.app.running import RunOptions, run
from optimind.config import Config, load_config
from optimind.errors import OptiMindError
from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.pipeline.standing import Standing
from optimind.testing.engines import FakeEmbedder, blank, paint_face

PICTURES = 12
ENGINE = """
from optimind.testing.engines import FakeDetector, FakeEmbedder

class PaintedDetector(FakeDetector):
    name = "painted"

class PaintedEmbedder(FakeEmbedder):
    name = "painted"
"""


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A folder with a recording of somebody enrolled, the gallery, and settings."""
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions/painted.py").write_text(ENGINE)
    (tmp_path / "recording").mkdir()
    for number in range(PICTURES):
        picture = blank(640, 360)
        paint_face(picture, 1, 60 + number, 150, 80)
        cv2.imwrite(str(tmp_path / f"recording/{number}.png"), picture)
    sample = Sample(embedding=np.eye(FakeEmbedder.info.dimension)[1], person_id="s-0815", name="Ana Example")
    info = FakeEmbedder.info
    save_gallery(tmp_path / "g.pickle", GalleryFile(info.embedder_id, info.dimension, (sample,)))
    return tmp_path


def settings(folder: Path, more: str = "") -> Config:
    text = (
        "engine: painted\nplugins_folder: extensions\ngallery: g.pickle\n"
        "cameras: [{id: room, source: 'recording?fps=5'}]\n"
    )
    (folder / "config.yaml").write_text(text + more)
    return load_config(folder / "config.yaml")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free: int = server.getsockname()[1]
        return free


def test_a_run_is_read_while_it_goes_on(lesson: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lesson)
    pages: list[str] = []

    def fetch(standing: Standing) -> None:
        # From within the loop, so that it certainly still runs.
        assert standing.feeds[0].state in ("live", "ended")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            pages.append(answer.read().decode())

    config = settings(lesson, f"metrics: {{port: {port}}}")
    result = run(config, RunOptions(pace="fast"), stop=threading.Event(), on_tick=fetch)
    assert result.summary["people"] == ["s-0815"]
    processed = []
    for page in pages:
        samples = {
            (each.name, *each.labels.values()): each.value
            for family in text_string_to_metric_families(page)
            for each in family.samples
        }
        processed.append(samples["optimind_frames_processed_total", "room"])
    assert processed[:PICTURES] == list(range(1, PICTURES + 1))
    assert samples["optimind_people_recognised",] == 1
    assert samples["optimind_stage_seconds_count", "search"] >= 1
    assert samples["optimind_marks_waiting",] == 0
    for secret in ("s-0815", "Ana", "recording", str(lesson)):
        assert secret not in pages[-1]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_port_in_use_stops_it_before_the_first_frame(lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lesson)
    ticks: list[Standing] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = settings(lesson, f"metrics: {{port: {taken.getsockname()[1]}}}")
        with pytest.raises(OptiMindError, match="metrics cannot be served"):
            run(config, RunOptions(pace="fast"), stop=threading.Event(), on_tick=ticks.append)
    assert ticks == []


@pytest.mark.parametrize(("options", "shown"), [([], True), (["--json"], False)])
def test_the_status_line_in_a_terminal(options: list[str], lesson: Path, repository: Path, *, shown: bool) -> None:
    settings(lesson)
    ours, theirs = pty.openpty()
    command = [sys.executable, str(repository / "main.py"), "run", "--pace", "fast", "--headless", *options]
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, cwd=lesson, env=environment, stdout=subprocess.PIPE, stderr=theirs) as child:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65536):
                written += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
        child.communicate(timeout=60)
    assert child.returncode in (0, 3), written
    text = written.decode()
    assert ("recognised" in text and "\r\x1b[2Kroom " in text) is shown
    drawn = text.replace("\r\x1b[2K", "\x00").replace("\r\n", "\n")
    for line in drawn.split("\n"):
        # Whatever stands before a whole line was cleared.
        assert "recognised" not in line.rpartition("\x00")[2], drawn
