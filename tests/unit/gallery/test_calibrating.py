"""Calibrating on made-up people whose strangers come as close as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimind.core.calibration import distances
from optimind.errors import DatasetError
from optimind.gallery.calibration import LEAST_PEOPLE, calibrate
from optimind.weights.calibrations import read_calibration, write_calibration


def people(count: int, seed: int, photographs: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.1, 24) + rng.normal(0, 0.04, (photographs, 24)) for _ in range(count)]


def test_the_limit_holds_for_people_it_never_saw() -> None:
    found = calibrate(people(320, seed=1))
    others = people(400, seed=2)
    templates, strangers = np.array([own.mean(axis=0) for own in others[:200]]), others[200:]
    samples = np.array([own[0] for own in strangers])
    (mean_t, deviation_t), (mean_p, deviation_p) = found.level(templates), found.level(samples)
    apart = distances(samples, templates)
    scores = ((apart - mean_t) / deviation_t + (apart - mean_p[:, None]) / deviation_p[:, None]) / 2
    for rate in (0.1, 0.01, 0.001):
        # Cohorts of fewer people are a little further away, so it errs on the side of fewer strangers.
        assert 0.2 * rate < (scores <= found.limit_at(rate)).mean() < 1.2 * rate
    assert found.strangers_apart == pytest.approx(float(np.median(distances(samples, samples[::-1]))), rel=0.1)


def test_what_several_pictures_are_worth() -> None:
    found = calibrate(people(320, seed=1))
    assert found.own_spread == pytest.approx(0.04 * np.sqrt(24), rel=0.1)
    assert found.fused_gain > 0
    assert calibrate(people(220, seed=1, photographs=2)).fused_gain == 0


def test_one_picture_of_each_person_four_times_tells_nothing() -> None:
    with pytest.raises(DatasetError, match="hardly two people"):
        calibrate([np.repeat(own[:1], 4, axis=0) for own in people(220, seed=1)])


def test_the_same_people_give_the_same() -> None:
    one, again = calibrate(people(200, seed=3)), calibrate(people(200, seed=3))
    assert np.array_equal(one.cohort, again.cohort)
    assert np.array_equal(one.limits, again.limits)


def test_nobody_is_in_the_cohort() -> None:
    everyone = people(200, seed=4)
    apart = distances(calibrate(everyone).cohort, np.concatenate(everyone))
    assert apart.min() > 0.02


def test_one_photograph_a_person_will_do() -> None:
    found = calibrate(people(220, seed=5, photographs=1))
    assert len(found.cohort) >= 2
    assert len(found.rates) >= 4


def test_too_few_people() -> None:
    with pytest.raises(DatasetError, match=f"{LEAST_PEOPLE} are needed"):
        calibrate(people(LEAST_PEOPLE - 1, seed=6))


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "own" / "e.npz"
    found = calibrate(people(200, seed=7))
    write_calibration(path, found, {"people": 200})
    read = read_calibration(path)
    assert read.cohort == pytest.approx(found.cohort, abs=1e-6)
    assert np.array_equal(read.limits, found.limits)
    assert np.array_equal(read.rates, found.rates)
    assert read.strangers_apart == found.strangers_apart
    assert (read.own_spread, read.fused_gain) == (found.own_spread, found.fused_gain)
