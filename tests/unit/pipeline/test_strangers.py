"""What is told of unknown people, and that no picture of anybody stays longer than needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scripted_stage import PICTURE, START, Scene, ScriptedStage

from optimind.core.shots import BestShots, Shot
from optimind.core.tracking import Track
from optimind.pipeline.strangers import LONGEST_PX, MOST_PICTURES, Strangers, cut
from optimind.plugin_api import Event, TrackEnded, VisitorSeen, VisitorShot

CUTS = [
    pytest.param((100, 40, 140, 80), (80, 80), 40.0, id="as much around it again"),
    pytest.param((0, 0, 40, 40), (60, 60), 40.0, id="at the edge"),
    pytest.param((-30, -10, 10, 30), (50, 30), 40.0, id="partly outside"),
    pytest.param((0, 0, 100, 100), (100, 150), 100.0, id="wider than the picture is high"),
    pytest.param((2000, 500, 2040, 540), (1, 1), 40.0, id="quite outside"),
]


@pytest.mark.parametrize(("box", "size", "face_px"), CUTS)
def test_a_face_is_cut_out_with_its_surroundings(box: tuple[float, ...], size: tuple[int, int], face_px: float) -> None:
    picture, width = cut(PICTURE, np.array(box, dtype=np.float64))
    assert picture.shape == (*size, 3)
    assert width == face_px
    assert not np.shares_memory(picture, PICTURE)


def test_a_large_face_is_made_smaller() -> None:
    image = np.zeros((2000, 2000, 3), np.uint8)
    picture, face_px = cut(image, np.array([500.0, 500.0, 1100.0, 1000.0]))
    assert picture.shape == (267, LONGEST_PX, 3)
    assert face_px == pytest.approx(160)


def play(scene: Scene, seconds: float) -> tuple[list[Event], Strangers]:
    strangers = Strangers("c", "line")
    return ScriptedStage(scene, strangers).play(seconds), strangers


def told(events: list[Event]) -> list[VisitorSeen]:
    return [event for event in events if isinstance(event, VisitorSeen)]


def test_a_stranger_is_told_at_the_end_with_the_best_pictures() -> None:
    events, strangers = play(lambda _: [(100, 1.0)], 10)
    (seen,) = told(events)
    assert (seen.camera, seen.track_id, seen.embedder, seen.ended) == ("c", "r-c-1", "line", True)
    assert (seen.first_seen_at, seen.last_seen_at) == (START, START + timedelta(seconds=9.5))
    assert len(seen.shots) == MOST_PICTURES
    assert seen.samples >= 3
    assert all(shot.vector == [1.0] and shot.quality >= 0.6 and shot.face_px == 90 for shot in seen.shots)
    assert seen.shots[0].picture.shape == (100, 180, 3)
    assert isinstance(events[events.index(seen) + 1], TrackEnded)
    assert strangers.pictures == 0


def test_one_who_stays_is_told_before_and_every_few_minutes() -> None:
    events, _ = play(lambda _: [(100, 1.0)], 700)
    assert [round((s.at - START).total_seconds()) for s in told(events)] == [30, 330, 630, 700]
    assert [seen.ended for seen in told(events)] == [False, False, False, True]
    assert len({seen.track_id for seen in told(events)}) == 1


NOT_STRANGERS = [
    pytest.param(lambda _: [(100, 0.1)], 40, id="enrolled"),
    pytest.param(lambda s: [(100, 0.1)] if s < 1 else [(100, 0.1), (500, 0.12)], 40, id="not sure: in two places"),
    pytest.param(lambda s: [(100, 1.0)] if s < 0.9 else [], 40, id="too few pictures"),
    pytest.param(lambda s: [(100, 0.45 if s < 1 else 0.2)], 20, id="known soon"),
]


@pytest.mark.parametrize(("scene", "seconds"), NOT_STRANGERS)
def test_nobody_else_is_told_and_nothing_is_kept(scene: Scene, seconds: float) -> None:
    events, strangers = play(scene, seconds)
    assert told(events) == []
    assert strangers.pictures == 0


def test_pictures_go_as_soon_as_the_track_gets_an_identity() -> None:
    strangers = Strangers("c", "line")
    # Like nobody at first, by little, and like Anna later.
    stage = ScriptedStage(lambda second: [(100, 0.56 if second < 2 else 0.1)], strangers)
    counts = []
    for index in range(60):
        stage.step(index)
        counts.append(strangers.pictures)
    assert max(counts) > 0
    assert counts[-1] == 0


def test_no_more_pictures_than_needed_are_in_memory() -> None:
    strangers = Strangers("c", "line")
    stage = ScriptedStage(lambda _: [(100, 1.0), (500, 1.3)], strangers)
    for index in range(100):
        stage.step(index)
        assert strangers.pictures <= 2 * MOST_PICTURES
    assert strangers.pictures == 2 * MOST_PICTURES


def test_without_it_nobody_is_told() -> None:
    assert told(ScriptedStage(lambda _: [(100, 1.0)], None).play(40)) == []


def test_a_poor_shot_has_no_picture() -> None:
    strangers = Strangers("c", "line")
    poor, good = Shot(START, np.ones(1), 0.5), Shot(START, np.ones(1), 0.7)
    for shot in (poor, good):
        strangers.picture(shot, PICTURE, np.array([100.0, 10.0, 140.0, 50.0]))
    assert strangers.pictures == 1
    # A shot that nothing else holds takes its picture along.
    del good, shot
    assert strangers.pictures == 0


def test_a_known_track_keeps_no_picture_whatever_else_it_is() -> None:
    strangers, shots = Strangers("c", "line"), BestShots(least=1, most=8)
    shot = Shot(START, np.ones(1), 0.9)
    shots.add(shot)
    strangers.picture(shot, PICTURE, np.array([100.0, 10.0, 140.0, 50.0]))
    track = Track.begun(1, np.array([100.0, 10.0, 140.0, 50.0]), START)
    assert not strangers.tell(track, "t", shots, START, is_stranger=False, is_known=True, ended=False)
    assert strangers.pictures == 0


def test_neither_face_nor_vector_is_in_the_text_of_an_event() -> None:
    shot = VisitorShot(START, np.array([0.123456, 0.2]), np.full((2, 2, 3), 77, np.uint8), 40.0, 0.8)
    seen = VisitorSeen(
        at=START,
        camera="c",
        track_id="t",
        first_seen_at=START,
        last_seen_at=START,
        embedder="line",
        samples=3,
        shots=(shot,),
        ended=True,
    )
    for text in (repr(shot), repr(seen), str(seen)):
        assert "0.12345" not in text
        assert "77" not in text
        assert "array" not in text


@pytest.mark.parametrize("first", [START + timedelta(seconds=1), datetime(2026, 9, 1)])  # noqa: DTZ001 - refused
def test_a_visitor_with_wrong_times_is_refused(first: datetime) -> None:
    with pytest.raises(ValueError, match=r"before they come|must carry a time zone"):
        VisitorSeen(
            at=START.astimezone(UTC),
            camera="c",
            track_id="t",
            first_seen_at=first,
            last_seen_at=START,
            embedder="line",
            samples=3,
            shots=(),
            ended=True,
        )
