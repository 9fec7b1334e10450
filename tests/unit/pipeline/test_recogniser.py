"""The recogniser with scripted looks and a scripted embedder: a face is a box and a point on a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

import numpy as np
import pytest

from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.tracking import Track
from optimind.core.types import Detections, Frame, Gallery, Image, Template, Vectors
from optimind.core.zones import Line, Zone, ZoneKind, Zones
from optimind.pipeline.candidates import Wanted
from optimind.pipeline.looking import Look
from optimind.pipeline.presentation import Presentation
from optimind.pipeline.recogniser import MOST_CONTESTED, Recogniser, RecogniserSettings
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import (
    Embedder,
    EmbedderInfo,
    Event,
    LineCrossed,
    PadState,
    PadVerdict,
    Sighting,
    TrackEnded,
)
from optimind.testing.pad import FakePadCheck

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
Scene = Callable[[float], list[tuple[float, float]]]
"""At a second: the faces, each as (left edge in pixels, where it stands on the line of embeddings)."""
PICTURE: Image = np.random.default_rng(0).integers(0, 256, (100, 1300, 3), np.uint8)
"""Sharp and full of contrast everywhere."""
NOWHERE = Zones()


class Stage(Embedder):
    """Looks at a scene every half second, and embeds it, at the second that it was told.

    ``frontality`` is of all its faces then; ``looks_for`` says whether a face of the last look is looked for again.
    From ``unchanged_from_s`` on no face is detected any more, as all look as they did.
    """

    name: ClassVar[str] = "stage"
    info = EmbedderInfo("line", 1)

    def __init__(
        self,
        scene: Scene,
        frontality: Callable[[float], float] = lambda _: 1.0,
        *,
        looks_for: bool = True,
    ) -> None:
        self.scene = scene
        self.frontality = frontality
        self.looks_for = looks_for
        self.unchanged_from_s = math.inf
        self.time = True
        self.waited = 0.1
        self.fails_at: float | None = None
        self.wanted: list[set[int]] = []
        self.found_at: list[float] = []
        self.embedded = 0
        self.embedded_at: list[float] = []
        self.now_s = 0.0
        self._looked_at: datetime | None = None

    @classmethod
    def create(cls, *_: object) -> Self:
        raise AssertionError("made by the test")

    @classmethod
    def describe(cls, settings: object) -> EmbedderInfo:
        return cls.info

    def look(self, frame: Frame, tracks: Sequence[Track], *, wanted: Set[int], cameras: int) -> Look | None:
        at = frame.captured_at
        self.wanted.append(set(wanted))
        if self._looked_at is not None and timedelta(0) <= at - self._looked_at < timedelta(seconds=0.5):
            return None
        self._looked_at = at
        lefts = [left for left, _ in self.scene(self.now_s)]
        boxes = np.array([(x, 0, x + 90, 90) for x in lefts], dtype=np.float64).reshape(-1, 4)
        faces = Detections(boxes, np.ones(len(lefts)), None, np.full(len(lefts), self.frontality(self.now_s)))
        if self.now_s >= self.unchanged_from_s and len(tracks) == len(boxes):
            return Look(Detections.empty(), np.zeros(len(tracks), dtype=bool), dict(enumerate(boxes)))
        return Look(faces, np.full(len(tracks), self.looks_for))

    def pose(self, image: Image, faces: Detections) -> np.ndarray | None:
        return faces.frontality

    def has_time(self) -> bool:
        return self.time

    def found(self, frame: Frame, tracks: Sequence[Track]) -> None:
        if self.now_s == self.fails_at:
            raise MemoryError
        self.found_at += [self.now_s] * len(tracks)

    def embed(self, image: Image, faces: Detections) -> Vectors:
        self.embedded += len(faces)
        self.embedded_at.append(self.now_s)
        where = dict(self.scene(self.now_s))
        # A face that was cut out stands elsewhere in its picture.
        return np.array([[where.get(left, self.waited)] for left in faces.xyxy[:, 0]])


LIMITS = IdentificationLimits(max_distance=0.5, fpir=0.01, min_margin=0.03, min_samples=3)
GALLERY = Gallery("line", (Template("anna", "Anna", np.array([[0.0]])), Template("ben", "Ben", np.array([[2.0]]))))


def recogniser_of(
    stage: Stage,
    *,
    zones: Zones = NOWHERE,
    line: Line | None = None,
    presentation: Presentation | None = None,
    **settings: float,
) -> Recogniser:
    return Recogniser(
        "c",
        stage,  # type: ignore[arg-type]  # stands in
        stage,
        Identifier(GALLERY, LIMITS),
        RecogniserSettings(**settings),  # type: ignore[arg-type]  # a table of numbers
        run_id="r",
        stages=StageTimes(),
        zones=zones,
        line=line,
        presentation=presentation,
    )


def process(recogniser: Recogniser, stage: Stage, frame: Frame) -> list[Event]:
    """What the loop does with a frame."""
    wanted = recogniser.look(frame)
    return recogniser.conclude(rows_of(stage, wanted))


def rows_of(stage: Stage, wanted: list[Wanted]) -> list[np.ndarray]:
    return [row for each in wanted for row in stage.embed(each.image, each.faces)]


def play(
    scene: Scene,
    seconds: float,
    frontality: Callable[[float], float] = lambda _: 1.0,
    *,
    zones: Zones = NOWHERE,
    line: Line | None = None,
    unchanged_from_s: float = math.inf,
    presentation: Presentation | None = None,
    enrolled: Mapping[float, Gallery] | None = None,
    **settings: float,
) -> tuple[list[Event], Recogniser, Stage]:
    stage = Stage(scene, frontality)
    stage.unchanged_from_s = unchanged_from_s
    recogniser = recogniser_of(stage, zones=zones, line=line, presentation=presentation, **settings)
    events: list[Event] = []
    for index in range(round(seconds * 10)):
        stage.now_s = index / 10
        if enrolled and stage.now_s in enrolled:
            recogniser.know(Identifier(enrolled[stage.now_s], LIMITS))
        at = START + timedelta(seconds=stage.now_s)
        events += process(recogniser, stage, Frame("c", index, at, PICTURE, stage.now_s))
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
    assert recogniser.counts == {"tracks": 1, "unknown_tracks": 0, "sightings": 1, "suspected_tracks": 0}
    assert {s.suspicion for s in seen} == {""}


class Suspicious(FakePadCheck):
    """Suspects whoever is at the left edge, at the sixth look: after they were named."""

    def observe(self, track: str, image: Image, box: tuple[float, float, float, float], at: datetime) -> PadVerdict:
        super().observe(track, image, box, at)
        if box[0] > 500 or len(self.seen[track]) < 6:
            return PadVerdict()
        return PadVerdict(state=PadState.SUSPECTED, liveness=0.2, reason="it is flat", is_final=True)


def test_a_suspicion_is_told_at_once_and_stays_with_the_sighting() -> None:
    check = Suspicious()
    scene: Scene = lambda t: [(100, 0.1), (900, 2.1)] if t < 12 else []  # noqa: E731 - a table of two
    presentation = Presentation(check, stages=StageTimes())
    events, recogniser, _ = play(scene, 20, presentation=presentation, sighting_interval_s=5)
    anna = [s for s in sightings(events) if s.person_id == "anna"]
    assert [((s.last_seen_at - START).total_seconds(), s.suspicion) for s in anna] == [
        (1.0, ""),
        (2.5, "it is flat"),
        (7.5, "it is flat"),
        (11.5, "it is flat"),
    ]
    assert {s.suspicion for s in sightings(events) if s.person_id == "ben"} == {""}
    assert (recogniser.counts["tracks"], recogniser.counts["suspected_tracks"]) == (2, 1)
    assert sorted(check.forgotten) == ["1", "2"]


def test_a_face_is_shown_to_the_check_in_frames_that_are_not_looked_at_too() -> None:
    check = FakePadCheck(looks=25)
    check.interval_s = 0.1
    presentation = Presentation(check, stages=StageTimes())
    stage = Stage(lambda _: [(100, 0.1)])
    recogniser = recogniser_of(stage, presentation=presentation)
    for index in range(25):
        stage.now_s = index / 10
        process(recogniser, stage, Frame("c", index, START + timedelta(seconds=stage.now_s), PICTURE, stage.now_s))
    assert [(when - START).total_seconds() for when, _ in check.seen["1"]] == [index / 10 for index in range(25)]
    assert presentation.verdict(1).state is not PadState.UNDECIDED


def test_a_stranger_is_never_sighted() -> None:
    events, recogniser, _ = play(lambda _: [(100, 1.0)], 10)
    assert not sightings(events)
    assert [event.person_id for event in events if isinstance(event, TrackEnded)] == [None]
    assert recogniser.counts["unknown_tracks"] == 1


ONLY_BEN = Gallery("line", (Template("ben", "Ben", np.array([[2.0]])),))
RENAMED = Gallery("line", (Template("anna", "Anna-Lena", np.array([[0.0]])), GALLERY.templates[1]))


@pytest.mark.parametrize(
    ("enrolled", "wanted"),
    [
        pytest.param({4.0: ONLY_BEN}, {1.0: "Anna"}, id="taken out"),
        pytest.param({0.0: ONLY_BEN, 4.0: GALLERY}, {4.0: "Anna", 9.0: "Anna", 9.5: "Anna"}, id="enrolled"),
        pytest.param({4.0: ONLY_BEN, 6.0: GALLERY}, {1.0: "Anna", 6.0: "Anna", 9.5: "Anna"}, id="out and in"),
        pytest.param({4.0: RENAMED}, {1.0: "Anna", 6.0: "Anna-Lena", 9.5: "Anna-Lena"}, id="renamed"),
    ],
)
def test_who_is_enrolled_may_change_while_a_face_is_in_view(
    enrolled: dict[float, Gallery], wanted: dict[float, str]
) -> None:
    events, recogniser, _ = play(lambda _: [(100, 0.1)], 10, sighting_interval_s=5, enrolled=enrolled)
    found = {round((each.at - START).total_seconds(), 1): each.name for each in sightings(events)}
    assert found == wanted
    assert recogniser.counts["tracks"] == 1


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


def test_embedding_is_limited_over_time() -> None:
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


def test_between_looks_boxes_move_on() -> None:
    _, recogniser, _ = play(lambda t: [(100 + 60 * t, 0.1)], 3)
    assert recogniser.views(START) == []  # finished
    stage = Stage(lambda t: [(100 + 60 * t, 0.1)])
    recogniser = recogniser_of(stage)
    for index in range(25):
        stage.now_s = index / 10
        process(recogniser, stage, Frame("c", index, START + timedelta(seconds=stage.now_s), PICTURE))
    [view] = recogniser.views(START + timedelta(seconds=2.4))
    assert view.name == "Anna"
    assert view.box[0] == pytest.approx(244, abs=6)


def test_a_clock_set_back_ends_tracks_and_goes_on() -> None:
    stage = Stage(lambda _: [(100, 0.1)])
    recogniser = recogniser_of(stage)
    events: list[Event] = []
    for index in range(40):
        at = START + timedelta(seconds=index / 2 - (3600 if index >= 20 else 0))
        events += process(recogniser, stage, Frame("c", index, at, PICTURE))
    events += recogniser.finish()
    assert len({s.sighting_id for s in sightings(events)}) == 2


def frame_at(stage: Stage, seconds: float) -> Frame:
    stage.now_s = seconds
    return Frame("c", round(seconds * 10), START + timedelta(seconds=seconds), PICTURE)


def test_only_the_faces_that_are_wanted_are_handed_out() -> None:
    stage = Stage(lambda _: [(x * 200.0, 9.0 + 2 * x) for x in range(6)])
    recogniser = recogniser_of(stage)
    [first] = recogniser.look(frame_at(stage, 0), most=4)
    assert first.image is PICTURE
    assert len(first.faces) == 4
    recogniser.conclude(rows_of(stage, [first]))
    assert recogniser.waiting == 2


def test_the_other_faces_wait_for_the_next_frame_without_their_own() -> None:
    stage = Stage(lambda _: [(x * 200.0, 9.0 + 2 * x) for x in range(6)])
    recogniser = recogniser_of(stage)
    first = recogniser.look(frame_at(stage, 0), most=4)
    recogniser.conclude(rows_of(stage, first))
    # Nothing is looked at so soon, but there are faces that wait.
    then = recogniser.look(frame_at(stage, 0.1), most=4)
    assert [len(each.faces) for each in then] == [1, 1]
    assert all(each.image.nbytes < PICTURE.nbytes / 2 for each in then)
    assert recogniser.conclude([np.array([30.0]), np.array([40.0])]) == []
    assert recogniser.look(frame_at(stage, 0.2), most=4) == []


def test_without_processor_time_one_face_at_a_time_is_embedded() -> None:
    stage = Stage(lambda _: [(x * 200.0, 9.0 + 2 * x) for x in range(6)])
    stage.time = False
    recogniser = recogniser_of(stage)
    assert [len(each.faces) for each in recogniser.look(frame_at(stage, 0), most=4)] == [1]
    assert [len(each.faces) for each in recogniser_of(stage).look(frame_at(stage, 2))] == [6]  # a recording has time


def test_who_is_nearest_to_a_name_is_embedded_first() -> None:
    stage = Stage(lambda t: [(100, 0.1)] if t < 1 else [(100, 0.1), (500, 2.0)])
    recogniser = recogniser_of(stage)
    for second in (0.0, 0.5):
        process(recogniser, stage, frame_at(stage, second))
    [first] = recogniser.look(frame_at(stage, 1), most=1)
    assert first.faces.xyxy[:, 0].tolist() == [100]
    events = recogniser.conclude(rows_of(stage, [first]))
    assert [sighting.person_id for sighting in sightings(events)] == ["anna"]
    [then] = recogniser.look(frame_at(stage, 1.1), most=1)
    assert len(then.faces) == 1


@pytest.mark.parametrize(("looks", "people"), [(2, ["anna"]), (1, [])])
@pytest.mark.parametrize("leaves", [True, False], ids=["they leave", "the run ends"])
def test_the_last_picture_of_a_track_counts_though_it_still_waits(
    *, looks: int, people: list[str], leaves: bool
) -> None:
    stage = Stage(lambda t: [(100, 0.1)] if t < 1.1 else [])
    recogniser = recogniser_of(stage)
    events: list[Event] = []
    for index in range(looks):
        events += process(recogniser, stage, frame_at(stage, index / 2))
    recogniser.look(frame_at(stage, 1), most=0)
    events += recogniser.conclude([])
    assert (recogniser.waiting, sightings(events)) == (1, [])
    for second in (3, 5, 7, 9) if leaves else ():
        recogniser.look(frame_at(stage, second), most=0)
        events += recogniser.conclude([])
    events += recogniser.finish()
    assert (recogniser.waiting, recogniser.following) == (0, 0)
    assert [sighting.person_id for sighting in sightings(events)] == people
    [ended] = [event for event in events if isinstance(event, TrackEnded)]
    assert ended.person_id == (people[0] if people else None)


def test_a_face_that_cannot_be_embedded_comes_after_the_others() -> None:
    stage = Stage(lambda _: [(100, 0.1), (500, 2.0)])
    recogniser = recogniser_of(stage)
    [first] = recogniser.look(frame_at(stage, 0), most=1)
    recogniser.conclude([None])
    [then] = recogniser.look(frame_at(stage, 0.5), most=1)
    assert then.faces.xyxy[0, 0] != first.faces.xyxy[0, 0]


def test_a_frame_in_which_something_fails_costs_no_track_and_no_later_frame() -> None:
    stage = Stage(lambda t: [(100, 0.1)] if t < 4 else [(900, 2.0)])
    recogniser = recogniser_of(stage)
    stage.fails_at = 2.0
    events: list[Event] = []
    for index in range(20):
        try:
            events += process(recogniser, stage, frame_at(stage, index / 2))
        except MemoryError:
            assert stage.now_s == 2.0
    events += recogniser.finish()
    assert {sighting.person_id for sighting in sightings(events)} == {"anna", "ben"}
    assert [event.person_id for event in events if isinstance(event, TrackEnded)] == ["anna", "ben"]


def test_no_picture_from_before_a_miss_stands_for_the_look_after_it() -> None:
    """Anna's picture waits; she leaves, and somebody else sits down in her place at once."""
    stage = Stage(lambda t: [(100, 0.1)] if t < 10 else [] if t < 10.4 else [(100, 2.0)])
    recogniser = recogniser_of(stage)
    for index in range(20):
        process(recogniser, stage, frame_at(stage, index / 2))
    stage._looked_at = None
    recogniser._subjects[1].sampled_at = None
    recogniser.look(frame_at(stage, 9.95), most=0)
    assert recogniser.waiting == 1
    for second in (10.2, 10.6):
        stage._looked_at = None
        wanted = recogniser.look(frame_at(stage, second))
        recogniser.conclude(rows_of(stage, wanted))
    assert [each.image is PICTURE for each in wanted] == [True]
    assert recogniser._subjects[1].foreign


def test_a_face_kept_by_its_looks_when_the_clock_is_set_back_costs_no_frame() -> None:
    stage = Stage(lambda _: [(100, 0.1)])
    stage.unchanged_from_s = 2
    recogniser = recogniser_of(stage)
    for index in range(16):
        process(recogniser, stage, frame_at(stage, index / 2))
    at = START + timedelta(seconds=4)
    stage._looked_at = None
    wanted = recogniser.look(Frame("c", 99, at, PICTURE))
    recogniser.conclude(rows_of(stage, wanted))
    assert recogniser.following == len(recogniser._tracker.tracks)


def test_a_face_that_was_embedded_to_tell_who_it_is_is_a_sample_too() -> None:
    """Two who stand so close that their places do not tell them apart are embedded once each at a look, not twice."""
    stage = Stage(lambda _: [(100, 0.1), (150, 2.0)])
    recogniser = recogniser_of(stage)
    for index in range(3):
        process(recogniser, stage, frame_at(stage, index / 2))
    assert stage.embedded == 2 * 3


@pytest.mark.parametrize("rows", [0, 2])
def test_another_number_of_vectors_than_wanted_is_refused(rows: int) -> None:
    stage = Stage(lambda _: [(100, 0.1)])
    recogniser = recogniser_of(stage)
    assert recogniser.look(frame_at(stage, 0))
    with pytest.raises(ValueError, match="zip"):
        recogniser.conclude(list(np.zeros((rows, 1))))


def test_a_look_whose_faces_could_not_be_embedded_loses_no_event() -> None:
    stage = Stage(lambda t: [(100, 0.1)] if t < 3 else [(900, 2.0)])
    recogniser = recogniser_of(stage)
    events: list[Event] = []
    for index in range(12):
        frame = frame_at(stage, index / 2)
        wanted = recogniser.look(frame)
        if index >= 6 and wanted:
            continue  # the embedder failed
        events += recogniser.conclude(rows_of(stage, wanted))
    assert not any(isinstance(event, TrackEnded) for event in events)
    events += process(recogniser, stage, frame_at(stage, 6))
    [ended] = [event for event in events if isinstance(event, TrackEnded)]
    assert (ended.person_id, ended.last_seen_at) == ("anna", START + timedelta(seconds=2.5))
    events += recogniser.finish()
    assert [s.person_id for s in sightings(events)].count("anna") >= 2


def test_a_face_that_nobody_looked_for_is_still_there_but_not_for_ever() -> None:
    for looks_for, ended_s in ((True, 4.5), (False, 7.5)):
        stage = Stage(lambda t: [(100, 0.1)] if t < 2.2 else [], looks_for=looks_for)
        recogniser = recogniser_of(stage)
        ended = [
            index / 2
            for index in range(20)
            if any(isinstance(e, TrackEnded) for e in process(recogniser, stage, frame_at(stage, index / 2)))
        ]
        assert ended == [ended_s]


def test_a_face_that_the_last_look_missed_is_not_drawn() -> None:
    for looks_for in (True, False):
        stage = Stage(lambda t: [(100, 0.1)] if t < 0.9 else [], looks_for=looks_for)
        recogniser = recogniser_of(stage)
        for seconds in (0.0, 0.5, 1.0):
            process(recogniser, stage, frame_at(stage, seconds))
        assert len(recogniser.views(START + timedelta(seconds=1))) == (0 if looks_for else 1)


def test_two_who_turn_back_from_each_other_are_told_apart_by_their_looks() -> None:
    def scene(t: float) -> list[tuple[float, float]]:
        if t <= 4:
            return [(100 + 50 * t, 0.1), (500 - 50 * t, 1.9)]
        # They met in the middle, and each went back to where they came from while nobody looked.
        return [(300 - 65 * (t - 4), 0.1), (300 + 65 * (t - 4), 1.9)]

    stage = Stage(scene)
    recogniser = recogniser_of(stage)
    for index in range(24):
        if index in (8, 9):  # nobody looks while they are in one place
            continue
        process(recogniser, stage, frame_at(stage, index / 2))
    left, right = sorted(recogniser.views(START + timedelta(seconds=11.5)), key=lambda view: view.box[0])
    assert (left.name, right.name) == ("Anna", "Ben")
    assert recogniser.counts["tracks"] == 0  # nobody's track was broken off


def test_a_crowd_is_not_embedded_to_tell_who_is_who() -> None:
    crowd = [(100 + 8.0 * x, 9.0 + 2 * x) for x in range(MOST_CONTESTED + 1)]
    for faces, embedded in ((crowd, 0), (crowd[:2], 2)):
        stage = Stage(lambda _, faces=faces: faces)  # type: ignore[misc]  # bound here
        recogniser = recogniser_of(stage)
        process(recogniser, stage, frame_at(stage, 0))
        before = stage.embedded
        recogniser.look(frame_at(stage, 0.5))
        assert stage.embedded - before == embedded


def test_what_looks_can_be_asked_what_it_counted() -> None:
    stage = Stage(lambda _: [])
    looker: object = recogniser_of(stage).looker
    assert looker is stage


# -- places and the line --------------------------------------------------------------------------------------------


def upright(name: str, kind: ZoneKind, left: float, right: float) -> Zone:
    return Zone(name, kind, ((left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)))


def test_a_sighting_says_where_they_are() -> None:
    zones = Zones(
        (upright("A1", "seat", 0.0, 0.2), upright("wall", "ignore", 0.2, 0.6), upright("D", "door", 0.8, 1.0))
    )
    scene = [(100.0, 0.1), (1150.0, 1.9)]  # in the middle of 1300 pixels there is neither seat nor door
    events, _, _ = play(lambda _: scene, 6, zones=zones)
    assert {(s.person_id, s.place) for s in sightings(events)} == {("anna", "A1"), ("ben", "D")}
    moved, _, _ = play(lambda _: [(500, 0.1), (900, 1.9)], 6, zones=zones)
    assert {(s.person_id, s.place) for s in sightings(moved)} == {("anna", None), ("ben", None)}
    nowhere, _, _ = play(lambda _: scene, 6)
    assert {s.place for s in sightings(nowhere)} == {None}


def test_a_sighting_says_where_they_were_last() -> None:
    zones = Zones((upright("A1", "seat", 0.0, 0.25), upright("B1", "seat", 0.25, 1.0)))
    events, _, _ = play(lambda t: [(100 + 40 * max(0.0, t - 5), 0.1)], 20, zones=zones, sighting_interval_s=5)
    assert {s.sighting_id for s in sightings(events)} == {"r-c-1"}
    assert [s.place for s in sightings(events)] == ["A1", "A1", "B1", "B1", "B1"]


DOORSTEP = Line((0.5, 0.0), (0.5, 1.0), inside="left")
"""Upright in the middle; the right half of the picture is inside."""


def there_and_back(t: float, embedding: float = 0.1) -> list[tuple[float, float]]:
    """From 200 to 1100 pixels until second 10, and back until second 20."""
    return [(200 + 90 * (t if t <= 10 else 20 - t), embedding)]


def crossings(events: list[Event]) -> list[LineCrossed]:
    return [event for event in events if isinstance(event, LineCrossed)]


@pytest.mark.parametrize(
    ("embedding", "person_id"), [pytest.param(0.1, "anna", id="known"), pytest.param(9.0, None, id="a stranger")]
)
def test_who_crosses_the_line_is_told_in_and_out(embedding: float, person_id: str | None) -> None:
    events, _, _ = play(lambda t: there_and_back(t, embedding), 20, line=DOORSTEP)
    inwards, outwards = crossings(events)
    assert (inwards.direction, outwards.direction) == ("in", "out")
    for crossed, at_s in ((inwards, 4.5), (outwards, 15.5)):  # the middle of the face is on 650 pixels then
        assert (crossed.camera, crossed.track_id, crossed.person_id) == ("c", "r-c-1", person_id)
        # A margin beyond the line, and at the next look.
        assert 0 < (crossed.at - START).total_seconds() - at_s <= 1


def test_who_does_not_cross_the_line_is_not_told() -> None:
    def on_both_sides(_: float) -> list[tuple[float, float]]:
        return [(200, 0.1), (1000, 1.9)]

    cases: list[tuple[Scene, Line | None]] = [(there_and_back, None), (on_both_sides, DOORSTEP)]
    for scene, line in cases:
        events, _, _ = play(scene, 20, line=line)
        assert sightings(events)
        assert not crossings(events)


def test_each_crosses_the_line_for_themselves() -> None:
    # She stops before it.
    events, _, _ = play(lambda t: [*there_and_back(min(t, 2.0)), (1150 - 40 * t, 1.9)], 16, line=DOORSTEP)
    assert [(crossed.person_id, crossed.direction) for crossed in crossings(events)] == [("ben", "out")]


# -- faces that look as they did --------------------------------------------------------------------------------------


def test_a_face_that_looks_as_it_did_is_still_sighted_and_costs_no_embedding() -> None:
    events, _, stage = play(lambda _: [(100, 0.1)], 12, sighting_interval_s=5, unchanged_from_s=2)
    seen = sightings(events)
    assert [round((s.at - START).total_seconds(), 1) for s in seen] == [1.0, 6.0, 11.0, 11.5]
    assert {s.person_id for s in seen} == {"anna"}
    assert max(stage.embedded_at) < 2


def test_only_faces_that_are_not_known_yet_are_to_be_detected_at_every_look() -> None:
    _, _, stage = play(lambda _: [(100, 0.1), (400, 1.0)], 12, max_samples=5)
    both, one, none = {1, 2}, {2}, set[int]()
    seen = [wanted for wanted in stage.wanted if wanted]
    assert both in seen  # neither has been identified
    assert one in seen  # a stranger is looked at until there are enough samples
    assert stage.wanted[-1] == none


def test_a_face_that_looks_as_it_did_goes_over_the_line() -> None:
    line = Line((0.5, 0.0), (0.5, 1.0), inside="right")
    events, *_ = play(lambda t: [(500 + 40 * t, 0.1)], 8, line=line, unchanged_from_s=1.5)
    assert [event.direction for event in events if isinstance(event, LineCrossed)] != []


def test_the_looker_is_told_which_faces_were_detected() -> None:
    _, _, stage = play(lambda _: [(100, 0.1)], 3)
    assert [at for at in stage.found_at if at < 1] == [0.0, 0.5]
