"""The two people of the demo: real public-domain portraits that the demo's dependencies carry.

Rear Admiral Grace Hopper (United States Navy, in matplotlib) is enrolled; Colonel Eileen Collins (NASA, in
scikit-image) is the stranger.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from skimage import data

from optimind.core.types import Image

__all__ = ["Cutout", "collins", "hopper", "write_photographs"]

# Outlines of the two people in their portraits, traced by hand: x, y in pixels, clockwise from the lower left.
_HOPPER = """
    12,600 20,470 38,402 62,378 120,353 185,334 198,318 190,294 172,276 161,242 154,205 158,172 151,150
    149,120 156,96 174,84 179,62 205,42 232,30 262,24 302,33 338,56 353,84 367,100 370,140 366,176 375,198
    372,222 362,255 356,285 346,302 334,308 333,320 362,336 420,364 478,385 496,402 508,440 511,600
"""
_COLLINS = """
    20,511 24,420 21,360 40,300 60,250 95,224 116,212 113,190 126,166 152,153 184,150 187,146 184,122 172,116
    158,96 153,72 161,45 180,28 206,17 240,15 270,25 290,45 300,75 296,104 281,124 270,130 263,152 259,178
    282,196 300,220 304,252 330,258 350,285 360,330 363,352 385,346 430,346 465,365 488,405 497,455 509,476
    509,511
"""


@dataclass(frozen=True, slots=True)
class Cutout:
    """A person without their background.

    ``image`` is BGR already multiplied by ``alpha`` (h, w, 1; 0-1), both float32, so that scaling leaves no fringe.
    ``head`` is the middle of the face in it, in pixels.
    """

    image: NDArray[np.float32]
    alpha: NDArray[np.float32]
    head: tuple[float, float]


def hopper() -> Cutout:
    """Grace Hopper, who will be enrolled."""
    return _cut(_hopper_portrait(), _HOPPER, head=(262, 225))


def collins() -> Cutout:
    """Eileen Collins, whom nobody enrols."""
    portrait = data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no types
    return _cut(portrait[:, :, ::-1], _COLLINS, head=(222, 112))


def write_photographs(folder: Path) -> list[Path]:
    """Write three photographs of Grace Hopper to enrol into ``folder`` and return their paths.

    All come from one portrait, as does the recording: what differs is the crop, the size, the light, the tilt and the
    side, and the recording has none of these.
    """
    portrait = _hopper_portrait()
    folder.mkdir(parents=True)
    window, evening, lamp = (1.12, 1.05, 1.0), (0.62, 0.66, 0.72), (0.85, 0.95, 1.1)
    pictures = {
        "window.jpg": _photograph(portrait, crop=(40, 10, 490, 500), scale=0.9, tilt_deg=3, light=window),
        "mirror.jpg": _photograph(portrait[:, ::-1], crop=(60, 0, 460, 420), scale=0.75, tilt_deg=-4, light=lamp),
        "evening.jpg": _photograph(portrait, crop=(20, 0, 512, 600), scale=0.6, tilt_deg=-2, light=evening),
    }
    paths = []
    for name, picture in pictures.items():
        paths.append(folder / name)
        cv2.imwrite(str(paths[-1]), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return paths


def _hopper_portrait() -> Image:
    path = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f"{path}: matplotlib came without its sample pictures; install it from a wheel")
    return image.astype(np.uint8)


def _photograph(
    portrait: Image,
    *,
    crop: tuple[int, int, int, int],
    scale: float,
    tilt_deg: float,
    light: tuple[float, float, float],
) -> Image:
    """A picture as another camera might have taken it; ``light`` is its colour and strength, blue green red."""
    height, width = portrait.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), tilt_deg, 1.0)
    turned = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    x1, y1, x2, y2 = crop
    small = cv2.resize(turned[y1:y2, x1:x2], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture: Image = np.clip(small * np.array(light), 0, 255).astype(np.uint8)
    return picture


def _cut(portrait: Image, outline: str, *, head: tuple[float, float]) -> Cutout:
    points = np.array([point.split(",") for point in outline.split()], dtype=np.int32)
    mask = np.zeros(portrait.shape[:2], np.uint8)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA)
    # A blur rounds the corners of the hand-traced line, the steps after it bring the soft border back to three pixels.
    soft = np.clip((cv2.GaussianBlur(mask, (15, 15), 0) / 255 - 0.5) * 3 + 0.4, 0, 1)
    soft[-8:] = soft[-9]  # the blur must not fade the lower edge, which stands behind the counter
    alpha = soft[..., None].astype(np.float32)
    return Cutout((portrait * alpha).astype(np.float32), alpha, head)
