"""The five points are dlib's, for any number of faces at once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from optimind.plugin_api import Image
from optimind.vision._dlib_files import LANDMARKS
from optimind.vision._dlib_trees import read_shape_predictor
from optimind.vision._landmarks5 import Landmarks5


@pytest.fixture(scope="module")
def landmarks() -> Landmarks5:
    return Landmarks5(read_shape_predictor(LANDMARKS.read(), LANDMARKS.name))


@pytest.fixture(scope="module")
def mosaic(shared: Path) -> Image:
    """40 portraits of 250 x 250 pixels in rows of eight."""
    paths = sorted((shared / "data" / "faces").glob("*/*.jpg"))[::150][:40]
    rows = np.array([cv2.imread(str(path)) for path in paths], dtype=np.uint8).reshape(5, 8, 250, 250, 3)
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4).reshape(1250, 2000, 3))


def _boxes(count: int) -> NDArray[np.intp]:
    corners = np.array([(x * 250 + 70, y * 250 + 70) for y in range(5) for x in range(8)])[:count]
    moved = np.random.default_rng(4).integers(-12, 12, (count, 4))
    return np.hstack([corners, corners + 110]) + moved


def _theirs(image: Image, boxes: NDArray[np.intp]) -> NDArray[np.intp]:
    dlib = pytest.importorskip("dlib")
    predictor = dlib.shape_predictor(str(LANDMARKS.path()))
    rgb = np.ascontiguousarray(image[:, :, ::-1])
    shapes = [predictor(rgb, dlib.rectangle(*box)) for box in boxes.tolist()]
    return np.array([[(part.x, part.y) for part in shape.parts()] for shape in shapes])


def test_they_are_dlibs(landmarks: Landmarks5, mosaic: Image) -> None:
    boxes = _boxes(40)
    whole = np.floor(landmarks.find(mosaic, boxes) + 0.5)
    theirs = _theirs(mosaic, boxes)
    assert np.abs(whole - theirs).max() <= 1
    assert (whole == theirs).mean() > 0.99


@pytest.mark.parametrize(
    "box",
    [(-40, -40, 60, 60), (1900, 1150, 2100, 1350), (0, 0, 1, 1), (-5000, 30, -4900, 130), (-300, -300, 2300, 1550)],
    ids=["corner", "other corner", "one pixel", "far outside", "around"],
)
def test_they_are_dlibs_at_the_border(landmarks: Landmarks5, mosaic: Image, box: tuple[int, ...]) -> None:
    boxes = np.array([box])
    assert np.abs(np.floor(landmarks.find(mosaic, boxes) + 0.5) - _theirs(mosaic, boxes)).max() <= 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 33, 40])
def test_a_face_gives_the_same_alone_and_among_others(landmarks: Landmarks5, mosaic: Image, count: int) -> None:
    boxes = _boxes(count)
    together = landmarks.find(mosaic, boxes)
    assert together.shape == (count, 5, 2)
    alone = [landmarks.find(mosaic, box[None])[0] for box in boxes]
    assert count == 0 or np.abs(together - np.array(alone)).max() < 1e-3


def test_a_view_of_another_picture_is_accepted(landmarks: Landmarks5, mosaic: Image) -> None:
    boxes = _boxes(9)
    mirrored = mosaic[:, ::-1]
    assert np.array_equal(landmarks.find(mirrored, boxes), landmarks.find(np.ascontiguousarray(mirrored), boxes))
