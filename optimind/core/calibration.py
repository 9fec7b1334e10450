"""What is known of an embedder's distances before anybody is enrolled: how close strangers come, and to whom.

A distance is normalised against a *cohort* of people who are in nobody's class (symmetric and adaptive: S-norm of Kenny
2010 over the closest few, as Matejka et al. 2017 do for speakers). Of normalised distances it was measured, on people
who are not in the cohort, how often a stranger's is at or below a limit; from that follows the limit for a gallery.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Vectors

__all__ = ["NEAREST_OF_COHORT", "Calibration", "Level", "distances", "false_match_rate_for"]

NEAREST_OF_COHORT = 25
_BLOCK = 4096
_FUSED = 3
"""So many pictures of different days are what ``fused_gain`` was measured with."""


class Level(NamedTuple):
    """Mean and deviation of the distances to the nearest of the cohort: (n,) each, an entry a vector."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """An embedder's cohort, and how close strangers come.

    ``cohort``: (n >= 2, dimension) float64, better cluster centres than anyone's face. ``rates`` (k >= 2) rising, in
    (0, 1]: shares of comparisons of a stranger's sample with a template (the false match rate); ``limits`` (k) rising:
    the normalised distances at or below which those shares lie. ``strangers_apart``: the median Euclidean distance of
    one picture each of two people.

    ``own_spread``: how far, as root mean square, one person's pictures of different days lie from their mean;
    ``fused_gain`` (0 or more): by how much the limits rise for the mean of three such pictures, because three are
    rarely close to a stranger together. 0 where it was not measured. Raises ``ValueError`` where that does not hold.
    """

    cohort: Vectors
    rates: NDArray[np.float64]
    limits: NDArray[np.float64]
    strangers_apart: float
    own_spread: float = 0.0
    fused_gain: float = 0.0

    def __post_init__(self) -> None:
        if self.cohort.ndim != 2 or len(self.cohort) < 2 or not np.isfinite(self.cohort).all():
            raise ValueError(f"a cohort needs (n >= 2, dimension) finite numbers, got {self.cohort.shape}")
        if self.rates.ndim != 1 or len(self.rates) < 2 or self.rates.shape != self.limits.shape:
            raise ValueError(f"rates and limits must be as long, 2 or more: {self.rates.shape}, {self.limits.shape}")
        if self.rates[0] <= 0 or self.rates[-1] > 1 or not (np.diff(self.rates) > 0).all():
            raise ValueError("rates must rise, above 0, up to 1")
        if not (np.isfinite(self.limits).all() and (np.diff(self.limits) > 0).all()):
            raise ValueError("limits must rise")
        if not self.strangers_apart > 0:
            raise ValueError("strangers_apart must be above 0")
        if not (self.own_spread >= 0 and self.fused_gain >= 0):
            raise ValueError("own_spread and fused_gain must not be negative")

    def limit_for(self, fpir: float, people: int) -> float:
        """The normalised distance up to which a stranger is taken for one of ``people`` with probability ``fpir``."""
        return self.limit_at(false_match_rate_for(fpir, people))

    def limit_at(self, false_match_rate: float) -> float:
        """The normalised distance at or below which that share of comparisons with strangers lies.

        Between what was measured the logarithm of the rate is interpolated, beyond it continued in a straight line.
        """
        return _along(np.log(self.rates), self.limits, math.log(false_match_rate))

    def gain_of(self, samples: Vectors) -> float:
        """By how much the limit may rise for ``samples`` (n >= 1, dimension) of one track: 0 to ``fused_gain``.

        Only what differs between the samples is averaged out: of one picture, however often it was taken, nothing is.
        With r the part of a person's own variance that these samples show, the variance of their mean is
        1 - r (1 - 1/n) of a single one's.
        """
        if len(samples) < 2 or not self.own_spread:
            return 0.0
        variance = float(((samples - samples.mean(axis=0)) ** 2).sum()) / (len(samples) - 1)
        averaged = min(1.0, variance / self.own_spread**2) * (1 - 1 / len(samples))
        return self.fused_gain * min(1.0, averaged / (1 - 1 / _FUSED))

    def false_match_rate(self, normalised_distance: float) -> float:
        """The share of comparisons with strangers at or below that normalised distance, at most 1: the inverse."""
        return math.exp(min(0.0, max(-700.0, _along(self.limits, np.log(self.rates), normalised_distance))))

    def fpir(self, normalised_distance: float, people: int) -> float:
        """How many of all strangers look at least so much like one of ``people``: 0-1."""
        rate = self.false_match_rate(normalised_distance)
        return 1.0 if rate >= 1 else -math.expm1(people * math.log1p(-rate))

    def level(self, vectors: Vectors) -> Level:
        """How far ``vectors`` (n, dimension) are from people in general."""
        mean, deviation = np.empty(len(vectors)), np.empty(len(vectors))
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            apart = distances(vectors[block], self.cohort)
            k = min(NEAREST_OF_COHORT, len(self.cohort))
            nearest = np.partition(apart, k - 1, axis=1)[:, :k]
            mean[block], deviation[block] = nearest.mean(axis=1), nearest.std(axis=1)
        # A vector in the cohort itself would have no deviation if the cohort were tiny; never divide by nothing.
        return Level(mean, np.maximum(deviation, 1e-6))


def false_match_rate_for(fpir: float, people: int) -> float:
    """The rate that one comparison may have so that ``people`` of them let ``fpir`` (0-1) of strangers in."""
    return -math.expm1(math.log1p(-fpir) / people)


def distances(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """Euclidean distances of the rows of ``a`` and ``b`` by one matrix product: (len(a), len(b))."""
    squared = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.clip(squared, 0, None)))


def _along(x: NDArray[np.float64], y: NDArray[np.float64], at: float) -> float:
    """The broken line through (x, y), x rising, at ``at``; its first and last piece go on for ever."""
    piece = int(np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2))
    slope = (y[piece + 1] - y[piece]) / (x[piece + 1] - x[piece])
    return float(y[piece] + (at - x[piece]) * slope)
