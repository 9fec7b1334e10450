"""Five points of each face of a picture: both corners of both eyes and the base of the nose.

Cascades of regression trees (Kazemi and Sullivan, "One millisecond face alignment with an ensemble of regression
trees", 2014) with dlib's weights, evaluated for all faces at once: an array's last axis is the faces, so what numpy
does for one pixel or split it does for up to 32 faces in one go. All 15 splits of a tree are decided, which is cheaper
than following each face's own way, and the four that count are picked out afterwards.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import Image
from optimind.vision._dlib_trees import ShapePredictor

__all__ = ["Landmarks5"]

_POINTS: Final = 5
_MOST_AT_ONCE: Final = 32
"""Faces are looked at in groups of 1, 2, 4, ... 32: numpy picks rows of these lengths out several times faster."""
_MARGIN: Final = 0.3
"""Pixels may lie this many box sizes outside the box (of 334 faces, none needed more than 0.28); beyond it is black."""
_ORDER: Final = (0, 1, 3, 7, 8, 4, 9, 10, 2, 5, 11, 12, 6, 13, 14)
"""The splits with each subtree in one piece, so that one half of a tree can be chosen against the other."""
_LEAF_PARTS: Final = (slice(0, 8), slice(8, 10))
"""A leaf's ten numbers are kept as eight and two: rows of these lengths, again, are picked out faster."""


@dataclass(frozen=True, slots=True)
class _Cascade:
    """One round of ``t`` trees, which look at ``f`` pixels.

    ``pixels`` (f, 7) float32 times (two factors of the delta, five points) is where the pixels are. ``brighter`` and
    ``darker`` (15 t,) are the pixels that each split compares, ``by_more_than`` (15 t,), 0-255, by how much. ``leaves``
    are (16 t, 8) and (16 t, 2) float32.
    """

    pixels: NDArray[np.float32]
    brighter: NDArray[np.intp]
    darker: NDArray[np.intp]
    by_more_than: NDArray[np.intp]
    leaves: tuple[NDArray[np.float32], ...]

    @classmethod
    def prepared(cls, predictor: ShapePredictor, index: int) -> Self:
        """Arrange the tables of one cascade.

        The difference of two ``uint8`` is never negative here, so where a split's threshold is, both pixels change
        places and so do the branches: a - b > t is the opposite of b - a > -t - 1, as all are whole.
        """
        first, second = predictor.first[index].astype(np.intp), predictor.second[index].astype(np.intp)
        threshold = predictor.threshold[index].astype(np.intp)
        opposite = threshold < 0
        nodes, ends = _walked(opposite)

        def row(table: NDArray[np.intp]) -> NDArray[np.intp]:
            return np.take_along_axis(table, nodes, axis=1)[:, _ORDER].T.ravel()

        leaves = np.take_along_axis(predictor.leaves[index], ends[:, :, None], axis=1).reshape(-1, 2 * _POINTS)
        return cls(
            np.hstack([predictor.deltas[index], np.eye(_POINTS, dtype=np.float32)[predictor.anchors[index]]]),
            row(np.where(opposite, second, first)),
            row(np.where(opposite, first, second)),
            row(np.where(opposite, -threshold - 1, threshold)),
            tuple(np.ascontiguousarray(leaves[:, part]) for part in _LEAF_PARTS),
        )


def _walked(opposite: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which split (t, 15) and leaf (t, 16) stand at each place when some splits say the ``opposite`` (t, 15).

    In dlib's trees a yes leads to the left. Leaves come back in the order of their answers read as a binary number.
    """
    trees, splits = opposite.shape
    at = np.zeros((trees, 2 * splits + 1), dtype=np.intp)
    for place in range(splits):
        here = at[:, place]
        turn = np.take_along_axis(opposite, here[:, None], axis=1)[:, 0]
        at[:, 2 * place + 1] = 2 * here + 1 + turn
        at[:, 2 * place + 2] = 2 * here + 2 - turn
    return at[:, :splits], at[:, splits:][:, ::-1] - splits


class Landmarks5:
    """Finds the five points. Keeps nothing of a picture: may be shared by threads."""

    def __init__(self, predictor: ShapePredictor) -> None:
        self._mean_shape = predictor.mean_shape
        self._from_shape = _turned_deltas(predictor.mean_shape)
        self._trees, self._pixels = predictor.first.shape[1], predictor.deltas.shape[1]
        self._cascades = [_Cascade.prepared(predictor, index) for index in range(len(predictor.first))]
        self._of_thread = threading.local()

    def find(self, image: Image, boxes: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (n, 5, 2) float64 pixels for the ``boxes`` (n, 4) of whole pixels (x1, y1, x2, y2).

        The points are in dlib's order: the outer and the inner corner of the eye at the right of the picture, the same
        of the one at the left, the base of the nose. dlib itself rounds them to whole pixels.
        """
        groups = [boxes[start : start + _MOST_AT_ONCE] for start in range(0, len(boxes), _MOST_AT_ONCE)]
        return np.concatenate([np.empty((0, _POINTS, 2)), *(self._find(image, group) for group in groups)])

    def _find(self, image: Image, boxes: NDArray[np.intp]) -> NDArray[np.float64]:
        width = 1 << (len(boxes) - 1).bit_length()
        desk = self._desk(width)
        faces = _Faces(image, boxes, desk)
        shapes = np.repeat(self._mean_shape.reshape(1, -1), width, axis=0)
        for cascade in self._cascades:
            brightness = faces.brightness(cascade.pixels, self._from_shape @ shapes.T)
            brightness.take(cascade.brighter, axis=0, out=desk.brighter, mode="clip")
            brightness.take(cascade.darker, axis=0, out=desk.darker, mode="clip")
            cv2.subtract(desk.brighter, desk.darker, dst=desk.brighter)
            desk.numbers.take(cascade.by_more_than, axis=0, out=desk.darker, mode="clip")
            np.greater(desk.brighter, desk.darker, out=desk.darker.view(np.bool_))
            leaf = _leaf(desk.darker.reshape(len(_ORDER), self._trees, width))
            np.copyto(desk.leaf, leaf)
            np.add(desk.leaf, desk.first_leaf, out=desk.leaf)
            for part, sums, leaves in zip(_LEAF_PARTS, desk.sums, cascade.leaves, strict=True):
                # In dlib's order, one tree after the other: the sums are the same to the last bit.
                sums[0] = shapes[:, part]
                leaves.take(desk.leaf, axis=0, out=sums[1:], mode="clip")
                shapes[:, part] = np.add.reduce(sums, axis=0)
        points = shapes[: len(boxes)].reshape(-1, _POINTS, 2).astype(np.float64)
        return np.asarray(boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2]))

    def _desk(self, width: int) -> _Desk:
        """Return this thread's arrays to work in."""
        desks: dict[int, _Desk] = self._of_thread.__dict__.setdefault("desks", {})
        if width not in desks:
            desks[width] = _Desk.laid(width, self._pixels, self._trees)
        return desks[width]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Arrays to work in for ``width`` faces: without new memory for each step all this takes 0.7 of the time.

    ``numbers`` (256, width) has each number once for each face: picking its rows out is the fastest way to a number for
    each split of each face.
    """

    numbers: NDArray[np.uint8]
    places: NDArray[np.float32]
    whole: NDArray[np.int32]
    highest: NDArray[np.uint32]
    stride: NDArray[np.uint32]
    start: NDArray[np.uint32]
    index: NDArray[np.intp]
    colours: NDArray[np.uint32]
    blue_and_red: NDArray[np.uint32]
    brightness: NDArray[np.uint8]
    brighter: NDArray[np.uint8]
    darker: NDArray[np.uint8]
    leaf: NDArray[np.intp]
    first_leaf: NDArray[np.intp]
    sums: tuple[NDArray[np.float32], ...]

    @classmethod
    def laid(cls, width: int, pixels: int, trees: int) -> Self:
        """Make them: for ``pixels`` pixels of each face, and ``trees`` trees."""
        every, both = (pixels, width), (2, pixels, width)
        splits = (len(_ORDER) * trees, width)
        return cls(
            numbers=np.repeat(np.arange(256, dtype=np.uint8)[:, None], width, axis=1),
            places=np.empty(both, np.float32),
            whole=np.empty(both, np.int32),
            highest=np.empty(both, np.uint32),
            stride=np.empty(every, np.uint32),
            start=np.empty(every, np.uint32),
            index=np.empty(every, np.intp),
            colours=np.empty(every, np.uint32),
            blue_and_red=np.empty(every, np.uint32),
            brightness=np.empty(every, np.uint8),
            brighter=np.empty(splits, np.uint8),
            darker=np.empty(splits, np.uint8),
            leaf=np.empty((trees, width), np.intp),
            first_leaf=np.repeat(16 * np.arange(trees)[:, None], width, axis=1),
            sums=tuple(np.empty((trees + 1, width, part.stop - part.start), np.float32) for part in _LEAF_PARTS),
        )


class _Faces:
    """The surroundings of the faces in ``boxes``, in one row of pixels of four bytes, each with a black rim.

    They are as many as ``desk`` is wide: those beyond the boxes repeat the first one.
    """

    def __init__(self, image: Image, boxes: NDArray[np.intp], desk: _Desk) -> None:
        size = boxes[:, 2:] - boxes[:, :2]
        reach = np.ceil(size * _MARGIN).astype(np.intp)
        corner = np.array(image.shape[1::-1])
        low = np.clip(boxes[:, :2] - reach, 0, corner - 1)
        high = np.clip(boxes[:, 2:] + reach, low + 1, corner)
        rimmed = high - low + 2
        starts = np.concatenate([[0], np.cumsum(rimmed.prod(axis=1))])
        self._pixels = np.zeros(starts[-1], dtype=np.uint32)
        for (x1, y1), (x2, y2), (w, h), start in zip(low, high, rimmed, starts, strict=False):
            face = self._pixels[start : start + w * h].reshape(h, w)[1:-1, 1:-1]
            cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_BGR2BGRA, dst=face.view(np.uint8).reshape(h - 2, w - 2, 4))

        column = np.zeros(desk.leaf.shape[1], dtype=np.intp)
        column[: len(boxes)] = np.arange(len(boxes))
        np.copyto(desk.highest, rimmed[column].T[:, None] - 1, casting="unsafe")
        np.copyto(desk.stride, rimmed[column, 0], casting="unsafe")
        np.copyto(desk.start, starts[column], casting="unsafe")
        self._desk = desk
        # 1 for the rim, and half a pixel so that cutting off the fraction rounds.
        origin = boxes[:, :2] - low + 1.5
        is_point = np.array([0] * 2 + [1] * _POINTS)
        self._size = np.repeat(size[column].T.astype(np.float64), 2 + _POINTS, axis=0)
        self._origin = np.concatenate([np.outer(is_point, origin[column, axis]) for axis in (0, 1)])

    def brightness(self, pixels: NDArray[np.float32], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return how bright the ``pixels`` (f, 7) of each face are: (f, width), valid until the next call.

        ``factors`` (14, width), in box sizes, are what :func:`_turned_deltas` makes of each face's shape.
        """
        desk = self._desk
        in_pixels = (factors * self._size + self._origin).astype(np.float32)
        np.matmul(pixels, in_pixels.reshape(2, 2 + _POINTS, -1), out=desk.places)
        np.copyto(desk.whole, desk.places, casting="unsafe")
        # Without a sign what is negative is too high: all that is outside comes onto the rim.
        inside = desk.whole.view(np.uint32)
        np.minimum(inside, desk.highest, out=inside)
        x, y = inside
        y *= desk.stride
        y += x
        y += desk.start
        np.copyto(desk.index, y.view(np.int32))
        self._pixels.take(desk.index, out=desk.colours, mode="clip")
        _even_mean(desk.colours, desk.blue_and_red)
        np.copyto(desk.brightness, desk.colours, casting="unsafe")
        return desk.brightness


def _turned_deltas(mean_shape: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what turns a shape (10,) into two times seven factors: of a delta's x and y and of the five points.

    A pixel keeps its place among the points: the deltas turn and grow as the mean shape has to, to become this one
    (least squares; Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991).
    The first seven give x, the others y.
    """
    centred = (mean_shape - mean_shape.mean(axis=0)).astype(np.float64)
    x, y = (centred / np.square(centred).sum()).T
    cosine = np.stack([x, y], axis=1).ravel()
    sine = np.stack([-y, x], axis=1).ravel()
    points = np.eye(2 * _POINTS)
    return np.vstack([cosine, -sine, points[0::2], sine, cosine, points[1::2]])


def _even_mean(pixels: NDArray[np.uint32], spare: NDArray[np.uint32]) -> None:
    """Replace ``pixels`` of four bytes by the mean of blue, green and red, rounded down as dlib does it."""
    np.bitwise_and(pixels, 0xFF00FF, out=spare)
    spare *= 0x10001
    spare >>= 16  # blue and red together
    pixels >>= 8
    pixels &= 0xFF
    pixels += spare
    pixels *= 21846  # by 2 ** 16 / 3: exact for whole numbers up to 765
    pixels >>= 16


def _leaf(yes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the leaf (t, width) that is reached by the answers ``yes`` (15, t, width), each 0 or 1, in _ORDER.

    The answers are overwritten.
    """
    path: NDArray[np.uint8] = yes[0].copy()
    while len(yes) > 1:
        half = len(yes) // 2
        taken, other = yes[1 : half + 1], yes[half + 1 :]
        taken ^= other
        taken &= yes[0]
        taken ^= other
        yes = taken
        path += path
        path += yes[0]
    return path
