"""Visitors: the tracks of people whom nobody enrolled, brought together when they show the same person.

A track is compared with each visitor as a probe is with a template (:mod:`optimind.core.identification`): normalised
against the cohort where the embedder has a calibration, by plain distance where not. Two people taken for one visitor
is the error that matters, because somebody would be enrolled under another one's name. So :data:`CONFUSED` is strict,
and who is missed by it is a visitor more until a later track is near to both.

docs/visitors.md says what comes out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from optimind.core.calibration import Calibration, distances
from optimind.core.templates import typical
from optimind.core.types import Vectors

__all__ = ["CONFUSED", "ONE_VISIT", "Interval", "Placement", "VisitorIndex", "visits_of"]

CONFUSED = 0.001
"""How many of all new people may be taken for a visitor who was there before, as ``recognition.fpir`` is for names."""
PLAIN_LIMIT = 0.40
"""The distance up to which two visitors are one where there is no calibration: of the means of three photographs each,
closer ones are 99.4 % of those who are one person with ``dlib-resnet-v1``, and 1 in 14,196 of those who are not."""
_CLEARLY = (1.0, 0.05)
"""By so much the nearest of several visitors who are not one must be nearer: in deviations, or as plain distance."""
ONE_VISIT = timedelta(minutes=5)
"""Somebody who is gone for less has not come again."""

Interval = tuple[datetime, datetime]
"""First and last seen."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a track belongs: to ``visitor``, None for a new one; ``alike`` turned out to be that same visitor."""

    visitor: int | None = None
    alike: tuple[int, ...] = ()


class VisitorIndex:
    """The known visitors of one embedder, by number, to compare tracks with. What it says does not depend on the order
    in which they were put in, nor on that of a track's samples.

    It grows with the visitors: about 1 kB for each vector of 128 numbers.
    """

    def __init__(self, calibration: Calibration | None = None) -> None:
        self._calibration = calibration
        self._apart = None if calibration is None else calibration.strangers_apart
        self._vectors: dict[int, Vectors] = {}
        self._typical: dict[int, NDArray[np.float64]] = {}
        self._level: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._vectors)

    def put(self, visitor: int, vectors: Vectors) -> None:
        """Know ``visitor`` by ``vectors`` (n >= 1, dimension), in place of what was known. ``ValueError`` for none."""
        if vectors.ndim != 2 or not len(vectors):
            raise ValueError(f"a visitor needs (n >= 1, dimension) vectors, got {vectors.shape}")
        centre = typical(vectors, self._apart)
        self._vectors[visitor], self._typical[visitor] = vectors, centre
        if self._calibration is not None:
            level = self._calibration.level(centre[None])
            self._level[visitor] = float(level.mean[0]), float(level.deviation[0])

    def remove(self, visitor: int) -> None:
        """Forget ``visitor``; one that is not known is none."""
        self._vectors.pop(visitor, None)
        self._typical.pop(visitor, None)
        self._level.pop(visitor, None)

    def place(self, samples: Vectors, *, elsewhere: Collection[int] = ()) -> Placement:
        """Say which visitor ``samples`` (n >= 1, dimension) of one track show; those ``elsewhere`` are none of them.

        Several may be near. They are one visitor where the nearest, together with the track, is near the others too. If
        some are not, and none is clearly the nearest, nobody can know: the track is a new visitor.
        """
        if not len(samples):
            raise ValueError("a track needs at least one sample")
        near = self._near(samples, elsewhere)
        if not near:
            return Placement()
        nearest, distance = near[0]
        if len(near) == 1:
            return Placement(nearest)
        together = np.concatenate([self._vectors[nearest], samples])
        same = {visitor for visitor, _ in self._near(together, {nearest, *elsewhere})}
        others = [rival - distance for visitor, rival in near[1:] if visitor not in same]
        if others and min(others) < _CLEARLY[self._calibration is None]:
            return Placement()
        return Placement(nearest, tuple(sorted(visitor for visitor, _ in near[1:] if visitor in same)))

    def _near(self, samples: Vectors, elsewhere: Collection[int]) -> list[tuple[int, float]]:
        """The visitors within the limit and how far they are, the nearest first."""
        visitors = [visitor for visitor in self._vectors if visitor not in elsewhere]
        if not visitors:
            return []
        apart = self._distances(samples, visitors)
        limit = PLAIN_LIMIT
        if self._calibration is not None:
            limit = self._calibration.limit_for(CONFUSED, len(self)) + self._calibration.gain_of(samples)
        near = [(visitors[row], float(apart[row])) for row in np.flatnonzero(apart <= limit)]
        return sorted(near, key=lambda one: (one[1], one[0]))

    def _distances(self, samples: Vectors, visitors: list[int]) -> NDArray[np.float64]:
        plain = distances(samples, np.array([self._typical[visitor] for visitor in visitors]))
        if self._calibration is None:
            return np.asarray(plain.mean(axis=0))
        level = self._calibration.level(samples)
        mean, deviation = np.array([self._level[visitor] for visitor in visitors]).T
        by_visitor = (plain - mean) / deviation
        by_sample = (plain - level.mean[:, None]) / level.deviation[:, None]
        return np.asarray(((by_visitor + by_sample) / 2).mean(axis=0))


def visits_of(tracks: Iterable[Interval]) -> list[Interval]:
    """Bring tracks of one visitor together to visits, in the order of time; who is back in less than
    :data:`ONE_VISIT` was not gone."""
    visits: list[Interval] = []
    for first, last in sorted(tracks):
        if visits and first - visits[-1][1] < ONE_VISIT:
            visits[-1] = visits[-1][0], max(visits[-1][1], last)
        else:
            visits.append((first, last))
    return visits
