"""Faces known by their looks: where they are, and who they are not."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimind.core.types import Image
from optimind.pipeline.patches import Patches

SIDE = 400


def texture(seed: int, size: int) -> NDArray[Any]:
    """Something as uneven as a face, and different for each ``seed``."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def scene(seed: int, left: int, top: int, size: int = 60) -> Image:
    picture = np.full((SIDE, SIDE, 3), 90, np.uint8)
    face = texture(seed, size)[: SIDE - top, : SIDE - left]
    picture[top : top + size, left : left + size] = face
    return picture


def box(left: float, top: float, size: float = 60) -> NDArray[np.float64]:
    return np.array([left, top, left + size, top + size], dtype=np.float64)


def remembered(seed: int = 1, left: int = 150, top: int = 150) -> Patches:
    patches = Patches()
    patches.remember(scene(seed, left, top), [7], [box(left, top)])
    return patches


@given(by_x=st.integers(-17, 17), by_y=st.integers(-17, 17), light=st.integers(-30, 30))
def test_it_is_found_where_it_went_in_another_light(by_x: int, by_y: int, light: int) -> None:
    now = cv2.add(scene(1, 150 + by_x, 150 + by_y), np.full((SIDE, SIDE, 3), abs(light), np.uint8))
    found = remembered().find(np.asarray(now, np.uint8), 7, box(150, 150), 0.3)
    assert found is not None
    assert np.abs(found - box(150 + by_x, 150 + by_y)).max() <= 3


@pytest.mark.parametrize(
    ("number", "picture"),
    [
        (7, scene(2, 150, 150)),
        (7, scene(1, 300, 300)),
        (7, np.full((SIDE, SIDE, 3), 90, np.uint8)),
        (8, scene(1, 150, 150)),
    ],
    ids=["somebody else", "too far away", "nobody", "another track"],
)
def test_what_does_not_look_like_it_is_not_found(number: int, picture: Image) -> None:
    assert remembered().find(picture, number, box(150, 150), 0.3) is None


@pytest.mark.parametrize(
    ("left", "sure"), [(SIDE - 62, True), (SIDE - 40, False), (SIDE - 20, False), (2 * SIDE, False)]
)
def test_at_the_edge_of_the_picture_it_is_not_sure(*, left: int, sure: bool) -> None:
    shown = min(left, SIDE - 1)
    assert (remembered().find(scene(1, shown, 150), 7, box(left, 150), 0.1) is not None) == sure


def test_a_face_that_the_picture_hardly_shows_is_not_remembered() -> None:
    patches = remembered()
    patches.remember(scene(1, 150, 150), [7], [box(SIDE - 5, 100)])
    assert patches.find(scene(1, 150, 150), 7, box(150, 150), 0.3) is None


def test_tracks_that_are_over_are_forgotten() -> None:
    patches = remembered()
    patches.keep({7})
    assert patches.find(scene(1, 150, 150), 7, box(150, 150), 0.3) is not None
    patches.keep({8})
    assert patches.find(scene(1, 150, 150), 7, box(150, 150), 0.3) is None


def test_a_face_grown_by_a_third_is_the_detectors() -> None:
    larger = scene(1, 140, 140, 80)
    assert remembered().find(larger, 7, box(140, 140, 80), 0.3) is None
