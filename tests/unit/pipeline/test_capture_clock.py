"""A camera's time grows whatever small corrections the clock gets; a clock that is set is followed, and said."""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.types import Frame
from optimind.pipeline.camera_clock import CameraClock
from optimind.pipeline.capture import Capture
from optimind.testing.sources import HANG, FakeSource

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def stamps(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return (seconds after START, leap) at steps of (monotonic time, error of the wall clock)."""
    wall = START
    clock = CameraClock(lambda: wall)
    told = []
    for now_s, error_s in steps:
        wall = START + timedelta(seconds=now_s + error_s)
        moment, leap_s = clock.stamp(now_s)
        told.append(((moment - START).total_seconds(), leap_s))
    return told


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(0, 0), (1, 0), (2, 0)], [(0, 0), (1, 0), (2, 0)]),
        ([(0, 0), (1, 3600), (2, 3600)], [(0, 0), (3601, 3600), (3602, 0)]),
        ([(0, 0), (1, -3600), (2, -3600)], [(0, 0), (-3599, -3600), (-3598, 0)]),
        ([(0, 0), (1, 1.5), (2, 1.5)], [(0, 0), (2.5, 0), (3.5, 0)]),
        ([(0, 0), (1, -1.5), (2, -1.5)], [(0, 0), (1e-6, 0), (0.5, 0)]),
        ([(0, 0), (0.1, -1.5), (0.2, -3)], [(0, 0), (1e-6, 0), (-2.8, -2.800001)]),
        ([(0, 0), (3600, 0.5)], [(0, 0), (3600.5, 0)]),
    ],
    ids=["steady", "forward", "back", "a little forward", "a little back", "back bit by bit", "an hour without"],
)
def test_what_a_picture_is_stamped_with(steps: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    assert stamps(steps) == [pytest.approx(pair, abs=1e-6) for pair in expected]


@given(st.lists(st.tuples(st.floats(0.001, 10), st.floats(-5, 5) | st.just(0.0)), min_size=2, max_size=30))
def test_stamps_grow_except_where_a_leap_is_told(changes: list[tuple[float, float]]) -> None:
    steps = list(itertools.accumulate(changes, lambda a, b: (a[0] + b[0], a[1] + b[1])))
    told = stamps(steps)
    for (before_s, _), (now_s, leap_s) in itertools.pairwise(told):
        assert now_s > before_s or leap_s <= -2
    for (now_s, error_s), (stamped_s, _) in zip(steps, told, strict=True):
        assert -0.001 <= stamped_s - (now_s + error_s) < 2.001, "never far from the wall clock"


@pytest.mark.parametrize("leap", [3600, -3600])
def test_a_clock_that_is_set_is_told_once_and_followed(leap: int, caplog: pytest.LogCaptureFixture) -> None:
    # One reading for the beginning of the capture, one a frame.
    readings = iter([START, START, *[START + timedelta(seconds=leap)] * 3])
    source = FakeSource("x", [np.full((4, 4, 3), at, np.uint8) for at in range(4)] + [HANG], live=True, every_s=0.02)
    capture = Capture(source, "door", clock=lambda: next(readings))
    with caplog.at_level(logging.WARNING):
        capture.start()
        frames: list[Frame] = []
        while not frames or frames[-1].index < 3:
            frame = capture.newest(10)
            assert frame is not None
            frames.append(frame)
        capture.stop()
    assert abs((frames[-1].captured_at - START).total_seconds() - leap) < 1
    (record,) = caplog.records
    assert record.getMessage().startswith(f"camera door: the clock leapt by {leap:+d} s")
