"""Cuts faces out for dlib's embedding network: upright, 150 x 150 pixels, with the five points where it expects them.

This follows dlib's ``get_face_chip_details`` and ``extract_image_chip`` closely, to the fraction of a pixel, since the
embedding depends on it: the points are laid on those of a mean face by the least-squares similarity, a picture that
is more than twice too large is halved first (by the kernel 1 4 6 4 1), and what lies between pixels is interpolated
linearly. Of dlib's chips they differ in that fractions are rounded, not cut off: half a step of brightness.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import Image

__all__ = ["CHIP_PX", "face_chips"]

CHIP_PX: Final = 150
_PADDING: Final = 0.25
_MEAN_FACE: Final = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
"""Where the five points of dlib's predictor are in a mean face that fills the square from (0, 0) to (1, 1)."""
_TEMPLATE: Final = (_PADDING + _MEAN_FACE) / (2 * _PADDING + 1) * CHIP_PX
_CENTRED: Final = _TEMPLATE - _TEMPLATE.mean(axis=0)

_HALVING_OFFSET: Final = np.array([1.25, 0.75])
"""By how much dlib takes halved coordinates to be moved. Its pictures move by 1, but its chips follow these."""


def face_chips(image: Image, points: NDArray[np.float64]) -> Image:
    """Return (n, 150, 150, 3) uint8 BGR for the five ``points`` (n, 5, 2) of each face of ``image``.

    Points are in the order of :class:`~optimind.vision._landmarks5.Landmarks5`. What lies outside the picture is black.
    """
    chips = np.zeros((len(points), CHIP_PX, CHIP_PX, 3), dtype=np.uint8)
    for chip, face in zip(chips, points, strict=True):
        _cut(image, face, chip)
    return chips


def _cut(image: Image, points: NDArray[np.float64], chip: Image) -> None:
    centre, scale, angle = _placed(points)
    side = CHIP_PX * scale
    low = centre - (side - 1) / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    halvings, halved_side = 0, (side - 1) / 2 + 1
    while halved_side > CHIP_PX:
        halvings, halved_side = halvings + 1, (halved_side - 1) / 2 + 1
    # dlib's border for what the kernel of each halving reaches.
    reach = abs(turn).sum(axis=1) * (side - 1) / 2 + 2 ** (halvings + 2) - 2
    corner = np.array(image.shape[1::-1]) - 1
    first = np.rint(np.clip(centre - reach, 0, corner)).astype(int)
    last = np.rint(np.clip(centre + reach, 0, corner)).astype(int)
    part = image[first[1] : last[1] + 1, first[0] : last[0] + 1]

    low = low - first
    step = side - 1
    for _ in range(halvings):
        if min(part.shape[:2]) <= 8:
            return
        part, low, step = _halved(part), low / 2 - _HALVING_OFFSET, step / 2
    # From the chip's pixels to the part's: turned about the middle of the square.
    matrix = turn * (step / (CHIP_PX - 1))
    middle = low + step / 2
    offset = middle - turn @ np.array([step, step]) / 2
    # Pixels of four bytes are interpolated in half the time.
    cut = cv2.warpAffine(
        cv2.cvtColor(part, cv2.COLOR_BGR2BGRA),
        np.column_stack([matrix, offset]),
        (CHIP_PX, CHIP_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    cv2.cvtColor(cut, cv2.COLOR_BGRA2BGR, dst=chip)


def _placed(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return centre (pixels), scale and angle of the chip in the picture: the least-squares similarity.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    mean = points.mean(axis=0)
    moved = points - mean
    cosine = float((_CENTRED * moved).sum())
    sine = float((_CENTRED[:, 0] * moved[:, 1] - _CENTRED[:, 1] * moved[:, 0]).sum())
    along = np.array([cosine, sine]) / np.square(_CENTRED).sum()
    scale = float(np.hypot(*along))
    from_middle = CHIP_PX / 2 - _TEMPLATE.mean(axis=0)
    centre = mean + np.array(
        [along[0] * from_middle[0] - along[1] * from_middle[1], along[1] * from_middle[0] + along[0] * from_middle[1]]
    )
    return centre, scale, math.atan2(sine, cosine)


def _halved(picture: Image) -> Image:
    """Half the picture as dlib does it: its first pixel is the third of the original."""
    height, width = picture.shape[:2]
    small = cv2.pyrDown(picture)[1 : 1 + (height - 3) // 2, 1 : 1 + (width - 3) // 2]
    return np.asarray(small, dtype=np.uint8)
