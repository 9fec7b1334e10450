"""The recognition loop: takes frames from all cameras, recognises, hands on what happened."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from optimind.core.types import Frame
from optimind.errors import OptiMindError, SourceError
from optimind.pipeline.capture import Capture, Replay
from optimind.pipeline.recogniser import Recogniser, TrackView
from optimind.plugin_api import Event

__all__ = ["CameraFeed", "Loop", "Watcher"]

log = logging.getLogger(__name__)

_IDLE_WAIT_S = 0.1
_FAILURES_BEFORE_OFF = 20

Watcher = Callable[[Frame, list[TrackView]], bool]
"""Sees every handled frame with its tracks; returns False to stop the loop."""


@dataclass(slots=True, eq=False)
class CameraFeed:
    """One camera in the loop: where its frames come from and what recognises them."""

    capture: Capture | Replay
    recogniser: Recogniser
    processed: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_error: str = ""
    given_up: str = ""

    @property
    def state(self) -> str:
        """The capture's state; ``failed`` where the loop has given the camera up."""
        return "failed" if self.given_up else self.capture.state

    @property
    def reason(self) -> str:
        """Why the state is what it is; empty where there is nothing to say."""
        return self.given_up or self.capture.reason


class Loop:
    """Runs until its recordings end, ``seconds`` have passed, ``stop`` is set or a watcher says so.

    Cameras are served in turn, each with its newest frame; recordings in pace ``fast`` frame by frame, in the order of
    their times. ``seconds`` counts real time, for recordings in pace ``fast`` their own.
    """

    def __init__(
        self,
        feeds: Sequence[CameraFeed],
        dispatch: Callable[[Sequence[Event]], None],
        *,
        changed: threading.Condition,
        stop: threading.Event,
        seconds: float | None = None,
        watchers: Sequence[Watcher] = (),
        tick: Callable[[], object] = lambda: None,
    ) -> None:
        self._cameras = [(feed, feed.capture) for feed in feeds if isinstance(feed.capture, Capture)]
        self._replays = [(feed, feed.capture) for feed in feeds if isinstance(feed.capture, Replay)]
        self._feeds = feeds
        self._dispatch = dispatch
        self._changed = changed
        self._stop = stop
        self._seconds = seconds
        self._watchers = list(watchers)
        self._tick = tick

    def run(self) -> None:
        """Start all captures, loop, and end them; what is left to say is dispatched before it returns."""
        try:
            for _, capture in self._cameras:
                capture.start()
            self._serve()
        finally:
            for feed in self._feeds:
                feed.capture.stop()
            for feed in self._feeds:
                try:
                    self._dispatch(feed.recogniser.finish())
                except Exception as error:  # noqa: BLE001 - the others have something to say too
                    self._note(feed, f"its last tracks could not be ended: {_text(error)}", error)

    def _serve(self) -> None:
        replayed = self._in_order_of_time()
        replaying = bool(self._replays)
        began_s = time.monotonic()
        while not self._stop.is_set():
            for feed, capture in self._cameras:
                frame = capture.newest(0)
                if frame is not None:
                    self._handle(feed, frame)
            if replaying:
                following = next(replayed, None)
                if following is None:
                    replaying = False
                else:
                    self._handle(*following)
            self._tick()
            if not replaying and all(capture.finished for _, capture in self._cameras):
                return
            if self._cameras and self._seconds is not None and time.monotonic() - began_s >= self._seconds:
                return
            if not replaying:
                self._wait()

    def _wait(self) -> None:
        """Sleep until a camera has a frame; not for long, since ``stop`` and time do not wake it."""
        with self._changed:
            if not any(capture.waiting for _, capture in self._cameras):
                self._changed.wait(_IDLE_WAIT_S)

    def _in_order_of_time(self) -> Iterator[tuple[CameraFeed, Frame]]:
        """The frames of all recordings in pace ``fast``, earliest first."""
        streams = [self._frames_of(feed, replay) for feed, replay in self._replays]
        return heapq.merge(*streams, key=lambda pair: pair[1].captured_at)

    def _frames_of(self, feed: CameraFeed, replay: Replay) -> Iterator[tuple[CameraFeed, Frame]]:
        try:
            for frame in replay:
                if feed.given_up or (self._seconds is not None and (frame.position_s or 0.0) >= self._seconds):
                    return
                yield feed, frame
        except Exception as error:  # noqa: BLE001 - a third party's source may raise anything; the others go on
            if not isinstance(error, SourceError):
                feed.given_up = _text(error)
            log.error("camera %s: %s", replay.camera, _text(error))  # noqa: TRY400 - the message is for people

    def _handle(self, feed: CameraFeed, frame: Frame) -> None:
        """Recognise one frame; one that cannot be handled is counted and left out, a camera of such frames given up."""
        try:
            events = feed.recogniser.process(frame)
        except Exception as error:  # noqa: BLE001 - engines are extensions; a bad frame must not end the run
            self._note(feed, f"frame {frame.index} could not be handled: {_text(error)}", error)
            feed.failures_in_a_row += 1
            if feed.failures_in_a_row >= _FAILURES_BEFORE_OFF:
                feed.given_up = (
                    f"{feed.failures_in_a_row} frames in a row could not be handled, the last: {_text(error)}"
                )
                log.error("camera %s is given up: %s", frame.camera, feed.given_up)  # noqa: TRY400 - for people
                feed.capture.stop()
            return
        feed.failures_in_a_row = 0
        feed.processed += 1
        self._dispatch(events)
        self._watch(feed, frame)

    def _note(self, feed: CameraFeed, text: str, error: Exception) -> None:
        feed.failures += 1
        feed.last_error = _text(error)
        log.warning("camera %s: %s", feed.capture.camera, text)
        log.debug("camera %s failed here", feed.capture.camera, exc_info=error)

    def _watch(self, feed: CameraFeed, frame: Frame) -> None:
        if not self._watchers:
            return
        views = feed.recogniser.views(frame.captured_at)
        for watcher in list(self._watchers):
            try:
                goes_on = watcher(frame, views)
            except Exception as error:
                log.warning("the picture cannot be shown any more: %s", _text(error))
                log.debug("a watcher failed here", exc_info=error)
                self._watchers.remove(watcher)
                continue
            if not goes_on:
                self._stop.set()


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, OptiMindError) else f"unexpected {type(error).__name__}: {error}"
