"""Association: which detection of this look is which face of the last one.

A tracker has no camera and no clock: ``update`` is told what was detected and when, also when it was nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import centres, iou, sizes

__all__ = ["Track", "Tracker"]


@dataclass(slots=True, eq=False)
class Track:
    """The same face over time. ``number`` is unique in its tracker; ``box`` is xyxy pixels where it was last."""

    number: int
    box: NDArray[np.float64]
    first_seen_at: datetime
    last_seen_at: datetime
    detections: int = 1
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def box_at(self, at: datetime) -> NDArray[np.float64]:
        """Where the face should be at ``at`` if it goes on as it went (at most for a second)."""
        ahead_s = min(max((at - self.last_seen_at).total_seconds(), 0.0), 1.0)
        return np.asarray(self.box + np.tile(self.velocity * ahead_s, 2))

    def see(self, box: NDArray[np.float64], at: datetime) -> None:
        """Take the detection ``box`` as this face's."""
        passed_s = (at - self.last_seen_at).total_seconds()
        if passed_s > 0:
            step = (centres(box[None]) - centres(self.box[None]))[0] / passed_s
            # Half old, half new: a detector's boxes jitter, and a face does not change course at every look.
            self.velocity = (self.velocity + step) / 2
        self.box = box
        self.last_seen_at = max(at, self.last_seen_at)
        self.detections += 1


class Tracker:
    """Keeps the tracks of one camera.

    A detection belongs to the track whose predicted box overlaps it most, or whose middle is nearest when within
    ``reach`` box sizes and of similar size. A track that was not seen for ``max_gap_s`` seconds has ended.
    """

    def __init__(self, *, max_gap_s: float = 2.0, reach: float = 1.5) -> None:
        self._max_gap = timedelta(seconds=max_gap_s)
        self._reach = reach
        self._next = 1
        self.tracks: list[Track] = []

    def update(self, boxes: NDArray[np.float64], at: datetime) -> tuple[list[Track], list[Track]]:
        """Take the boxes (n, 4) detected at ``at``.

        Returns the track of each box, in the order of ``boxes``, and the tracks that have ended. A clock that jumps,
        back or ahead, ends them all.
        """
        ended = [t for t in self.tracks if abs(at - t.last_seen_at) > self._max_gap]
        self.tracks = [t for t in self.tracks if abs(at - t.last_seen_at) <= self._max_gap]
        owners: list[Track | None] = [None] * len(boxes)
        for track, row in self._pairs(boxes, at):
            track.see(boxes[row], at)
            owners[row] = track
        seen = [owner or self._begin(boxes[row], at) for row, owner in enumerate(owners)]
        return seen, ended

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

    def _begin(self, box: NDArray[np.float64], at: datetime) -> Track:
        track = Track(self._next, box, first_seen_at=at, last_seen_at=at)
        self._next += 1
        self.tracks.append(track)
        return track

    def _pairs(self, boxes: NDArray[np.float64], at: datetime) -> list[tuple[Track, int]]:
        """Pair tracks and boxes, the surest first; each in one pair at most."""
        if not self.tracks or not len(boxes):
            return []
        predicted = np.array([t.box_at(at) for t in self.tracks])
        affinity = _affinity(predicted, boxes, self._reach)
        pairs = []
        order = np.argsort(-affinity, axis=None, kind="stable")
        free_tracks, free_boxes = np.ones(len(predicted), bool), np.ones(len(boxes), bool)
        for flat in order:
            i, j = divmod(int(flat), len(boxes))
            if affinity[i, j] <= 0:
                break
            if free_tracks[i] and free_boxes[j]:
                pairs.append((self.tracks[i], j))
                free_tracks[i] = free_boxes[j] = False
        return pairs


def _affinity(a: NDArray[np.float64], b: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """How likely each of ``a`` and each of ``b`` are one face: (len(a), len(b)), 0 where they cannot be.

    An overlap always beats nearness: it is 1 + IoU, nearness is below 1.
    """
    overlap = iou(a, b)
    size_a, size_b = sizes(a), sizes(b)
    larger = np.maximum(size_a[:, None], size_b[None])
    smaller = np.minimum(size_a[:, None], size_b[None])
    away = np.linalg.norm(centres(a)[:, None] - centres(b)[None], axis=2) / larger
    near = np.clip(1 - away / reach, 0, None)
    affinity = np.where(overlap > 0.1, 1 + overlap, near)
    return np.asarray(np.where(smaller / larger > 0.5, affinity, 0.0))
