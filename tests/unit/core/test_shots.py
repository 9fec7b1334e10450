"""Which pictures of a track are kept, and which are worth embedding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.shots import GOOD, BestShots, Shot, quality_of

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def shot(second: float, quality: float) -> Shot:
    return Shot(START + timedelta(seconds=second), np.array([second]), quality)


def filled(*shots: tuple[float, float], least: int = 3, most: int = 8) -> BestShots:
    kept = BestShots(least=least, most=most)
    for second, quality in shots:
        kept.add(shot(second, quality))
    return kept


def seconds(shots: BestShots) -> list[float]:
    return [float(kept.vector[0]) for kept in shots]


def one(px: float, sharpness: float, frontality: float | None = None) -> float:
    pose = None if frontality is None else np.array([frontality])
    return float(quality_of(np.array([px]), np.array([sharpness]), pose)[0])


@pytest.mark.parametrize(
    ("px", "sharpness", "frontality", "least", "most"),
    [
        (100, 0.16, None, 0.98, 1.0),
        (100, 0.16, 1.0, 0.98, 1.0),
        (45, 0.10, None, 0.95, 0.98),
        (30, 0.068, None, 0.82, 0.89),
        (20, 0.040, None, 0.54, 0.70),
        (100, 0.016, None, 0.48, 0.70),
        (100, 0.16, 0.5, 0.88, 0.92),
        (100, 0.16, 0.0, 0.0, 0.0),
        (0, 0.16, 1.0, 0.0, 0.0),
        (100, 0.0, 1.0, 0.0, 0.0),
    ],
)
def test_quality_is_what_was_measured(
    px: float, sharpness: float, frontality: float | None, least: float, most: float
) -> None:
    assert least <= one(px, sharpness, frontality) <= most


faces = st.tuples(st.floats(0, 1000), st.floats(0, 3), st.floats(0, 1))


@given(faces, faces)
def test_quality_rises_with_each_of_the_three(
    face: tuple[float, float, float], more: tuple[float, float, float]
) -> None:
    larger = [max(pair) for pair in zip(face, more, strict=True)]
    assert 0 <= one(*face) <= one(*larger) + 1e-12 <= 1 + 1e-12


def test_nobody_has_no_quality() -> None:
    assert quality_of(np.empty(0), np.empty(0), None).shape == (0,)


@pytest.mark.parametrize(
    ("kept", "quality", "second", "wanted"),
    [
        ((), 0.1, 0, True),
        (((0, 0.2), (0.1, 0.2)), 0.1, 0.2, True),  # the first ones as they come
        (((0, 0.2), (0.1, 0.2), (0.2, 0.2)), 0.25, 0.3, False),
        (((0, 0.2), (0.1, 0.2), (0.2, 0.2)), 0.35, 0.3, True),  # much better than one of the same second
        (((0, 0.2), (0.1, 0.2), (0.2, 0.2)), 0.1, 1.2, True),  # a second later
        (((0, 0.2), (0.1, 0.2), (0.2, 0.2)), GOOD, 0.3, True),  # the first good one
        (((0, 0.9), (0.1, 0.9), (0.2, 0.9)), 0.5, 5, False),  # enough is known from good ones
        (((0, 0.9), (0.1, 0.9), (0.2, 0.9)), 0.7, 5, True),
        (tuple((s, 0.7) for s in range(8)), 0.75, 20, False),  # no room, and not much better
        (tuple((s, 0.7) for s in range(8)), 0.85, 20, True),
        (tuple((s, 0.2) for s in range(8)), 0.25, 20, False),
        (tuple((s, 0.2) for s in range(8)), 0.65, 20, True),
    ],
)
def test_what_is_worth_embedding(
    kept: tuple[tuple[float, float], ...], quality: float, second: float, wanted: bool
) -> None:
    assert filled(*kept).wants(quality, START + timedelta(seconds=second)) is wanted


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        ([(0, 0.9), (0.2, 0.9), (0.4, 0.9), (0.6, 0.95)], [0.2, 0.4, 0.6]),  # the better one of the same second
        ([(0, 0.9), (0.2, 0.9), (0.4, 0.9), (0.6, 0.8)], [0, 0.2, 0.4]),
        ([(0, 0.9), (2, 0.7), (4, 0.9), (6, 0.9), (8, 0.9)], [0, 4, 6, 8]),  # the poorest has to go
        ([(0, 0.9), (2, 0.9), (4, 0.9), (6, 0.9), (8, 0.7)], [0, 2, 4, 6]),
        ([(0, 0.9), (2, 0.9), (4, 0.9), (6, 0.9), (8, 0.9)], [2, 4, 6, 8]),  # of equals the oldest
        (
            [(0, 0.75), (150, 0.7), (152, 0.7), (154, 0.7), (200, 0.7)],
            [150, 152, 154, 200],
        ),  # what is long ago counts less
        ([(0, 0.9), (2, 0.9), (4, 0.9), (6, 0.9), (900, 0.3)], [0, 2, 4, 6]),  # a poor one takes no good one's place
        ([(0, 0.3), (0.2, 0.3), (0.4, 0.3), (0.6, 0.3), (0.8, 0.7), (1, 0.7)], [0.2, 0.4, 0.8, 1]),
    ],
)
def test_what_is_kept(kept: list[tuple[float, float]], left: list[float]) -> None:
    assert seconds(filled(*kept, most=4)) == left


@pytest.mark.parametrize(
    ("kept", "good", "counted"),
    [
        ([(0, 0.3), (0.5, 0.3), (1, 0.9), (2, 0.9)], False, [0, 0.5, 1, 2]),
        ([(0, 0.3), (0.5, 0.3), (1, 0.9), (2, 0.9), (3, 0.9)], True, [1, 2, 3]),
        ([(0, GOOD), (0.5, GOOD)], False, [0, 0.5]),
        ([(0, GOOD), (0.5, GOOD), (1, GOOD)], True, [0, 0.5, 1]),
    ],
)
def test_poor_shots_count_as_long_as_there_are_not_enough_good_ones(
    kept: list[tuple[float, float]], good: bool, counted: list[float]
) -> None:
    shots = filled(*kept)
    assert shots.are_good is good
    assert shots.vectors()[:, 0].tolist() == counted


looks = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=60)


@given(looks, st.integers(1, 4), st.integers(0, 6))
def test_it_is_bounded_in_order_and_never_loses_what_names_somebody(
    steps: list[tuple[float, float]], least: int, more: int
) -> None:
    shots, second, was_good = BestShots(least=least, most=least + more), 0.0, False
    for step, quality in steps:
        second += step
        shots.add(shot(second, quality))
        assert len(shots) <= least + more
        assert [kept.at for kept in shots] == sorted(kept.at for kept in shots)
        assert shots.are_good or not was_good
        was_good = shots.are_good
