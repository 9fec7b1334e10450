"""What is told of a camera's unknown people: their best pictures, kept in memory for as long as they are unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import pixels_around
from optimind.core.shots import BestShots, Shot
from optimind.core.tracking import Track
from optimind.core.types import Image
from optimind.plugin_api import VisitorSeen, VisitorShot

__all__ = ["Strangers", "cut"]

MOST_PICTURES: Final = 4
"""So many pictures of one track are kept."""
SURE_AFTER: Final = timedelta(seconds=30)
"""Who was seen for so long and is still nobody enrolled is told before they leave."""
AGAIN_AFTER: Final = timedelta(minutes=5)
LONGEST_PX: Final = 320
"""The longer side of a picture: the face in it then has 160 px, more than any embedder looks at."""
_AROUND: Final = 0.5
"""What is cut out besides the face on each side, in widths and heights of it."""


class Strangers:
    """The unknown people in front of one camera. Used by the recogniser's thread.

    Pictures go as soon as their shots do, and when their track gets an identity.
    """

    def __init__(self, camera: str, embedder_id: str) -> None:
        self._camera = camera
        self._embedder_id = embedder_id
        # By the shot itself: a shot that a track drops, or gives to another track, takes its picture along.
        self._pictures: WeakKeyDictionary[Shot, tuple[Image, float]] = WeakKeyDictionary()
        self._told_at: dict[int, datetime] = {}

    @property
    def pictures(self) -> int:
        """How many pictures are in memory."""
        return len(self._pictures)

    def picture(self, shot: Shot, image: Image, box: NDArray[np.float64]) -> None:
        """Keep what ``shot`` shows: the face in ``box`` (4,) xyxy pixels of ``image``. A poor one is not kept."""
        if shot.is_good:
            self._pictures[shot] = cut(image, box)

    def tell(
        self,
        track: Track,
        track_id: str,
        shots: BestShots,
        at: datetime,
        *,
        is_stranger: bool,
        is_known: bool,
        ended: bool,
    ) -> list[VisitorSeen]:
        """What there is to say of a track now; of one that ``ended`` or that ``is_known`` no picture stays."""
        pictured = sorted((shot for shot in shots if shot in self._pictures), key=lambda shot: -shot.quality)
        told = []
        if is_stranger and pictured and (ended or self._is_due(track, at)):
            self._told_at[track.number] = at
            told.append(self._event(track, track_id, shots, pictured[:MOST_PICTURES], ended=ended))
        for shot in pictured[0 if ended or is_known else MOST_PICTURES :]:
            del self._pictures[shot]
        if ended:
            self._told_at.pop(track.number, None)
        return told

    def _is_due(self, track: Track, at: datetime) -> bool:
        told_at = self._told_at.get(track.number)
        return at - track.first_seen_at >= SURE_AFTER if told_at is None else at - told_at >= AGAIN_AFTER

    def _event(
        self, track: Track, track_id: str, shots: BestShots, pictured: list[Shot], *, ended: bool
    ) -> VisitorSeen:
        pictures = [(shot, *self._pictures[shot]) for shot in pictured]
        return VisitorSeen(
            at=track.last_seen_at,
            camera=self._camera,
            track_id=track_id,
            first_seen_at=track.first_seen_at,
            last_seen_at=track.last_seen_at,
            embedder=self._embedder_id,
            samples=len(shots.vectors()),
            shots=tuple(
                VisitorShot(shot.at, shot.vector, picture, face_px, shot.quality) for shot, picture, face_px in pictures
            ),
            ended=ended,
        )


def cut(image: Image, box: NDArray[np.float64]) -> tuple[Image, float]:
    """Return a copy of the face in ``box`` (4,) xyxy pixels with as much around it again, and the face's width in it.

    Its longer side is at most :data:`LONGEST_PX`.
    """
    height, width = image.shape[:2]
    low, high = pixels_around(box, _AROUND * (box[2:] - box[:2]), (width, height))
    part = image[low[1] : high[1], low[0] : high[0]]
    scale = min(1.0, LONGEST_PX / max(part.shape[:2]))
    face_px = float(box[2] - box[0]) * scale
    if scale == 1:
        return part.copy(), face_px
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), face_px
