"""Shows the faces of one camera to a check of presentation attacks, and remembers whom it suspects."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from optimind.core.tracking import Track
from optimind.core.types import Frame
from optimind.errors import OptiMindError
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import PadCheck, PadState, PadVerdict

__all__ = ["Presentation"]

log = logging.getLogger(__name__)

LONG_S: Final = 10.0
"""Who is undecided after so long mostly sits still, and is looked at ..."""
SLOWER: Final = 3
"""... this many times less often."""
FAILURES_BEFORE_OFF: Final = 5


@dataclass(slots=True, eq=False)
class _Face:
    began_at: datetime
    shown_at: datetime
    verdict: PadVerdict


class Presentation:
    """One camera's check. Used by one thread.

    All faces that are due are shown in the same frame, so that a check can share what it needs of it. A check that
    raises is counted and, after :data:`FAILURES_BEFORE_OFF` failures in a row, not asked any more.
    """

    def __init__(self, check: PadCheck, *, stages: StageTimes) -> None:
        self._check = check
        self._stages = stages
        self._interval = timedelta(seconds=check.interval_s)
        self._asked_at: datetime | None = None
        self._faces: dict[int, _Face] = {}
        self._failures_in_a_row = 0
        self.failures = 0
        self.last_error = ""

    @property
    def is_off(self) -> bool:
        """Whether it failed so often that it is not asked any more."""
        return self._failures_in_a_row >= FAILURES_BEFORE_OFF

    def watch(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Show the check those of ``tracks`` that it still wants to see, whether or not ``frame`` was looked at."""
        at = frame.captured_at
        if self.is_off or (self._asked_at is not None and self._asked_at <= at < self._asked_at + self._interval):
            return
        self._asked_at = at
        # Where a face is that the last look did not find, nobody knows.
        due = [track for track in tracks if not track.misses and self._is_due(track.number, at)]
        if due:
            with self._stages.measure("presentation"):
                for track in due:
                    if not self.is_off:
                        self._show(track, frame)

    def verdict(self, number: int) -> PadVerdict:
        """What the check makes of that track so far."""
        face = self._faces.get(number)
        return face.verdict if face else PadVerdict()

    def suspicion(self, number: int) -> str:
        """Why the face of that track is suspected; empty where it is not."""
        verdict = self.verdict(number)
        return verdict.reason if verdict.state is PadState.SUSPECTED else ""

    def end(self, number: int) -> None:
        """The track has ended: drop all that is known of it."""
        if self._faces.pop(number, None) is not None:
            try:
                self._check.forget(str(number))
            except Exception as error:  # noqa: BLE001 - a third party's check may raise anything
                self._fail(error)

    def _is_due(self, number: int, at: datetime) -> bool:
        face = self._faces.get(number)
        if face is None or at < face.shown_at:
            return True
        if face.verdict.is_final:
            return False
        is_old = at - face.began_at > timedelta(seconds=LONG_S)
        return not is_old or at - face.shown_at >= SLOWER * self._interval

    def _show(self, track: Track, frame: Frame) -> None:
        at = frame.captured_at
        face = self._faces.setdefault(track.number, _Face(at, at, PadVerdict()))
        face.shown_at = at
        left, top, right, bottom = (float(edge) for edge in track.box_at(at))
        try:
            face.verdict = self._check.observe(str(track.number), frame.image, (left, top, right, bottom), at)
        except Exception as error:  # noqa: BLE001 - as above; a check that fails must not cost a frame
            self._fail(error)
        else:
            self._failures_in_a_row = 0

    def _fail(self, error: Exception) -> None:
        was_off = self.is_off
        self.failures += 1
        self._failures_in_a_row += 1
        self.last_error = error.message if isinstance(error, OptiMindError) else f"{type(error).__name__}: {error}"
        log.debug("the check of presentation attacks failed here", exc_info=error)
        if self.is_off and not was_off:
            log.error("the check of presentation attacks is switched off, it failed: %s", self.last_error)
