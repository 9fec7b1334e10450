"""Frames out of sources: :class:`Capture` keeps the newest of a camera, :class:`Replay` gives all of a recording."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from optimind.core.types import Frame, require_aware
from optimind.plugin_api import OptiMindError, Source, SourceError, SourceNotFound

__all__ = ["Capture", "FrameCounts", "Replay", "State", "utc_now"]

log = logging.getLogger(__name__)

State = Literal["connecting", "live", "ended", "failed"]

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
STOP_PATIENCE_S = 1.0


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """How many frames a source gave, and how many of them nobody saw because a newer one had come."""

    read: int = 0
    dropped: int = 0


class Capture:
    """A camera read by a thread of its own, of which only the newest frame is ever kept.

    Frames come in real time. A camera's carry ``clock()``; a recording's are released when their position says, and
    carry ``start_at`` (the start of the capture where None) plus that position. A lost camera is connected again for
    ever, after pauses that grow from 0.5 to 30 s. ``changed`` is notified at every new frame and change of state: hand
    one condition to several captures to wait for all of them.

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
    ) -> None:
        self.camera = camera
        self._source = source
        self._clock = clock
        self._start_at = require_aware(start_at, "start_at") if start_at else None
        self._changed = changed or threading.Condition()
        self._first_retry_s = first_retry_s
        self._longest_retry_s = longest_retry_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture {camera}", daemon=True)
        # All below is guarded by the condition.
        self._waiting: Frame | None = None
        self._read = 0
        self._dropped = 0
        self._state: State = "connecting"
        self._reason = ""
        self._over = False
        self._error: Exception | None = None

    # -- for the consumer -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; returns at once. Once only."""
        self._thread.start()

    def newest(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not handed out yet, waiting at most ``timeout_s`` for one; None where none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._over, timeout_s)
            frame, self._waiting = self._waiting, None
            return frame

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
        """``connecting`` until the first frame, ``live``, ``failed`` while the camera is lost, or ``ended``."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the state is ``failed``; what a recording that ``ended`` did not give; else empty."""
        return self._reason

    @property
    def error(self) -> Exception | None:
        """What the camera failed with last, if it ever did."""
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
                captured_at = self._clock()
            else:
                now_s = time.monotonic()  # the wall clock may jump
                if due_from_s is None:
                    due_from_s = now_s - frame.position_s
                if self._stop.wait(max(0.0, due_from_s + frame.position_s - now_s)):
                    return
                captured_at = began_at + timedelta(seconds=frame.position_s)
            self._offer(frame, captured_at)

    def _offer(self, frame: Frame, captured_at: datetime) -> None:
        with self._changed:
            if self._over:
                return
            if self._waiting is not None:
                self._dropped += 1
            # A source counts anew after each connection; what goes out is numbered through.
            self._waiting = replace(frame, camera=self.camera, captured_at=captured_at, index=self._read)
            self._read += 1
            recovered = self._state == "failed"
            self._state, self._reason = "live", ""
            self._changed.notify_all()
        if recovered:
            log.info("camera %s is back", self.camera)

    def _fail(self, error: Exception, *, final: bool, failures: int) -> float:
        """Note the outage; return how many seconds to wait before the next attempt."""
        self._error = error
        known = isinstance(error, OptiMindError)
        reason = str(error) if known else f"{type(self._source).__name__} raised {type(error).__name__}: {error}"
        if self._state != "failed":  # once an outage, not once an attempt
            log.error("camera %s: %s", self.camera, reason)
            if not known:
                log.debug("camera %s: the fault in its source", self.camera, exc_info=error)
        self._become("failed", reason, over=final)
        longest_s = min(self._longest_retry_s, self._first_retry_s * 2.0 ** min(failures, 30))
        # Half of it by chance, so that cameras that went away together do not come back in one moment.
        return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret hangs on it

    def _become(self, state: State, reason: str, *, over: bool) -> None:
        with self._changed:
            if not self._stop.is_set():
                self._state, self._reason = state, reason
            self._over = self._over or over
            self._changed.notify_all()

    def _close(self) -> None:
        _close(self._source, self.camera)


class Replay:
    """Every frame of a recording, as fast as they are taken, in the recording's own time.

    ``captured_at`` is ``start_at`` (the moment of opening where None) plus the frame's position. Iterating opens the
    source and raises :class:`SourceError` where it cannot be read; ``state`` and ``reason`` then say so too.
    """

    def __init__(
        self,
        source: Source,
        camera: str,
        clock: Callable[[], datetime] = utc_now,
        start_at: datetime | None = None,
    ) -> None:
        self.camera = camera
        self.state: State = "connecting"
        self.reason = ""
        self.error: Exception | None = None
        self._source = source
        self._clock = clock
        self._start_at = require_aware(start_at, "start_at") if start_at else None
        self._read = 0
        self._stopped = False

    @property
    def counts(self) -> FrameCounts:
        """Frames read so far; none is ever dropped."""
        return FrameCounts(self._read, 0)

    def __iter__(self) -> Iterator[Frame]:
        """Open the source and give its frames; it is closed at the end, however that comes."""
        try:
            self._source.open()
            began_at = self._start_at or self._clock()
            while not self._stopped and (frame := self._source.read()) is not None:
                position_s = frame.position_s
                captured_at = self._clock() if position_s is None else began_at + timedelta(seconds=position_s)
                index = self._read
                self._read += 1
                self.state = "live"
                yield replace(frame, camera=self.camera, captured_at=captured_at, index=index)
        except SourceError as error:
            self.state, self.reason, self.error = "failed", str(error), error
            raise
        else:
            self.state, self.reason = "ended", "" if self._stopped else shortfall_of(self._source)
        finally:
            _close(self._source, self.camera)

    def stop(self) -> None:
        """Give no further frame. May be called at any time."""
        self._stopped = True
        if self.state == "live":
            self.state = "ended"
        _close(self._source, self.camera)


def shortfall_of(source: Source) -> str:
    """Return what an ended recording says of itself that it did not give (its ``ended_early``); empty for nothing."""
    return getattr(source, "ended_early", None) or ""


def _close(source: Source, camera: str) -> None:
    try:
        source.close()
    except Exception as error:
        log.warning("camera %s: its source failed while it was closed: %s: %s", camera, type(error).__name__, error)
        log.debug("camera %s: the fault in its source", camera, exc_info=error)
