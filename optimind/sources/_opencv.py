"""What all kinds that OpenCV opens have in common: one handle, used by one thread and closed by any."""

from __future__ import annotations

import abc
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from optimind.plugin_api import Frame, Image, Source, SourceError

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
USUAL_FPS = 25.0
LONGEST_GAP_S = 86_400.0
# OpenCV says "no picture" for every damaged packet too, so one "no" is not the end. A whole recording's end answers in
# microseconds, a damaged stretch takes one call a packet: this many is three minutes of damage.
RECORDING_ATTEMPTS = 5000
LIVE_ATTEMPTS = 30


def _quieten() -> None:
    """Keep OpenCV's and FFmpeg's own remarks off standard error, unless the user asked for them by environment."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


_quieten()  # now, because FFmpeg looks once only: when anything in the process first reads or writes a video


def to_bgr(picture: np.ndarray[Any, Any]) -> Image:
    """Return ``picture`` (grey, BGR or BGRA; 8 or 16 bit) as contiguous BGR uint8 of shape (height, width, 3)."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if channels == 1:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    elif channels == 4:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR)
    return np.ascontiguousarray(picture, dtype=np.uint8)


class OpenCvSource(Source):
    """A source read through ``cv2.VideoCapture``. Timeouts are in seconds.

    ``ended_early`` says, once a recording has ended, what of it could not be read; None where all of it could.
    """

    name: ClassVar[str]
    _ended: bool

    def __init__(self, camera: str, spec: str, *, open_timeout_s: float = 10.0, read_timeout_s: float = 5.0) -> None:
        self.camera = camera
        self.spec = spec
        self.live = True
        self.ended_early: str | None = None
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._lock = threading.Lock()
        self._close_wanted = False
        self._capture: cv2.VideoCapture | None = None
        self._start_over()

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet."""
        return cls(camera, spec)

    # -- what a kind adds -------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _connect(self) -> cv2.VideoCapture:
        """Open the camera or file; a handle that did not open is answered with ``_refused``."""

    @abc.abstractmethod
    def _refused(self) -> SourceError:
        """Find out why it did not open."""

    @property
    @abc.abstractmethod
    def _what(self) -> str:
        """The source in words for messages, without credentials."""

    # -- the protocol -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect. Raises ``SourceNotFound`` or ``SourceError`` with the reason; safe to call again after ``close``."""
        with self._handle():
            self._close_wanted = False
            self._release()
            self._start_over()
            capture = self._connect()
            if not capture.isOpened():
                capture.release()
                raise self._refused()
            self._capture = capture
            self._opened(capture)

    def read(self) -> Frame | None:
        """Return the next frame, waiting for it; None when a recording has ended. Raises ``SourceError``."""
        with self._handle():
            if self._ended:
                return None
            if self._capture is None:
                raise SourceError(f"{self._what} is not open", mend="call open() before read()")
            image = self._next_image(self._capture)
            if image is None:
                self._ended = True
                self.ended_early = self._shortfall()
                return None
            return self._frame(self._capture, image)

    def close(self) -> None:
        """Release the device or file. From any thread: one that is just reading releases it when its read returns."""
        self._close_wanted = True
        self._release_if_idle()

    # -- the handle: OpenCV's is not thread-safe, and releasing it under a read crashes the process -------------------

    @contextmanager
    def _handle(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        finally:
            if self._close_wanted:
                self._release_if_idle()

    def _release_if_idle(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    # -- pictures ---------------------------------------------------------------------------------------------------

    def _start_over(self) -> None:
        self.ended_early = None
        self._index = 0
        self._position_s = -1.0
        self._unreadable = 0
        self._ended = False
        self._fps = USUAL_FPS
        self._expected = 0

    def _opened(self, capture: cv2.VideoCapture) -> None:
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps if 0 < fps <= 1000 else USUAL_FPS
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # negative or 0 where nobody knows: a stream, a cut-off file
        self._expected = int(frames) if 0 < frames < 1e9 else 0

    def _next_image(self, capture: cv2.VideoCapture) -> Image | None:
        started = time.monotonic()
        failures = 0
        while not self._close_wanted:
            asked_s = time.monotonic()
            ok, picture = capture.read()
            now_s = time.monotonic()
            if self.live and self._index and now_s - asked_s >= self._read_timeout_s:
                # A picture that comes now is an old one: when FFmpeg gives up waiting it hands out those that its
                # decoder held back, one a time limit, and a camera that hangs would seem to be alive.
                raise self._lost(now_s - started)
            if ok and picture is not None and picture.size:
                self._unreadable += failures
                return to_bgr(picture)
            failures += 1
            waited_s = now_s - started
            if not self.live and (self._all_played() or failures >= RECORDING_ATTEMPTS):
                return None
            if waited_s >= self._read_timeout_s or failures >= LIVE_ATTEMPTS:
                if self.live:
                    raise self._lost(waited_s)
                if waited_s >= self._read_timeout_s:
                    return None
        raise SourceError(f"{self._what} was closed while it was read")

    def _lost(self, waited_s: float) -> SourceError:
        if waited_s >= self._read_timeout_s * 0.9:
            return SourceError(
                f"{self._what} sent no readable picture for {waited_s:.0f} s",
                mend="check that the camera has power and network; OptiMind connects again by itself",
            )
        return SourceError(
            f"{self._what} ended the connection after {self._index} frames",
            mend="check that the camera is on; OptiMind connects again by itself",
        )

    def _frame(self, capture: cv2.VideoCapture, image: Image) -> Frame:
        index = self._index
        self._index += 1
        if self.live:
            return Frame(self.camera, index, datetime.now(UTC), image)
        self._position_s = self._next_position_s(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, index)
        return Frame(self.camera, index, EPOCH + timedelta(seconds=self._position_s), image, self._position_s)

    def _next_position_s(self, told_s: float, index: int) -> float:
        """Return where this frame stands: what the file says while that is believable, else by the frame rate.

        Files without time stamps say 0 for every frame, joined ones begin anew or leap by hours.
        """
        if index == 0:
            return told_s if 0 < told_s <= self._duration_s else 0.0
        latest_s = self._duration_s + 1 if self._expected else self._position_s + LONGEST_GAP_S
        if self._position_s < told_s <= latest_s:  # False for NaN too
            return told_s
        by_rate_s = index / self._fps
        return by_rate_s if by_rate_s > self._position_s else self._position_s + 1 / self._fps

    # -- whether a recording was whole ------------------------------------------------------------------------------

    @property
    def duration_s(self) -> float | None:
        """How long an opened recording is by its own account; None for a camera and where the file does not say."""
        return self._duration_s if self._expected and not self.live else None

    @property
    def _duration_s(self) -> float:
        return self._expected / self._fps

    @property
    def _played_s(self) -> float:
        return self._position_s + 1 / self._fps if self._index else 0.0

    def _all_played(self) -> bool:
        # The frame count of some containers is a guess from the duration, so time decides as well.
        slack_s = min(1.0, self._duration_s / 10)
        return self._index >= self._expected or self._played_s >= self._duration_s - slack_s

    def _shortfall(self) -> str | None:
        if not self._index:
            raise self._unplayable()
        found = f"{self._index} of {self._expected} frames"
        if not self._all_played():
            return (
                f"{self._what} ends early: {found} ({self._played_s:.1f} of {self._duration_s:.1f} s) could be read; "
                "it was cut off or is damaged: copy or record it again"
            )
        if self._unreadable:
            return f"{self._what} is damaged: only {found} could be read; copy or record it again"
        return None

    def _unplayable(self) -> SourceError:
        return SourceError(
            f"{self._what} holds no picture that can be decoded",
            mend="record it again, or convert it: ffmpeg -i OLD -c:v libx264 -pix_fmt yuv420p NEW.mp4",
        )


def capture_with_timeouts(
    target: str, open_timeout_s: float, read_timeout_s: float, wishes: Sequence[int] = ()
) -> cv2.VideoCapture:
    """Open a file or URL with FFmpeg; ``wishes`` are more of OpenCV's properties and their values, in turn.

    (Left to choose, OpenCV takes ``img_01.jpg`` for a numbered series.)
    """
    limits: Sequence[int] = (
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        max(1, round(open_timeout_s * 1000)),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        max(1, round(read_timeout_s * 1000)),
    )
    return cv2.VideoCapture(target, cv2.CAP_FFMPEG, (*limits, *wishes))
