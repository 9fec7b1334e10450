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


@pytest.mark.parametrize(("gap_s", "survives"), [(1.9, True), (2.1, False), (-1.9, True), (-3600, False)])
def test_a_gap_ends_a_track_and_so_does_a_clock_set_back(gap_s: float, *, survives: bool) -> None:
    tracker = Tracker(max_gap_s=2.0)
    tracker.update(boxes((0, 0)), at(0))
    tracks, ended = tracker.update(boxes((0, 0)), at(gap_s))
    assert (tracks[0].number == 1) is survives
    assert [track.number for track in ended] == ([] if survives else [1])
    assert tracks[0].last_seen_at >= tracks[0].first_seen_at


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
