"""What OpenCV hands over becomes BGR uint8 with times that only grow."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.sources._opencv import to_bgr
from optimind.sources.file import FileSource


@pytest.mark.parametrize(
    ("picture", "corner"),
    [
        (np.full((4, 6), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 6, 1), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 6, 3), (1, 2, 3), np.uint8), [1, 2, 3]),
        (np.full((4, 6, 4), (1, 2, 3, 255), np.uint8), [1, 2, 3]),
        (np.full((4, 6), 0x0A00, np.uint16), [10, 10, 10]),
        (np.full((4, 12, 3), (1, 2, 3), np.uint8)[:, ::2], [1, 2, 3]),
    ],
)
def test_any_picture_becomes_bgr(picture: np.ndarray[Any, Any], corner: list[int]) -> None:
    image = to_bgr(picture)
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image[0, 0].tolist() == corner


@given(
    told=st.lists(st.floats() | st.floats(0, 100), min_size=1, max_size=50),
    frames=st.integers(0, 2000),
    fps=st.floats(0.5, 240),
)
def test_positions_grow_whatever_the_file_says(told: list[float], frames: int, fps: float) -> None:
    source = FileSource("door", "x.mp4")
    source._fps, source._expected = fps, frames
    positions = []
    for at, told_s in enumerate(told):
        source._position_s = source._next_position_s(told_s, at)
        positions.append(source._position_s)
    assert positions[0] >= 0
    assert all(a < b for a, b in itertools.pairwise(positions))
    assert all(np.isfinite(positions))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([0, 40, 120, 130], [0, 0.04, 0.12, 0.13]),  # variable frame rate
        ([0, 0, 0, 0], [0, 0.1, 0.2, 0.3]),  # no time stamps
        ([0, 100, 0, 100, 400], [0, 0.1, 0.2, 0.3, 0.4]),  # two files joined
        ([0, 100, 9e7, 300], [0, 0.1, 0.2, 0.3]),  # a leap of a day
    ],
)
def test_where_a_frame_stands(told: list[float], expected: list[float]) -> None:
    source = FileSource("door", "x.mp4")
    source._fps, source._expected = 10, 50
    got = []
    for at, told_ms in enumerate(told):
        source._position_s = source._next_position_s(told_ms / 1000, at)
        got.append(source._position_s)
    assert got == pytest.approx(expected)
