"""The measure of the tracks is right on cases small enough to be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tracking_truth import Change, Face, Found, compare, read_truth

HERE = (0.0, 0.0, 10.0, 10.0)
THERE = (100.0, 0.0, 110.0, 10.0)
OFF = (4.0, 0.0, 14.0, 10.0)
"""Overlaps HERE by 60 of 140: 0.43."""
FAR_OFF = (6.0, 0.0, 16.0, 10.0)
"""Overlaps HERE by 40 of 160: 0.25."""
ANN, BOB = "Ann", "Bob"


def alone(*tracks: int | None) -> list[list[Found]]:
    """A sequence in which HERE has these tracks, None for no box."""
    return [[] if track is None else [Found(track, HERE)] for track in tracks]


@pytest.mark.parametrize(
    ("found", "matched", "switches", "fragmentations", "idf1"),
    [
        (alone(1, 1, 1, 1), 4, 0, 0, 1.0),
        (alone(1, 1, None, 1), 3, 0, 1, 6 / 7),
        (alone(None, 1, 1, None), 2, 0, 0, 4 / 6),
        (alone(1, 1, 2, 2), 4, 1, 0, 4 / 8),
        (alone(1, 2, 1, 2), 4, 3, 0, 4 / 8),
        (alone(1, None, 2, 2), 3, 1, 1, 4 / 7),
        (alone(None, None, None, None), 0, 0, 0, 0.0),
        ([[Found(1, OFF)]] * 4, 4, 0, 0, 1.0),
        ([[Found(1, FAR_OFF)]] * 4, 0, 0, 0, 0.0),
    ],
)
def test_one_face(found: list[list[Found]], matched: int, switches: int, fragmentations: int, idf1: float) -> None:
    figures = compare([[Face(ANN, HERE)]] * 4, found)
    assert (figures.wanted, figures.matched, len(figures.switches)) == (4, matched, switches)
    assert (figures.coverage, figures.fragmentations) == (matched / 4, fragmentations)
    assert figures.idf1 == pytest.approx(idf1)
    assert len(figures.lost.get(ANN, ())) == 4 - matched


def test_a_track_that_goes_on_to_another_person_is_a_takeover() -> None:
    truth = [[Face(ANN, HERE), Face(BOB, THERE)]] * 3
    figures = compare(
        truth, [[Found(1, HERE), Found(2, THERE)], [Found(1, HERE), Found(2, THERE)], [Found(1, THERE), Found(3, HERE)]]
    )
    assert figures.switches == (Change(2, ANN, 3, 1), Change(2, BOB, 1, 2))
    assert figures.takeovers == (Change(2, BOB, 1, ANN),)
    assert figures.idf1 == pytest.approx(2 * 4 / 12)


def test_a_new_track_for_somebody_who_was_away_is_a_switch_and_no_takeover() -> None:
    figures = compare([[Face(ANN, HERE)], [], [Face(ANN, THERE)]], [[Found(1, HERE)], [], [Found(2, THERE)]])
    assert (len(figures.switches), len(figures.takeovers), figures.fragmentations) == (1, 0, 0)


def test_a_face_keeps_its_track_though_another_one_is_nearer_now() -> None:
    found = [[Found(1, HERE)], [Found(1, OFF), Found(2, HERE)]]
    figures = compare([[Face(ANN, HERE)]] * 2, found)
    assert figures.switches == ()
    assert (figures.false_boxes, figures.false_tracks) == (1, 1)


def test_as_many_pairs_as_may_be() -> None:
    # Taking the best pair first, HERE with HERE, would leave Bob without a track.
    truth = [[Face(ANN, HERE), Face(BOB, (-4.0, 0.0, 6.0, 10.0))]]
    figures = compare(truth, [[Found(1, HERE), Found(2, OFF)]])
    assert (figures.matched, figures.false_boxes) == (2, 0)


@pytest.mark.parametrize("tracks", [(1, 1, 1), (1, None, 1), (1, 2, 1)])
def test_a_face_that_is_not_asked_for_counts_neither_way(tracks: tuple[int | None, ...]) -> None:
    truth = [[Face(ANN, HERE)], [Face(ANN, HERE, wanted=False)], [Face(ANN, HERE)]]
    figures = compare(truth, alone(*tracks))
    assert (figures.wanted, figures.matched, figures.false_boxes, figures.fragmentations) == (2, 2, 0, 0)
    assert (figures.switches, figures.takeovers, figures.idf1) == ((), (), 1.0)


def test_a_switch_while_the_face_was_half_hidden_is_not_forgotten() -> None:
    truth = [[Face(ANN, HERE)], [Face(ANN, HERE, wanted=False)], [Face(ANN, HERE)]]
    assert compare(truth, alone(1, 2, 2)).switches == (Change(2, ANN, 2, 1),)


@pytest.mark.parametrize(("on", "off", "is_false"), [(1, 2, True), (1, 1, False), (2, 1, False)])
def test_a_track_is_false_where_most_of_its_boxes_are_on_nobody(on: int, off: int, is_false: bool) -> None:
    figures = compare([[Face(ANN, HERE)]] * (on + off), [[Found(1, HERE)]] * on + [[Found(1, THERE)]] * off)
    assert (figures.false_tracks, figures.false_boxes, figures.tracks) == (int(is_false), off, 1)


def test_nothing_was_there_and_nothing_was_found() -> None:
    figures = compare([[], []], [[], []])
    assert (figures.coverage, figures.idf1) == (1.0, 1.0)


def test_frames_must_correspond() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([[], []], [[]])


@given(st.lists(st.permutations([1, 2, 3]), min_size=1, max_size=6), st.permutations([7, 8, 9]))
def test_names_of_tracks_do_not_matter(order: list[list[int]], names: list[int]) -> None:
    places = [HERE, THERE, (200.0, 0.0, 210.0, 10.0)]
    truth = [[Face(str(number), box) for number, box in enumerate(places)]] * len(order)
    found = [[Found(track, box) for track, box in zip(tracks, places, strict=True)] for tracks in order]
    renamed = [[Found(names[each.track - 1], each.box) for each in tracks] for tracks in found]
    figures, again = compare(truth, found), compare(truth, renamed)
    assert figures.coverage == 1.0
    assert (len(figures.switches), figures.idf1) == (len(again.switches), again.idf1)
    # Every face that changes its track takes one that somebody else had: all three are taken from the start.
    assert len(figures.switches) == len(figures.takeovers)
    assert (figures.idf1 == 1.0) is (not figures.switches)


def test_boxes_are_interpolated_and_spans_include_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    person = {"id": ANN, "boxes": {"2": [0, 0, 40, 40], "6": [20, 8, 80, 68]}, "hidden": [[3, 3]], "partly": [[6, 6]]}
    path.write_text(json.dumps({"frames": 8, "people": [person]}))
    truth = read_truth(path, least_px=45)
    assert [[face.wanted for face in faces] for faces in truth] == [[], [], [False], [], [True], [True], [False], []]
    assert truth[4] == [Face(ANN, (10.0, 4.0, 60.0, 54.0))]
