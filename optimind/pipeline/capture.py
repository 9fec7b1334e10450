"""Frames out of cameras: :class:`Capture` keeps the newest one, connects again, and notices a camera that hangs."""

from __future__ import annotations

import logging
import random
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from optimind.core.types import Frame, require_aware
from optimind.pipeline.camera_clock import CameraClock
from optimind.pipeline.replay import FrameCounts, State, close_source, shortfall_of, utc_now
from optimind.pipeline.stall import StallWatch
from optimind.plugin_api import OptiMindError, Source, SourceError, SourceNotFound, mask_url

__all__ = ["Capture"]

log = logging.getLogger(__name__)

FIRST_RETRY_S = 0.5
# Short, because a camera that comes back is wanted at once, and asking costs next to nothing.
LONGEST_RETRY_S = 3.0
STALL_S = 3.0
FROZEN_S = 10.0
STOP_PATIENCE_S = 1.0


class Capture:
    """A camera read by a thread of its own, of which only the newest frame is ever kept.

    Frames come in real time. A camera's carry ``clock()``; a recording's are released when their position says, and
    carry ``start_at`` (the start of the capture where None) plus that position. A lost camera is connected again for
    ever, after pauses that grow from 0.5 to 3 s. A camera that sends nothing for ``stall_s``, or exactly the same
    picture for ``frozen_s``, is ``stalled``: a second thread notices, as the first may hang in the source. ``changed``
    is notified at every new frame and change of state: hand one condition to several captures to wait for all of them.

    Always: frames read = frames handed out + frames dropped + (1 while one waits).
    """

    def __init__(
        self,
        source: Source,
        camera: str,
        clock: Callable[[], datetime] = utc_now,
        start_at: datetime | None = None,
        *,
        changed: threading.Condition | None = None,
        first_retry_s: float = FIRST_RETRY_S,
        longest_retry_s: float = LONGEST_RETRY_S,
        stall_s: float = STALL_S,
        frozen_s: float = FROZEN_S,
    ) -> None:
        self.camera = camera
        self._source = source
        self._clock = clock
        self._camera_clock = CameraClock(clock)
        self._start_at = require_aware(start_at, "start_at") if start_at else None
        self._changed = changed or threading.Condition()
        self._first_retry_s = first_retry_s
        self._longest_retry_s = longest_retry_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture {camera}", daemon=True)
        self._look_every_s = min(stall_s, frozen_s) / 4
        self._watchdog = threading.Thread(target=self._watch, name=f"watchdog {camera}", daemon=True)
        self._size: tuple[int, int] | None = None
        # All below is guarded by the condition.
        self._stall = StallWatch(stall_s, frozen_s)
        self._waiting: Frame | None = None
        self._waiting_since_s = 0.0
        self._arrived_s: float | None = None
        self._read = 0
        self._dropped = 0
        self._state: State = "connecting"
        self._reason = ""
        self._over = False
        self._error: OptiMindError | None = None

    # -- for the consumer -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; returns at once. Once only."""
        self._thread.start()
        self._watchdog.start()

    def newest(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not handed out yet, waiting at most ``timeout_s`` for one; None where none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._over, timeout_s)
            frame, self._waiting = self._waiting, None
            if frame is not None:
                self._arrived_s = self._waiting_since_s
            return frame

    @property
    def arrived_s(self) -> float | None:
        """``time.monotonic()`` when the frame that ``newest`` handed out last arrived; None before the first.

        What passed since then is the delay from the camera's frame to now, whatever is done to the wall clock.
        """
        return self._arrived_s

    @property
    def waiting(self) -> bool:
        """Whether ``newest(0)`` would return a frame."""
        return self._waiting is not None

    @property
    def finished(self) -> bool:
        """Whether no frame waits and none will come: ended, stopped, or failed for good."""
        with self._changed:
            return self._over and self._waiting is None

    @property
    def state(self) -> State:
        """``connecting`` until the first frame; then ``live``, ``stalled``, ``failed`` (it is lost) or ``ended``."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the state is ``failed`` or ``stalled``; what a recording that ``ended`` did not give; else empty."""
        return self._reason

    @property
    def error(self) -> OptiMindError | None:
        """What the camera failed with last, if it ever did, without credentials."""
        return self._error

    @property
    def counts(self) -> FrameCounts:
        """Frames read and dropped so far."""
        with self._changed:
            return FrameCounts(self._read, self._dropped)

    def stop(self) -> None:
        """End the capture within about a second, also when the source hangs; no frame comes after that."""
        with self._changed:
            self._stop.set()
            self._over = True
            if self._waiting is not None:  # nobody will ask for it any more
                self._waiting = None
                self._dropped += 1
            if self._state == "live":
                self._state = "ended"
            self._changed.notify_all()
        self._close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_PATIENCE_S)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        began_at = self._start_at or self._clock()
        ever_live = False
        failures = 0
        while not self._stop.is_set():
            frames_before, tried_s = self._read, time.monotonic()
            try:
                self._source.open()
                self._follow(began_at)
            except Exception as error:  # noqa: BLE001 - a third party's source may raise anything; the loop must go on
                self._close()
                was_live = self._read > frames_before
                ever_live = ever_live or was_live
                if self._stop.is_set():
                    return
                # A camera that comes for a moment only must not be asked twice a second.
                if was_live and time.monotonic() - tried_s > self._longest_retry_s:
                    failures = 0
                final = not self._source.live or (isinstance(error, SourceNotFound) and not ever_live)
                pause_s = self._fail(error, final=final, failures=failures)
                if final:
                    return
                failures += 1
                self._stop.wait(pause_s)
            else:
                self._close()
                return

    def _follow(self, began_at: datetime) -> None:
        """Read until a recording ends or ``stop``; a camera never ends."""
        due_from_s: float | None = None
        while not self._stop.is_set():
            frame = self._source.read()
            if frame is None:
                if self._source.live:
                    raise SourceError(f"camera {self.camera} ended its stream")
                shortfall = shortfall_of(self._source)
                if shortfall and not self._stop.is_set():
                    log.warning("camera %s: %s", self.camera, shortfall)
                self._become("ended", shortfall, over=True)
                return
            if frame.position_s is None:
                captured_at = self._now()
            else:
                now_s = time.monotonic()  # the wall clock may jump
                if due_from_s is None:
                    due_from_s = now_s - frame.position_s
                if self._stop.wait(max(0.0, due_from_s + frame.position_s - now_s)):
                    return
                captured_at = began_at + timedelta(seconds=frame.position_s)
            self._offer(frame, captured_at)

    def _now(self) -> datetime:
        moment, leap_s = self._camera_clock.stamp(time.monotonic())
        if leap_s:
            log.warning(
                "camera %s: the clock leapt by %+.0f s (it was set, or the machine slept); pictures carry the new time",
                self.camera,
                leap_s,
            )
        return moment

    def _offer(self, frame: Frame, captured_at: datetime) -> None:
        now_s = time.monotonic()
        with self._changed:
            if self._over:
                return
            if self._waiting is not None:
                self._dropped += 1
            # A source counts anew after each connection; what goes out is numbered through.
            self._waiting = replace(frame, camera=self.camera, captured_at=captured_at, index=self._read)
            self._waiting_since_s = now_s
            self._read += 1
            if self._source.live:  # a recording may show a still picture, or one a minute
                self._stall.saw(frame.image, now_s)
            change = self._judge(now_s)
            self._changed.notify_all()
        self._tell(*change)
        self._tell_size(frame.image.shape[1], frame.image.shape[0])

    def _tell_size(self, width: int, height: int) -> None:
        if self._size is not None and self._size != (width, height):
            log.info("camera %s: its picture is now %dx%d, it was %dx%d", self.camera, width, height, *self._size)
        self._size = (width, height)

    def _fail(self, error: Exception, *, final: bool, failures: int) -> float:
        """Note the outage; return how many seconds to wait before the next attempt."""
        self._error = _without_credentials(error, self._source)
        if self._state != "failed":  # once an outage, not once an attempt
            log.error("camera %s: %s", self.camera, self._error)
            if not isinstance(error, OptiMindError):
                text = mask_url("".join(traceback.format_exception(error)))
                log.debug("camera %s: the fault in its source: %s", self.camera, text)
        self._become("failed", str(self._error), over=final)
        longest_s = min(self._longest_retry_s, self._first_retry_s * 2.0 ** min(failures, 30))
        # Half of it by chance, so that cameras that went away together do not come back in one moment.
        return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret hangs on it

    def _become(self, state: State, reason: str, *, over: bool) -> None:
        with self._changed:
            if not self._stop.is_set():
                self._state, self._reason = state, reason
            self._over = self._over or over
            self._stall.reset()
            self._changed.notify_all()

    def _close(self) -> None:
        close_source(self._source, self.camera)

    # -- whether it is stalled --------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at the camera from time to time, from outside the thread that may hang in it."""
        while not self._stop.wait(self._look_every_s):
            with self._changed:
                if self._over:
                    return
                if self._state != "live":
                    continue
                change = self._judge(time.monotonic())
                if change[1] == "stalled":
                    self._changed.notify_all()
            self._tell(*change)

    def _judge(self, now_s: float) -> tuple[State, State, str]:
        """With the condition held: be ``live`` or ``stalled``; return the state before, that of now and its reason."""
        before = self._state
        self._reason = self._stall.verdict(now_s)
        self._state = "stalled" if self._reason else "live"
        return before, self._state, self._reason

    def _tell(self, before: State, state: State, reason: str) -> None:
        if state == "stalled" and before != "stalled":
            log.warning("camera %s is stalled: %s", self.camera, reason)
        elif state == "live" and before in ("stalled", "failed"):
            log.info("camera %s is back", self.camera)


def _without_credentials(error: Exception, source: Source) -> OptiMindError:
    """Return ``error`` as one of ours, fit to be shown: a third party's source may have put its whole URL into it."""
    if not isinstance(error, OptiMindError):
        return SourceError(mask_url(f"{type(source).__name__} raised {type(error).__name__}: {error}"))
    message, mend = mask_url(error.message), mask_url(error.mend)
    if (message, mend) == (error.message, error.mend):
        return error
    return (SourceNotFound if isinstance(error, SourceNotFound) else SourceError)(message, mend=mend)
