"""A run with somebody who holds a photograph of an enrolled person before the camera, and somebody who is there."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optimind.app.running import RunOptions, RunResult, run
from optimind.cli import main
from optimind.config import load_config
from optimind.gallery import GalleryFile, Sample, save_gallery
from optimind.testing.engines import FakeEmbedder, paint_face

FPS = 10
SECONDS = 6
FACE_PX = 80
ENGINE = """
from optimind.testing.engines import FakeDetector, FakeEmbedder

class PaintedDetector(FakeDetector):
    name = "painted"

class PaintedEmbedder(FakeEmbedder):
    name = "painted"
"""
CHECK = """
from optimind.testing.pad import FakePadCheck

class FailingCheck(FakePadCheck):
    name = "failing"

    def observe(self, track, image, box, at):
        raise RuntimeError("out of order")
"""


def detail(width: int, height: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A grey picture in which something can be seen everywhere, and no painted face."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (height, width)), (0, 0), 2)
    grey = np.clip(128 + 40 * noise / np.std(noise), 65, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recording, the gallery, the engine, and a check that fails."""
    folder = tmp_path_factory.mktemp("lesson")
    (folder / "extensions").mkdir()
    (folder / "extensions/painted.py").write_text(ENGINE)
    (folder / "extensions/failing.py").write_text(CHECK)
    (folder / "recording").mkdir()
    room, photograph = detail(800, 360, 1), detail(200, 220, 2)
    paint_face(photograph, 1, 60, 70, FACE_PX)
    for number in range(SECONDS * FPS):
        picture = room.copy()
        x, y = round(14 * np.sin(number / 4)), round(9 * np.sin(number / 6 + 1))
        picture[70 + y : 290 + y, 100 + x : 300 + x] = photograph
        paint_face(picture, 2, 550 + x, 140 + y, FACE_PX)
        cv2.imwrite(str(folder / f"recording/{number:03}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    info, rows = FakeEmbedder.info, np.eye(FakeEmbedder.info.dimension)
    samples = tuple(Sample(embedding=rows[n], person_id=p, name=p.title()) for n, p in ((1, "held"), (2, "there")))
    save_gallery(folder / "g.pickle", GalleryFile(info.embedder_id, info.dimension, samples))
    return folder


def watched(lesson: Path, data: Path, pad: str) -> RunResult:
    (lesson / "config.yaml").write_text(
        "engine: painted\nplugins_folder: extensions\ngallery: g.pickle\n"
        f"cameras: [{{id: room, source: 'recording?fps={FPS}'}}]\n{pad}"
    )
    config = load_config(lesson / "config.yaml")
    return run(config, RunOptions(pace="fast", data=data), stop=threading.Event())


def statuses(data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert main(["attendance", "--data", str(data), "--format", "json"]) == 0
    return {row["person_id"]: row["status"] for row in json.loads(capsys.readouterr().out)}


@pytest.fixture(autouse=True)
def _at_home(lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lesson)


def test_a_held_photograph_needs_review(lesson: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = watched(lesson, tmp_path, "pad: {check: passive}\n")
    assert statuses(tmp_path, capsys) == {"held": "needs_review", "there": "present"}
    assert (result.summary["tracks"], result.summary["suspected_tracks"]) == (2, 1)
    assert "presentation" in result.summary["stages_ms"]
    assert result.attention == [
        "camera room: 1 face may have been pictures of people; records that rest on them need review (docs/pad.md)"
    ]


@pytest.mark.parametrize("pad", ["", "pad: {check: off}\n", "pad:\n"])
def test_with_the_check_off_nothing_is_asked(
    lesson: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pad: str
) -> None:
    result = watched(lesson, tmp_path, pad)
    assert statuses(tmp_path, capsys) == {"held": "present", "there": "present"}
    assert result.summary["suspected_tracks"] == 0
    assert "presentation" not in result.summary["stages_ms"]
    assert result.attention == []


def test_a_check_of_ones_own_that_fails_costs_nobody_their_mark(
    lesson: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = watched(lesson, tmp_path, "pad: {check: failing}\n")
    assert statuses(tmp_path, capsys) == {"held": "present", "there": "present"}
    assert result.attention == [
        "camera room: the check of presentation attacks failed 5 times, it was switched off, the last: "
        "RuntimeError: out of order"
    ]


@pytest.mark.parametrize(
    ("pad", "words"),
    [
        (
            "pad: {check: pasive}\n",
            'config.yaml:5: pad.check: there is no check called "pasive"; did you mean "passive"?',
        ),
        ("pad: {check: on}\n", 'config.yaml:5: pad.check: there is no check called "on"'),
        ("pad: {check: [passive]}\n", "config.yaml:5: pad.check: is no name"),
        ("pad: passive\n", "config.yaml:5: pad"),
        ("pad:\n  check: passive\n  still: 3\n", 'config.yaml:7: pad.still: unknown key; did you mean "still_s"?'),
        ("pad:\n  check: passive\n  still_s: 1\n", "config.yaml:7: pad.still_s"),
        ("pad: {check: onnx, looks: 0}\n", "pad.looks"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(
    lesson: Path, capsys: pytest.CaptureFixture[str], pad: str, words: str
) -> None:
    (lesson / "config.yaml").write_text("engine: painted\nplugins_folder: extensions\ngallery: g.pickle\n\n" + pad)
    assert main(["config", "check"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("pad", "states"), [("", ("off", "off")), ("pad: {check: passive}\n", ("on", "off"))])
def test_the_checks_are_listed(
    lesson: Path, capsys: pytest.CaptureFixture[str], pad: str, states: tuple[str, str]
) -> None:
    (lesson / "config.yaml").write_text("plugins_folder: extensions\n" + pad)
    assert main(["plugins", "list", "--json"]) == 0
    listed = {(each["kind"], each["name"]): each["state"] for each in json.loads(capsys.readouterr().out)}
    assert (listed["pad", "passive"], listed["pad", "onnx"]) == states
    assert listed["pad", "failing"] == "off"
