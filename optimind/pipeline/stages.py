"""How long each stage of the loop takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["StageTimes"]

_KEPT = 2000


class StageTimes:
    """Durations by stage. Memory is bounded: the mean is over all, the 95th percentile over the last 2000."""

    def __init__(self) -> None:
        self._totals: dict[str, tuple[int, float]] = {}
        self._recent: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time the body of a ``with`` as one run of ``stage``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - began)

    def add(self, stage: str, duration_s: float) -> None:
        """Count one run of ``stage`` that took ``duration_s`` seconds."""
        count, total = self._totals.get(stage, (0, 0.0))
        self._totals[stage] = (count + 1, total + duration_s)
        self._recent.setdefault(stage, deque(maxlen=_KEPT)).append(duration_s)

    def total(self, stage: str) -> tuple[int, float]:
        """How often ``stage`` ran, and how many seconds that took together."""
        return self._totals.get(stage, (0, 0.0))

    def summary(self) -> dict[str, dict[str, float]]:
        """``{stage: {"mean": ms, "p95": ms}}``, in the order in which the stages first ran."""
        return {
            stage: {
                "mean": round(1000 * total / count, 3),
                "p95": round(1000 * float(np.percentile(self._recent[stage], 95)), 3),
            }
            for stage, (count, total) in self._totals.items()
        }
