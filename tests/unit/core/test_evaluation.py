"""Trials, rates and DET points on made-up embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.calibration import Calibration
from optimind.core.evaluation import (
    Plan,
    Trial,
    det_points,
    missed,
    rate,
    run_trials,
    threshold_at,
)
from optimind.core.identification import IdentificationLimits, Identifier, Match, Verdict
from optimind.core.types import Gallery, Template, Vectors

LIMITS = IdentificationLimits(fpir=0.01, max_distance=0.5, min_margin=0.0, min_samples=1)


def people(number: int, photographs: int | Sequence[int], *, first: int = 0, spread: float = 0.01) -> list[Template]:
    """People one apart on a line; each embedding has a number of its own behind its place."""
    rng = np.random.default_rng(first)
    counts = [photographs] * number if isinstance(photographs, int) else list(photographs)
    made = []
    for place, count in enumerate(counts, first):
        rows = np.column_stack([place + rng.normal(0, spread, count), rng.normal(0, spread, count)])
        made.append(Template(f"p{place}", f"P{place}", rows))
    return made


def identifier(templates: tuple[Template, ...]) -> Identifier:
    return Identifier(Gallery("e", templates), LIMITS)


class Watched(Identifier):
    """Keeps what it was made of and what it was asked."""

    def __init__(self, templates: tuple[Template, ...]) -> None:
        super().__init__(Gallery("e", templates), LIMITS)
        self.templates = templates
        self.probes: list[Vectors] = []

    def identify(self, samples: Vectors, *, taken: Sequence[str] = (), good: bool = True) -> Match:
        self.probes.append(samples)
        return super().identify(samples, taken=taken, good=good)


def watch(
    students: list[Template], strangers: list[Template], plan: Plan, reserve: dict[str, Vectors] | None = None
) -> list[Watched]:
    made: list[Watched] = []

    def make(templates: tuple[Template, ...]) -> Watched:
        made.append(Watched(templates))
        return made[-1]

    run_trials(students, strangers, plan, make, reserve)
    return [one for one in made if one.probes]


def owner(everybody: list[Template], row: np.ndarray) -> str:
    (found,) = (p.person_id for p in everybody if (p.embeddings == row).all(axis=1).any())
    return found


def test_people_who_are_far_apart_are_told_apart() -> None:
    trials = run_trials(people(5, 5), people(4, 3, first=50), Plan(enrol=3, probes=2), identifier)
    assert rate(trials.mated, lambda t: t.missed).share == 0
    assert rate(trials.non_mated, lambda t: t.verdict is Verdict.ACCEPTED).share == 0
    assert {t.person_id for t in trials.mated} == {f"p{i}" for i in range(5)}
    assert {t.person_id for t in trials.non_mated} == {f"p{i}" for i in range(50, 54)}
    assert (trials.limit, trials.mated_samples, trials.non_mated_samples) == (0.5, 2, 2)
    assert len(trials.mated) == 5 * trials.draws
    assert len(trials.non_mated) == 4 * trials.draws


def test_a_stranger_who_looks_like_a_student_gets_the_name() -> None:
    double = Template("double", "Double", people(1, 3)[0].embeddings + 0.001)
    trials = run_trials(people(3, 4), [double], Plan(), identifier)
    assert {(t.nearest_id, t.verdict) for t in trials.non_mated} == {("p0", Verdict.ACCEPTED)}


def test_what_is_enrolled_does_not_probe_and_people_are_not_mixed() -> None:
    students, strangers = people(4, 6), people(3, 4, first=50)
    for one in watch(students, strangers, Plan(enrol=3, probes=2)):
        enrolled = {row.tobytes() for t in one.templates for row in t.embeddings}
        assert [len(t.embeddings) for t in one.templates] == [3] * 4
        assert len(one.probes) == 7
        for probe in one.probes:
            assert len(probe) == 2
            assert len({owner(students + strangers, row) for row in probe}) == 1
            assert not {row.tobytes() for row in probe} & enrolled


def test_who_is_left_out_is_not_in_the_gallery() -> None:
    students = people(4, 4)
    left_out = [one for one in watch(students, [], Plan(leave_one_out=True)) if len(one.templates) == 3]
    assert len(left_out) >= 3000 / 4 / 10
    for one in left_out:
        (probe,) = one.probes
        absent = {s.person_id for s in students} - {t.person_id for t in one.templates}
        assert {owner(students, row) for row in probe} == absent
        assert len(probe) == 3  # nothing of theirs is enrolled, so all of it can probe


def test_every_student_is_left_out() -> None:
    trials = run_trials(people(7, 4), [], Plan(leave_one_out=True), identifier)
    assert {t.person_id for t in trials.non_mated} == {f"p{i}" for i in range(7)}
    assert all(t.nearest_id != t.person_id for t in trials.non_mated)


@pytest.mark.parametrize(
    ("students", "strangers", "probed_students", "probed_strangers", "fewest"),
    [
        pytest.param([6] * 4, [3] * 4, 4, 4, (3, 3), id="everybody has enough"),
        pytest.param([6, 6, 4, 4], [3, 3, 1, 1], 4, 4, (1, 1), id="too few have enough: all probe with what they have"),
        pytest.param([6] * 20 + [4] * 30, [3] * 100 + [1] * 150, 20, 100, (3, 3), id="enough people have enough"),
        pytest.param([6] * 19 + [4] * 31, [3] * 99 + [1] * 151, 50, 250, (1, 1), id="one less is not enough"),
    ],
)
def test_who_probes(
    students: list[int], strangers: list[int], probed_students: int, probed_strangers: int, fewest: tuple[int, int]
) -> None:
    trials = run_trials(
        people(len(students), students), people(len(strangers), strangers, first=900), Plan(), identifier
    )
    assert len({t.person_id for t in trials.mated}) == probed_students
    assert len({t.person_id for t in trials.non_mated}) == probed_strangers
    assert (trials.mated_samples, trials.non_mated_samples) == fewest


def test_of_two_students_both_are_tried_as_strangers() -> None:
    trials = run_trials(people(2, [6, 2]), [], Plan(enrol=1, leave_one_out=True), identifier)
    assert {t.person_id for t in trials.non_mated} == {t.person_id for t in trials.mated} == {"p0", "p1"}
    assert (trials.mated_samples, trials.non_mated_samples) == (1, 2)


def test_what_is_held_in_reserve_probes_and_is_not_enrolled() -> None:
    students, strangers = people(3, [3, 4, 5]), people(2, [1, 2], first=50)
    # The first student has nothing else to probe with, and the first stranger needs it for a full probe.
    reserve = {p.person_id: p.embeddings + 0.3 for p in (*people(1, 1), *people(1, 1, first=50))}
    aside = {row.tobytes() for rows in reserve.values() for row in rows}
    probed: set[bytes] = set()
    made = watch(students, strangers, Plan(enrol=3, probes=2), reserve)
    for one in made:
        assert [len(t.embeddings) for t in one.templates] == [3, 3, 3]
        enrolled = {row.tobytes() for t in one.templates for row in t.embeddings}
        assert not enrolled & aside
        tried = {row.tobytes() for probe in one.probes for row in probe}
        assert not enrolled & tried
        assert [len(probe) for probe in one.probes] == [1, 1, 2, 2, 2]
        probed |= tried
    assert made
    assert aside <= probed


def test_who_is_left_out_probes_with_what_is_held_in_reserve_too() -> None:
    students = people(2, 2)
    reserve = {"p0": np.array([[0.0, 7.0]])}
    made = watch(students, [], Plan(enrol=1, probes=3, leave_one_out=True), reserve)
    left_out = [one.probes[0] for one in made if [t.person_id for t in one.templates] == ["p1"]]
    assert left_out
    assert all(len(probe) == 3 and (probe == reserve["p0"]).all(axis=1).any() for probe in left_out)


def test_nobody_is_named_beyond_the_limit_that_is_told() -> None:
    """Also with several samples, which may lie further, as what that is worth is taken off their distance."""
    rng = np.random.default_rng(0)

    def unlike(number: int, first: int) -> list[Template]:
        centres = rng.normal(size=(number, 4))
        return [Template(f"p{i}", "", c + rng.normal(0, 0.4, (6, 4))) for i, c in enumerate(centres, first)]

    calibration = Calibration(
        cohort=rng.normal(size=(200, 4)), rates=np.array([1e-3, 1e-1]), limits=np.array([-3.0, -1.5]),
        strangers_apart=2.8, own_spread=0.8, fused_gain=1.5,
    )  # fmt: skip

    def calibrated(templates: tuple[Template, ...]) -> Identifier:
        return Identifier(Gallery("e", templates), replace(LIMITS, fpir=0.2), calibration)

    trials = run_trials(unlike(10, 0), unlike(40, 50), Plan(), calibrated)
    assert trials.limit == calibration.limit_for(0.2, 10)
    for found in (trials.mated, trials.non_mated):
        accepted = [t.distance for t in found if t.verdict is Verdict.ACCEPTED]
        rejected = [t.distance for t in found if t.verdict is Verdict.REJECTED]
        assert 0 < len(accepted) < len(found)
        assert max(accepted) <= trials.limit < min(rejected)
    # So the rate at the settings is a point of the curve.
    named = rate(trials.non_mated, lambda t: t.verdict is Verdict.ACCEPTED).share
    assert named == np.mean([t.distance <= trials.limit for t in trials.non_mated])


def test_the_same_people_give_the_same_trials() -> None:
    students, strangers = people(4, 6, spread=0.3), people(3, 4, first=50, spread=0.3)
    first = run_trials(students, strangers, Plan(), identifier)
    assert run_trials(students, strangers, Plan(), identifier) == first
    assert run_trials(students, strangers, Plan(seed=2), identifier) != first


@pytest.mark.parametrize(
    ("students", "strangers", "draws"),
    [
        pytest.param(10, 10, 100, id="never more"),
        pytest.param(500, 500, 20, id="ten thousand strangers"),
        # 67 draws would make two thousand trials of the students, but 335,000 of the strangers.
        pytest.param(30, 5000, 11, id="sixty thousand in all"),
    ],
)
def test_enough_is_tried_and_not_for_ever(students: int, strangers: int, draws: int) -> None:
    def first(templates: tuple[Template, ...]) -> Identifier:
        return identifier(templates[:2])

    trials = run_trials(people(students, 4), people(strangers, 1, first=2000), Plan(enrol=3, probes=1), first)
    assert trials.draws == draws
    assert len(trials.mated) + len(trials.non_mated) <= 60_000


@pytest.mark.parametrize(
    ("students", "strangers", "plan"),
    [
        ([], people(1, 1, first=9), Plan()),
        (people(1, 5), people(1, 1, first=9), Plan()),
        (people(2, [5, 3]), people(1, 1, first=9), Plan()),
        (people(2, 5), [], Plan()),
    ],
)
def test_what_cannot_be_tried(students: list[Template], strangers: list[Template], plan: Plan) -> None:
    with pytest.raises(ValueError, match=r"two students|no stranger"):
        run_trials(students, strangers, plan, identifier)


def trial(person: int, distance: float, *, nearest: int | None = None, accepted: bool = False) -> Trial:
    verdict = Verdict.ACCEPTED if accepted else Verdict.REJECTED
    return Trial(f"p{person}", f"p{person if nearest is None else nearest}", distance, verdict)


@pytest.mark.parametrize(
    ("found", "is_missed"),
    [
        (Trial("a", "a", 0.1, Verdict.ACCEPTED), False),
        (Trial("a", "b", 0.1, Verdict.ACCEPTED), True),
        (Trial("a", "a", 0.1, Verdict.NOT_SURE), True),
        (Trial("a", "a", 0.9, Verdict.REJECTED), True),
    ],
)
def test_who_is_missed_at_the_settings(found: Trial, is_missed: bool) -> None:
    assert found.missed is is_missed


distances = st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=1, max_size=60)


@given(found=distances, fpir=st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9]))
def test_the_threshold_is_the_largest_that_keeps_the_rate(found: list[float], fpir: float) -> None:
    threshold = threshold_at([trial(0, d) for d in found], fpir)
    assert sum(d <= threshold for d in found) <= fpir * len(found) + 1e-9
    following = min(d for d in found if d > threshold)
    assert sum(d <= following for d in found) > fpir * len(found)
    assert threshold == math.nextafter(following, -math.inf)


@pytest.mark.parametrize("number", [100, 700, 2900, 5700, 10_000])
def test_the_share_is_counted_exactly(number: int) -> None:
    threshold = threshold_at([trial(0, float(d)) for d in range(number)], 0.01)
    assert sum(d <= threshold for d in range(number)) == number // 100


mated_trials = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(-5, 5).map(lambda x: round(x, 1))),
    min_size=1,
    max_size=40,
).map(lambda rows: [trial(person, distance, nearest=nearest) for person, nearest, distance in rows])


@given(mated=mated_trials, strangers=distances)
def test_the_curve_follows_the_definitions(mated: list[Trial], strangers: list[float]) -> None:
    points = det_points(mated, [trial(9, d) for d in strangers])
    assert (points[0].fpir, points[-1].fpir) == (0, 1)
    assert len(points) == len(set(strangers)) + 1
    for point in points:
        assert point.fpir == pytest.approx(np.mean([d <= point.threshold for d in strangers]))
        assert point.fnir.share == pytest.approx(np.mean([missed(t, point.threshold) for t in mated]))
        assert point.fnir == rate(mated, partial(missed, threshold=point.threshold))
    for one, following in pairwise(points):
        assert one.threshold < following.threshold
        assert one.fpir < following.fpir
        assert one.fnir.share >= following.fnir.share


def test_a_long_curve_is_thinned_where_nothing_is_seen_of_it() -> None:
    strangers = [trial(9, float(d)) for d in range(20_000)]
    points = det_points([trial(0, 5.0), trial(1, 5000.0)], strangers)
    assert 100 < len(points) <= 200
    assert (points[0].fpir, points[-1].fpir) == (0, 1)
    # A rare stranger weighs most: the first few are all there.
    assert [round(p.fpir * 20_000) for p in points[:6]] == [0, 1, 2, 3, 4, 5]


def test_a_rate_counts_people_not_trials() -> None:
    once = [trial(person, 0.0, accepted=person < 3) for person in range(30)]
    told = rate(once, lambda t: t.verdict is Verdict.ACCEPTED)
    again = rate(once * 50, lambda t: t.verdict is Verdict.ACCEPTED)
    assert told.share == again.share == 0.1
    assert (again.low, again.high) == pytest.approx((told.low, told.high))
    # Wilson's interval of 3 in 29: a person of 30 goes into the estimate of how different people are.
    assert (told.low, told.high) == pytest.approx((0.0343, 0.2596), abs=1e-3)


@pytest.mark.parametrize("number", [5, 30, 300, 3000])
def test_what_never_happened_may_happen_to_three_or_four_in_n(number: int) -> None:
    told = rate([trial(person, 0.0) for person in range(number)] * 3, lambda t: t.missed and t.distance > 1)
    assert (told.share, told.low) == (0, 0)
    assert told.high == pytest.approx(3.8415 / (number + 3.8415), rel=1e-4)


def test_one_person_says_next_to_nothing() -> None:
    told = rate([trial(0, 0.0, accepted=i < 50) for i in range(100)], lambda t: t.verdict is Verdict.ACCEPTED)
    assert told.share == 0.5
    assert told.low < 0.1
    assert told.high > 0.9


@given(rows=st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60))
def test_an_interval_holds_its_share(rows: list[tuple[int, bool]]) -> None:
    trials = [trial(person, 0.0, accepted=accepted) for person, accepted in rows]
    told = rate(trials, lambda t: t.verdict is Verdict.ACCEPTED)
    assert 0 <= told.low <= told.share <= told.high <= 1
    assert told.high > told.low
    turned = rate(trials, lambda t: t.verdict is not Verdict.ACCEPTED)
    assert (turned.share, turned.low, turned.high) == pytest.approx((1 - told.share, 1 - told.high, 1 - told.low))


def test_intervals_hold_what_they_promise() -> None:
    """Of many samples of 40 people whose own rates differ much, the true rate is inside for about 95 %."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        own = rng.beta(0.2, 1.8, size=40)
        rows = [(p, hit) for p in range(40) for hit in rng.random(25) < own[p]]
        told = rate([trial(p, 0.0, accepted=bool(hit)) for p, hit in rows], lambda t: t.verdict is Verdict.ACCEPTED)
        inside += told.low <= 0.1 <= told.high
    assert inside / 400 > 0.92


def test_nothing_gives_no_rate() -> None:
    with pytest.raises(ValueError, match="needs a trial"):
        rate([], lambda _t: True)
    with pytest.raises(ValueError, match="no non-mated"):
        threshold_at([], 0.01)
    with pytest.raises(ValueError, match="mated and non-mated"):
        det_points([trial(0, 1.0)], [])
