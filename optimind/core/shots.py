"""Best shots: how good a picture of a face is, and which pictures of a track are worth keeping.

Quality is the part of what separates people that is left in a picture: (a - b) / (a0 - b0), where b is the distance to
the person's own template, a the mean distance to other people's, and a0, b0 the same of an untouched portrait. It is a
product of three terms 1 - exp(-(x / x0) ** k). Those of size and sharpness were fitted to 7,140 probes: 210 portraits
of 105 people of half A of ``benchmarks/split.py``, each made smaller (to 20 px), blurred (to 4 % of the face's width),
moved (to 14 %) or two of these, against templates of three others, over ``dlib-resnet-v1`` and a MobileFaceNet
together; that of pose to the figures in :mod:`optimind.core.pose`. What is left, measured and by the formula:

| face | dlib | MobileFaceNet | formula |
|---|---|---|---|
| 45 px wide | 0.97 | 0.96 | 0.96 |
| 30 px | 0.89 | 0.82 | 0.86 |
| 20 px | 0.70 | 0.54 | 0.62 |
| blurred by 2 % of its width | 0.86 | 0.79 | 0.83 |
| by 3 % | 0.70 | 0.48 | 0.63 |
| 45 px and blurred by 3 % | 0.67 | 0.43 | 0.60 |
| moved by 14 % | 0.54 | 0.38 | 0.57 |
| turned by 40 to 50 degrees | 0.90 | 0.91 | 0.90 |

:data:`GOOD`: of the same probes with ``dlib-resnet-v1``, N = 60, one sample a track and the limit for an FPIR of 1 %,
the FNIR is 3 % at a quality above 0.95, 5 % at 0.9 to 0.95, 10 % at 0.8 to 0.85, 22 % at 0.7 to 0.75, 36 % at 0.6 to
0.65, 42 % at 0.55 to 0.6, and half or more below. Of the strangers 1.7 % get a name above 0.95, 2.9 % at 0.8 to 0.85
and 3.6 % at 0.55 to 0.6; of the enrolled people 1.0 % get somebody else's at 0.55 to 0.6 and next to none above 0.75.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Vectors

__all__ = ["GOOD", "BestShots", "Shot", "quality_of"]

GOOD = 0.6
"""Shots of less quality name nobody."""

# (x0, k) of each term.
_SIZE = (17.0, 1.7)
_SHARPNESS = (0.016, 0.73)
_FRONTALITY = (0.26, 1.3)

_GAIN = 0.1
"""A shot must be better by this much to be worth its embedding where another one could stay."""
_APART = timedelta(seconds=1)
"""Shots closer in time show the same: one of them counts."""
_FORGOTTEN_S = 300.0
"""A shot's rank falls by 1 in this time, so that what a track looked like long ago gives way to what it looks like."""


def quality_of(
    face_px: NDArray[np.float64], sharpness: NDArray[np.float64], frontality: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the quality of n faces: (n,) float64, 0-1, higher is better.

    ``face_px`` is the face's size in pixels, ``sharpness`` is :func:`optimind.gallery.quality.sharpness`,
    ``frontality`` that of ``Detections``; all (n,). Where it is None every face is taken to look into the camera.
    """
    quality = _term(face_px, *_SIZE) * _term(sharpness, *_SHARPNESS)
    return quality if frontality is None else quality * _term(frontality, *_FRONTALITY)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Shot:
    """One picture of a track: when it was taken, its embedding (dimension,) float64, and its quality."""

    at: datetime
    vector: NDArray[np.float64]
    quality: float

    @property
    def is_good(self) -> bool:
        """Whether somebody may be named by it."""
        return self.quality >= GOOD


class BestShots:
    """The best ``most`` shots of one track, in the order of time, a second or more apart.

    The first ``least`` good ones are taken as they come, and so are the first ``least`` of any quality: nobody waits
    for a name longer than needed.
    """

    def __init__(self, *, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._shots: list[Shot] = []

    def __len__(self) -> int:
        return len(self._shots)

    def __iter__(self) -> Iterator[Shot]:
        return iter(self._shots)

    @property
    def are_good(self) -> bool:
        """Whether there are enough good ones to name somebody by."""
        return sum(shot.is_good for shot in self._shots) >= self._least

    def vectors(self) -> Vectors:
        """The embeddings to identify by, (n, dimension): the good ones, or all where there are not enough of them."""
        chosen = [shot for shot in self._shots if shot.is_good or not self.are_good]
        return np.array([shot.vector for shot in chosen])

    def wants(self, quality: float, at: datetime) -> bool:
        """Whether a shot of this quality, taken at ``at``, is worth embedding."""
        if self._is_urgent(quality):
            return True
        if quality < GOOD and self.are_good:
            return False
        near = self._near(at)
        if near is None and len(self._shots) < self._most:
            return True
        rival = min(shot.quality for shot in self._shots) if near is None else near.quality
        return quality > rival + _GAIN

    def add(self, shot: Shot) -> None:
        """Take ``shot`` in. The one that has to go for it is the poorest or, of equals, the oldest; perhaps itself."""
        near = None if self._is_urgent(shot.quality) else self._near(shot.at)
        if near is not None:
            if shot.quality <= near.quality:
                return
            self._shots.remove(near)
        self._shots.append(shot)
        self._shots.sort(key=lambda kept: kept.at)
        if len(self._shots) > self._most:
            self._shots.remove(min(self._shots, key=lambda kept: _rank(kept, shot.at)))

    def _is_urgent(self, quality: float) -> bool:
        return len(self._shots) < self._least or (quality >= GOOD and not self.are_good)

    def _near(self, at: datetime) -> Shot | None:
        """The shot that shows the same as one taken at ``at``: of several, the poorest."""
        near = [shot for shot in self._shots if abs(at - shot.at) < _APART]
        return min(near, key=lambda shot: shot.quality) if near else None


def _rank(shot: Shot, now: datetime) -> tuple[bool, float]:
    """Poor shots never take a good one's place: a head bent for minutes does not cost the name."""
    return shot.is_good, shot.quality - (now - shot.at).total_seconds() / _FORGOTTEN_S


def _term(x: NDArray[np.float64], scale: float, power: float) -> NDArray[np.float64]:
    return np.asarray(-np.expm1(-((np.maximum(x, 0) / scale) ** power)))
