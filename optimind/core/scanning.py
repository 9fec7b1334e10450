"""Which part of a picture is searched for new faces next, so that the cost follows what happens and not the pixels.

A picture is searched in tiles, which overlap as much as the faces are wide that are looked for in them, and once as a
whole in a smaller copy for the faces that are larger than that. Where something in a tile changed since it was
searched, that part of it is due; all of it is from time to time even if nothing did. Has no clock: every call says when
it is, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from optimind.core.geometry import Boxes
from optimind.core.zones import Zones

__all__ = ["ScanPlan", "Search", "Tile"]

_TILE: Final = 14
"""About how many of the smallest faces a tile is wide and high: few enough that one tile costs a fraction of a second
on a small machine, enough that the overlaps are a fifth of all."""
_OVERLAP: Final = 2.2
"""Tiles overlap by this many of the smallest faces; a face larger than that is found in the smaller copy."""
_RIM_PX: Final = 8
"""What lies in so many pixels at a tile's border may count as cut off."""
_CHANGE: Final = 9.0
"""A cell has changed when its grey value did by more than this (0-255): noise and a flicker of the light do less."""
_LEAST_CELLS: Final = 2
"""A single cell that changed is no person."""
_OF_A_FACE: Final = 0.25
"""Whoever comes changes at least this part of what a face covers, in one piece."""
_PATIENCE: Final = 2
"""What changed and was no face is searched after an interval more, and then after so many more at most: a screen, a
curtain, somebody seen from behind."""
_EXPLAINED: Final = 0.9
"""What changes within this many face widths around a face that is followed is that face, or its body."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the picture: ``box`` is whole xyxy pixels; it is looked at in a copy of ``scale`` (at most 1) its size.

    The faces that are looked for in it are at least ``least_px`` wide, and at most ``margin_px``.
    """

    box: tuple[int, int, int, int]
    scale: float
    least_px: float
    margin_px: int

    @property
    def longer_side(self) -> int:
        """Pixels of the picture."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    def least_cells(self, cell_px: float) -> int:
        """How many cells of a thumbnail, in one piece, change at least when somebody comes."""
        return max(_LEAST_CELLS, round(_OF_A_FACE * (self.least_px / cell_px) ** 2))


@dataclass(frozen=True, slots=True)
class Search:
    """Look at ``box`` (whole xyxy pixels), a part of the tile ``index`` or all of it, in a copy of ``scale`` its size.

    ``waited`` is how long it has been due, in intervals.
    """

    index: int
    box: tuple[int, int, int, int]
    scale: float
    waited: float

    @property
    def pixels(self) -> int:
        """How many pixels the copy has."""
        left, top, right, bottom = self.box
        return round((right - left) * (bottom - top) * self.scale**2)


class ScanPlan:
    """The tiles of one camera's pictures of ``width`` x ``height``, and when each was searched.

    Faces from ``min_face_px`` are wanted. A tile in which something changed is searched every ``interval_s``, a quiet
    one every ``quiet_s``. What changed is seen in thumbnails: (rows, columns) float grey values, each the mean of a
    cell of ``width / columns`` x ``height / rows`` pixels; all must have the shape of the first. What changes in one of
    the ``zones`` to ignore is nothing.
    """

    def __init__(
        self,
        width: int,
        height: int,
        min_face_px: float,
        *,
        interval_s: float,
        quiet_s: float,
        zones: Zones = Zones(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self.size = (width, height)
        self._zones = zones
        self.interval_s = interval_s
        self.quiet_s = quiet_s
        self.tiles = _tiles(width, height, min_face_px)
        self._searched_s = [-math.inf] * len(self.tiles)
        self._whole_s = [-math.inf] * len(self.tiles)
        self._before: list[NDArray[np.float32] | None] = [None] * len(self.tiles)
        self._ignored: NDArray[np.bool_] | None = None
        self._moved: list[NDArray[np.bool_] | None] = [None] * len(self.tiles)
        # Of each cell of a thumbnail: how often in a row its change was no face, and until when that is believed.
        self._vain: NDArray[np.intp] | None = None
        self._held_s: NDArray[np.float64] | None = None

    @property
    def pixels(self) -> int:
        """How many pixels all tiles have together."""
        return sum(Search(index, tile.box, tile.scale, 0).pixels for index, tile in enumerate(self.tiles))

    def due(self, thumbnail: NDArray[np.float32], followed: Boxes, now_s: float) -> list[Search]:
        """Return what is to be searched, the most urgent first.

        ``followed`` (n, 4), in pixels, are the faces that are looked for in their places anyway.
        """
        unexplained = ~self._explained(thumbnail.shape, followed)
        due = []
        for index, tile in enumerate(self.tiles):
            waited_s, whole_s = now_s - self._searched_s[index], now_s - self._whole_s[index]
            if whole_s >= self.quiet_s or whole_s < 0:  # less than 0: the clock was set back
                due.append(Search(index, tile.box, tile.scale, whole_s / self.quiet_s if whole_s >= 0 else math.inf))
            elif waited_s >= self.interval_s or waited_s < 0:
                changed = self._changed(index, thumbnail, unexplained, now_s)
                if changed is not None:
                    due.append(Search(index, changed, tile.scale, abs(waited_s) / self.interval_s))
        return sorted(due, key=lambda search: (-search.waited, search.index))

    def searched(
        self, search: Search, thumbnail: NDArray[np.float32], now_s: float, found: Boxes | None = None
    ) -> None:
        """That was searched, when the picture looked like ``thumbnail``; ``found`` (n, 4), in pixels, are its faces.

        Where something changed and there is no face, it takes longer until that is searched again (None: it does not).
        """
        index, tile = search.index, self.tiles[search.index]
        self._searched_s[index] = now_s
        before = self._before[index]
        if found is not None:
            self._remember_vain(search, thumbnail.shape, now_s, found)
        if before is None or search.box == tile.box:
            self._whole_s[index] = now_s
            self._before[index] = thumbnail[self._cells(tile.box, thumbnail.shape)].copy()
            return
        rows, columns = self._cells(search.box, thumbnail.shape)
        first_row, first_column = (part.start for part in self._cells(tile.box, thumbnail.shape))
        here = (
            slice(rows.start - first_row, rows.stop - first_row),
            slice(columns.start - first_column, columns.stop - first_column),
        )
        # In the light of the rest of the tile, or that would seem to have changed when the light did.
        light = np.median(thumbnail[self._cells(tile.box, thumbnail.shape)] - before)
        before[here] = thumbnail[rows, columns] - light

    def _changed(
        self, index: int, thumbnail: NDArray[np.float32], unexplained: NDArray[np.bool_], now_s: float
    ) -> tuple[int, int, int, int] | None:
        """The part of the tile ``index`` in which something changed, with a margin; None where nothing did."""
        before, tile = self._before[index], self.tiles[index]
        if before is None:
            return tile.box
        cells = self._cells(tile.box, thumbnail.shape)
        difference = thumbnail[cells] - before
        # A cloud or the camera's exposure changes all of it alike.
        moved = (np.abs(difference - np.median(difference)) > _CHANGE) & unexplained[cells]
        if self._held_s is not None:
            # More than an interval away: the clock was set back.
            waits_s = self._held_s[cells] - now_s
            moved &= (waits_s <= 0) | (waits_s > _PATIENCE * self.interval_s)
        moved = _in_groups(moved, tile.least_cells(self.size[0] / thumbnail.shape[1]))
        self._moved[index] = moved
        if not moved.any():
            return None
        rows, columns = np.nonzero(moved.any(axis=1))[0], np.nonzero(moved.any(axis=0))[0]
        width, height = self.size[0] / thumbnail.shape[1], self.size[1] / thumbnail.shape[0]
        x1, x2 = (cells[1].start + columns[0]) * width, (cells[1].start + columns[-1] + 1) * width
        y1, y2 = (cells[0].start + rows[0]) * height, (cells[0].start + rows[-1] + 1) * height
        margin = tile.margin_px
        if tile.scale < 1:  # in the copy of everything a face may be of any size; but a large one changes much
            margin = min(margin, math.ceil(max(_OVERLAP * tile.least_px, x2 - x1, y2 - y1)))
        left, top, right, bottom = tile.box
        return (
            max(left, math.floor(x1) - margin),
            max(top, math.floor(y1) - margin),
            min(right, math.ceil(x2) + margin),
            min(bottom, math.ceil(y2) + margin),
        )

    def _remember_vain(self, search: Search, shape: tuple[int, ...], now_s: float, found: Boxes) -> None:
        """Hold back what changed in the tile of ``search`` and was no face, the longer the more often that was so."""
        cells = self._cells(self.tiles[search.index].box, shape)
        if self._vain is None or self._held_s is None:
            self._vain, self._held_s = np.zeros(shape, dtype=np.intp), np.full(shape, -math.inf)
        faces = self._explained(shape, found)[cells]
        moved, self._moved[search.index] = self._moved[search.index], None
        vain, held_s = self._vain[cells], self._held_s[cells]
        vain[faces] = 0
        if moved is not None:
            moved = moved & ~faces
            vain[moved] += 1
            held_s[moved] = now_s + self.interval_s * np.minimum(vain[moved], _PATIENCE)

    def _cells(self, box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[slice, slice]:
        """The rows and columns of a thumbnail that show, in part at least, the ``box``."""
        x, y = shape[1] / self.size[0], shape[0] / self.size[1]
        left, top, right, bottom = box
        return slice(math.floor(top * y), math.ceil(bottom * y)), slice(math.floor(left * x), math.ceil(right * x))

    def _explained(self, shape: tuple[int, ...], followed: Boxes) -> NDArray[np.bool_]:
        """Which cells show a face that is followed, or what is around it, or are to be ignored."""
        if self._ignored is None:
            rows, columns = shape
            y, x = np.mgrid[0:rows, 0:columns] + 0.5
            points = np.column_stack([x.ravel() / columns, y.ravel() / rows])
            self._ignored = self._zones.ignores(points).reshape(rows, columns)
        explained = self._ignored.copy()
        if not len(followed):
            return explained
        to_cells = np.tile([shape[1] / self.size[0], shape[0] / self.size[1]], 2)
        around = _EXPLAINED * (followed[:, 2:] - followed[:, :2])
        cells = np.hstack([followed[:, :2] - around, followed[:, 2:] + around]) * to_cells
        low, high = np.maximum(np.floor(cells[:, :2]), 0).astype(int), np.ceil(cells[:, 2:]).astype(int)
        for (left, top), (right, bottom) in zip(low, np.maximum(high, 0), strict=True):
            explained[top:bottom, left:right] = True
        return explained


def _tiles(width: int, height: int, min_face_px: float) -> list[Tile]:
    overlap = min(math.ceil(_OVERLAP * min_face_px) + _RIM_PX, width, height)
    size = _TILE * min_face_px
    columns, rows = _parts(width, size, overlap), _parts(height, size, overlap)
    tiles = [
        Tile((left, top, right, bottom), 1.0, min_face_px, overlap) for top, bottom in rows for left, right in columns
    ]
    everything = (0, 0, width, height)
    if len(tiles) == 1:
        # No smaller copy finds the larger faces: it is searched as a whole.
        return [Tile(everything, 1.0, min_face_px, max(width, height))]
    return [*tiles, Tile(everything, min(1.0, min_face_px / overlap), overlap, max(width, height))]


def _parts(length: int, about: float, overlap: int) -> list[tuple[int, int]]:
    """Split ``length`` into parts of ``about`` so many pixels that share ``overlap`` with their neighbour."""
    count = max(1, round((length - overlap) / (about - overlap)))
    size = math.ceil((length + (count - 1) * overlap) / count)
    starts = [round(part * (length - size) / (count - 1)) for part in range(count)] if count > 1 else [0]
    return [(start, min(start + size, length)) for start in starts]


def _in_groups(cells: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Return the ``cells`` without those that hang together with fewer than ``least``, themselves among them."""
    groups, _ = label(cells, structure=np.ones((3, 3)))
    sizes = np.bincount(groups.ravel())
    sizes[0] = 0  # those that are not set
    return np.asarray(sizes[groups] >= least)
