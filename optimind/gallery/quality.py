"""Is a face good enough to enrol: large enough, sharp enough, and the only one that can be meant.

Every number here was measured with ``dlib-resnet-v1`` on Labeled Faces in the Wild (6,274 photographs, 2,848 people;
size and blur on 270 of 90 people, as how many right matches are lost at 0.1 % wrong ones when the bad sample is
compared with three good ones; untouched photographs lose 6 %).

* Size. A face of 60 or 50 px loses 6 %, of 40 px 8 %, 35 px 10 %, 30 px 14 %, 25 px 23 %, 20 px 41 %.
* Blur. A Gaussian of 1 % of the face's width loses 7 %, 2 % 13 %, 3 % 31 %, 4 % 62 %; motion over 5 % of the width
  7 %, 8 % 22 %, 14 % 65 %. :data:`MIN_SHARPNESS` refuses 26 % of those blurred by 2 %, 90 % by 3 %, all by 4 %, and
  57 % and 99 % of those moved by 8 % and 14 %; none that were only scaled down to 40 px, and 3 of 5,939 untouched ones.
* Other faces. In 286 photographs a second face was found, in 47 of them only once (see ``look.py``). Where it was less
  than 0.8 of the larger one's width the larger one was the right person in 143 of 143 that could be told; near the same
  width it was so in 7 of 14. :data:`SMALLER_FACE` keeps a distance from that, because a wrong person enrolled is worse
  than a photograph refused: 184 are, and of the other 102 all 70 that could be told show the right person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import sizes
from optimind.core.types import Detections, Image

__all__ = ["MIN_FACE_PX", "MIN_SHARPNESS", "SMALLER_FACE", "MainFace", "Refusal", "judge", "sharpness"]

MIN_FACE_PX = 40
"""Narrower faces, in pixels of the original photograph, are not enrolled."""
MIN_SHARPNESS = 0.030
SMALLER_FACE = 0.5
"""A face of less than this much of the main face's width is somebody in the background."""

# The smallest face that is enrolled is compared at its own size: enlarging would make it look blurred.
_COMPARED_AT_PX = MIN_FACE_PX
_SECOND_DERIVATIVE = np.array([[1.0, -2.0, 1.0]])


@dataclass(frozen=True, slots=True)
class MainFace:
    """The one face to enrol: ``face`` (one row), its width in the original, and how many smaller ones there were."""

    face: Detections
    face_px: float
    sharpness: float
    smaller_faces: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is none; ``reason`` is one of ``encode --json``'s."""

    reason: str
    detail: str


def judge(image: Image, faces: Detections, reduction: float) -> MainFace | Refusal:
    """Pick the face to enrol. ``reduction``: pixels of the original behind one of ``image``, along a side."""
    if not len(faces):
        height, width = (round(side * reduction) for side in image.shape[:2])
        least = MIN_FACE_PX * reduction
        return Refusal("no_face", f"no face of {least:.0f} px or more was found in {width} x {height} px")
    widths = sizes(faces.xyxy)
    main = int(np.argmax(widths))
    similar = int((widths >= SMALLER_FACE * widths[main]).sum())
    if similar > 1:
        return Refusal("several_faces", f"{similar} faces of similar size")
    face_px = float(widths[main]) * reduction
    # A detector's windows come in steps: one that was asked for 40 px may say 37.3.
    if face_px < 0.9 * MIN_FACE_PX:
        return Refusal("too_small", f"the face is {face_px:.0f} px wide, {MIN_FACE_PX} are needed")
    sharp = sharpness(image, faces.xyxy[main])
    if sharp < MIN_SHARPNESS:
        return Refusal("too_blurred", f"the face's sharpness is {sharp:.3f}, {MIN_SHARPNESS:.3f} is needed")
    return MainFace(faces[np.array([main])], face_px, sharp, len(faces) - 1)


def sharpness(image: Image, box: NDArray[np.float64]) -> float:
    """Return how sharp the face in ``box`` (xyxy pixels) is: 0 to about 2, a good photograph has 0.1 to 0.5.

    The variance of the second derivative along x or along y, whichever is less (so that a face blurred by motion in one
    direction is found out), of the face at 40 px, relative to its contrast (so that light does not matter).
    """
    height, width = image.shape[:2]
    x1, y1 = (max(0, math.floor(v)) for v in box[:2])
    x2, y2 = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    if x2 <= x1 or y2 <= y1:
        return 0.0
    grey = cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY)
    smaller = min(grey.shape) > _COMPARED_AT_PX
    size = (_COMPARED_AT_PX, _COMPARED_AT_PX)
    face = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR).astype(np.float64)
    along = [
        cv2.filter2D(face, cv2.CV_64F, kernel)[1:-1, 1:-1].var()
        for kernel in (_SECOND_DERIVATIVE, _SECOND_DERIVATIVE.T)
    ]
    # 25: the noise of a face that has next to no contrast must not count as detail.
    return float(min(along) / (face.var() + 25.0))
