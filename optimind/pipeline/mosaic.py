"""The surroundings of many faces as one picture, in which a detector finds them again at a fraction of the cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import Boxes, centres, sizes
from optimind.core.types import Detections, Image

__all__ = ["Mosaic"]

_LARGEST_ENLARGEMENT: Final = 1.25
"""A face that is smaller than wanted was found nevertheless; to enlarge it further brings nothing."""
_SHAPES: Final = (0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75)
"""Ways to lay the cells that are tried: rows of so many times the side of a square of the same area."""
_GRID_PX: Final = 32
_RIM: Final = 0.02
"""A box that reaches this near to the rim of its cell, in cell widths, is of a face that the cell cut off."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """``picture`` has a square cell for each face; cell i shows the square ``regions[i]`` of the whole picture.

    ``cells`` (n, 3) float64 are left, top and side in the mosaic; ``regions`` (n, 3) the same in the whole picture.
    """

    picture: Image
    cells: NDArray[np.float64]
    regions: NDArray[np.float64]

    @classmethod
    def of(cls, image: Image, boxes: Boxes, margin: NDArray[np.float64], face_px: NDArray[np.float64]) -> Self:
        """Cut out the ``boxes`` (n >= 1, 4) with ``margin`` (n,) box sizes around each.

        A face is made ``face_px`` (n,) wide, or left smaller where it would have to be enlarged by much.
        """
        size = sizes(boxes)
        side = size * (1 + 2 * margin)
        scale = np.minimum(face_px / size, _LARGEST_ENLARGEMENT)
        cell = np.ceil(side * scale)
        places, (width, height) = _packed(cell)
        picture = np.zeros((height, width, 3), dtype=np.uint8)
        regions = np.column_stack([centres(boxes) - side[:, None] / 2, side])
        cells = np.column_stack([places, cell])
        for (left, top, region), (x, y, edge) in zip(regions, cells.astype(int).tolist(), strict=True):
            _cut_out(image, (left, top, region), picture[y : y + edge, x : x + edge])
        return cls(picture, cells, regions)

    def back(self, found: Detections) -> Detections:
        """Return what was found in the mosaic, in the pixels of the picture; what a cell cut off is left out."""
        if not len(found):
            return found
        middles = centres(found.xyxy)[:, None]
        low, side = self.cells[None, :, :2], self.cells[None, :, 2:]
        inside = np.all((middles >= low) & (middles < low + side), axis=2)
        owner = inside.argmax(axis=1)
        low, side = self.cells[owner, :2], self.cells[owner, 2:]
        uncut = (found.xyxy[:, :2] >= low + _RIM * side) & (found.xyxy[:, 2:] <= low + (1 - _RIM) * side)
        kept = np.nonzero(np.any(inside, axis=1) & np.all(uncut, axis=1))[0]
        found, owner, low = found[kept], owner[kept], low[kept]
        factor = (self.regions[owner, 2] / self.cells[owner, 2])[:, None]
        return found.moved(self.regions[owner, :2] - low * factor, factor)


def _packed(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Lay squares of the sides ``cell`` (n,) so that little is left empty; returns corners (n, 2) and the size."""
    ways = [_in_rows(cell, max(cell.max(), shape * math.sqrt(float(np.square(cell).sum())))) for shape in _SHAPES]
    return min(ways, key=lambda way: way[1][0] * way[1][1])


def _in_rows(cell: NDArray[np.float64], width: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Lay the squares in rows of ``width`` at most, the largest first, each into the first row that has room."""
    places = np.zeros((len(cell), 2))
    rows: list[list[float]] = []  # how far each is filled, and its top
    height = 0.0
    for index in np.argsort(-cell, kind="stable"):
        row = next((row for row in rows if row[0] + cell[index] <= width), None)
        if row is None:
            row = [0.0, height]
            rows.append(row)
            height += cell[index]
        places[index] = row
        row[0] += cell[index]
    # Few different sizes: a network prepares itself for each one.
    return places, (_rounded_up(max(row[0] for row in rows)), _rounded_up(height))


def _rounded_up(pixels: float) -> int:
    return -(-round(pixels) // _GRID_PX) * _GRID_PX


def _cut_out(image: Image, region: tuple[float, float, float], into: Image) -> None:
    """Draw the square ``region`` (left, top, side) of ``image``, which may reach beyond it, onto all of ``into``."""
    left, top, side = region
    factor = side / into.shape[0]
    if factor > 2:
        # Interpolation looks at four pixels: what is made much smaller is averaged first.
        x, y = max(0, math.floor(left)), max(0, math.floor(top))
        part = image[y : max(y, math.ceil(top + side)), x : max(x, math.ceil(left + side))]
        shrink = 1 / math.floor(factor)
        if min(part.shape[:2]) * shrink >= 1:
            image = np.asarray(cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
            left, top, factor = (left - x) * shrink, (top - y) * shrink, factor * shrink
    matrix = np.array([[factor, 0, left + (factor - 1) / 2], [0, factor, top + (factor - 1) / 2]])
    cv2.warpAffine(
        image,
        matrix,
        into.shape[1::-1],
        dst=into,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
