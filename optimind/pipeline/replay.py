"""Every frame of a recording, as fast as they are taken, and what recordings and cameras have in common."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from optimind.core.types import Frame, require_aware
from optimind.plugin_api import Source, SourceError

__all__ = ["FrameCounts", "Replay", "State", "close_source", "shortfall_of", "utc_now"]

log = logging.getLogger(__name__)

_AHEAD = 8
"""So many frames are decoded before they are asked for."""

State = Literal["connecting", "live", "stalled", "failed", "ended"]


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """How many frames a source gave, and how many of them nobody saw because a newer one had come."""

    read: int = 0
    dropped: int = 0


class Replay:
    """Every frame of a recording, as fast as they are taken, in the recording's own time.

    ``captured_at`` is ``start_at`` (the moment of opening where None) plus the frame's position. Iterating opens the
    source and raises :class:`SourceError` where it cannot be read; ``state`` and ``reason`` then say so too.
    ``position_s`` is that of the last frame given, None where it has none.
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
        self.position_s: float | None = None
        self._source = source
        self._clock = clock
        self._start_at = require_aware(start_at, "start_at") if start_at else None
        self._read = 0
        self._stopped = False

    @property
    def counts(self) -> FrameCounts:
        """Frames read so far; none is ever dropped."""
        return FrameCounts(self._read, 0)

    @property
    def duration_s(self) -> float | None:
        """How long the recording is, where its source knows that and it has been opened."""
        return getattr(self._source, "duration_s", None)

    def __iter__(self) -> Iterator[Frame]:
        """Open the source and give its frames; it is closed at the end, however that comes."""
        reader = ThreadPoolExecutor(1, thread_name_prefix=f"read {self.camera}")
        try:
            self._source.open()
            began_at = self._start_at or self._clock()
            for frame in self._read_ahead(reader):
                position_s = frame.position_s
                captured_at = self._clock() if position_s is None else began_at + timedelta(seconds=position_s)
                index = self._read
                self._read += 1
                self.state = "live"
                self.position_s = position_s
                yield replace(frame, camera=self.camera, captured_at=captured_at, index=index)
        except SourceError as error:
            self.state, self.reason, self.error = "failed", str(error), error
            raise
        else:
            self.state, self.reason = "ended", "" if self._stopped else shortfall_of(self._source)
        finally:
            # First, as it may be what ends a read that hangs.
            close_source(self._source, self.camera)
            reader.shutdown(cancel_futures=True)

    def _read_ahead(self, reader: ThreadPoolExecutor) -> Iterator[Frame]:
        """Read the source in a thread of its own: the next frames are decoded while one is handled."""
        over = False

        def read_on() -> Frame | None:
            nonlocal over
            if over:  # nobody reads a source further that ended or failed
                return None
            over = True
            frame = self._source.read()
            over = frame is None
            return frame

        ahead = deque(reader.submit(read_on) for _ in range(_AHEAD))
        while not self._stopped and (frame := ahead.popleft().result()) is not None:
            ahead.append(reader.submit(read_on))
            yield frame

    def stop(self) -> None:
        """Give no further frame. May be called at any time."""
        self._stopped = True
        if self.state == "live":
            self.state = "ended"
        close_source(self._source, self.camera)


def shortfall_of(source: Source) -> str:
    """Return what an ended recording says of itself that it did not give (its ``ended_early``); empty for nothing."""
    return getattr(source, "ended_early", None) or ""


def close_source(source: Source, camera: str) -> None:
    """Close ``source``; what goes wrong then is logged only."""
    try:
        source.close()
    except Exception as error:
        log.warning("camera %s: its source failed while it was closed: %s: %s", camera, type(error).__name__, error)
        log.debug("camera %s: the fault in its source", camera, exc_info=error)
