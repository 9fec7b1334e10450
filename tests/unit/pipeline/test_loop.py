"""The loop: order, ends, and that one camera's trouble is nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from optimind.core.types import Frame
from optimind.pipeline.capture import Replay
from optimind.pipeline.loop import CameraFeed, Loop
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.summary import attention, summarise
from optimind.plugin_api import Event, SourceError

START = datetime(2026, 9, 1, 8, tzinfo=UTC)


class Script:
    """Stands in for the recogniser: remembers what it was given, fails when told."""

    def __init__(self, log: list[tuple[str, float]], fails: Callable[[int], bool] = lambda _: False) -> None:
        self._log = log
        self._fails = fails
        self.finished = False
        self.counts = {"tracks": 0, "sightings": 0, "unknown_tracks": 0}
        self.finds_from_px = 0.0

    def process(self, frame: Frame) -> list[Event]:
        if self._fails(frame.index):
            raise RuntimeError("bad frame")
        self._log.append((frame.camera, frame.position_s or 0.0))
        return []

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


def loop(feeds: list[CameraFeed], **options: Any) -> Loop:
    options = {"changed": threading.Condition(), "stop": threading.Event(), **options}
    return Loop(feeds, lambda _: None, **options)


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
    stages = StageTimes()
    for duration_s in (0.3, 0.5):
        stages.add("detect", duration_s)
    summary = summarise(feeds, stages, {"b", "a"}, seconds=10.0, workers=[], plugins=[], engine="dlib", min_face_px=45)
    assert summary["people"] == ["a", "b"]
    assert summary["cameras"][0]["state"] == "failed"
    bad.finds_from_px = 54.3
    large = summarise(feeds, stages, (), seconds=10.0, workers=[], plugins=[], engine="dlib", min_face_px=45)
    assert (large["detection"]["finds_from_px"], large["detection"]["larger_px"]) == (54, 72)
    assert summary["detection"] == {
        "engine": "dlib",
        "min_face_px": 45,
        "finds_from_px": 45,
        "looks": 2,
        "ms_a_look": 400.0,
        "share": 0.08,
        "larger_px": 60,
        "larger_ms": 225.0,
    }


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
