"""Open-set identification on made-up embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.calibration import Calibration
from optimind.core.identification import IdentificationLimits, Identifier, Verdict, similarity_of
from optimind.core.types import Gallery, Template

ANNA = np.array([[-0.1, 0.0], [0.1, 0.0]])
BEN = np.array([[1.0, 0.0]])
GALLERY = Gallery("e", (Template("anna", "Anna", ANNA), Template("ben", "Ben", BEN)))
LIMITS = IdentificationLimits(max_distance=0.5, fpir=0.01, min_margin=0.1, min_samples=2)


@pytest.mark.parametrize(
    ("samples", "taken", "verdict", "person", "distance"),
    [
        pytest.param([[0, 0.1], [0, 0.3]], (), Verdict.ACCEPTED, "anna", 0.2, id="near one person"),
        pytest.param([[0, 0.1]], (), Verdict.NOT_SURE, "anna", 0.1, id="one sample decides nothing"),
        pytest.param([[0.46, 0], [0.48, 0]], (), Verdict.NOT_SURE, "anna", 0.47, id="between two people"),
        pytest.param([[0, 0.6], [0, 0.5]], (), Verdict.REJECTED, "anna", 0.55, id="too far from everyone"),
        pytest.param([[1, 0], [1, 0]], ("ben",), Verdict.NOT_SURE, "ben", 0.0, id="ben is somewhere else already"),
    ],
)
def test_verdicts_without_a_calibration(
    samples: list[list[float]], taken: tuple[str, ...], verdict: Verdict, person: str, distance: float
) -> None:
    match = Identifier(GALLERY, LIMITS).identify(np.array(samples, dtype=np.float64), taken=taken)
    assert (match.verdict, match.person_id) == (verdict, person)
    assert match.distance == match.normalised_distance == pytest.approx(distance)
    assert match.similarity == pytest.approx(1 - distance)


def test_poor_pictures_decide_nothing() -> None:
    samples = np.zeros((2, 2))
    assert Identifier(GALLERY, LIMITS).identify(samples, good=True).verdict is Verdict.ACCEPTED
    assert Identifier(GALLERY, LIMITS).identify(samples, good=False).verdict is Verdict.NOT_SURE
    assert Identifier(GALLERY, LIMITS).identify(samples + 9, good=False).verdict is Verdict.REJECTED


def a_crowd(around: float, spread: float, seed: int = 0, limits: tuple[float, float] = (-3.0, 2.0)) -> Calibration:
    """Calibrated on people on a line, whose embeddings lie about ``around``; 1 stranger of 1000 is below limits[0]."""
    cohort = np.random.default_rng(seed).normal([around, 0.0], spread, size=(200, 2))
    return Calibration(cohort, np.array([0.001, 0.1]), np.array(limits), strangers_apart=10.0)


def test_a_cohort_turns_away_whoever_is_as_close_to_everybody() -> None:
    sample = np.array([[0.3, 0.0], [0.3, 0.0]])
    assert Identifier(GALLERY, LIMITS).identify(sample).verdict is Verdict.ACCEPTED
    assert Identifier(GALLERY, LIMITS, a_crowd(0.3, 0.1)).identify(sample).verdict is Verdict.REJECTED


def test_a_cohort_that_is_far_away_lets_a_far_sample_pass() -> None:
    sample = np.array([[0.0, 0.6], [0.0, 0.6]])
    assert Identifier(GALLERY, LIMITS).identify(sample).verdict is Verdict.REJECTED
    assert Identifier(GALLERY, LIMITS, a_crowd(9.0, 0.3)).identify(sample).verdict is Verdict.ACCEPTED


def test_the_limit_follows_the_wish_and_the_number_of_people() -> None:
    def limit(people: int, fpir: float) -> float:
        gallery = Gallery("e", tuple(Template(str(i), str(i), np.array([[float(i), 0.0]])) for i in range(people)))
        limits = IdentificationLimits(max_distance=0.5, fpir=fpir, min_margin=0.1, min_samples=2)
        return Identifier(gallery, limits, a_crowd(0, 1)).limit

    assert limit(1, 0.001) == pytest.approx(-3.0)
    assert limit(10, 0.01) == pytest.approx(-3.0, abs=0.01)
    assert limit(10, 0.001) < limit(10, 0.01) < limit(1, 0.01)


def test_samples_that_differ_may_lie_further_than_a_still_face() -> None:
    crowd = a_crowd(1.0, 0.3)
    calibration = Calibration(crowd.cohort, crowd.rates, crowd.limits, 10.0, own_spread=0.1, fused_gain=5.0)
    gallery = Gallery("e", (Template("anna", "Anna", ANNA),))
    identifier = Identifier(gallery, LIMITS, calibration)
    still, moved = np.array([[0.0, 0.6]] * 3), np.array([[0.1, 0.6], [-0.1, 0.6], [0.0, 0.6]])
    assert identifier.identify(still).verdict is Verdict.REJECTED
    apart = identifier.identify(still).normalised_distance - identifier.identify(moved).normalised_distance
    assert apart == pytest.approx(5.0, abs=0.5)
    assert identifier.identify(moved).verdict is Verdict.ACCEPTED
    assert identifier.identify(moved).normalised_distance <= identifier.limit


def test_a_wrong_photograph_does_not_move_the_template() -> None:
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(0, 0.01, (4, 128)), np.full((1, 128), 0.08)
    probe = np.zeros(128)
    calibration = Calibration(rng.normal(0, 0.05, (99, 128)), np.array([0.001, 0.1]), np.array([-3.0, 2.0]), 0.8)
    gallery = Gallery("e", (Template("anna", "Anna", np.concatenate([right, wrong])),))
    expected = float(np.linalg.norm(right.mean(axis=0)))
    assert Identifier(gallery, LIMITS, calibration).distance_to(probe, "anna") == pytest.approx(expected)
    assert Identifier(gallery, LIMITS).distance_to(probe, "anna") > expected + 0.1


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_large_gallery_is_searched_exactly(calibrated: bool) -> None:
    rng = np.random.default_rng(1)
    people = rng.normal(3.0, 0.12, (3000, 128))
    people[1::3] = people[::3][: len(people[1::3])] + rng.normal(0, 1e-6, (1000, 128))  # as good as twins
    calibration = Calibration(rng.normal(3.0, 0.06, (250, 128)), np.array([1e-5, 0.1]), np.array([-3.0, 3.0]), 9.0)
    gallery = Gallery("e", tuple(Template(str(i), str(i), row[None]) for i, row in enumerate(people)))
    identifier = Identifier(gallery, LIMITS, calibration if calibrated else None)
    for person in range(0, 300, 7):
        samples = people[person] + rng.normal(0, 0.02, (3, 128))
        apart = np.linalg.norm(samples[:, None] - people, axis=2)
        expected = apart
        if calibrated:
            mean_t, deviation_t = calibration.level(people)
            mean_p, deviation_p = calibration.level(samples)
            expected = ((apart - mean_t) / deviation_t + (apart - mean_p[:, None]) / deviation_p[:, None]) / 2
        best = int(expected.mean(axis=0).argmin())
        match = identifier.identify(samples)
        assert match.person_id == str(best)
        assert match.normalised_distance == pytest.approx(float(expected.mean(axis=0)[best]), abs=1e-9)
        plain = apart.mean(axis=0)
        margin = float(np.clip(np.delete(plain, best).min() - plain[best], 0, 1))
        assert match.margin == pytest.approx(margin, abs=1e-9)


def test_the_margin_is_full_where_one_person_is_enrolled() -> None:
    match = Identifier(Gallery("e", (Template("anna", "Anna", ANNA),)), LIMITS).identify(np.zeros((2, 2)))
    assert (match.verdict, match.margin) == (Verdict.ACCEPTED, 1.0)


def test_nothing_can_be_identified_from_nothing() -> None:
    with pytest.raises(ValueError, match="nobody is enrolled"):
        Identifier(Gallery("e"), LIMITS)
    with pytest.raises(ValueError, match="at least one sample"):
        Identifier(GALLERY, LIMITS).identify(np.empty((0, 2)))


def test_distance_to_one_person() -> None:
    subject = Identifier(GALLERY, LIMITS)
    assert subject.distance_to(np.array([0.5, 0.0]), "anna") == pytest.approx(0.5)
    assert subject.distance_to(np.array([0.2, 0.0]), "ben") == pytest.approx(0.8)


@pytest.mark.parametrize(("distance", "similarity"), [(0.0, 1.0), (0.4, 0.6), (1.0, 0.0), (1.4, 0.0)])
def test_similarity(distance: float, similarity: float) -> None:
    assert similarity_of(distance) == pytest.approx(similarity)


@given(seed=st.integers(0, 2**32 - 1), people=st.integers(1, 9), samples=st.integers(1, 6))
def test_distances_agree_with_the_definition(seed: int, people: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    templates = tuple(
        Template(str(i), str(i), rng.normal(size=(int(rng.integers(1, 5)), 128)) * 0.12) for i in range(people)
    )
    probes, cohort = rng.normal(size=(samples, 128)) * 0.12, rng.normal(size=(60, 128)) * 0.12

    def level(vector: np.ndarray) -> tuple[float, float]:
        nearest = sorted(float(np.linalg.norm(vector - other)) for other in cohort)[:25]
        return float(np.mean(nearest)), float(np.std(nearest))

    expected = np.empty((samples, people))
    for i, probe in enumerate(probes):
        for j, template in enumerate(templates):
            mean = template.embeddings.mean(axis=0)
            d = float(np.linalg.norm(probe - mean))
            (m_t, s_t), (m_p, s_p) = level(mean), level(probe)
            expected[i, j] = ((d - m_t) / s_t + (d - m_p) / s_p) / 2
    # Strangers so far apart that no embedding counts as an outlier.
    calibration = Calibration(cohort, np.array([0.001, 0.1]), np.array([-3.0, 2.0]), strangers_apart=99.0)
    match = Identifier(Gallery("e", templates), LIMITS, calibration).identify(probes)
    assert match.normalised_distance == pytest.approx(expected.mean(axis=0).min(), abs=1e-6)
    assert match.person_id == str(expected.mean(axis=0).argmin())
    assert 0 <= match.margin <= 1
