"""The loop: order, ends, and that one camera's trouble is nobody else's."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from optimind.core.types import Detections, Frame, Image, Vectors
from optimind.pipeline.candidates import Wanted
from optimind.pipeline.capture import Capture
from optimind.pipeline.loop import EMBED_S, CameraFeed, Loop
from optimind.pipeline.replay import Replay
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.summary import attention
from optimind.plugin_api import Embedded, Event, Sighting, SourceError, TrackEnded
from optimind.testing.engines import FakeEmbedder

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


class Waiting:
    """Stands in for the looker: counts how often there was no time."""

    deferred = 0
    starved = 0


class Script:
    """Stands in for the recogniser: remembers what it was given, fails when told.

    ``faces`` says how many faces of a frame it wants embedded, and ``waits`` whether there is no time for it.
    """

    def __init__(
        self,
        log: list[tuple[str, float]],
        fails: Callable[[int], bool] = lambda _: False,
        faces: Callable[[int], int] = lambda _: 0,
        waits: Callable[[], bool] = lambda: False,
    ) -> None:
        self._log = log
        self._fails = fails
        self._faces = faces
        self._waits = waits
        self._looked: Frame | None = None
        self.given: dict[int, Vectors | None] = {}
        self.most: list[int | None] = []
        self.finished = False
        self.looker = Waiting()
        self.counts = Counter[str]()
        self.presentation = None

    def look(self, frame: Frame, *, most: int | None = None, cameras: int = 1) -> list[Wanted]:
        self._looked = None
        self.most.append(most)
        if self._fails(frame.index):
            raise RuntimeError("bad frame")
        self._looked = frame
        if self._waits():
            self.looker.deferred += 1
            return []
        count = self._faces(frame.index)
        if not count:
            return []
        boxes = np.tile([0.0, 0.0, 1.0, 1.0], (count, 1))
        return [Wanted(frame.image, Detections(boxes, np.ones(count)))]

    def conclude(self, vectors: Sequence[Vectors | None]) -> list[Event]:
        frame, self._looked = self._looked, None
        assert frame is not None
        broken = any(vector is None for vector in vectors)
        self.given[frame.index] = np.array(vectors, dtype=object if broken else np.float64) if vectors else None
        self._log.append((frame.camera, frame.position_s or 0.0))
        at = frame.captured_at
        return [TrackEnded(at=at, camera=frame.camera, track_id="t", person_id=None, first_seen_at=at, last_seen_at=at)]

    def finish(self) -> list[Event]:
        self.finished = True
        return []

    def views(self, at: datetime) -> list[Any]:
        return []


class Clip:
    """A recording of so many frames, ten a second."""

    name = "clip"
    live = False

    def __init__(self, camera: str, frames: int, error: Exception | None = None) -> None:
        self._camera = camera
        self._frames: Iterator[int] = iter(range(frames))
        self._error = error

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        index = next(self._frames, None)
        if index is None:
            if self._error:
                raise self._error
            return None
        at = datetime.fromtimestamp(index / 10, UTC)
        return Frame(self._camera, index, at, np.zeros((2, 2, 3), np.uint8), index / 10)

    def close(self) -> None:
        pass


def feed(camera: str, clip: Clip, script: Script, starts_s: float = 0) -> CameraFeed:
    capture = Replay(clip, camera, start_at=START + timedelta(seconds=starts_s))  # type: ignore[arg-type]  # a fake
    return CameraFeed(capture, script)  # type: ignore[arg-type]  # stands in


def loop(feeds: list[CameraFeed], embedder: FakeEmbedder | None = None, **options: Any) -> Loop:
    usual = {
        "dispatch": lambda _: None,
        "stages": StageTimes(),
        "delays": StageTimes(),
        "changed": threading.Condition(),
        "stop": threading.Event(),
    }
    return Loop(feeds, embedder or FakeEmbedder(), **{**usual, **options})


class Live(Capture):
    """A camera without a thread: it has the next of its frames whenever somebody asks. All are ``grey``."""

    def __init__(self, camera: str, frames: int, grey: int = 0) -> None:
        super().__init__(Clip(camera, 0), camera)  # type: ignore[arg-type]  # a fake
        self._left = [
            Frame(camera, index, START + timedelta(seconds=index / 10), np.full((2, 2, 3), grey, np.uint8))
            for index in range(frames)
        ]

    def start(self) -> None:
        pass

    def newest(self, timeout_s: float) -> Frame | None:
        if not self._left:
            return None
        self._arrived_s = time.monotonic() - 3
        return self._left.pop(0)

    @property
    def waiting(self) -> bool:
        return True

    @property
    def finished(self) -> bool:
        return not self._left

    def stop(self) -> None:
        self._left.clear()


def live(camera: str, script: Script, frames: int = 5, grey: int = 0) -> CameraFeed:
    return CameraFeed(Live(camera, frames, grey), script)  # type: ignore[arg-type]  # stands in


class Counting(FakeEmbedder):
    """Remembers how many faces of how many pictures it was given; fails for ``bad`` pictures (their grey value)."""

    def __init__(self, bad: int = -1) -> None:
        self.bad = bad
        self.batches: list[list[int]] = []

    def embed(self, image: Image, faces: Detections) -> Vectors:
        if image[0, 0, 0] == self.bad:
            raise RuntimeError("bad faces")
        return super().embed(image, faces)

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        self.batches.append([len(faces) for _, faces in pictures])
        return super().embed_all(pictures)


def test_recordings_are_merged_by_their_times() -> None:
    log: list[tuple[str, float]] = []
    feeds = [feed("a", Clip("a", 3), Script(log)), feed("b", Clip("b", 3), Script(log), starts_s=0.15)]
    loop(feeds).run()
    assert log == [("a", 0.0), ("a", 0.1), ("b", 0.0), ("a", 0.2), ("b", 0.1), ("b", 0.2)]
    assert [f.state for f in feeds] == ["ended", "ended"]
    assert [f.processed for f in feeds] == [3, 3]


@pytest.mark.parametrize("error", [SourceError("the file is damaged"), ValueError("a third party's mistake")])
def test_a_recording_that_fails_leaves_the_other_alone(error: Exception) -> None:
    log: list[tuple[str, float]] = []
    feeds = [feed("bad", Clip("bad", 1, error), Script(log)), feed("good", Clip("good", 5), Script(log))]
    loop(feeds).run()
    assert [f.processed for f in feeds] == [1, 5]
    assert [f.state for f in feeds] == ["failed", "ended"]
    [sentence] = attention(feeds, [], [], stopped=False)
    assert str(error) in sentence


def test_frames_that_cannot_be_handled_are_counted_and_their_camera_given_up(caplog: pytest.LogCaptureFixture) -> None:
    log: list[tuple[str, float]] = []
    bad, good = Script(log, lambda index: index >= 2), Script(log, lambda index: index % 2 == 0)
    feeds = [feed("bad", Clip("bad", 100), bad), feed("good", Clip("good", 100), good)]
    loop(feeds).run()
    assert (feeds[0].processed, feeds[0].failures, feeds[0].state) == (2, 20, "failed")
    assert (feeds[1].processed, feeds[1].failures, feeds[1].state) == (50, 50, "ended")
    assert "camera bad is given up" in caplog.text
    assert bad.finished
    assert good.finished


def test_it_ends_after_so_many_seconds_of_the_recording() -> None:
    log: list[tuple[str, float]] = []
    feeds = [feed("a", Clip("a", 100), Script(log))]
    loop(feeds, seconds=1.0).run()
    assert feeds[0].processed == 10


def test_a_watcher_can_stop_it_and_one_that_fails_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    log: list[tuple[str, float]] = []
    seen: list[int] = []

    def broken(frame: Frame, _views: object) -> bool:
        raise RuntimeError("no screen")

    def viewer(frame: Frame, _views: object) -> bool:
        seen.append(frame.index)
        return frame.index < 3

    feeds = [feed("a", Clip("a", 100), Script(log))]
    loop(feeds, watchers=[broken, viewer]).run()
    assert seen == [0, 1, 2, 3]
    assert caplog.text.count("cannot be shown any more") == 1


# -- cameras together -----------------------------------------------------------------------------------------------


def test_the_faces_of_all_cameras_are_embedded_together_and_each_gets_its_own() -> None:
    log: list[tuple[str, float]] = []
    a, b, nobody = Script(log, faces=lambda _: 2), Script(log, faces=lambda index: index % 2), Script(log)
    embedder, stages = Counting(), StageTimes()
    events: list[Event] = []
    feeds = [live("a", a, grey=15), live("b", b, grey=35), live("c", nobody)]
    loop(feeds, embedder, stages=stages, dispatch=events.extend).run()
    assert embedder.batches == [[2], [2, 1], [2], [2, 1], [2]]
    assert stages.total("embed")[0] == 5
    for index in range(5):
        vectors = a.given[index]
        assert vectors is not None
        assert vectors.argmax(axis=1).tolist() == [3, 3]
        other = b.given[index]
        assert (None if other is None else other.argmax(axis=1).tolist()) == ([7] if index % 2 else None)
    assert set(nobody.given.values()) == {None}
    assert [event.camera for event in events if isinstance(event, TrackEnded)] == ["a", "b", "c"] * 5
    assert [feed.processed for feed in feeds] == [5, 5, 5]


def test_where_nobody_is_to_be_embedded_no_time_of_that_is_counted() -> None:
    stages = StageTimes()
    log: list[tuple[str, float]] = []
    loop([live("a", Script(log, faces=lambda index: int(index == 2)))], stages=stages).run()
    assert stages.total("embed")[0] == 1


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_camera_whose_faces_cannot_be_embedded_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture, *, bad_first: bool
) -> None:
    log: list[tuple[str, float]] = []
    bad, good = Script(log, faces=lambda _: 1), Script(log, faces=lambda _: 1)
    feeds = [live("bad", bad, frames=30, grey=99), live("good", good, frames=30, grey=35)]
    loop(feeds if bad_first else feeds[::-1], Counting(bad=99)).run()
    assert (feeds[0].processed, feeds[0].failures, feeds[0].state) == (0, 20, "failed")
    assert "bad faces" in feeds[0].last_error
    assert all(vectors is not None and set(vectors) == {None} for vectors in bad.given.values())
    assert (feeds[1].processed, feeds[1].failures) == (30, 0)
    assert all(vectors is not None and vectors.argmax() == 7 for vectors in good.given.values())
    assert bad.finished
    assert good.finished


def test_a_camera_that_cannot_be_looked_at_leaves_the_others_their_vectors() -> None:
    log: list[tuple[str, float]] = []
    bad, good = Script(log, lambda _: True, faces=lambda _: 1), Script(log, faces=lambda _: 1)
    feeds = [live("bad", bad, grey=10), live("good", good, grey=35)]
    loop(feeds).run()
    assert (feeds[0].processed, feeds[0].failures) == (0, 5)
    assert [None if v is None else int(v.argmax()) for v in good.given.values()] == [7] * 5


def test_one_face_that_cannot_be_embedded_costs_only_itself() -> None:
    class OneBad(FakeEmbedder):
        def embed(self, image: Image, faces: Detections) -> Vectors:
            if 2.0 in faces.confidence:
                raise RuntimeError("a bad face")
            return super().embed(image, faces)

    class Some(Script):
        def look(self, frame: Frame, *, most: int | None = None, cameras: int = 1) -> list[Wanted]:
            [wanted] = super().look(frame)
            wanted.faces.confidence[1] = 2.0
            return [wanted]

    script = Some([], faces=lambda _: 3)
    camera = live("a", script, grey=35)
    loop([camera], OneBad()).run()
    assert (camera.processed, camera.failures, camera.given_up) == (5, 5, "")
    assert camera.last_error == "unexpected RuntimeError: a bad face"
    for given in script.given.values():
        assert given is not None
        assert [None if vector is None else int(np.argmax(vector)) for vector in given] == [7, None, 7]


def test_an_embedder_that_returns_too_little_fails_no_camera() -> None:
    class Forgetful(Counting):
        def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
            return super().embed_all(pictures)[:1]

    log: list[tuple[str, float]] = []
    scripts = [Script(log, faces=lambda _: 1), Script(log, faces=lambda _: 1)]
    feeds = [live("a", scripts[0], grey=15), live("b", scripts[1], grey=35)]
    loop(feeds, Forgetful()).run()
    assert [feed.failures for feed in feeds] == [0, 0]
    for script, person in zip(scripts, (3, 7), strict=True):
        assert [None if v is None else int(v.argmax()) for v in script.given.values()] == [person] * 5


def test_a_look_is_concluded_before_the_next_one() -> None:
    calls: list[str] = []

    class Strict(Script):
        def look(self, frame: Frame, *, most: int | None = None, cameras: int = 1) -> list[Wanted]:
            calls.append("look")
            return super().look(frame)

        def conclude(self, vectors: Sequence[Vectors | None]) -> list[Event]:
            calls.append("conclude")
            return super().conclude(vectors)

    feeds = [feed("a", Clip("a", 4), Strict([], faces=lambda index: index % 3))]
    loop(feeds).run()
    assert calls == ["look", "conclude"] * 4


def test_with_time_for_one_camera_they_take_turns() -> None:
    asked: list[str] = []

    def waits_for(camera: str) -> Callable[[], bool]:
        def waits() -> bool:
            asked.append(camera)
            return len(asked) % 3 != 1  # whoever asks first in a round has the time

        return waits

    scripts = {camera: Script([], waits=waits_for(camera)) for camera in "abc"}
    feeds = [live(camera, script, frames=30) for camera, script in scripts.items()]
    loop(feeds).run()
    assert [script.looker.deferred for script in scripts.values()] == [20, 20, 20]


class Sighted(Script):
    """Sees Anna in every other frame."""

    def conclude(self, vectors: Sequence[Vectors | None]) -> list[Event]:
        [ended] = super().conclude(vectors)
        assert isinstance(ended, TrackEnded)
        if round(10 * (ended.at - START).total_seconds()) % 2:
            return [ended]
        anna = Sighting(
            at=ended.at,
            camera=ended.camera,
            sighting_id="s",
            person_id="anna",
            name="Anna",
            first_seen_at=ended.at,
            last_seen_at=ended.at,
            similarity=0.9,
            margin=0.3,
            samples=3,
            embedder="line",
            box=(0.0, 0.0, 1.0, 1.0),
        )
        return [anna, ended]


def test_a_live_frame_and_who_was_seen_in_it_are_timed_from_its_arrival() -> None:
    delays, told = StageTimes(), list[int]()

    def dispatch(events: Sequence[Event]) -> None:
        told.append(delays.total("frame")[0])  # what is told later is not done with yet

    feeds = [
        live("a", Sighted([]), frames=5),
        live("b", Script([]), frames=4),
        feed("clip", Clip("clip", 7), Sighted([])),
    ]
    loop(feeds, delays=delays, dispatch=dispatch).run()
    assert (delays.total("frame")[0], delays.total("sighting")[0]) == (9, 3)
    assert all(mean_s / 1000 >= 3 for stage in delays.summary().values() for mean_s in stage.values())
    assert told[0] == 0


def test_a_recording_that_is_replayed_has_no_delays() -> None:
    delays = StageTimes()
    loop([feed("clip", Clip("clip", 7), Sighted([]))], delays=delays).run()
    assert delays.summary() == {}


@pytest.mark.parametrize("cameras", [1, 3])
def test_live_cameras_share_the_time_for_embedding_and_a_recording_has_all_of_it(cameras: int) -> None:
    class Slow(FakeEmbedder):
        def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
            time.sleep(EMBED_S / 6 * sum(len(faces) for _, faces in pictures))
            return super().embed_all(pictures)

    scripts = [Script([], faces=lambda _: 1) for _ in range(cameras)]
    loop([live(f"c{number}", script) for number, script in enumerate(scripts)], Slow()).run()
    for script in scripts:
        first, *others = script.most
        assert first is not None
        # Six faces fit, less what the machine is slower than the clock of a sleep.
        assert all(most is not None and 1 <= most <= 6 / cameras + 0.5 for most in others)
    if cameras == 1:
        assert max(most or 0 for most in scripts[0].most[1:]) >= 3
    recorded = Script([], faces=lambda _: 1)
    loop([feed("r", Clip("r", 3), recorded)], Slow()).run()
    assert recorded.most == [None] * 3
