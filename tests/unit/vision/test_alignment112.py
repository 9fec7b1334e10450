"""Similarities bring points where they belong, and chips show what they should."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimind.plugin_api import Image
from optimind.vision._alignment112 import TEMPLATE_112, align, cut, points_in_box, similarity

ANGLES = st.floats(-math.pi, math.pi)
SCALES = st.floats(0.05, 20.0)
SHIFTS = st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000))


def turned(points: NDArray[np.float64], angle: float, scale: float, shift: tuple[float, float]) -> NDArray[np.float64]:
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(points @ turn.T + shift)


def applied(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


@given(ANGLES, SCALES, SHIFTS)
def test_a_turned_scaled_and_moved_pattern_is_brought_back(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    matrix = similarity(turned(TEMPLATE_112, angle, scale, shift), TEMPLATE_112)
    assert np.allclose(applied(matrix, turned(TEMPLATE_112, angle, scale, shift)), TEMPLATE_112, atol=1e-5)


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=5, max_size=5))
def test_no_other_similarity_is_nearer(points: list[tuple[float, float]]) -> None:
    found = np.array(points)
    matrix = similarity(found, TEMPLATE_112)
    turn = matrix[:, :2]
    assert turn[0, 0] == pytest.approx(turn[1, 1], abs=1e-9)  # no reflection, no shear
    assert turn[0, 1] == pytest.approx(-turn[1, 0], abs=1e-9)
    error = ((applied(matrix, found) - TEMPLATE_112) ** 2).sum()
    for nudge in ([[0.01, 0, 0], [0, 0.01, 0]], [[0, 0.01, 0], [-0.01, 0, 0]], [[0, 0, 0.1], [0, 0, 0]]):
        for way in (1, -1):
            other = ((applied(matrix + way * np.array(nudge), found) - TEMPLATE_112) ** 2).sum()
            assert error <= other + 1e-6 * (1 + other)


def test_points_that_coincide_are_only_moved() -> None:
    matrix = similarity(np.full((5, 2), 7.0), TEMPLATE_112)
    assert np.allclose(matrix[:, :2], np.eye(2))
    assert np.allclose(applied(matrix, np.full((1, 2), 7.0)), TEMPLATE_112.mean(axis=0))


def dotted(points: NDArray[np.float64], width: int, height: int, radius: int) -> Image:
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x * 16), round(y * 16)), radius * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return picture


def middles(chip: Image, count: int = 5) -> NDArray[np.float64]:
    _, _, _, found = cv2.connectedComponentsWithStats((chip[:, :, 0] > 60).astype(np.uint8))
    assert len(found) == count + 1
    return np.asarray(found[1:])


@pytest.mark.parametrize("size_px", [112, 224])
@pytest.mark.parametrize(
    ("scale", "angle", "shift"),
    [(1.0, 0.0, (20, 10)), (0.6, 0.3, (40, 10)), (4.3, -0.4, (50, 300)), (11.7, 0.2, (300, 50))],
)
def test_the_five_points_come_where_networks_expect_them(
    size_px: int, scale: float, angle: float, shift: tuple[float, float]
) -> None:
    landmarks = turned(TEMPLATE_112, angle, scale, shift)
    picture = dotted(landmarks, 1800, 1800, max(2, round(4 * scale)))
    chip = align(picture, landmarks, size_px)
    assert chip.shape == (size_px, size_px, 3)
    wanted = (TEMPLATE_112 + 0.5) * size_px / 112 - 0.5
    distance = np.linalg.norm(middles(chip)[:, None] - wanted, axis=2).min(axis=0)
    assert distance.max() < 0.35 * size_px / 112


def test_a_much_larger_face_is_averaged_not_skipped() -> None:
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 200
    chip = align(stripes, TEMPLATE_112 * 10, 112)
    assert chip[20:-20, 20:-20].min() >= 95
    assert chip[20:-20, 20:-20].max() <= 105


@pytest.mark.parametrize("scale", [0.001, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("shift", [(-1e5, 0.0), (0.0, 0.0), (1e5, 1e5)])
def test_what_lies_beyond_the_picture_is_black(scale: float, shift: tuple[float, float]) -> None:
    picture = np.full((5, 7, 3), 255, np.uint8)
    chip = cut(picture, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), 160)
    assert chip.shape == (160, 160, 3)
    assert (chip[-1] == 0).all() or scale == 30.0


def test_points_are_guessed_inside_the_box() -> None:
    points = points_in_box(np.array([100.0, 200.0, 180.0, 310.0]))
    assert ((points > [100, 200]) & (points < [180, 310])).all()
    assert points[0, 0] < points[2, 0] < points[1, 0]
    assert points[0, 1] < points[2, 1] < points[3, 1]
