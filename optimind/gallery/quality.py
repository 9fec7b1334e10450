"""Is a face good enough to enrol: large, sharp, lit, turned to the camera, and the only one that can be meant.

What is refused was measured with ``dlib-resnet-v1`` on Labeled Faces in the Wild (6,274 photographs, 2,848 people; size
and blur on 270 of 90 people, as how many right matches are lost at 0.1 % wrong ones when the bad sample is compared
with three good ones; untouched photographs lose 6 %).

* Size. A face of 60 or 50 px loses 6 %, of 40 px 8 %, 35 px 10 %, 30 px 14 %, 25 px 23 %, 20 px 41 %.
* Blur. A Gaussian of 1 % of the face's width loses 7 %, 2 % 13 %, 3 % 31 %, 4 % 62 %; motion over 5 % of the width
  7 %, 8 % 22 %, 14 % 65 %. :data:`MIN_SHARPNESS` refuses 26 % of those blurred by 2 %, 90 % by 3 %, all by 4 %, and
  57 % and 99 % of those moved by 8 % and 14 %; none that were only scaled down to 40 px, and 3 of 5,939 untouched ones.
* Other faces. In 286 photographs a second face was found, in 47 of them only once (see ``look.py``). Where it was less
  than 0.8 of the larger one's width the larger one was the right person in 143 of 143 that could be told; near the same
  width it was so in 7 of 14. :data:`SMALLER_FACE` keeps a distance from that, because a wrong person enrolled is worse
  than a photograph refused. The engine ``dlib`` sees more people in the background: it found a second face of at least
  half the width in 76 of 762 photographs (170 people of half A). Where that is smaller and clearly more at the side the
  larger one is taken: that leaves 15, and all 48 of the other 61 that could be told show the right person.

A face that is turned away or badly lit may be the only one there is of a person, so it is not refused but held in
reserve (see :class:`optimind.gallery.format.Sample`). Measured on half A of ``benchmarks/split.py``, as the misses at
0.1 % wrong ones of 210 photographs against three others of the same person, with ``dlib-resnet-v1`` and with a
MobileFaceNet; untouched ones miss 0.5 % and 0.0 %.

* Light, by what :func:`light` says. Above 0.95 1.5 % and 0.9 % are missed, at 0.75 to 0.8 5.6 % and 2.7 %, at 0.6 to
  0.7 8.8 % of both, at 0.5 to 0.6 11 % and 13 %, at 0.3 to 0.5 30 % and 34 %. :data:`MIN_LIGHT` flags all of those
  darkened to an eighth (9.5 % and 8.1 % missed) and 9 % of those to a quarter (2.4 % and 0.5 %); 67 % of those made
  twice as bright (10 % and 5.7 %) and 17 % of those 1.5 times (1.4 % and 0.5 %); all of those with one half black (10 %
  and 4.8 %) and none with one half at an eighth (2.9 % and 0.5 %); all of those with a tenth of their contrast (28 %
  and 93 %); and none of 3,038 untouched ones.
* Pose (see :mod:`optimind.core.pose`). Up to 50 degrees little is lost, and further ones are too rare to be measured.
  :data:`MIN_FRONTALITY` flags 22 of 3,038 photographs by YuNet's points and 31 of 3,014 by dlib's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import sizes
from optimind.core.types import Detections, Image

__all__ = [
    "MIN_FACE_PX",
    "MIN_FRONTALITY",
    "MIN_LIGHT",
    "MIN_SHARPNESS",
    "SMALLER_FACE",
    "MainFace",
    "Refusal",
    "judge",
    "light",
    "sharpness",
]

MIN_FACE_PX = 40
"""Narrower faces, in pixels of the original photograph, are not enrolled."""
MIN_SHARPNESS = 0.030
MIN_FRONTALITY = 0.45
"""Faces that are turned further away, by about 50 degrees, are held in reserve."""
MIN_LIGHT = 0.75
"""Faces that are lit worse are held in reserve."""
SMALLER_FACE = 0.75
"""A face of less than this much of the main face's width is somebody in the background."""
CLEARLY_LARGER = 0.9
TWICE_AS_FAR, AT_THE_SIDE = 2.0, 0.1
"""One of less than :data:`CLEARLY_LARGER` stands beside who is meant where it is this much further from the middle:
more than twice as far, and a tenth of the picture's longer side besides."""

# The smallest face that is enrolled is compared at its own size: enlarging would make it look blurred.
_COMPARED_AT_PX = MIN_FACE_PX
# Grey levels, 0-255: no more is told below and above; and the deviation over a face that is enough.
_BLACK, _WHITE = 8, 250
_ENOUGH_CONTRAST = 10.0


@dataclass(frozen=True, slots=True)
class MainFace:
    """The one face to enrol: ``face`` (one row), its width in the original, and how many smaller ones there were."""

    face: Detections
    face_px: float
    sharpness: float
    smaller_faces: int
    light: float


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
    rivals = _rivals(image, faces, widths, main)
    if rivals:
        return Refusal("several_faces", f"{rivals + 1} faces of similar size")
    face_px = float(widths[main]) * reduction
    # A detector's windows come in steps: one that was asked for 40 px may say 37.3.
    if face_px < 0.9 * MIN_FACE_PX:
        return Refusal("too_small", f"the face is {face_px:.0f} px wide, {MIN_FACE_PX} are needed")
    sharp = float(sharpness(image, faces.xyxy[[main]])[0])
    if sharp < MIN_SHARPNESS:
        return Refusal("too_blurred", f"the face's sharpness is {sharp:.3f}, {MIN_SHARPNESS:.3f} is needed")
    return MainFace(
        faces[np.array([main])],
        face_px,
        sharp,
        smaller_faces=len(faces) - 1,
        light=light(image, faces.xyxy[main]),
    )


def _rivals(image: Image, faces: Detections, widths: NDArray[np.float64], main: int) -> int:
    """Count the faces that could as well be meant: of similar size, and not clearly more at the side."""
    height, width = image.shape[:2]
    centres = (faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2
    off = np.linalg.norm(centres - np.array([width, height]) / 2, axis=1) / max(width, height)
    at_the_side = (off >= TWICE_AS_FAR * off[main] + AT_THE_SIDE) & (widths <= CLEARLY_LARGER * widths[main])
    return int(((widths >= SMALLER_FACE * widths[main]) & ~at_the_side).sum()) - 1


def sharpness(image: Image, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how sharp each face in ``boxes`` (n, 4) xyxy pixels is: (n,), 0 to about 2, good ones have 0.1 to 0.5.

    The variance of the second derivative along x or along y, whichever is less (so that a face blurred by motion in one
    direction is found out), of the face at 40 px, relative to its contrast (so that light does not matter).
    """
    # A face of which nothing is in the picture is flat, and so not sharp.
    faces = np.zeros((len(boxes), _COMPARED_AT_PX, _COMPARED_AT_PX), np.float32)
    for face, box in zip(faces, boxes, strict=True):
        grey = _middle(image, box)
        if grey is not None:
            smaller = min(grey.shape) > _COMPARED_AT_PX
            face[:] = cv2.resize(grey, face.shape, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    inner = 2 * faces[:, 1:-1, 1:-1]
    along_x = faces[:, 1:-1, :-2] + faces[:, 1:-1, 2:] - inner
    along_y = faces[:, :-2, 1:-1] + faces[:, 2:, 1:-1] - inner
    contrast = faces.var(axis=(1, 2), dtype=np.float64)
    detail = np.minimum(along_x.var(axis=(1, 2), dtype=np.float64), along_y.var(axis=(1, 2), dtype=np.float64))
    # 25: the noise of a face that has next to no contrast must not count as detail.
    return np.asarray(detail / (contrast + 25.0))


def light(image: Image, box: NDArray[np.float64]) -> float:
    """Return how well the face in ``box`` (xyxy pixels) is lit, 0-1; of good photographs 99 % have 0.87 or more.

    The part of it that is neither black nor blown out, less where there is next to no contrast in it.
    """
    grey = _middle(image, box)
    if grey is None:
        return 0.0
    told = float(((grey > _BLACK) & (grey < _WHITE)).mean())
    return told * min(1.0, float(grey.std()) / _ENOUGH_CONTRAST)


def _middle(image: Image, box: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """Return the middle square of ``box`` in grey, as far as it is in the picture, None where nothing of it is.

    Detectors differ in how much forehead and chin they take in; the middle of all of them is eyes, nose and mouth.
    """
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).min() / 2
    height, width = image.shape[:2]
    x1, y1 = (max(0, math.floor(v)) for v in middle - half)
    x2, y2 = min(width, math.ceil(middle[0] + half)), min(height, math.ceil(middle[1] + half))
    if x2 <= x1 or y2 <= y1:
        return None
    return np.asarray(cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY), dtype=np.uint8)
