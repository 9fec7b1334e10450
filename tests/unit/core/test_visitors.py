"""Tracks of unknown people brought together: strict, and the same whatever the order where people are far apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.calibration import Calibration
from optimind.core.types import Vectors
from optimind.core.visitors import ONE_VISIT, Placement, VisitorIndex, visits_of

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def at(*places: float) -> Vectors:
    """Samples on a line."""
    return np.array([[place, 0.0] for place in places])


def index_of(**visitors: float) -> VisitorIndex:
    index = VisitorIndex()
    for name, place in visitors.items():
        index.put(int(name[1:]), at(place))
    return index


PLACES = [
    pytest.param({}, 0.0, (), Placement(), id="the first"),
    pytest.param({"v1": 0.0}, 0.39, (), Placement(1), id="near"),
    pytest.param({"v1": 0.0}, 0.41, (), Placement(), id="far"),
    pytest.param({"v1": 0.0}, 0.1, {1}, Placement(), id="who is there now is nobody else"),
    pytest.param({"v1": 0.0, "v2": 0.5}, 0.1, (), Placement(1), id="only one is near"),
    pytest.param({"v1": 0.0, "v2": 0.5}, 0.25, (), Placement(1, (2,)), id="the track links two"),
    pytest.param({"v1": 0.0, "v2": 0.5}, 0.25, {2}, Placement(1), id="a link to somebody who is there now is none"),
    pytest.param({"v1": 0.0, "v2": 0.3, "v3": 0.9}, 0.1, (), Placement(1, (2,)), id="those that are alike, no others"),
]


@pytest.mark.parametrize(("known", "place", "elsewhere", "placed"), PLACES)
def test_where_a_track_belongs(known: dict[str, float], place: float, elsewhere: set[int], placed: Placement) -> None:
    assert index_of(**known).place(at(place), elsewhere=elsewhere) == placed


@pytest.mark.parametrize(
    ("second", "placed"),
    [
        pytest.param(0.75, Placement(), id="nobody can know which of two it is"),
        pytest.param(0.39, Placement(2, (1,)), id="the two are one"),
    ],
)
def test_a_track_between_two(second: float, placed: Placement) -> None:
    index = VisitorIndex()
    # Known by so many samples that one more does not move them.
    index.put(1, at(*[0.0] * 9))
    index.put(2, at(*[second] * 9))
    assert index.place(at(0.37)) == placed


def test_who_is_clearly_nearer_is_it_though_another_one_is_near_too() -> None:
    index = VisitorIndex()
    index.put(1, at(*[0.0] * 20))
    index.put(2, at(*[0.5] * 20))
    assert index.place(at(0.12)) == Placement(1)


def test_who_is_removed_is_new_when_they_come_again() -> None:
    index = index_of(v1=0.0)
    index.remove(1)
    index.remove(7)
    assert len(index) == 0
    assert index.place(at(0.0)) == Placement()


@pytest.mark.parametrize("vectors", [np.empty((0, 2)), np.zeros(3)])
def test_a_visitor_of_nothing_is_refused(vectors: Vectors) -> None:
    with pytest.raises(ValueError, match="visitor needs"):
        VisitorIndex().put(1, vectors)


def test_a_track_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        index_of(v1=0.0).place(np.empty((0, 2)))


def calibration() -> Calibration:
    """A cohort of 60 people at random, as far from each other as strangers are."""
    cohort = np.random.default_rng(1).normal(0, 0.6 / np.sqrt(128), (60, 128))
    rates, limits = np.array([1e-5, 1e-3, 1e-1]), np.array([-9.0, -8.0, -6.0])
    return Calibration(cohort, rates, limits, strangers_apart=0.85)


def crowd(people: int, tracks: int, seed: int) -> list[tuple[int, Vectors]]:
    """``tracks`` each of ``people`` who are all far apart, three samples that are near each other a track."""
    rng = np.random.default_rng(seed)
    centres = 0.6 * np.eye(128)[rng.permutation(128)[:people]]
    return [(who, centres[who] + rng.normal(0, 0.01, (3, 128))) for who in range(people) for _ in range(tracks)]


def clustered(seen: list[tuple[int, Vectors]], known: Calibration | None) -> set[frozenset[int]]:
    """The tracks (their places in ``seen``) of each visitor."""
    index, members, vectors = VisitorIndex(known), dict[int, list[int]](), dict[int, Vectors]()
    for number, (_, samples) in enumerate(seen):
        placed = index.place(samples)
        visitor = number if placed.visitor is None else placed.visitor
        members.setdefault(visitor, []).append(number)
        vectors[visitor] = np.concatenate([vectors.get(visitor, samples[:0]), samples])
        for other in placed.alike:
            members[visitor] += members.pop(other)
            vectors[visitor] = np.concatenate([vectors[visitor], vectors.pop(other)])
            index.remove(other)
        index.put(visitor, vectors[visitor])
    return {frozenset(own) for own in members.values()}


@pytest.mark.parametrize("known", [calibration(), None], ids=["calibrated", "plain"])
@given(seed=st.integers(0, 1000), order=st.randoms())
def test_people_who_are_far_apart_come_out_the_same_in_any_order(
    known: Calibration | None, seed: int, order: object
) -> None:
    seen = crowd(people=5, tracks=3, seed=seed)
    shuffled = list(range(len(seen)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    expected = {frozenset(n for n, (who, _) in enumerate(seen) if who == person) for person in range(5)}
    found = clustered([seen[n] for n in shuffled], known)
    assert {frozenset(shuffled[n] for n in own) for own in found} == expected


@given(seed=st.integers(0, 1000), order=st.randoms())
def test_the_order_in_which_visitors_are_known_does_not_matter(seed: int, order: object) -> None:
    rng = np.random.default_rng(seed)
    known = [(number, rng.normal(0, 0.15, (rng.integers(1, 4), 4))) for number in range(6)]
    samples = rng.normal(0, 0.15, (3, 4))
    first, second = VisitorIndex(), VisitorIndex()
    for number, vectors in known:
        first.put(number, vectors)
    order.shuffle(known)  # type: ignore[attr-defined]  # a random.Random
    for number, vectors in known:
        second.put(number, vectors)
    assert first.place(samples) == second.place(samples[::-1])


def minutes(*spans: tuple[float, float]) -> list[tuple[datetime, datetime]]:
    return [(START + timedelta(minutes=first), START + timedelta(minutes=last)) for first, last in spans]


@pytest.mark.parametrize(
    ("tracks", "visits"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(0, 1), (3, 4)], [(0, 4)], id="gone for a moment"),
        pytest.param([(10, 12), (0, 1)], [(0, 1), (10, 12)], id="came again"),
        pytest.param([(0, 10), (2, 3), (12, 13)], [(0, 13)], id="seen by two cameras"),
        pytest.param([(0, 1), (6, 7)], [(0, 1), (6, 7)], id="gone just long enough"),
    ],
)
def test_tracks_are_brought_together_to_visits(
    tracks: list[tuple[float, float]], visits: list[tuple[float, float]]
) -> None:
    assert timedelta(minutes=5) == ONE_VISIT
    assert visits_of(minutes(*tracks)) == minutes(*visits)
