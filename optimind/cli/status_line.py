"""The line at the bottom of a terminal that says how a run is doing. It makes way for whatever else is written."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from optimind.cli.options import printable
from optimind.pipeline.loop import CameraFeed
from optimind.pipeline.replay import Replay
from optimind.pipeline.standing import Standing

__all__ = ["Line", "Status", "status_line"]

_EVERY_S = 1.0
_BEHIND_S = 30.0
_USUAL_COLUMNS = 80
_CLEAR = "\r\x1b[2K"


class Line:
    """One line on ``terminal`` that is drawn over and over, and cleared before anything else is written there."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = threading.RLock()
        self._is_drawn = False
        self._is_at_start = True

    def draw(self, text: str) -> None:
        """Show ``text``, cut to the terminal's width; nothing while somebody is in the middle of a line."""
        with self._lock:
            if self._is_at_start:
                self._is_drawn = True
                self._put(_CLEAR + text[: self._columns() - 1])

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._is_drawn:
                self._is_drawn = False
                self._put(_CLEAR)

    def stream(self, target: TextIO) -> TextIO:
        """What to write to instead of ``target``, a stream that ends at this terminal too."""
        return cast("TextIO", _Beside(self, target))

    def write(self, target: TextIO, text: str) -> int:
        """Write ``text`` to ``target`` where the line was."""
        with self._lock:
            self.clear()
            if text:
                self._is_at_start = text.endswith("\n")
            return target.write(text)

    def _put(self, text: str) -> None:
        try:
            self._terminal.write(text)
            self._terminal.flush()
        except OSError:  # the terminal was closed: the run goes on to its end in order
            self._is_at_start = False

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._terminal.fileno()).columns or _USUAL_COLUMNS
        except (OSError, ValueError):
            return _USUAL_COLUMNS


class _Beside:
    """Stands in for a stream; everything but writing is the stream's own."""

    def __init__(self, line: Line, target: TextIO) -> None:
        self._line = line
        self._target = target

    def write(self, text: str) -> int:
        return self._line.write(self._target, text)

    def writelines(self, lines: Iterator[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> object:
        return getattr(self._target, name)


class Status:
    """Puts into words how a run is doing; ``seconds`` is how much of a recording is wanted (None: all)."""

    def __init__(self, seconds: float | None = None, now_s: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now_s = now_s
        self._began_s = self._said_s = now_s()
        self._processed: dict[str, int] = {}

    def words(self, standing: Standing) -> str:
        """The line. Rates are since the last call."""
        now_s = self._now_s()
        passed_s = now_s - self._said_s
        parts = [self._camera(feed, passed_s) for feed in standing.feeds]
        self._said_s = now_s
        parts.append(f"{len(standing.people)} recognised")
        delay_s = standing.delays.newest("frame")
        if delay_s is not None:
            parts.append(f"{delay_s:.2f} s behind")
        parts += _waiting(standing)
        left_s = self._left_s(standing, now_s - self._began_s)
        if left_s is not None:
            parts.append(f"about {_clock(left_s)} left")
        return " | ".join(parts)

    def _camera(self, feed: CameraFeed, passed_s: float) -> str:
        name = printable(feed.capture.camera)
        before = self._processed.get(name, 0)
        self._processed[name] = feed.processed
        # The first frame after no time at all says nothing of the speed.
        rate = f", {(feed.processed - before) / passed_s:.1f} frames/s" if passed_s >= _EVERY_S / 2 else ""
        if feed.state != "live":
            return f"{name} {feed.state}"
        how_far = "live"
        if isinstance(feed.capture, Replay):
            length_s = self._length_s(feed.capture)
            how_far = f"frame {feed.processed}" if length_s is None else f"{self._share(feed.capture, length_s):.0%}"
        return f"{name} {how_far}{rate}, faces: {feed.recogniser.following}"

    def _length_s(self, replay: Replay) -> float | None:
        """How much of the recording will be looked at, in seconds; None where nobody knows."""
        known = [each for each in (replay.duration_s, self._seconds) if each]
        return min(known) if replay.duration_s and known else None

    def _share(self, replay: Replay, length_s: float) -> float:
        return 1.0 if replay.state in ("ended", "failed") else min(1.0, (replay.position_s or 0.0) / length_s)

    def _left_s(self, standing: Standing, passed_s: float) -> float | None:
        """How long the recordings will still take if they go on as they did; None where that cannot be told."""
        replays = [feed.capture for feed in standing.feeds if isinstance(feed.capture, Replay)]
        lengths = [(replay, length_s) for replay in replays if (length_s := self._length_s(replay)) is not None]
        if not replays or len(lengths) < len(replays):
            return None
        done_s = sum(self._share(replay, length_s) * length_s for replay, length_s in lengths)
        all_s = sum(length_s for _, length_s in lengths)
        return passed_s * (all_s - done_s) / done_s if done_s > 0 else None


def _waiting(standing: Standing) -> list[str]:
    """What a sink lacks, where it is behind by more than a batch's usual time, and what it does not take."""
    found = []
    for worker in standing.workers:
        lag = worker.lag()
        if lag["pending"] and lag["oldest_s"] > _BEHIND_S:
            found.append(f"{lag['pending']} rows wait for {worker.sink.name} ({_clock(lag['oldest_s'])})")
        if lag["dead"]:
            found.append(f"{worker.sink.name} refuses {lag['dead']}")
    return found


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def status_line(*, seconds: float | None, wanted: bool) -> Iterator[Callable[[Standing], None]]:
    """Give what to call often with the run's standing; it draws once a second where standard error is a terminal."""
    if not wanted or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _standing: None
        return
    line = Line(sys.stderr)
    status: Status | None = None
    due_s = 0.0

    def show(standing: Standing) -> None:
        nonlocal status, due_s
        # Made at the first turn, as loading the networks took none of the recording's time.
        status = status or Status(seconds)
        now_s = time.monotonic()
        if now_s >= due_s:
            due_s = now_s + _EVERY_S
            line.draw(status.words(standing))

    with _making_way(line):
        yield show


@contextmanager
def _making_way(line: Line) -> Iterator[None]:
    """Let everything that this process writes to the terminal go through ``line``."""
    usual = sys.stdout, sys.stderr
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
    ]
    if sys.stdout.isatty():
        sys.stdout = line.stream(sys.stdout)
    sys.stderr = line.stream(sys.stderr)
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = usual
        for handler in handlers:
            handler.setStream(sys.stderr)
        line.clear()
