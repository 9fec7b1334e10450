"""Association: which detection of this look is which face of the last one.

A tracker has no camera and no clock: ``update`` is told what was detected and when, also when it was nothing. Tracks
are predicted (:mod:`optimind.core.kalman`) and assigned to detections at the least cost in all (Kuhn, "The Hungarian
Method for the Assignment Problem", 1955), where a cost is the squared distance in standard deviations. Where several
tracks may have gone on to the same detection, what the faces look like counts too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from optimind.core.geometry import Boxes, centres, sizes
from optimind.core.kalman import Motion

__all__ = ["Track", "Tracker"]

_GATE: Final = 13.8
"""What a cost must be below: of true pairs, one in a thousand is not (chi-square, two degrees of freedom)."""
_LEAST_SPREAD: Final = 0.2
"""Standard deviations below this many face sizes count as this: a head that turns takes its box along."""
_LARGEST_SPREAD: Final = 0.55
"""Standard deviations above this many face sizes count as this: further than two sizes nobody is looked for."""
_GROWTH: Final = 0.5
"""The smaller of two boxes of one face is at least this part of the larger one."""
_SAME: Final = 0.4
_OTHER: Final = 0.7
"""How far embeddings of one person are from each other from one moment to the next, and those of two people ..."""
_EITHER: Final = 0.11
"""... and one standard deviation of both (small and blurred faces of a street scene)."""
_DOUBTFUL: Final = 6.0
"""Of true pairs, one in twenty costs more than this."""
_NEWCOMER: Final = 12.0
"""What it costs to take a face for somebody new: a likeness that is worse than that is none."""
_NEVER: Final = 1e6
_LOOKS_AWAY: Final = timedelta(seconds=1.5)
"""A face at rest that is back in its place so soon only looked away."""


@dataclass(slots=True, eq=False)
class Track:
    """The same face over time. ``number`` is unique in its tracker; ``box`` is xyxy pixels where it was last.

    ``misses`` counts the looks in a row that did not find it.
    """

    number: int
    box: NDArray[np.float64]
    first_seen_at: datetime
    last_seen_at: datetime
    motion: Motion
    detections: int = 1
    misses: int = 0

    @classmethod
    def begun(cls, number: int, box: NDArray[np.float64], at: datetime) -> Self:
        """A track of the one detection ``box`` (4,)."""
        motion = Motion(centres(box[None])[0], float(sizes(box[None])[0]))
        return cls(number, box, first_seen_at=at, last_seen_at=at, motion=motion)

    def box_at(self, at: datetime) -> NDArray[np.float64]:
        """Where the face should be at ``at``: it goes on as it went for the first moments only."""
        ahead = self.motion.middle_after((at - self.last_seen_at).total_seconds()) - self.motion.middle
        return np.asarray(self.box + np.tile(ahead, 2))

    def spread_at(self, at: datetime) -> float:
        """One standard deviation of where its middle is at ``at``, along either axis, in pixels."""
        return self.motion.spread_after((at - self.last_seen_at).total_seconds())

    def looked_away(self, at: datetime) -> bool:
        """Whether a face that was missed was at rest and seen a moment ago."""
        return self.motion.is_at_rest and abs(at - self.last_seen_at) <= _LOOKS_AWAY

    def see(self, box: NDArray[np.float64], at: datetime) -> None:
        """Take the detection ``box`` as this face's."""
        self.keep(box, at)
        self.detections += 1

    def keep(self, box: NDArray[np.float64], at: datetime) -> None:
        """Take ``box`` as where this face is; it was no detector that said so."""
        passed_s = (at - self.last_seen_at).total_seconds()
        self.motion.see(centres(box[None])[0], float(sizes(box[None])[0]), passed_s)
        self.box = box
        self.last_seen_at = max(at, self.last_seen_at)
        self.misses = 0


class Tracker:
    """Keeps the tracks of one camera.

    A track has ended when it was not seen for ``max_gap_s`` seconds and ``least_misses`` looks in a row missed it, or
    when a clock jumps by more than ``max_gap_s`` back, or ahead by more than ``longest_gap_s``.
    """

    def __init__(self, *, max_gap_s: float = 2.0, least_misses: int = 2, longest_gap_s: float = 5.0) -> None:
        self._max_gap = timedelta(seconds=max_gap_s)
        self._longest_gap = timedelta(seconds=longest_gap_s)
        self._least_misses = least_misses
        self._next = 1
        self.tracks: list[Track] = []

    def contested(self, boxes: Boxes, at: datetime) -> NDArray[np.bool_]:
        """Which of the ``boxes`` (n, 4) need a look at what they look like to be told whose they are.

        Several tracks could have gone on to them, or their track to another one; or it was lost, or is not where it
        should be, so that somebody else may have come into its place. Who sat still and was lost for a moment only
        looked away: a sample that is taken then will tell.
        """
        costs = self._costs(boxes, at)
        possible = costs < _GATE
        lost = np.array([track.misses > 0 and not track.looked_away(at) for track in self.tracks], dtype=np.bool_)
        torn = possible.sum(axis=1) > 1
        doubtful = possible & (costs > _DOUBTFUL)
        return np.asarray(
            (possible.sum(axis=0) > 1) | possible[torn | lost].any(axis=0) | doubtful.any(axis=0), dtype=np.bool_
        )

    def update(
        self,
        boxes: Boxes,
        at: datetime,
        *,
        looked_for: NDArray[np.bool_] | None = None,
        unlikeness: NDArray[np.float64] | None = None,
    ) -> tuple[list[Track], list[Track]]:
        """Take the boxes (n, 4) detected at ``at``.

        ``looked_for`` (len(tracks),) says which of :attr:`tracks` would have been found (None: all of them).
        ``unlikeness`` (len(tracks), n) is the Euclidean distance between embeddings of a track and of a box, NaN where
        it is not known. Returns the track of each box, in the order of ``boxes``, and the tracks that have ended.
        """
        costs = self._costs(boxes, at)
        if unlikeness is not None:
            costs = costs + np.nan_to_num(_unlikely(unlikeness))
        known = list(self.tracks)
        owners: list[Track | None] = [None] * len(boxes)
        for index, row in _pairs(costs + self._vagueness(at)[:, None]):
            known[index].see(boxes[row], at)
            owners[row] = known[index]
        seen = {id(owner) for owner in owners if owner is not None}
        for index, track in enumerate(known):
            if id(track) not in seen and (looked_for is None or looked_for[index]):
                track.misses += 1
        ended = [track for track in known if self._is_over(track, at)]
        self.tracks = [track for track in known if track not in ended]
        return [owner or self._begin(boxes[row], at) for row, owner in enumerate(owners)], ended

    def split(self, track: Track, since: datetime) -> Track:
        """Another face is in the place of ``track`` since ``since``: replace it by a new track and return that."""
        self.tracks.remove(track)
        successor = self._begin(track.box, track.last_seen_at)
        successor.first_seen_at = min(since, successor.last_seen_at)
        return successor

    def finish(self) -> list[Track]:
        """Nothing more comes: return the tracks that were open, all ended now."""
        ended, self.tracks = self.tracks, []
        return ended

    def _is_over(self, track: Track, at: datetime) -> bool:
        gap = at - track.last_seen_at
        if gap < -self._max_gap or gap > self._longest_gap:
            return True
        return gap > self._max_gap and track.misses >= self._least_misses

    def _begin(self, box: NDArray[np.float64], at: datetime) -> Track:
        track = Track.begun(self._next, box, at)
        self._next += 1
        self.tracks.append(track)
        return track

    def _costs(self, boxes: Boxes, at: datetime) -> NDArray[np.float64]:
        """Squared distances in standard deviations, (len(tracks), n); ``_NEVER`` where the two cannot be one face."""
        if not self.tracks or not len(boxes):
            return np.empty((len(self.tracks), len(boxes)))
        predicted = np.array([track.box_at(at) for track in self.tracks])
        size, found = sizes(predicted), sizes(boxes)
        deviation = np.square(self._deviations(at) * size)
        away = centres(predicted)[:, None] - centres(boxes)[None]
        costs = np.square(away).sum(axis=2) / deviation[:, None]
        ratio = np.minimum.outer(size, found) / np.maximum.outer(size, found)
        gone = np.array([abs(at - track.last_seen_at) > self._longest_gap for track in self.tracks])
        back = np.array([track.last_seen_at - at > self._max_gap for track in self.tracks])
        return np.where((ratio > _GROWTH) & ~(gone | back)[:, None] & (costs < _GATE), costs, _NEVER)

    def _vagueness(self, at: datetime) -> NDArray[np.float64]:
        """What each track's costs lack of a log-likelihood: without it, one that may be anywhere is always near."""
        return 4 * np.log(self._deviations(at) / _LEAST_SPREAD)

    def _deviations(self, at: datetime) -> NDArray[np.float64]:
        """One standard deviation of where each track is, in face sizes."""
        spread = np.array([track.spread_at(at) / track.motion.size for track in self.tracks])
        return np.asarray(np.clip(spread, _LEAST_SPREAD, _LARGEST_SPREAD))


def _pairs(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Which track (its index) goes with which box, at the least cost in all; a box may also be somebody new."""
    tracks, boxes = costs.shape
    if not costs.size:
        return []
    every = np.full((tracks + boxes, boxes + tracks), _NEVER)
    every[:tracks, :boxes] = costs
    every[:tracks, boxes:][np.diag_indices(tracks)] = 0  # a track that is not seen
    every[tracks:, :boxes][np.diag_indices(boxes)] = _NEWCOMER
    every[tracks:, boxes:] = 0
    rows, columns = linear_sum_assignment(every)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if row < tracks and column < boxes]


def _unlikely(unlikeness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the logarithm of how much likelier such a distance is between two people than for one."""
    middle = (_SAME + _OTHER) / 2
    return np.asarray(2 * (_OTHER - _SAME) * (unlikeness - middle) / _EITHER**2)
