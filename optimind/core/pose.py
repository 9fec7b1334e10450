"""How far a face is turned away from the camera, from a few points of it. A head leant to the side costs nothing.

Frontality is 1 - angle / 90 degrees, where the angle is yaw and pitch together: 1 looks straight into the camera, 0 is
a profile. It is told by the nose, which stands out of the plane of eyes and mouth: when the head turns, it leaves its
place in the middle between them.

Measured on 3,038 photographs of 1,444 people of Labeled Faces in the Wild, half A of ``benchmarks/split.py``:

* Five points of YuNet. The nose's height over the plane is 0.45 of the eyes' distance: with that the distance shrinks
  with the cosine of the yaw, relative to the face's height, best (fitted: 0.45 over all faces, 0.44 over those that are
  turned most). Its foot is at 0.567 of the way from the eyes to the mouth, which is 0.959 of the eyes' distance below
  them (medians). Half of the faces are within 12 degrees, 95 % within 36, 99 % within 47.
* Middles of the eyes and base of the nose, of dlib's five points. The base's height is 0.30: with that the yaw is
  YuNet's (median difference 5.5 degrees; where YuNet says 20 to 30 degrees the median is 25.9). Pitch cannot be told:
  how far the base is below the eyes differs between people (a deviation of 0.106 of the eyes' distance) by as much as a
  nod of 18 degrees moves it, and when a head nods further, what its height adds the cosine takes away.

What it costs: the median distance of a photograph to the mean of three others of the same person, with
``dlib-resnet-v1`` and a MobileFaceNet, is 0.333 and 0.647 below 10 degrees, 0.342 and 0.667 at 10 to 20, 0.345 and
0.688 at 30 to 35, 0.375 and 0.709 at 40 to 50. Beyond 50 degrees there were only eight photographs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Detections

__all__ = ["frontality", "frontality_in", "frontality_of"]

_NOSE_HEIGHT = 0.45
_NOSE_BASE_HEIGHT = 0.30
_MOUTH_BELOW = 0.959
_NOSE_BELOW = 0.567
"""Times the way from the eyes to the mouth."""

Points = NDArray[np.float64]
"""(n, 2) x, y in pixels."""


def frontality(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each face looks into the camera: (n,) float64, 0-1, of (n, 5, 2) landmarks of ``Detections``.

    The eyes' line, the way down to the mouth and the face's normal are at right angles to each other. Of three such
    lengths of 1, seen from far away, the squares add up to 2, and the normal's length is the sine of the angle. So they
    tell the size of the face and the angle, whatever way the head is turned.
    """
    eyes = landmarks[:, 1] - landmarks[:, 0]
    middle = (landmarks[:, 0] + landmarks[:, 1]) / 2
    down = (landmarks[:, 3] + landmarks[:, 4]) / 2 - middle
    normal = (landmarks[:, 2] - middle - _NOSE_BELOW * down) / _NOSE_HEIGHT
    squared = [np.einsum("ij,ij->i", v, v) for v in (eyes, down / _MOUTH_BELOW, normal)]
    size = np.maximum(sum(squared) / 2, 1e-6)
    return _of_angle(np.arcsin(np.sqrt(np.minimum(squared[2] / size, 1))))


def frontality_of(left_eye: Points, right_eye: Points, nose_base: Points) -> NDArray[np.float64]:
    """The same from the middles of the eyes, the one further left first, and the nose's base: yaw only."""
    eyes = right_eye - left_eye
    apart = np.linalg.norm(eyes, axis=1)
    away = nose_base - (left_eye + right_eye) / 2
    # In a full profile both eyes are in one place, and wherever the nose is, it is aside.
    direction = np.where(apart[:, None] > 0, eyes, away) / np.maximum(apart, 1e-9)[:, None]
    aside = np.abs(np.einsum("ij,ij->i", away, direction))
    return _of_angle(np.arctan2(aside, _NOSE_BASE_HEIGHT * apart))


def frontality_in(faces: Detections) -> NDArray[np.float64] | None:
    """Return what the detector says of the faces' pose, else what their landmarks say, else None."""
    if faces.frontality is None and faces.landmarks is not None:
        return frontality(faces.landmarks)
    return faces.frontality


def _of_angle(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip(1 - angle / (np.pi / 2), 0, 1))
