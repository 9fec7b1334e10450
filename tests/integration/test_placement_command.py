"""The command `placement` on small generated recordings, with an engine that sees painted faces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from optimind.testing.engines import blank, paint_face

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ENGINE = """
from optimind.testing.engines import FakeDetector, FakeEmbedder

class PaintedDetector(FakeDetector):
    name = "painted"

class PaintedEmbedder(FakeEmbedder):
    name = "painted"
"""
CONFIG = """
engine: painted
plugins_folder: extensions
cameras:
  - id: room
    source: recording
    zones:
      - {name: A1, kind: seat, polygon: [[0, 0.2], [0.3, 0.2], [0.3, 0.8], [0, 0.8]]}
      - {name: A2, kind: seat, polygon: [[0.3, 0.2], [0.6, 0.2], [0.6, 0.8], [0.3, 0.8]]}
      - {name: poster, kind: ignore, polygon: [[0.6, 0], [1, 0], [1, 1], [0.6, 1]]}
    line: {from: [0.6, 1], to: [0.6, 0], inside: left}
  - {id: yard, source: empty}
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A working folder: a recording of two seats and a poster, one of nobody, and an engine that sees them."""
    for name in ("extensions", "recording", "empty", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "extensions/painted.py").write_text(ENGINE)
    (tmp_path / "config.yaml").write_text(CONFIG)
    for number in range(3):
        picture = blank(640, 360)
        cv2.imwrite(str(tmp_path / f"empty/{number}.png"), picture)
        paint_face(picture, 1, 60 + number, 150, 80)
        cv2.imwrite(str(tmp_path / f"good/{number}.png"), picture)
        paint_face(picture, 2, 280, 150, 30)
        paint_face(picture, 3, 500, 150, 90)
        cv2.imwrite(str(tmp_path / f"recording/{number}.png"), picture)
    return tmp_path


@pytest.fixture
def run(repository: Path, tmp_path: Path) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(repository / "main.py"), "placement", *arguments],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def test_a_camera_of_the_settings(room: Path, run: Run) -> None:
    done = run("--source", "room", "--json")
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is False
    (camera,) = document["cameras"]
    assert (camera["id"], camera["engine"], camera["error"]) == ("room", "painted", None)
    assert (camera["pictures"], camera["faces"], camera["ignored"]) == (3, 6, 3)
    seats = {zone["name"]: (zone["verdict"], zone["median_px"]) for zone in camera["zones"]}
    assert seats == {"A1": ("good", 80.0), "A2": ("too_small", 30.0)}
    assert sum(area["faces_seen"] for area in camera["areas"]) == 6
    assert camera["drawing"] == "placement.png"
    drawn = cv2.imread(str(room / "placement.png"))
    assert drawn is not None
    assert drawn.shape[1] == 640


def test_what_a_person_reads(room: Path, run: Run) -> None:
    done = run("--source", "room", "--output", "seen.png")
    assert done.returncode == 3, done.stderr
    assert "camera room: 3 pictures of 640 x 360, 6 faces in them, 3 more in parts to ignore" in done.stdout
    assert "A2: make the faces 1.5 times as large" in done.stdout
    assert "the picture, with faces on it: seen.png" in done.stdout
    assert sorted(path.name for path in room.glob("*.png")) == ["seen.png"]


def test_all_is_fine(room: Path, run: Run) -> None:
    done = run("--source", "good")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "middle far left" in done.stdout
    assert "A1" not in done.stdout  # an address of its own has no zones


def test_all_cameras_of_the_settings(room: Path, run: Run) -> None:
    done = run("--json")
    assert done.returncode == 3
    cameras = json.loads(done.stdout)["cameras"]
    assert [(camera["id"], camera["faces"]) for camera in cameras] == [("room", 6), ("yard", 0)]
    assert sorted(path.name for path in room.glob("*.png")) == ["placement-room.png", "placement-yard.png"]


def test_nobody_is_found(room: Path, run: Run) -> None:
    done = run("--source", "yard")
    assert done.returncode == 3
    assert "no face was found" in done.stdout


def test_one_of_two_cameras_is_broken(room: Path, run: Run) -> None:
    (room / "broken.mp4").write_bytes(b"")
    done = run("--source", "good", "--source", "broken.mp4", "--json")
    assert done.returncode == 3
    good, broken = json.loads(done.stdout)["cameras"]
    assert good["error"] is None
    assert "is empty (0 bytes)" in broken["error"]
    assert "broken.mp4" in done.stderr
    alone = run("--source", "broken.mp4")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "is empty (0 bytes)" in alone.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--source", "nowhere.mp4"], "no such file"),
        (["--source", ""], "a --source is empty"),
        (["--source", "room", "--source", "room"], "named twice"),
        (["--source", "room", "--output", "nowhere/p.png"], "can be no picture"),
        (["--source", "room", "--seconds", "0"], "--seconds"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str, room: Path, run: Run) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""
    assert not list(room.glob("*.png"))


def test_without_any_camera(room: Path, run: Run) -> None:
    (room / "config.yaml").write_text("engine: painted\nplugins_folder: extensions\n")
    done = run()
    assert done.returncode == 2
    assert "no camera is configured" in done.stderr


@pytest.mark.shared
def test_a_real_crowd(shared: Path, tmp_path: Path, run: Run) -> None:
    """People of 40 to 120 px who walk towards the camera; many of them are blurred by their motion."""
    done = run("--source", str(shared / "data/video/crowd.mp4"), "--seconds", "1.2", "--json")
    assert done.returncode == 3, done.stderr
    (camera,) = json.loads(done.stdout)["cameras"]
    assert camera["faces"] >= 3 * camera["pictures"]
    seen = [area for area in camera["areas"] if area["faces_seen"]]
    assert all(area["name"].startswith(("middle", "bottom")) for area in seen)
    assert all(35 <= area["smallest_px"] <= area["median_px"] <= 130 for area in seen)
    assert any("blurred" in area["problems"] for area in seen)
