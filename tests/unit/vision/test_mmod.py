"""The MMOD detector finds what dlib's finds, where dlib finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.geometry import iou
from optimind.plugin_api import Image
from optimind.testing.engines import blank
from optimind.vision import _mmod
from optimind.vision._dlib_files import DETECTOR
from optimind.vision._dlib_graphs import detector_graph
from optimind.vision._dlib_weights import Windows, read_network
from optimind.vision._mmod import Mmod
from optimind.weights.sessions import open_session

SAME = 0.8


@pytest.fixture(scope="module")
def detector() -> Mmod:
    network = read_network(DETECTOR.read(), DETECTOR.name)
    assert network.windows is not None
    return Mmod(open_session(detector_graph(network), threads=None), network.windows)


def _pictures(shared: Path) -> list[Image]:
    """Portraits, groups, and pictures with nobody in them; the large ones made smaller: dlib needs seconds for them."""
    portraits = sorted((shared / "data" / "faces").glob("*/*.jpg"))[::400]
    photographs = sorted((shared / "data" / "photos").glob("*.jpg"))[::2]
    pictures = []
    for path in [*portraits, *photographs]:
        picture = cv2.imread(str(path))
        assert picture is not None
        scale = min(1.0, 300 / max(picture.shape[:2]))
        smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(smaller, dtype=np.uint8))
    # A face that the border cuts.
    return [*pictures, pictures[0][:, 110:].copy(), pictures[1][70:].copy()]


def test_the_boxes_are_dlibs(shared: Path, detector: Mmod) -> None:
    dlib = pytest.importorskip("dlib")
    model = dlib.cnn_face_detection_model_v1(str(DETECTOR.path()))
    all_theirs = all_found = 0
    for picture in _pictures(shared):
        found, confidence = detector.detect(picture)
        answer = model(np.ascontiguousarray(picture[:, :, ::-1]), 0)
        theirs = np.array(
            [(one.rect.left(), one.rect.top(), one.rect.right(), one.rect.bottom()) for one in answer], dtype=float
        ).reshape(-1, 4)
        overlap = iou(theirs, found)
        all_theirs += len(theirs)
        all_found += int((overlap.max(axis=1, initial=0) >= SAME).sum())
        assert len(found) == len(theirs)
        # The surest first, as dlib has them.
        assert np.allclose(confidence, [one.confidence for one in answer], atol=0.02)
    assert all_theirs > 15
    assert all_found >= 0.99 * all_theirs


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 7))
def test_no_level_covers_another(width: int, height: int, levels: int) -> None:
    layout = _mmod._few(width, height, levels) if levels else _mmod._layout(width, height)
    low, high = layout.places[:, :2], layout.places[:, :2] + layout.places[:, 2:]
    assert layout.places[0].tolist() == [11, 11, width, height]
    assert (low >= 0).all()
    assert (high <= layout.size).all()
    apart = np.asarray((high[:, None] <= low[None]) | (high[None] <= low[:, None]))
    assert np.asarray(apart.any(axis=2))[~np.eye(len(low), dtype=bool)].all()


@given(st.integers(200, 900), st.integers(200, 900), st.integers(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_a_window_on_the_canvas_leads_back_to_its_place(
    width: int, height: int, level: int, along: float, down: float
) -> None:
    layout = _mmod._layout(width, height)
    x, y, w, h = layout.places[level].tolist()
    middle = np.array([[x + along * (w - 1), y + down * (h - 1)]])
    box = _without_network(_windows())._boxes(middle, layout)[0]
    assert box[2:] - box[:2] == pytest.approx(79 * 1.2**level, abs=1)
    # dlib rounds sizes down at each level, and takes them for exact on the way back.
    expected = np.array([along * (width - 1), down * (height - 1)])
    assert np.abs((box[:2] + box[2:]) / 2 - expected).max() <= 3 + 0.04 * max(width, height)


def _without_network(windows: Windows) -> Mmod:
    session: Any = None
    return Mmod(session, windows)


def _windows(nms_iou: float = 0.3, nms_covered: float = 1.0) -> Windows:
    return Windows(80, 80, nms_iou, nms_covered)


@pytest.mark.parametrize(
    ("boxes", "windows", "kept"),
    [
        ([(0, 0, 9, 9), (0, 0, 9, 9)], _windows(), [1]),
        ([(0, 0, 9, 9), (20, 0, 29, 9)], _windows(), [1, 0]),
        # They share 5 x 10 pixels; the rectangle around both has 15 x 10.
        ([(0, 0, 9, 9), (5, 0, 14, 9)], _windows(0.33), [1]),
        ([(0, 0, 9, 9), (5, 0, 14, 9)], _windows(0.34), [1, 0]),
        ([(0, 0, 1, 1), (0, 0, 99, 99)], _windows(), [1, 0]),
        ([(0, 0, 1, 1), (0, 0, 99, 99)], _windows(nms_covered=0.9), [1]),
        ([], _windows(), []),
    ],
)
def test_the_surer_of_two_that_overlap_stays(boxes: list[tuple[float, ...]], windows: Windows, kept: list[int]) -> None:
    array = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    confidence = np.arange(len(boxes), dtype=np.float64)
    assert _without_network(windows)._surest(array, confidence) == kept


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (4, 4), (29, 29), (640, 360)])
def test_nobody_is_found_in_a_blank_picture(detector: Mmod, size: tuple[int, int]) -> None:
    boxes, confidence = detector.detect(blank(*size))
    assert boxes.shape == (0, 4)
    assert confidence.shape == (0,)


def test_a_lower_threshold_finds_no_less(shared: Path, detector: Mmod) -> None:
    for picture in _pictures(shared)[:4]:
        usual, more = detector.detect(picture), detector.detect(picture, -0.8)
        assert len(more[0]) >= len(usual[0])
        assert (more[1] > -0.8).all()
        assert (usual[1] > 0).all()
        assert (np.diff(more[1]) <= 0).all()


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 9))
def test_a_few_levels_lie_on_the_same_pixels_of_the_networks_grid_and_need_no_more_room(
    width: int, height: int, levels: int
) -> None:
    every, few = _mmod._layout(width, height), _mmod._few(width, height, levels)
    assert len(few.places) >= min(levels, len(every.places))
    moved = few.places - every.places[: len(few.places)]
    assert not (moved[:, :2] % _mmod._STEP_PX).any()
    assert not moved[:, 2:].any()
    assert few.size[0] * few.size[1] <= every.size[0] * every.size[1]
    if levels <= 3 and min(width, height) > 100:
        assert few.size[0] * few.size[1] < 0.75 * every.size[0] * every.size[1]


def test_a_glance_for_small_faces_finds_those_as_it_would_and_is_spared_the_large_ones(
    shared: Path, detector: Mmod
) -> None:
    group = cv2.imread(str(shared / "data" / "photos" / "bald_guys.jpg"))
    assert group is not None
    every = detector.glance(np.asarray(group, np.uint8))[0]
    width = every[:, 2] - every[:, 0]
    largest_px = 1.25 * float(width.min())
    small = every[width <= largest_px]
    few = detector.glance(np.asarray(group, np.uint8), largest_px=largest_px)[0]
    assert len(small) >= 5
    assert (iou(small, few).max(axis=1) >= SAME).all()
    assert len(few) < len(every) / 2
