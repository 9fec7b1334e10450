"""What a run says at its end of what looking for faces cost, and of its cameras."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from optimind.pipeline.replay import FrameCounts
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.summary import attention, summarise
from optimind.plugin_api import SourceError


@dataclass
class Camera:
    camera: str
    error: Exception | None = None
    counts: FrameCounts = field(default_factory=lambda: FrameCounts(100, 40))


@dataclass
class Looked:
    finds_from_px: float = 0.0
    picture_px: int = 0
    searched_px: int = 0
    deferred: int = 0
    starved: int = 0


@dataclass
class Checked:
    """Stands in for a camera's check of presentation attacks."""

    failures: int = 0
    is_off: bool = False
    last_error: str = ""


@dataclass
class Recognised:
    looker: Looked
    presentation: Checked | None = None
    most_waiting: int = 0
    counts: Counter[str] = field(default_factory=lambda: Counter(tracks=3, sightings=2, unknown_tracks=1))


@dataclass
class Feed:
    """Stands in for a camera's feed."""

    capture: Camera
    recogniser: Recognised
    processed: int = 60
    state: str = "ended"
    reason: str = ""
    failures: int = 0
    last_error: str = ""


def feeds(*looked: Looked) -> list[Feed]:
    return [Feed(Camera(f"c{number}"), Recognised(each)) for number, each in enumerate(looked)]


def summary(
    cameras: list[Feed],
    stages: StageTimes | None = None,
    delays: StageTimes | None = None,
    seconds: float = 10.0,
) -> dict[str, Any]:
    return summarise(
        cameras,  # type: ignore[arg-type]  # stands in
        stages or StageTimes(),
        delays or StageTimes(),
        {"b", "a"},
        seconds=seconds,
        cpu_s=7.5,
        workers=[],
        plugins=[],
        engine="dlib",
        min_face_px=45,
    )


def stages(**durations_s: list[float]) -> StageTimes:
    times = StageTimes()
    for stage, each in durations_s.items():
        for duration_s in each:
            times.add(stage, duration_s)
    return times


def test_what_looking_cost() -> None:
    # Of 3 Mpx that were searched in 0.8 s the larger picture would be a fifth more.
    two = feeds(
        Looked(picture_px=3_600_000, searched_px=1_000_000, deferred=3),
        Looked(picture_px=900_000, searched_px=2_000_000, deferred=4),
    )
    times = stages(search=[0.3, 0.5], follow=[0.02, 0.04, 0.06], motion=[3.0])
    assert summary(two, times)["detection"] == {
        "engine": "dlib",
        "min_face_px": 45,
        "finds_from_px": 45,
        "searches": 2,
        "ms_a_picture": 960.0,
        "follows": 3,
        "ms_a_follow": 40.0,
        "share": 0.092,
        "deferred": 7,
        "most_waiting": 0,
        "larger_px": 60,
        "larger_ms": 540.0,
    }


@pytest.mark.parametrize(
    ("finds_from_px", "from_px", "larger_px"),
    [pytest.param([0.0, 0.0], 45, 60, id="not known"), pytest.param([30.0, 54.3], 54, 72, id="the coarsest counts")],
)
def test_from_which_size_faces_are_found(finds_from_px: list[float], from_px: int, larger_px: int) -> None:
    detection = summary(feeds(*(Looked(finds_from_px=each) for each in finds_from_px)))["detection"]
    assert (detection["finds_from_px"], detection["larger_px"]) == (from_px, larger_px)


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_a_run_that_never_looked_cost_nothing(seconds: float) -> None:
    for cameras in ([], feeds(Looked(picture_px=900_000))):
        detection = summary(cameras, seconds=seconds)["detection"]
        costs = ("searches", "ms_a_picture", "follows", "ms_a_follow", "share", "deferred", "larger_ms")
        assert {detection[key] for key in costs} == {0}


def test_how_many_faces_waited_at_most() -> None:
    cameras = feeds(Looked(), Looked())
    assert summary([])["detection"]["most_waiting"] == summary(cameras)["detection"]["most_waiting"] == 0
    cameras[1].recogniser.most_waiting = 7
    assert summary(cameras)["detection"]["most_waiting"] == 7


def test_a_share_is_never_more_than_all() -> None:
    assert summary(feeds(Looked(picture_px=9, searched_px=9)), stages(search=[7.0, 7.0]))["detection"]["share"] == 1.0


@pytest.mark.parametrize(("seconds", "cores"), [(10.0, 0.75), (0.0, 0.0)])
def test_how_many_cores_a_run_used(seconds: float, cores: float) -> None:
    assert summary([], seconds=seconds)["cpu_cores"] == cores


def test_the_cameras_and_all_of_them() -> None:
    found = summary(feeds(Looked(), Looked()))
    assert found["people"] == ["a", "b"]
    assert [camera["id"] for camera in found["cameras"]] == ["c0", "c1"]
    assert found["cameras"][0]["frames"] == {"read": 100, "processed": 60, "dropped": 40}
    assert found["frames"] == {"read": 200, "processed": 120, "dropped": 80}
    assert (found["tracks"], found["sightings"], found["unknown_tracks"]) == (6, 4, 2)


def test_how_long_after_its_arrival_a_frame_was_done_with() -> None:
    delays = stages(frame=[0.1, 0.3], sighting=[0.5])
    assert summary(feeds(Looked()), delays=delays)["delays_ms"] == {
        "frame": {"mean": 200.0, "p95": 290.0},
        "sighting": {"mean": 500.0, "p95": 500.0},
    }
    assert summary(feeds(Looked()))["delays_ms"] == {}


TROUBLES = [
    pytest.param({}, {}, False, [], id="none"),
    pytest.param({"state": "stalled", "reason": "no picture for 5 s"}, {}, False, ["no picture for 5 s"], id="stalled"),
    pytest.param({"state": "failed", "reason": "gone"}, {}, True, ["gone"], id="failed"),
    pytest.param({"state": "live", "reason": "whatever"}, {}, False, [], id="all is well by now"),
    pytest.param(
        {}, {"error": SourceError("no answer")}, False, ["lost for a while: no answer"], id="lost for a while"
    ),
    pytest.param({}, {"counts": FrameCounts(0, 0)}, False, ["it gave no picture"], id="no picture"),
    pytest.param({}, {"counts": FrameCounts(0, 0)}, True, [], id="no picture yet"),
    pytest.param(
        {"failures": 3, "last_error": "odd"}, {}, False, ["3 frames could not be handled, the last: odd"], id="bad"
    ),
]


@pytest.mark.parametrize(("feed", "camera", "stopped", "said"), TROUBLES)
def test_what_a_person_must_know_of_a_camera(
    feed: dict[str, Any], camera: dict[str, Any], *, stopped: bool, said: list[str]
) -> None:
    recognised = Recognised(Looked(deferred=9))
    found = attention([Feed(Camera("c0", **camera), recognised, **feed)], [], [], stopped=stopped)  # type: ignore[list-item]
    assert len(found) == len(said)
    for sentence, words in zip(found, said, strict=True):
        assert sentence.startswith("camera c0: ")
        assert words in sentence


@pytest.mark.parametrize(
    ("suspected", "check", "said"),
    [
        (0, Checked(), []),
        (1, Checked(), ["1 face may have been pictures of people; records that rest on them need review"]),
        (2, None, ["2 faces may have been pictures of people; records that rest on them need review"]),
        (0, Checked(2, last_error="odd"), ["the check of presentation attacks failed 2 times, the last: odd"]),
        (0, Checked(5, is_off=True, last_error="odd"), ["failed 5 times, it was switched off, the last: odd"]),
    ],
)
def test_suspicions_and_a_failing_check_need_a_person(suspected: int, check: Checked | None, said: list[str]) -> None:
    one = feeds(Looked())
    one[0].recogniser.counts["suspected_tracks"] = suspected
    one[0].recogniser.presentation = check
    found = attention(one, [], [], stopped=False)  # type: ignore[arg-type]  # stand in
    assert len(found) == len(said)
    assert all(words in sentence for sentence, words in zip(found, said, strict=True))
    assert summary(one)["suspected_tracks"] == suspected


def test_a_starved_camera_is_told_of_beside_all_else() -> None:
    two = feeds(Looked(), Looked(starved=1))
    two[1].state, two[1].reason = "stalled", "no picture for 5 s"
    stalled, starved = attention(two, [], [], stopped=False)  # type: ignore[arg-type]  # stand in
    assert stalled == "camera c1: no picture for 5 s"
    assert starved.startswith("camera c1: once there was no processor time for 2 s")
    assert "detection.cpu_cores" in starved
    [often] = attention(feeds(Looked(starved=7)), [], [], stopped=False)  # type: ignore[arg-type]  # stand in
    assert often.startswith("camera c0: 7 times there was")


@dataclass
class Keeper:
    visits: int = 5
    visitors: int = 3
    dropped: int = 0

    def trouble(self) -> str:
        return "2 visits were lost" if self.dropped else ""


@pytest.mark.parametrize(
    ("keeper", "told", "sentences"),
    [
        pytest.param(None, {"on": False, "visits": 0, "distinct": 0, "dropped": 0}, [], id="off"),
        pytest.param(Keeper(), {"on": True, "visits": 5, "distinct": 3, "dropped": 0}, [], id="all is well"),
        pytest.param(
            Keeper(dropped=2),
            {"on": True, "visits": 5, "distinct": 3, "dropped": 2},
            ["visitors: 2 visits were lost"],
            id="some were lost",
        ),
    ],
)
def test_what_was_kept_of_unknown_people(keeper: Keeper | None, told: dict[str, Any], sentences: list[str]) -> None:
    found = summarise(
        [],
        StageTimes(),
        StageTimes(),
        [],
        seconds=1.0,
        cpu_s=0.5,
        workers=[],
        plugins=[],
        engine="dlib",
        min_face_px=45,
        visitors=keeper,  # type: ignore[arg-type]  # stands in
    )
    assert found["visitors"] == told
    assert attention([], [], [], stopped=False, visitors=keeper) == sentences  # type: ignore[arg-type]  # as above
