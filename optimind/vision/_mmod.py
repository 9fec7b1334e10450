"""dlib's max-margin object detector (MMOD): one network over a pyramid of the picture, peaks to boxes.

King, "Max-Margin Object Detection", 2015. All levels of the pyramid, each 5/6 of the one before, lie on one canvas in
the very places where dlib puts them. That matters: the network looks at every eighth pixel only, and sees what lies
next to a level, so another layout finds the same faces at another size (of dlib's boxes 95 % instead of all are found
again at an overlap of 0.8).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import Boxes
from optimind.plugin_api import Image
from optimind.vision._dlib_weights import Windows

if TYPE_CHECKING:
    import onnxruntime

    from optimind.vision._exact import ExactPieces

__all__ = ["Mmod", "canvas_of"]

_GAP_PX: Final = 10
_RIM_PX: Final = 11
_SMALLEST_LEVEL_PX: Final = 5
_SMALLEST_CANVAS_PX: Final = 32
_NOTHING: Final = (104, 117, 123)
"""What stands between the levels: the pixel that is zero to the network."""
_FOUR: Final = 4
_LEVEL: Final = 1.2
"""By so much faces grow from one level to the next."""
_BEYOND: Final = 1.1
"""Faces that are wider than the window by this much are found as surely as those that fill it."""
_STEP_PX: Final = 8
_FIRST_PX: Final = 14
"""Where on the canvas the network's results lie: :func:`~optimind.vision._dlib_graphs.detector_graph`."""

_NEARLY: Final = 0.1
_CLOSE: Final = 0.05
"""How wrong the int8 form may be: in 317 groups of peaks around faces 0.06 at the worst, 0.04 in one of a hundred."""
_MANY: Final = 2000
"""So many peaks are not compared with each other; only a threshold far below the usual gives as many."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each level is on the canvas: ``places`` (levels, 4) x, y, width, height; ``size`` is (width, height)."""

    places: NDArray[np.intp]
    size: tuple[int, int]


class Mmod:
    """The loaded detector. Keeps nothing of a picture: may be shared by threads."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        windows: Windows,
        exact: ExactPieces | None = None,
    ) -> None:
        """``session`` looks for faces; where it is only nearly right, ``exact`` decides between what it finds."""
        self._session = session
        self._windows = windows
        self._exact = exact

    def detect(self, image: Image, threshold: float = 0.0) -> tuple[Boxes, NDArray[np.float64]]:
        """Return the boxes (n, 4) of the faces and their confidences (n,), the surest first.

        Boxes are in whole pixels and may reach beyond ``image`` (BGR). ``threshold`` is what a confidence must exceed
        (dlib's ``adjust_threshold``).
        """
        return self._found(image, threshold, self._exact)

    def glance(
        self, image: Image, threshold: float = 0.0, largest_px: float | None = None
    ) -> tuple[Boxes, NDArray[np.float64]]:
        """Return the same by ``session`` alone: of several neighbouring windows a less sure one may win.

        Faces wider than ``largest_px`` (None: than the picture) need not be found; the less, the quicker.
        """
        return self._found(image, threshold, None, largest_px)

    def _found(
        self, image: Image, threshold: float, exact: ExactPieces | None, largest_px: float | None = None
    ) -> tuple[Boxes, NDArray[np.float64]]:
        height, width = image.shape[:2]
        layout = _layout(width, height) if largest_px is None else _few(width, height, self._levels(largest_px))
        canvas = _canvas(image, layout)
        peaks = self._session.run(None, {"pictures": canvas[None]})[0][0, 0]
        if exact is not None:
            peaks = self._decided(exact, canvas, peaks, threshold, layout)
        boxes, confidence = self._above(peaks, threshold, layout)
        kept = self._surest(boxes, confidence)
        return boxes[kept], confidence[kept]

    def _levels(self, largest_px: float) -> int:
        """How many levels show faces of up to ``largest_px``; each also those that are a little too large for it."""
        too_large = max(1.0, largest_px / (_BEYOND * self._windows.width_px))
        return 1 + math.ceil(math.log(too_large) / math.log(_LEVEL))

    def _above(
        self, peaks: NDArray[np.float32], threshold: float, layout: _Layout
    ) -> tuple[Boxes, NDArray[np.float64]]:
        """Return the boxes of all peaks above ``threshold``, and how sure they are."""
        rows, columns = np.nonzero(peaks > threshold)
        middles = (np.column_stack([columns, rows]) * _STEP_PX + _FIRST_PX).astype(np.float64)
        return self._boxes(middles, layout), peaks[rows, columns].astype(np.float64)

    def _decided(
        self,
        exact: ExactPieces,
        canvas: Image,
        peaks: NDArray[np.float32],
        threshold: float,
        layout: _Layout,
    ) -> NDArray[np.float32]:
        """Return ``peaks`` with all that may become a box as ``exact`` sees them.

        Those are the ones nearly above the threshold, unless a much surer one is in their place.
        """
        nearly = peaks > threshold - _NEARLY
        if np.count_nonzero(nearly) > _MANY:
            return exact.decided(canvas, peaks, nearly)[0]
        boxes, _ = self._above(peaks, threshold - _NEARLY, layout)
        in_one_place = _overlap(boxes) > self._windows.nms_iou
        known = np.zeros(peaks.shape, dtype=np.bool_)
        # Once is mostly enough; again where the surest one turns out to be less sure than others.
        while True:
            rivals = np.where(in_one_place, peaks[nearly], -np.inf).max(axis=1, initial=-np.inf)
            unsure = np.zeros_like(nearly)
            unsure[nearly] = peaks[nearly] > rivals - _CLOSE
            unsure &= ~known
            if not unsure.any():
                return peaks
            peaks, now_known = exact.decided(canvas, peaks, unsure)
            known |= now_known

    def _boxes(self, middles: NDArray[np.float64], layout: _Layout) -> Boxes:
        """Turn the ``middles`` (n, 2) of windows on the canvas into boxes of the picture."""
        low = layout.places[:, :2].astype(np.float64)
        high = low + layout.places[:, 2:] - 1
        outside = np.maximum(low - middles[:, None], middles[:, None] - high)
        level = np.square(outside.clip(0)).sum(axis=2).argmin(axis=1)
        half = (np.array([self._windows.width_px, self._windows.height_px]) - 1) / 2
        middles = middles - low[level]
        boxes = np.hstack([middles - half, middles + half])
        # dlib's way up the pyramid, which is a third of a pixel off at each level.
        for up in range(level.max(initial=0)):
            higher = level > up
            boxes[higher] = boxes[higher] * 1.2 + 0.3
        return np.asarray(np.sign(boxes) * np.floor(np.abs(boxes) + 0.5))

    def _surest(self, boxes: Boxes, confidence: NDArray[np.float64]) -> list[int]:
        """Return the rows of the boxes that no surer one stands in for. A box ends with its last pixel here."""
        kept: list[int] = []
        areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
        left = np.argsort(-confidence, kind="stable")
        while len(left):
            row, left = int(left[0]), left[1:]
            kept.append(row)
            box, others = boxes[row], boxes[left]
            shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]) + 1
            inner = np.clip(shared, 0, None).prod(axis=1)
            outer = (np.maximum(box[2:], others[:, 2:]) - np.minimum(box[:2], others[:, :2]) + 1).prod(axis=1)
            covered = inner / np.minimum(areas[row], areas[left])
            left = left[(inner <= self._windows.nms_iou * outer) & (covered <= self._windows.nms_covered)]
        return kept


def canvas_of(image: Image) -> Image:
    """Return what the network sees of ``image``: (1, height, width, 3)."""
    return _canvas(image, _layout(*image.shape[1::-1]))[None]


def _overlap(boxes: Boxes) -> NDArray[np.float64]:
    """How much of what two boxes cover together is shared, (n, n). A box ends with its last pixel here."""
    x1, y1, x2, y2 = boxes.T
    shared_x = np.minimum.outer(x2, x2) - np.maximum.outer(x1, x1) + 1
    shared_y = np.minimum.outer(y2, y2) - np.maximum.outer(y1, y1) + 1
    shared = shared_x.clip(0) * shared_y.clip(0)
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    return np.asarray(shared / (np.add.outer(areas, areas) - shared))


def _levels_of(width: int, height: int) -> list[tuple[int, int]]:
    """The sizes of all levels of a picture."""
    sizes = [(width, height)]
    while True:
        smaller = (sizes[-1][0] * 5 // 6, sizes[-1][1] * 5 // 6)
        if smaller[0] < 1 or smaller[1] < _SMALLEST_LEVEL_PX:
            return sizes
        sizes.append(smaller)


@functools.lru_cache(maxsize=64)
def _few(width: int, height: int, levels: int) -> _Layout:
    """Lay only the first ``levels``, in rows of which the first is as wide as leaves the least area.

    The network's grid falls on the same pixels of each as in :func:`_layout`, so their faces are the same. Where most
    levels are wanted, dlib's layout has the least area.
    """
    every = _layout(width, height)
    places = every.places[:levels]
    ways = [every, *(_in_rows(places, along) for along in range(1, len(places) + 1))]
    return min(ways, key=lambda way: way.size[0] * way.size[1])


def _in_rows(places: NDArray[np.intp], along: int) -> _Layout:
    """Move the levels at ``places`` into rows that are as wide as the first ``along`` of them, by whole grid steps."""
    wide = 0
    moved: list[tuple[int, int, int, int]] = []
    x, y, below = _RIM_PX, _RIM_PX, 0
    for count, (at_x, at_y, w, h) in enumerate(places.tolist()):
        left = x + (at_x - x) % _STEP_PX
        if count >= along and left + w > wide:
            x, y = _RIM_PX, below + _GAP_PX
            left = x + (at_x - x) % _STEP_PX
        top = y + (at_y - y) % _STEP_PX
        moved.append((left, top, w, h))
        x, below, wide = left + w + _GAP_PX, max(below, top + h), max(wide, left + w)
    return _Layout(np.array(moved), _canvas_size(wide - _RIM_PX, below - _RIM_PX))


@functools.lru_cache(maxsize=64)
def _layout(width: int, height: int) -> _Layout:
    """Lay the levels below each other, and those that do not fit any more upwards at the right."""
    sizes = _levels_of(width, height)
    in_column, column_height = _column(sizes)
    places = []
    y = _RIM_PX
    for w, h in sizes[:in_column]:
        places.append((_RIM_PX, y, w, h))
        y += h + _GAP_PX
    y -= _GAP_PX
    for w, h in sizes[in_column:]:
        x, top = _RIM_PX + width - w, y - h
        if top < _RIM_PX + height and x < _RIM_PX + width:
            break  # it would lie on the first level
        places.append((x, top, w, h))
        y = top - _GAP_PX
    return _Layout(np.array(places), _canvas_size(width, column_height))


def _canvas_size(width: int, height: int) -> tuple[int, int]:
    """How large a canvas is that has levels on ``width`` x ``height`` pixels.

    The int8 form takes the pixels of a row by fours. What is added for that is no place of a result, nor seen by one.
    """
    rounded_up = -(-(width + 2 * _RIM_PX) // _FOUR) * _FOUR
    return max(rounded_up, _SMALLEST_CANVAS_PX), max(height + 2 * _RIM_PX, _SMALLEST_CANVAS_PX)


def _column(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """Return how many levels stand below each other and how high they are together.

    As few as leave place for the others beside them, below the first.
    """
    width, height = sizes[0]
    below = sum(h + _GAP_PX for _, h in sizes) - 2 * _GAP_PX - height
    column_height, width_before = 0, 0
    for count, (w, h) in enumerate(sizes):
        if w <= width - width_before - _GAP_PX and (column_height - height) * 2 >= below:
            return count, column_height - _GAP_PX
        column_height += h + _GAP_PX
        width_before = w
    return len(sizes), column_height - _GAP_PX


def _canvas(image: Image, layout: _Layout) -> Image:
    """Draw all levels, each from the one before."""
    canvas = np.empty((*layout.size[::-1], 3), dtype=np.uint8)
    canvas[0] = _NOTHING
    canvas[1:] = canvas[0]
    # Pixels of four bytes are interpolated in half the time.
    level = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2BGRA), dtype=np.uint8)
    for x, y, w, h in layout.places.tolist():
        level = _shrunk(level, w, h)
        cv2.cvtColor(level, cv2.COLOR_BGRA2BGR, dst=canvas[y : y + h, x : x + w])
    return canvas


def _shrunk(picture: Image, width: int, height: int) -> Image:
    """Return ``picture`` in another size, corner pixel on corner pixel, as dlib does it; cv2.resize would not."""
    if picture.shape[:2] == (height, width):
        return picture
    ratio_x = (picture.shape[1] - 1) / max(width - 1, 1)
    ratio_y = (picture.shape[0] - 1) / max(height - 1, 1)
    smaller = cv2.warpAffine(
        picture,
        np.array([[ratio_x, 0, 0], [0, ratio_y, 0]]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(smaller, dtype=np.uint8)
