"""Faces that wait for their embedding: the best one of a track, in the order that is asked for, without its frame."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.types import Detections, Image
from optimind.pipeline.candidates import Candidate, Candidates, wanted_of

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
FRAME: Image = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)


def candidate(
    number: int, *, second: float = 0, quality: float = 0.9, left: float = 100, image: Image = FRAME
) -> Candidate:
    face = Detections(np.array([[left, 100, left + 50, 160]]), np.ones(1), np.full((1, 5, 2), 120.0), np.ones(1))
    return Candidate(number, image, face, START + timedelta(seconds=second), quality)


def in_order(each: Candidate) -> tuple[float, ...]:
    return (each.number,)


def of(*found: Candidate) -> Candidates:
    candidates = Candidates()
    for each in found:
        candidates.offer(each)
    return candidates


@pytest.mark.parametrize(
    ("then", "waits"),
    [
        (candidate(1, second=0.5, quality=0.95), 0.5),
        (candidate(1, second=0.5, quality=0.9), 0.5),
        (candidate(1, second=0.5, quality=0.3), 0.0),
        (candidate(1, second=1.5, quality=0.3), 1.5),
        (candidate(1, second=-5, quality=0.3), -5.0),
    ],
    ids=["better", "as good and newer", "poorer", "poorer, but the other is old", "the clock was set back"],
)
def test_of_a_track_one_waits(then: Candidate, waits: float) -> None:
    candidates = of(candidate(1), then)
    assert len(candidates) == 1
    [given] = candidates.take(None, in_order)
    assert given.at == START + timedelta(seconds=waits)


@given(numbers=st.lists(st.integers(0, 20), unique=True), most=st.integers(0, 25) | st.none())
def test_all_are_given_out_once_and_the_first_in_order_first(numbers: list[int], most: int | None) -> None:
    candidates = of(*(candidate(number) for number in numbers))
    given_out = []
    taken = sorted(each.number for each in candidates.take(most, in_order))
    assert taken == sorted(numbers)[: len(numbers) if most is None else most]
    given_out += taken
    given_out += [each.number for each in candidates.take(None, in_order)]
    assert sorted(given_out) == sorted(numbers)
    assert len(candidates) == 0


@pytest.mark.parametrize("left", [100.0, -20.0, 580.0], ids=["inside", "over the left edge", "over the right edge"])
def test_one_that_waits_shows_the_same_face_without_its_frame(left: float) -> None:
    candidates = of(candidate(1, left=left), candidate(0))
    candidates.take(1, in_order)
    [waited] = candidates.take(None, in_order)
    assert waited.image.base is None
    assert waited.image.nbytes < FRAME.nbytes / 2
    offset = np.round(np.array([left, 100.0]) - waited.face.xyxy[0, :2]).astype(int)
    height, width = waited.image.shape[:2]
    assert np.array_equal(waited.image, FRAME[offset[1] : offset[1] + height, offset[0] : offset[0] + width])
    assert waited.face.landmarks is not None
    assert np.allclose(waited.face.landmarks + offset, 120.0)
    assert waited.face.frontality is not None


def test_one_that_waits_for_long_is_cut_out_once() -> None:
    candidates = of(candidate(1))
    candidates.take(0, in_order)
    [first] = candidates._waiting.values()
    candidates.take(0, in_order)
    [then] = candidates._waiting.values()
    assert first.image is then.image


def test_faces_of_one_picture_are_wanted_together() -> None:
    other = FRAME.copy()
    candidates = of(candidate(1), candidate(2, image=other), candidate(3), candidate(4, image=other))
    taken = candidates.take(None, in_order)
    parts = wanted_of(taken)
    assert sorted(len(part.faces) for part in parts) == [2, 2]
    assert {id(part.image) for part in parts} == {id(FRAME), id(other)}
    told = np.concatenate([part.faces.xyxy for part in parts])
    assert np.array_equal(told, np.concatenate([each.face.xyxy for each in taken]))


def test_what_is_dropped_is_not_given_out() -> None:
    candidates = of(candidate(1), candidate(2))
    candidates.drop(1)
    candidates.drop(7)
    assert [each.number for each in candidates.take(None, in_order)] == [2]
