"""`python -m demo`, as `make demo` calls it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from demo.portraits import write_photographs
from demo.scene import frames
from optimind.core.types import Vectors


@pytest.fixture(scope="module")
def library() -> Any:
    """The face_recognition library: where its models' package may not warn, it takes them for absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("face_recognition")


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory, library: Any) -> Vectors:
    """The encodings of the three photographs: (3, 128)."""
    paths = write_photographs(tmp_path_factory.mktemp("demo") / "Grace_Hopper")
    return np.array([library.face_encodings(library.load_image_file(str(path)))[0] for path in paths])


def test_the_scene_is_easy_for_the_library_itself(enrolled: Vectors, library: Any) -> None:
    """So that a demo that fails says something of OptiMind and not of the scene."""
    found = []
    for index, frame in enumerate(frames(fps=1)):
        picture = np.ascontiguousarray(frame[:, :, ::-1])
        boxes = library.face_locations(picture)
        encodings = library.face_encodings(picture, boxes)
        nearest = sorted(float(np.linalg.norm(enrolled - encoding, axis=1).min()) for encoding in encodings)
        found.append((index, nearest))
    together = [nearest for at_s, nearest in found if at_s >= 7]
    assert found[0][1] == []
    assert [len(nearest) for nearest in together] == [2] * len(together)
    assert all(first < 0.3 and second > 0.6 for first, second in together)


def test_the_same_call_gives_the_same_pictures() -> None:
    for one, other in zip(frames(seconds=1, fps=2), frames(seconds=1, fps=2), strict=True):
        assert np.array_equal(one, other)


def test_the_demo_prints_the_right_register(repository: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(repository), "PIP_NO_INDEX": "1"}
    command = [sys.executable, "-m", "demo"]
    answer = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=280)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    steps = [line for line in answer.stdout.splitlines() if line.startswith("$ ")]
    assert [step.split()[3] for step in steps] == ["check", "encode", "run", "attendance"]
    register = answer.stdout.rpartition("$ ")[2]
    assert "Grace Hopper" in register
    assert "present" in register
    assert "Collins" not in register
    assert "The register is right: Grace Hopper is present, the stranger is not in it" in answer.stdout
    picture = cv2.imread(str(repository / "demo" / "output" / "frame.png"))
    assert picture is not None
    assert picture.shape == (720, 1280, 3)
