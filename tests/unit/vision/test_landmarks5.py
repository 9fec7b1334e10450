"""The five points are dlib's, for any number of faces at once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from optimind.plugin_api import Image
from optimind.vision._dlib_files import LANDMARKS
from optimind.vision._dlib_trees import ShapePredictor, read_shape_predictor
from optimind.vision._landmarks5 import _MEAN_COLOUR, Landmarks5, _Cascade, _leaf


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


def _found(landmarks: Landmarks5, image: Image, boxes: NDArray[np.intp]) -> NDArray[np.float64]:
    return landmarks.find([(image, boxes)])[0]


def _theirs(image: Image, boxes: NDArray[np.intp]) -> NDArray[np.intp]:
    dlib = pytest.importorskip("dlib")
    predictor = dlib.shape_predictor(str(LANDMARKS.path()))
    rgb = np.ascontiguousarray(image[:, :, ::-1])
    shapes = [predictor(rgb, dlib.rectangle(*box)) for box in boxes.tolist()]
    return np.array([[(part.x, part.y) for part in shape.parts()] for shape in shapes])


def test_they_are_dlibs(landmarks: Landmarks5, mosaic: Image) -> None:
    boxes = _boxes(40)
    whole = np.floor(_found(landmarks, mosaic, boxes) + 0.5)
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
    assert np.abs(np.floor(_found(landmarks, mosaic, boxes) + 0.5) - _theirs(mosaic, boxes)).max() <= 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 33, 40])
def test_a_face_gives_the_same_alone_and_among_others(landmarks: Landmarks5, mosaic: Image, count: int) -> None:
    boxes = _boxes(count)
    together = _found(landmarks, mosaic, boxes)
    assert together.shape == (count, 5, 2)
    alone = [_found(landmarks, mosaic, box[None])[0] for box in boxes]
    assert count == 0 or np.abs(together - np.array(alone)).max() < 1e-3


@pytest.mark.parametrize("counts", [(1, 1), (0, 3, 0, 1), (20, 0, 20, 5), (40, 40), ()])
def test_faces_of_several_pictures_are_those_of_each(
    landmarks: Landmarks5, mosaic: Image, counts: tuple[int, ...]
) -> None:
    pictures = [(np.ascontiguousarray(mosaic[number:]), _boxes(count)) for number, count in enumerate(counts)]
    # One that is given twice, and one that OpenCV cannot look pixels up in at once.
    pictures += [pictures[0], (np.zeros((20, 40_000, 3), np.uint8), _boxes(2))] if pictures else []
    together = landmarks.find(pictures)
    assert [points.shape for points in together] == [(len(boxes), 5, 2) for _, boxes in pictures]
    for points, picture in zip(together, pictures, strict=True):
        assert np.array_equal(points, landmarks.find([picture])[0])


def test_a_view_of_another_picture_is_accepted(landmarks: Landmarks5, mosaic: Image) -> None:
    boxes = _boxes(9)
    mirrored = mosaic[:, ::-1]
    theirs = _found(landmarks, np.ascontiguousarray(mirrored), boxes)
    assert np.array_equal(_found(landmarks, mirrored, boxes), theirs)


@pytest.mark.parametrize("side", ["wide", "high"])
def test_a_picture_larger_than_opencv_looks_pixels_up_in(landmarks: Landmarks5, mosaic: Image, side: str) -> None:
    portrait, boxes = mosaic[:250, :250], _boxes(1)
    before = np.zeros((250, 40_000, 3) if side == "wide" else (40_000, 250, 3), dtype=np.uint8)
    axis, shift = (1, (40_000, 0)) if side == "wide" else (0, (0, 40_000))
    large = np.concatenate([before, portrait], axis=axis)
    outside = np.array([[-500, -500, -400, -400]])
    found = _found(landmarks, large, np.vstack([boxes + np.tile(shift, 2), outside]))
    alone = np.concatenate([_found(landmarks, portrait, boxes) + shift, _found(landmarks, portrait, outside)])
    assert np.abs(found - alone).max() < 1e-6


def test_the_leaf_is_the_one_that_a_walk_down_the_tree_reaches() -> None:
    random, trees, pixels, faces = np.random.default_rng(8), 40, 30, 8
    predictor = ShapePredictor(
        mean_shape=np.zeros((5, 2), np.float32),
        anchors=np.zeros((1, pixels), np.uint8),
        deltas=np.zeros((1, pixels, 2), np.float32),
        first=random.integers(0, pixels, (1, trees, 15)).astype(np.uint16),
        second=random.integers(0, pixels, (1, trees, 15)).astype(np.uint16),
        threshold=random.integers(-100, 101, (1, trees, 15)).astype(np.int16),
        leaves=random.random((1, trees, 16, 10)).astype(np.float32),
    )
    brightness = random.integers(0, 256, (pixels, faces))
    expected = np.zeros((trees, faces, 10), np.float32)
    for tree in range(trees):
        for face in range(faces):
            node = 0
            while node < 15:
                first, second = predictor.first[0, tree, node], predictor.second[0, tree, node]
                left = brightness[first, face] - brightness[second, face] > predictor.threshold[0, tree, node]
                node = 2 * node + (1 if left else 2)
            expected[tree, face] = predictor.leaves[0, tree, node - 15]
    cascade = _Cascade.prepared(predictor, 0)
    numbers = np.arange(256)[:, None].repeat(faces, axis=1)
    brighter, darker, by_more_than = np.vstack([brightness, numbers])[cascade.compared]
    yes = (brighter - darker > by_more_than).astype(np.uint8)
    leaf = _leaf(yes.reshape(15, -1)).reshape(trees, faces)
    assert np.array_equal(cascade.leaves[leaf + 16 * np.arange(trees)[:, None]], expected)


def test_the_brightness_is_cut_off_as_dlibs() -> None:
    sums = np.arange(766)
    blue = np.minimum(sums, 255)
    green = np.minimum(sums - blue, 255)
    colours = np.stack([blue, green, sums - blue - green], axis=1).astype(np.uint8)[None]
    assert np.array_equal(cv2.transform(colours, _MEAN_COLOUR).ravel(), sums // 3)


def test_leaves_are_added_in_the_order_of_the_trees() -> None:
    random = np.random.default_rng(9)
    rows = (random.normal(size=(501, 320)) * 10.0 ** random.integers(-4, 3, (501, 320))).astype(np.float32)
    total = rows[0].copy()
    for row in rows[1:]:
        total += row
    assert np.array_equal(cv2.reduce(rows, 0, cv2.REDUCE_SUM)[0], total)
