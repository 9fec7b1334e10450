"""The recogniser with a scripted detector and embedder: a face is a box and a point on a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

import numpy as np
import pytest

from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.types import Detections, Frame, Gallery, Image, Template, Vectors
from optimind.pipeline.recogniser import Recogniser, RecogniserSettings
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Detector, Embedder, EmbedderInfo, Event, Sighting, TrackEnded

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
Scene = Callable[[float], list[tuple[float, float]]]
"""At a second: the faces, each as (left edge in pixels, where it stands on the line of embeddings)."""
PICTURE: Image = np.random.default_rng(0).integers(0, 256, (100, 1300, 3), np.uint8)
"""Sharp and full of contrast everywhere."""


class Stage(Detector, Embedder):
    """Detector and embedder of a scene, at the second that it was told; ``frontality`` of all its faces then."""

    name: ClassVar[str] = "stage"
    info = EmbedderInfo("line", 1)

    def __init__(self, scene: Scene, frontality: Callable[[float], float] = lambda _: 1.0) -> None:
        self.scene = scene
        self.frontality = frontality
        self.embedded = 0
        self.embedded_at: list[float] = []
        self.now_s = 0.0

    @classmethod
    def create(cls, *_: object) -> Self:
        raise AssertionError("made by the test")

    @classmethod
    def describe(cls, settings: object) -> EmbedderInfo:
        return cls.info

    def detect(self, image: Image) -> Detections:
        lefts = [left for left, _ in self.scene(self.now_s)]
        boxes = np.array([(x, 0, x + 90, 90) for x in lefts]).reshape(-1, 4)
        return Detections(boxes, np.ones(len(lefts)), None, np.full(len(lefts), self.frontality(self.now_s)))

    def embed(self, image: Image, faces: Detections) -> Vectors:
        self.embedded += len(faces)
        self.embedded_at.append(self.now_s)
        where = dict(self.scene(self.now_s))
        return np.array([[where[left]] for left in faces.xyxy[:, 0]])


LIMITS = IdentificationLimits(max_distance=0.5, fpir=0.01, min_margin=0.03, min_samples=3)
GALLERY = Gallery("line", (Template("anna", "Anna", np.array([[0.0]])), Template("ben", "Ben", np.array([[2.0]]))))


def recogniser_of(stage: Stage, **settings: float) -> Recogniser:
    return Recogniser(
        "c",
        stage,
        stage,
        Identifier(GALLERY, LIMITS),
        RecogniserSettings(**settings),  # type: ignore[arg-type]  # a table of numbers
        run_id="r",
        stages=StageTimes(),
    )


def play(
    scene: Scene, seconds: float, frontality: Callable[[float], float] = lambda _: 1.0, **settings: float
) -> tuple[list[Event], Recogniser, Stage]:
    stage = Stage(scene, frontality)
    recogniser = recogniser_of(stage, **settings)
    events: list[Event] = []
    for index in range(round(seconds * 10)):
        stage.now_s = index / 10
        at = START + timedelta(seconds=stage.now_s)
        events += recogniser.process(Frame("c", index, at, PICTURE, stage.now_s))
    return [*events, *recogniser.finish()], recogniser, stage


def sightings(events: list[Event]) -> list[Sighting]:
    return [event for event in events if isinstance(event, Sighting)]


def test_a_person_is_sighted_once_known_then_every_few_seconds_and_at_the_end() -> None:
    events, recogniser, _ = play(lambda _: [(100, 0.1)], 12, sighting_interval_s=5)
    seen = sightings(events)
    assert [round((s.at - START).total_seconds(), 1) for s in seen] == [1.0, 6.0, 11.0, 11.5]
    assert {s.sighting_id for s in seen} == {"r-c-1"}
    assert all(s.person_id == "anna" and s.first_seen_at == START for s in seen)
    assert seen[0].similarity == pytest.approx(0.9)
    assert isinstance(events[-1], TrackEnded)
    assert recogniser.counts == {"tracks": 1, "unknown_tracks": 0, "sightings": 1}


def test_a_stranger_is_never_sighted() -> None:
    events, recogniser, _ = play(lambda _: [(100, 1.0)], 10)
    assert not sightings(events)
    assert [event.person_id for event in events if isinstance(event, TrackEnded)] == [None]
    assert recogniser.counts["unknown_tracks"] == 1


def test_a_passing_shadow_is_no_track() -> None:
    _, recogniser, _ = play(lambda t: [(100, 1.0)] if t < 0.6 else [], 5)
    assert recogniser.counts["tracks"] == 0


def test_another_person_who_takes_the_place_gets_their_own_sighting() -> None:
    events, _, _ = play(lambda t: [(100, 0.1 if t < 6 else 1.9)], 14, max_samples=4, recheck_s=1)
    last = {s.person_id: s for s in sightings(events)}
    assert set(last) == {"anna", "ben"}
    assert (last["anna"].last_seen_at - START).total_seconds() <= 7
    assert (last["ben"].first_seen_at - START).total_seconds() >= 6
    assert last["anna"].sighting_id != last["ben"].sighting_id


def test_a_face_that_turns_into_another_one_smoothly_is_two_people() -> None:
    # 0.3 a look: no sample is far from what the track looked like so far.
    def scene(t: float) -> list[tuple[float, float]]:
        return [(100, float(np.clip(0.1 + 0.3 * (t - 6), 0.1, 1.9)))]

    events, _, _ = play(scene, 24, max_samples=4, recheck_s=0.5)
    last = {s.person_id: s for s in sightings(events)}
    assert set(last) == {"anna", "ben"}
    assert last["anna"].last_seen_at <= last["ben"].first_seen_at
    assert (last["ben"].first_seen_at - START).total_seconds() > 8


def test_one_odd_sample_changes_nothing() -> None:
    events, _, _ = play(lambda t: [(100, 1.2 if 3.9 < t < 4.1 else 0.1)], 10, recheck_s=0.5)
    assert {(s.person_id, s.sighting_id) for s in sightings(events)} == {("anna", "r-c-1")}


def test_nobody_is_in_two_places_at_once() -> None:
    events, _, _ = play(lambda _: [(100, 0.1), (600, 0.2)], 6)
    assert {s.sighting_id for s in sightings(events)} == {"r-c-1"}


def test_embedding_is_limited_for_a_frame_and_over_time() -> None:
    _, _, stage = play(lambda _: [(x * 200.0, 9.0 + 2 * x) for x in range(6)], 0.45, max_embeddings=2)
    assert stage.embedded == 2
    _, _, stage = play(lambda _: [(100, 0.1)], 30, max_samples=8, recheck_s=3)
    # 3 within the first second, 8 within 6 s, then one every 3 s.
    assert stage.embedded_at[:4] == [0, 0.5, 1, 2]
    assert stage.embedded_at[7:10] == [6, 9, 12]
    assert stage.embedded == 8 + 7


def test_a_poor_shot_is_not_embedded_but_for_a_look_at_who_it_is() -> None:
    _, _, stage = play(lambda _: [(100, 0.1)], 20, lambda t: 1.0 if t < 2 else 0.2, recheck_s=4)
    assert stage.embedded_at == [0, 0.5, 1, 5, 9, 13, 17]


def test_a_better_shot_takes_a_worse_ones_place_at_once() -> None:
    _, _, stage = play(lambda _: [(100, 0.1)], 12, lambda t: 0.4 if t < 9 else 1.0, recheck_s=60)
    assert stage.embedded_at[7:] == [6, 9, 10, 11]


def test_nobody_is_named_by_poor_shots_until_better_ones_come() -> None:
    events, _, _ = play(lambda _: [(100, 0.1)], 20, lambda t: 0.15 if t < 10 else 1.0)
    assert sightings(events)[0].at == START + timedelta(seconds=11)
    assert sightings(events)[0].samples == 3
    never, recogniser, _ = play(lambda _: [(100, 0.1)], 20, lambda _: 0.15)
    assert not sightings(never)
    assert recogniser.counts["unknown_tracks"] == 1


def test_a_head_bent_for_long_keeps_its_name() -> None:
    events, _, _ = play(lambda _: [(100, 0.1)], 900, lambda t: 1.0 if t < 5 else 0.1, sighting_interval_s=5)
    assert {s.sighting_id for s in sightings(events)} == {"r-c-1"}
    assert sightings(events)[-1].last_seen_at > START + timedelta(seconds=899)


def test_another_person_who_only_shows_poor_shots_is_noticed() -> None:
    events, _, _ = play(lambda t: [(100, 0.1 if t < 6 else 1.9)], 20, lambda t: 1.0 if t < 6 else 0.1)
    assert {s.person_id for s in sightings(events)} == {"anna"}
    assert sightings(events)[-1].last_seen_at < START + timedelta(seconds=12)


def test_between_scans_nothing_is_detected_but_boxes_move_on() -> None:
    _, recogniser, _ = play(lambda t: [(100 + 60 * t, 0.1)], 3, scan_interval_s=0.5)
    assert recogniser.views(START) == []  # finished
    stage = Stage(lambda t: [(100 + 60 * t, 0.1)])
    recogniser = recogniser_of(stage)
    for index in range(25):
        stage.now_s = index / 10
        recogniser.process(Frame("c", index, START + timedelta(seconds=stage.now_s), PICTURE))
    [view] = recogniser.views(START + timedelta(seconds=2.4))
    assert view.name == "Anna"
    assert view.box[0] == pytest.approx(244, abs=6)


def test_a_clock_set_back_ends_tracks_and_goes_on() -> None:
    stage = Stage(lambda _: [(100, 0.1)])
    recogniser = recogniser_of(stage)
    events: list[Event] = []
    for index in range(40):
        at = START + timedelta(seconds=index / 2 - (3600 if index >= 20 else 0))
        events += recogniser.process(Frame("c", index, at, PICTURE))
    events += recogniser.finish()
    assert len({s.sighting_id for s in sightings(events)}) == 2
