"""The filter that says where a face goes: against the same filter written with matrices, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimind.core import kalman
from optimind.core.kalman import Motion

LONGEST_S = kalman._LONGEST_S
Looks = list[tuple[float, tuple[float, float], float]]
"""Seconds since the look before, where the middle was, and the size."""

looks_of = st.lists(
    st.tuples(
        st.floats(0.0, 2.5),
        st.tuples(st.floats(-500, 2500), st.floats(-500, 2500)),
        st.floats(15, 400),
    ),
    max_size=12,
)


def begun(middle: tuple[float, float] = (100.0, 50.0), size: float = 80.0) -> Motion:
    return Motion(np.array(middle), size)


def seen(motion: Motion, looks: Looks) -> Motion:
    for seconds, middle, size in looks:
        motion.see(np.array(middle), size, seconds)
    return motion


class Reference:
    """State (place and speed, of both axes) in pixels, its covariance in face sizes, with matrices.

    A speed fades in a prediction, and its covariance does not: nobody knows when it will.
    """

    def __init__(self, middle: tuple[float, float], size: float) -> None:
        self.state = np.array([middle, (0.0, 0.0)])
        self.covariance = np.diag([kalman.DETECTION_NOISE**2, kalman.FIRST_SPEED**2])
        self.size = size
        self.surprise = 0.0

    def predicted(self, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        t = min(seconds, LONGEST_S)
        step = np.array([[1.0, t], [0.0, 1.0]])
        speed = float(np.hypot(*self.state[1])) / self.size
        moving = max(0.0, speed - kalman.SWAY)
        noise = kalman.ACCELERATION + kalman.OF_SPEED * moving + kalman.OF_SURPRISE * self.surprise
        added = noise**2 * np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        fading = np.array([[1.0, kalman._CARRIED_S * (1 - np.exp(-seconds / kalman._CARRIED_S))], [0.0, 1.0]])
        return fading @ self.state, step @ self.covariance @ step.T + added

    def see(self, middle: tuple[float, float], size: float, seconds: float) -> None:
        state, covariance = self.predicted(seconds)
        off = np.array(middle) - state[0]
        gain = covariance[:, 0] / (covariance[0, 0] + kalman.DETECTION_NOISE**2)
        self.state = state + np.outer(gain, off)
        self.covariance = (np.eye(2) - np.outer(gain, [1.0, 0.0])) @ covariance
        self.surprise = max(kalman._MEMORY * self.surprise, float(np.hypot(*off)) / self.size)
        self.size = size


@given(looks=looks_of, ahead_s=st.floats(0, 3))
def test_it_is_the_filter_of_the_books(looks: Looks, ahead_s: float) -> None:
    motion, reference = begun(), Reference((100.0, 50.0), 80.0)
    for seconds, middle, size in looks:
        reference.see(middle, size, seconds)
        motion.see(np.array(middle), size, seconds)
    state, covariance = reference.predicted(ahead_s)
    np.testing.assert_allclose(motion.middle_after(ahead_s), state[0], rtol=1e-6, atol=1e-4)
    assert motion.spread_after(ahead_s) == pytest.approx(motion.size * np.sqrt(covariance[0, 0]), rel=1e-5)


@given(looks=looks_of)
def test_its_doubt_is_always_possible_and_never_below_nothing(looks: Looks) -> None:
    motion = seen(begun(), looks)
    assert motion.place > 0
    assert motion.speed > 0
    assert motion.both**2 < motion.place * motion.speed
    assert motion.place <= kalman.DETECTION_NOISE**2 * 1.001  # a float knows no more where somebody flies


@given(looks=looks_of, aheads_s=st.lists(st.floats(-5, 10), min_size=2, max_size=2))
def test_its_place_becomes_less_sure_but_not_for_ever(looks: Looks, aheads_s: list[float]) -> None:
    motion = seen(begun(), looks)
    sooner, later = (motion.spread_after(seconds) for seconds in sorted(aheads_s))
    assert sooner <= later
    assert motion.spread_after(LONGEST_S) == motion.spread_after(LONGEST_S + 9)


@given(looks=looks_of, aheads_s=st.lists(st.floats(-5, 100), min_size=2, max_size=2))
def test_nobody_goes_on_as_they_went_for_long(looks: Looks, aheads_s: list[float]) -> None:
    motion = seen(begun(), looks)
    speed = float(np.hypot(*motion.velocity))
    sooner, later = (float(np.hypot(*(motion.middle_after(s) - motion.middle))) for s in sorted(aheads_s))
    assert sooner <= later + 1e-6
    assert later <= speed * min(max(*aheads_s, 0), kalman._CARRIED_S) + 1e-6


@given(looks=looks_of, factor=st.floats(0.2, 5), shift=st.tuples(st.floats(-900, 900), st.floats(-900, 900)))
def test_who_is_nearer_only_moves_more_pixels(looks: Looks, factor: float, shift: tuple[float, float]) -> None:
    here = seen(begun(), looks)
    there = Motion(np.array([100.0, 50.0]) * factor + shift, 80.0 * factor)
    for seconds, middle, size in looks:
        there.see(np.array(middle) * factor + shift, size * factor, seconds)
    np.testing.assert_allclose(there.middle_after(0.4), here.middle_after(0.4) * factor + shift, rtol=1e-6, atol=1e-4)
    assert there.spread_after(0.4) == pytest.approx(here.spread_after(0.4) * factor, rel=1e-6)


@pytest.mark.parametrize("every_s", [0.1, 0.35, 1.0])
def test_who_walks_is_expected_ahead(every_s: float) -> None:
    motion = begun((0.0, 0.0))
    for step in range(1, 9):
        motion.see(np.array([120.0, -40.0]) * step * every_s, 80, every_s)
    # At the next look they are where they go, however far apart the looks are; half-way they are not far from it.
    for part, off in ((1.0, 0.05), (0.5, 0.6)):
        where = np.array([120.0, -40.0]) * (8 + part) * every_s
        np.testing.assert_allclose(motion.middle_after(part * every_s), where, atol=off * 80)


def test_who_stops_is_not_expected_far_ahead() -> None:
    motion = begun((0.0, 0.0))
    for step in range(1, 9):
        motion.see(np.array([12.0, 0.0]) * step, 80, 0.1)
    last = np.array([96.0, 0.0])
    # At 120 pixels a second; a constant velocity would have it two faces further after 1.33 s.
    assert np.hypot(*(motion.middle_after(1.33) - last)) < 0.7 * 80
    assert np.hypot(*(motion.middle_after(0.1) - last)) > 0.1 * 80


def test_who_stands_becomes_surer_than_one_look_and_their_shaking_is_smoothed() -> None:
    motion = begun((0.0, 0.0))
    shake = kalman.DETECTION_NOISE * 80
    noise = np.random.default_rng(3).normal(0, shake, (200, 2))
    middles = []
    for off in noise:
        motion.see(off, 80, 0.35)
        middles.append(motion.middle.copy())
    assert motion.spread_after(0) < shake
    assert np.std(middles[20:]) < np.std(noise[20:])
    assert motion.spread_after(0.35) < begun().spread_after(0.35)


def test_time_does_not_go_back() -> None:
    motion = seen(begun(), [(0.5, (140.0, 50.0), 80.0)])
    np.testing.assert_array_equal(motion.middle_after(-3), motion.middle)
    assert motion.spread_after(-3) == motion.spread_after(0)
    earlier = seen(begun(), [(0.5, (140.0, 50.0), 80.0), (-2.0, (142.0, 50.0), 80.0)])
    at_once = seen(begun(), [(0.5, (140.0, 50.0), 80.0), (0.0, (142.0, 50.0), 80.0)])
    np.testing.assert_array_equal(earlier.middle, at_once.middle)
    np.testing.assert_array_equal(earlier.velocity, at_once.velocity)


def test_two_motions_share_nothing() -> None:
    one, other = begun(), begun()
    one.see(np.array([130.0, 50.0]), 80, 0.2)
    assert one.velocity[0] > 0
    assert not other.velocity.any()
