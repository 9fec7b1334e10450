"""How long each stage of the loop takes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

__all__ = ["StageFigures", "StageTimes"]

_KEPT = 2000


@dataclass(frozen=True, slots=True)
class StageFigures:
    """How often a stage ran, how many seconds that took together, and the 95th percentile in seconds."""

    count: int
    total_s: float
    p95_s: float


class StageTimes:
    """Durations by stage. Memory is bounded: the mean is over all, the 95th percentile over the last 2000.

    One thread adds; any other may read meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
        with self._lock:
            count, total = self._totals.get(stage, (0, 0.0))
            self._totals[stage] = (count + 1, total + duration_s)
            self._recent.setdefault(stage, deque(maxlen=_KEPT)).append(duration_s)

    def total(self, stage: str) -> tuple[int, float]:
        """How often ``stage`` ran, and how many seconds that took together."""
        return self._totals.get(stage, (0, 0.0))

    def newest(self, stage: str) -> float | None:
        """How many seconds the last run of ``stage`` took; None before the first."""
        recent = self._recent.get(stage)
        return recent[-1] if recent else None

    def figures(self) -> dict[str, StageFigures]:
        """The figures by stage, in the order in which the stages first ran."""
        with self._lock:
            known = [(stage, count, total, list(self._recent[stage])) for stage, (count, total) in self._totals.items()]
        return {
            stage: StageFigures(count, total, float(np.percentile(recent, 95))) for stage, count, total, recent in known
        }

    def summary(self) -> dict[str, dict[str, float]]:
        """``{stage: {"mean": ms, "p95": ms}}``, in the order in which the stages first ran."""
        return {
            stage: {"mean": round(1000 * each.total_s / each.count, 3), "p95": round(1000 * each.p95_s, 3)}
            for stage, each in self.figures().items()
        }
