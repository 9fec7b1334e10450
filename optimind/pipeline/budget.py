"""A limit to the processor time that a run takes, so that a machine has time for something else too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["CpuBudget"]

_SAVED_S: Final = 0.5
"""So much time that was not needed may be taken later at once, by however many cores."""
_DEBT_S: Final = 2.0
"""More than this is not paid back: after a minute in which something else needed the processor, looking goes on."""


class CpuBudget:
    """Lets work begin while the process has used, on average, no more than ``cores`` processor cores.

    All of the process counts, also what decodes video: what is left is for looking. A token bucket (Turner, "New
    Directions in Communications", 1986) of processor seconds: a piece of work may overdraw it, and is waited for then.
    """

    def __init__(
        self,
        cores: float,
        *,
        used_s: Callable[[], float] = time.process_time,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cores = cores
        self._used_s = used_s
        self._now_s = now_s
        self._saved_s = _SAVED_S
        self._seen = (now_s(), used_s())

    def has_time(self) -> bool:
        """Whether work may begin now."""
        now_s, used_s = self._now_s(), self._used_s()
        gained_s = (now_s - self._seen[0]) * self._cores - (used_s - self._seen[1])
        self._seen = (now_s, used_s)
        self._saved_s = min(max(self._saved_s + gained_s, -_DEBT_S), _SAVED_S)
        return self._saved_s > 0
