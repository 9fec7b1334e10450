"""From measured rates to a limit and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.calibration import Calibration, distances, false_match_rate_for

COHORT = np.random.default_rng(0).normal(0, 0.1, (60, 8))


def calibration(
    rates: object = (1e-5, 1e-3, 0.1), limits: object = (-3.0, -1.0, 3.0), apart: float = 0.8
) -> Calibration:
    return Calibration(COHORT, np.array(rates, dtype=np.float64), np.array(limits, dtype=np.float64), apart)


@pytest.mark.parametrize(
    ("rate", "limit"), [(1e-5, -3.0), (1e-3, -1.0), (0.1, 3.0), (1e-4, -2.0), (1e-6, -4.0), (1.0, 5.0)]
)
def test_between_and_beyond_what_was_measured(rate: float, limit: float) -> None:
    assert calibration().limit_at(rate) == pytest.approx(limit)
    assert calibration().false_match_rate(limit) == pytest.approx(rate)


def test_the_rate_never_exceeds_one_nor_leaves_the_numbers() -> None:
    assert calibration().false_match_rate(1e6) == 1.0
    assert calibration().fpir(1e6, 7) == 1.0
    assert 0 < calibration().false_match_rate(-1e6) < 1e-300


@pytest.mark.parametrize(("fpir", "people", "rate"), [(0.01, 1, 0.01), (0.19, 2, 0.1), (0.001, 1000, 1.0005e-6)])
def test_the_rate_of_one_comparison(fpir: float, people: int, rate: float) -> None:
    assert false_match_rate_for(fpir, people) == pytest.approx(rate, rel=1e-3)


@given(fpir=st.floats(1e-6, 0.5), people=st.integers(1, 100_000))
def test_the_limit_for_a_gallery_lets_that_many_strangers_in(fpir: float, people: int) -> None:
    found = calibration()
    assert found.fpir(found.limit_for(fpir, people), people) == pytest.approx(fpir, rel=1e-6)


@given(one=st.floats(1e-6, 0.4), more=st.floats(1.01, 1.2), people=st.integers(1, 10_000))
def test_more_people_and_a_stricter_wish_lower_the_limit(one: float, more: float, people: int) -> None:
    found = calibration()
    assert found.limit_for(one, people) < found.limit_for(one * more, people)
    assert found.limit_for(one, people + 1) < found.limit_for(one, people)


@pytest.mark.parametrize(
    ("rates", "limits", "apart", "said"),
    [
        ((0.1,), (0.0,), 0.8, "2 or more"),
        ((0.1, 0.01), (0.0, 1.0), 0.8, "rates must rise"),
        ((0.0, 0.01), (0.0, 1.0), 0.8, "above 0"),
        ((0.01, 0.1), (1.0, 1.0), 0.8, "limits must rise"),
        ((0.01, 0.1), (float("nan"), 1.0), 0.8, "limits must rise"),
        ((0.01, 0.1), (0.0, 1.0), 0.0, "strangers_apart"),
    ],
)
def test_nonsense_is_refused(rates: object, limits: object, apart: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        calibration(rates, limits, apart)


@pytest.mark.parametrize("more", [{"own_spread": -0.1}, {"fused_gain": -0.1}, {"fused_gain": float("nan")}])
def test_a_negative_spread_is_refused(more: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Calibration(COHORT, np.array([0.1, 1.0]), np.array([0.0, 1.0]), 1.0, **more)


def test_a_cohort_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="a cohort needs"):
        Calibration(COHORT[:1], np.array([0.1, 1.0]), np.array([0.0, 1.0]), 1.0)


@pytest.mark.parametrize(
    ("samples", "gain"),
    [
        pytest.param([[0.0] * 8], 0.0, id="one"),
        pytest.param([[0.0] * 8] * 8, 0.0, id="the same eight times"),
        pytest.param([[0.3, *[0.0] * 7], [-0.3, *[0.0] * 7], [0.0] * 8], 0.5, id="three as of different days"),
        pytest.param([[3.0, *[0.0] * 7], [-3.0, *[0.0] * 7], [0.0] * 8], 0.5, id="never more than was measured"),
        pytest.param([[0.3, *[0.0] * 7], [-0.3, *[0.0] * 7]] * 50, 0.5, id="nor with many"),
        pytest.param([[0.15, *[0.0] * 7], [-0.15, *[0.0] * 7], [0.0] * 8], 0.125, id="half the spread, a quarter"),
    ],
)
def test_samples_that_differ_may_lie_further(samples: list[list[float]], gain: float) -> None:
    told = Calibration(COHORT, np.array([0.001, 0.1]), np.array([-3.0, 2.0]), 0.8, own_spread=0.3, fused_gain=0.5)
    assert told.gain_of(np.array(samples)) == pytest.approx(gain)
    assert calibration().gain_of(np.array(samples)) == 0.0


def test_the_level_is_that_of_the_nearest_25() -> None:
    vectors = np.random.default_rng(1).normal(0, 0.1, (5, 8))
    mean, deviation = calibration().level(vectors)
    for row, vector in enumerate(vectors):
        nearest = np.sort(np.linalg.norm(COHORT - vector, axis=1))[:25]
        assert mean[row] == pytest.approx(nearest.mean())
        assert deviation[row] == pytest.approx(nearest.std())


def test_distances_are_euclidean() -> None:
    one, other = COHORT[:7], COHORT[7:20]
    assert distances(one, other) == pytest.approx(np.linalg.norm(one[:, None] - other, axis=2))
