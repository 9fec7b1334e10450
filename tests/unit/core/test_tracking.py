"""Association of detections over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.tracking import Tracker

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def boxes(*corners: tuple[float, float], size: float = 100) -> np.ndarray:
    return np.array([(x, y, x + size, y + size) for x, y in corners], dtype=np.float64).reshape(-1, 4)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_face_that_stays_keeps_its_track() -> None:
    tracker = Tracker()
    numbers = set()
    for step in range(10):
        tracks, ended = tracker.update(boxes((100 + step, 50)), at(step * 0.5))
        numbers.add(tracks[0].number)
        assert not ended
    assert numbers == {1}
    assert tracks[0].first_seen_at == START
    assert tracks[0].last_seen_at == at(4.5)
    assert tracks[0].detections == 10


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        pytest.param(20, {1}, id="a slow walk overlaps"),
        pytest.param(75, {1}, id="a fast walk is near"),
        pytest.param(130, {1}, id="a face width and more between two looks"),
        pytest.param(400, {1, 2, 3, 4, 5}, id="four face widths between two looks is nobody's walk"),
    ],
)
def test_a_walker(speed: float, expected: set[int]) -> None:
    tracker = Tracker()
    numbers = set()
    for step in range(5):
        tracks, _ = tracker.update(boxes((step * speed, 0)), at(step * 0.5))
        numbers.add(tracks[0].number)
    assert numbers == expected


def test_neighbours_keep_apart_and_order_of_boxes_does_not_matter() -> None:
    tracker = Tracker()
    tracker.update(boxes((0, 0), (150, 0), (300, 0)), at(0))
    tracks, _ = tracker.update(boxes((305, 2), (5, 2), (155, 2)), at(0.5))
    assert [track.number for track in tracks] == [3, 1, 2]


def test_a_much_larger_face_in_the_same_place_is_another_one() -> None:
    tracker = Tracker()
    tracker.update(boxes((0, 0)), at(0))
    tracks, _ = tracker.update(boxes((0, 0), size=250), at(0.5))
    assert tracks[0].number == 2


@pytest.mark.parametrize(("gap_s", "survives"), [(1.9, True), (4.9, True), (5.1, False), (-1.9, True), (-3600, False)])
def test_a_track_waits_for_the_next_look_but_not_for_ever_nor_for_a_clock_set_back(
    gap_s: float, *, survives: bool
) -> None:
    tracker = Tracker(max_gap_s=2.0, longest_gap_s=5.0)
    tracker.update(boxes((0, 0)), at(0))
    tracks, ended = tracker.update(boxes((0, 0)), at(gap_s))
    assert (tracks[0].number == 1) is survives
    assert [track.number for track in ended] == ([] if survives else [1])
    assert tracks[0].last_seen_at >= tracks[0].first_seen_at


@pytest.mark.parametrize(
    ("looks_s", "looked_for", "over_at_s"),
    [
        pytest.param([0.5, 1.0, 1.5, 2.0, 2.1], True, 2.1, id="looked for and gone"),
        pytest.param([2.5, 2.6], True, 2.6, id="one look is not enough"),
        pytest.param([0.5, 1.0, 2.5, 4.0], False, None, id="nobody looked there"),
        pytest.param([1.0, 4.0, 5.1], False, 5.1, id="nobody looked there for too long"),
    ],
)
def test_a_track_ends_when_it_was_looked_for_and_not_found(
    looks_s: list[float], *, looked_for: bool, over_at_s: float | None
) -> None:
    tracker = Tracker(max_gap_s=2.0, least_misses=2, longest_gap_s=5.0)
    tracker.update(boxes((0, 0)), at(0))
    over = []
    for seconds in looks_s:
        _, ended = tracker.update(boxes(), at(seconds), looked_for=np.array([looked_for] * len(tracker.tracks)))
        over += [seconds] * len(ended)
    assert over == ([over_at_s] if over_at_s else [])


def crossing(tracker: Tracker, seconds: float) -> np.ndarray:
    """Two faces that pass each other in 4 s, one a little lower: the first from the left, the second from the right."""
    return boxes((100 + 100 * seconds, 0), (500 - 100 * seconds, 20))


def test_two_faces_that_cross_keep_their_tracks() -> None:
    tracker = Tracker()
    for step in range(41):
        tracks, _ = tracker.update(crossing(tracker, step / 10), at(step / 10))
        assert [track.number for track in tracks] == [1, 2]


def test_what_they_look_like_decides_where_two_turn_back_from_each_other() -> None:
    tracker = Tracker()
    for step in range(21):  # until they are in one place, and nobody looks for a second
        tracker.update(crossing(tracker, step / 10), at(step / 10))
    turned = boxes((225, 0), (375, 20))  # each went back to where it came from
    assert tracker.contested(turned, at(3)).all()
    unlikeness = np.array([[0.3, 0.8], [0.8, 0.3]])
    tracks, _ = tracker.update(turned, at(3), unlikeness=unlikeness)
    assert [track.number for track in tracks] == [1, 2]


def test_who_stands_alone_is_not_contested() -> None:
    tracker = Tracker()
    tracker.update(boxes((0, 0), (600, 0)), at(0))
    assert not tracker.contested(boxes((5, 0), (610, 0), (1500, 0)), at(0.3)).any()


@pytest.mark.parametrize(
    ("at_s", "corner", "is_contested"),
    [
        pytest.param(1.3, (5, 0), False, id="where it should be"),
        pytest.param(1.3, (60, 0), True, id="not quite where it should be"),
        pytest.param(1.3, (900, 0), False, id="nobody's place"),
    ],
)
def test_whose_place_is_doubtful_is_looked_at(at_s: float, corner: tuple[float, float], *, is_contested: bool) -> None:
    tracker = Tracker()
    for step in range(11):
        tracker.update(boxes((0, 0)), at(step / 10))
    assert tracker.contested(boxes(corner), at(at_s)).tolist() == [is_contested]


@pytest.mark.parametrize(
    ("speed", "back_s", "contested"),
    [
        pytest.param(0, 1.2, False, id="only looked away"),
        pytest.param(0, 2.6, True, id="was away for long"),
        pytest.param(60, 1.2, True, id="was moving"),
    ],
)
def test_who_was_lost_is_looked_at_when_somebody_comes_back(*, speed: float, back_s: float, contested: bool) -> None:
    tracker = Tracker()
    for step in range(11):
        tracker.update(boxes((speed * step / 10, 0), (900, 0)), at(step / 10))
    tracker.update(boxes((900, 0)), at(1.1))
    back = boxes((speed * min(back_s, 1.3), 0), (900, 0))
    assert tracker.contested(back, at(back_s)).tolist() == [contested, False]


@pytest.mark.parametrize(
    ("distance", "number"),
    [
        pytest.param(0.3, 1, id="alike"),
        pytest.param(0.7, 1, id="a turned head"),
        pytest.param(1.1, 2, id="somebody else in this place"),
    ],
)
def test_a_likeness_that_is_none_makes_a_newcomer(distance: float, number: int) -> None:
    tracker = Tracker()
    for step in range(11):
        tracker.update(boxes((0, 0)), at(step / 10))
    tracks, _ = tracker.update(boxes((2, 0)), at(1.2), unlikeness=np.array([[distance]]))
    assert [track.number for track in tracks] == [number]


def test_who_may_be_anywhere_does_not_take_the_place_of_who_is_known_to_be_near() -> None:
    tracker = Tracker()
    for step in range(11):  # one sits still ...
        tracker.update(boxes((0, 0)), at(step / 10))
    tracker.update(boxes((0, 0), (120, 0)), at(1.1))  # ... and another one has just come, who may go anywhere
    costs = tracker._costs(boxes((40, 0)), at(1.6))[:, 0]
    assert costs[1] < costs[0]  # in their own standard deviations the newcomer is nearer
    tracks, _ = tracker.update(boxes((40, 0)), at(1.6))
    assert [track.number for track in tracks] == [1]


def test_a_likeness_that_is_not_known_changes_nothing() -> None:
    tracker = Tracker()
    tracker.update(boxes((0, 0), (150, 0)), at(0))
    tracks, _ = tracker.update(boxes((5, 0), (155, 0)), at(0.3), unlikeness=np.full((2, 2), np.nan))
    assert [track.number for track in tracks] == [1, 2]


def test_split_gives_the_place_to_a_new_track() -> None:
    tracker = Tracker()
    [track], _ = tracker.update(boxes((0, 0)), at(0))
    tracker.update(boxes((0, 0)), at(1))
    successor = tracker.split(track, at(0.5))
    assert (successor.first_seen_at, successor.last_seen_at) == (at(0.5), at(1))
    [again], _ = tracker.update(boxes((0, 0)), at(1.5))
    assert again is successor


def test_finish_ends_everything() -> None:
    tracker = Tracker()
    tracker.update(boxes((0, 0), (500, 0)), at(0))
    assert len(tracker.finish()) == 2
    assert tracker.finish() == []


@given(
    looks=st.lists(
        st.tuples(
            st.floats(-5, 5),
            st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 1000), st.floats(10, 300)), max_size=6),
        ),
        max_size=12,
    )
)
def test_every_box_has_one_track_and_every_track_ends_once(
    looks: list[tuple[float, list[tuple[float, float, float]]]],
) -> None:
    tracker = Tracker()
    now, begun, over = 0.0, set(), []
    for step, faces in looks:
        now += step
        found = np.array([(x, y, x + s, y + s) for x, y, s in faces]).reshape(-1, 4)
        tracks, ended = tracker.update(found, at(now))
        assert len(tracks) == len({track.number for track in tracks}) == len(faces)
        begun |= {track.number for track in tracks}
        over += [track.number for track in ended]
        assert all(track.first_seen_at <= track.last_seen_at for track in tracks)
    over += [track.number for track in tracker.finish()]
    assert sorted(over) == sorted(begun)
