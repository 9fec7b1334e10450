"""The recognition loop: takes frames from all cameras, recognises, hands on what happened."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Detections, Frame, Vectors
from optimind.errors import OptiMindError, SourceError
from optimind.pipeline.candidates import Wanted
from optimind.pipeline.capture import Capture
from optimind.pipeline.recogniser import Recogniser, TrackView
from optimind.pipeline.replay import Replay
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Embedder, Event, Sighting

__all__ = ["CameraFeed", "Loop", "Watcher"]

log = logging.getLogger(__name__)

EMBED_S = 0.08
"""The faces of one turn, of all live cameras together, are embedded for about so long; the others wait."""
_FIRST_FACES = 2
"""As long as it is not known how long that takes."""
_FIRST_TIMES = 5
_LEARNING = 0.1
"""How much the latest turn counts for the estimate of it."""
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
    had_to_wait: bool = False
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

    Cameras are served together, each with its newest frame; recordings in pace ``fast`` frame by frame, in the order of
    their times. ``seconds`` counts real time, for recordings in pace ``fast`` their own.
    """

    def __init__(
        self,
        feeds: Sequence[CameraFeed],
        embedder: Embedder,
        dispatch: Callable[[Sequence[Event]], None],
        *,
        stages: StageTimes,
        delays: StageTimes,
        changed: threading.Condition,
        stop: threading.Event,
        seconds: float | None = None,
        watchers: Sequence[Watcher] = (),
        tick: Callable[[], object] = lambda: None,
    ) -> None:
        self._cameras = [(feed, feed.capture) for feed in feeds if isinstance(feed.capture, Capture)]
        self._replays = [(feed, feed.capture) for feed in feeds if isinstance(feed.capture, Replay)]
        self._feeds = feeds
        self._embedder = embedder
        self._dispatch = dispatch
        self._stages = stages
        self._delays = delays
        self._changed = changed
        self._stop = stop
        self._seconds = seconds
        self._watchers = list(watchers)
        self._tick = tick
        self._face_s = 0.0
        self._face_times = 0

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
            newest = [(feed, frame) for feed, capture in self._cameras if (frame := capture.newest(0)) is not None]
            self._handle(newest)
            # There may be processor time for one of them only: in turn, or the first would have all of it.
            self._cameras.sort(key=lambda camera: not camera[0].had_to_wait)
            if replaying:
                following = next(replayed, None)
                if following is None:
                    replaying = False
                else:
                    self._handle([following])
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

    def _handle(self, newest: Sequence[tuple[CameraFeed, Frame]]) -> None:
        """Recognise one frame each of some cameras; their faces are embedded together."""
        looked: list[tuple[CameraFeed, Frame, list[Wanted]]] = []
        for feed, frame in newest:
            deferred = feed.recogniser.looker.deferred
            most = self._most_faces(len(newest)) if isinstance(feed.capture, Capture) else None
            try:
                wanted = feed.recogniser.look(frame, most=most, cameras=len(newest))
                looked.append((feed, frame, wanted))
            except Exception as error:  # noqa: BLE001 - engines are extensions; a bad frame must not end the run
                self._fail(feed, frame, error)
            feed.had_to_wait = feed.recogniser.looker.deferred > deferred
        vectors = self._embedded([wanted for _, _, every in looked for wanted in every])
        for feed, frame, wanted in looked:
            answers = list(itertools.islice(vectors, sum(len(each.faces) for each in wanted)))
            broken = [answer for answer in answers if isinstance(answer, Exception)]
            try:
                events = feed.recogniser.conclude([None if isinstance(each, Exception) else each for each in answers])
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(feed, frame, error)
                continue
            self._dispatch(events)
            if broken and len(broken) == len(answers):
                self._fail(feed, frame, broken[0])
                continue
            if broken:
                self._note(feed, f"{len(broken)} faces could not be embedded: {_text(broken[0])}", broken[0])
            feed.failures_in_a_row = 0
            feed.processed += 1
            self._note_delay(feed, events)
            self._watch(feed, frame)

    def _most_faces(self, cameras: int) -> int:
        """How many faces of one camera may be embedded now, when so many share the time for it."""
        return max(1, round(EMBED_S / (self._face_s * cameras))) if self._face_s else _FIRST_FACES

    def _note_delay(self, feed: CameraFeed, events: Sequence[Event]) -> None:
        """How long after its arrival a camera's frame was done with, and whoever was seen in it in the ledger."""
        if isinstance(feed.capture, Capture) and feed.capture.arrived_s is not None:
            delay_s = time.monotonic() - feed.capture.arrived_s
            self._delays.add("frame", delay_s)
            if any(isinstance(event, Sighting) for event in events):
                self._delays.add("sighting", delay_s)

    def _embedded(self, wanted: Sequence[Wanted]) -> Iterator[NDArray[np.float64] | Exception]:
        """Embed the faces of several cameras at once: a vector for each, or what was raised for it, in their order.

        Where that fails each picture is tried alone, and then each face, so that only those to blame are without.
        """
        if not wanted:
            return
        began_s = time.perf_counter()
        try:
            with self._stages.measure("embed"):
                done = self._embedder.embed_all([(each.image, each.faces) for each in wanted])
            together = [_checked(vectors, each.faces) for each, (vectors, _) in zip(wanted, done, strict=True)]
        except Exception:  # noqa: BLE001 - whoever is to blame is found below
            for each in wanted:
                yield from self._embedded_alone(each)
            return
        self._learn_time((time.perf_counter() - began_s) / sum(len(each.faces) for each in wanted))
        for vectors in together:
            yield from vectors

    def _embedded_alone(self, wanted: Wanted) -> Iterator[NDArray[np.float64] | Exception]:
        try:
            yield from _checked(self._embedder.embed(wanted.image, wanted.faces), wanted.faces)
        except Exception as error:  # noqa: BLE001 - engines are extensions
            if len(wanted.faces) == 1:
                yield error
                return
            for row in range(len(wanted.faces)):
                yield from self._embedded_alone(Wanted(wanted.image, wanted.faces[np.array([row])]))

    def _learn_time(self, face_s: float) -> None:
        """Take in how long a face took; the first ones include what a network does once."""
        self._face_times += 1
        if self._face_times <= _FIRST_TIMES:
            self._face_s = min(face_s, self._face_s or face_s)
        else:
            self._face_s += _LEARNING * (face_s - self._face_s)

    def _fail(self, feed: CameraFeed, frame: Frame, error: Exception) -> None:
        """Count and leave out a frame that cannot be handled; a camera of such frames is given up."""
        self._note(feed, f"frame {frame.index} could not be handled: {_text(error)}", error)
        feed.failures_in_a_row += 1
        if feed.failures_in_a_row >= _FAILURES_BEFORE_OFF:
            feed.given_up = f"{feed.failures_in_a_row} frames in a row could not be handled, the last: {_text(error)}"
            log.error("camera %s is given up: %s", frame.camera, feed.given_up)
            feed.capture.stop()

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


def _checked(vectors: Vectors, faces: Detections) -> Vectors:
    """Return ``vectors``; raises ValueError where there is not one for each of ``faces``."""
    rows = np.asarray(vectors)
    if len(rows) != len(faces):
        raise ValueError(f"the embedder returned {len(rows)} vectors for {len(faces)} faces")
    return rows


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, OptiMindError) else f"unexpected {type(error).__name__}: {error}"
