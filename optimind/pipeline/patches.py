"""Whether a known face still looks as it did when it was detected, and where it is now: seen without a detector.

Zero-mean normalised cross-correlation (Lewis, "Fast Normalized Cross-Correlation", 1995) of a small grey patch with
the surroundings of the place where the face should be. It costs a thousandth of what a detector does. A patch is never
taken from what was only found by it, so errors do not add up: who turns or moves away is the detector's again.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import centres, sizes
from optimind.core.types import Image

__all__ = ["Patches"]

_FACE_PX: Final = 24
"""So large is a face in a patch: what is finer is noise and compression."""
_ALIKE: Final = 0.85
"""A correlation from which it is the same face, looking the same way (docs/decisions/0009 says what was measured)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """``grey`` shows the ``box`` (4,) of a face, made smaller by ``scale``."""

    grey: NDArray[np.uint8]
    box: NDArray[np.float64]
    scale: float


class Patches:
    """The patches of the tracks of one camera, by their numbers."""

    def __init__(self) -> None:
        self._of: dict[int, _Patch] = {}

    def remember(self, image: Image, numbers: Sequence[int], boxes: Sequence[NDArray[np.float64]]) -> None:
        """Take how the faces at ``boxes``, each (4,), of the tracks ``numbers``, look in ``image``."""
        for number, box in zip(numbers, boxes, strict=True):
            scale = _FACE_PX / float(sizes(box[None])[0])
            found = _grey(image, box, scale)
            if found is None:
                self._of.pop(number, None)
            else:
                self._of[number] = _Patch(found[0], found[1], scale)

    def keep(self, numbers: Set[int]) -> None:
        """Forget the patches of all other tracks."""
        self._of = {number: patch for number, patch in self._of.items() if number in numbers}

    def find(self, image: Image, number: int, box: NDArray[np.float64], margin: float) -> NDArray[np.float64] | None:
        """Return the box (4,) at which the track's face surely is in ``image``; None if that is not sure.

        It is looked for within ``margin`` of its sizes around ``box`` (4,).
        """
        patch = self._of.get(number)
        if patch is None:
            return None
        around = margin * float(sizes(patch.box[None])[0])
        half = (patch.box[2:] - patch.box[:2]) / 2 + around
        middle = centres(box[None])[0]
        found = _grey(image, np.concatenate([middle - half, middle + half]), patch.scale)
        if found is None:
            return None
        grey, region = found
        room = np.array(grey.shape) - patch.grey.shape
        if room.min() < 0:  # it is at the edge of the picture
            return None
        likeness = cv2.matchTemplate(grey, patch.grey, cv2.TM_CCOEFF_NORMED)
        _, best, _, place = cv2.minMaxLoc(likeness)
        if not best >= _ALIKE:
            return None
        corner = region[:2] + np.array(place) / np.array(grey.shape[::-1]) * (region[2:] - region[:2])
        return np.concatenate([corner, corner + patch.box[2:] - patch.box[:2]])


def _grey(image: Image, box: NDArray[np.float64], scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]] | None:
    """Return what of ``box`` the picture shows, grey and ``scale`` its size, and where that is; None for too little."""
    corner = np.array(image.shape[1::-1])
    left, top = np.clip(np.rint(box[:2]), 0, corner).astype(int).tolist()
    right, bottom = np.clip(np.rint(box[2:]), 0, corner).astype(int).tolist()
    size = (round((right - left) * scale), round((bottom - top) * scale))
    if min(size) < _FACE_PX // 2:
        return None
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.asarray(small, dtype=np.uint8), np.array([left, top, right, bottom], dtype=np.float64)
