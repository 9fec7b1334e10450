"""The wall clock as a camera's pictures carry it: it grows, unless somebody sets it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

__all__ = ["CameraClock"]

JUMP_S = 2.0
_LEAST_STEP = timedelta(microseconds=1)


class CameraClock:
    """Stamps one camera's pictures with ``clock()`` and notices where that was set, by comparing monotonic time.

    Stamps grow strictly: where the clock goes back by less than two seconds (a small correction), they wait for it. A
    larger leap in either direction is taken over at once, and said.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._wall: datetime | None = None
        self._latest: datetime | None = None
        self._at_s = 0.0

    def stamp(self, now_s: float) -> tuple[datetime, float]:
        """Return the wall clock's time at the monotonic time ``now_s``, and by how many seconds it was set (mostly 0).

        A machine that slept looks the same as a clock that was set forward.
        """
        wall = self._clock()
        if self._wall is None or self._latest is None:
            self._wall = self._latest = wall
            self._at_s = now_s
            return wall, 0.0
        leap_s = (wall - self._wall).total_seconds() - (now_s - self._at_s)
        behind_s = (self._latest - wall).total_seconds()
        self._wall, self._at_s = wall, now_s
        if abs(leap_s) < JUMP_S and behind_s >= JUMP_S:  # small steps back that have added up
            leap_s = -behind_s
        if abs(leap_s) >= JUMP_S:
            self._latest = wall
            return wall, leap_s
        self._latest = max(wall, self._latest + _LEAST_STEP)
        return self._latest, 0.0
