"""Five points of each face: both corners of both eyes and the base of the nose.

Cascades of regression trees (Kazemi and Sullivan, "One millisecond face alignment with an ensemble of regression
trees", 2014) with dlib's weights, evaluated for up to 32 faces at once. All 15 splits of a tree are decided, which is
cheaper than following each face's own way, and the leaf that they lead to is picked out afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
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
"""Trees work on groups of 1, 2, 4, ... 32 faces: numpy picks rows of these lengths out several times faster."""
_LARGEST_PX: Final = 32766
"""The longest side of a picture in which OpenCV looks pixels up."""
_ORDER: Final = np.array([0, 1, 2, 3, 5, 4, 6, 7, 11, 9, 13, 8, 12, 10, 14])
"""The splits level by level: first those that a yes leads to, then in the same order those that a no leads to."""
_LAST_SPLITS: Final = _ORDER[7:]
_LEAF_ORDER: Final = np.column_stack([2 * _LAST_SPLITS + 2, 2 * _LAST_SPLITS + 1]).ravel()
"""The leaves in the order of the last splits, of each the one for no first; they are numbered on from the splits."""
_FIRST_LEAF: Final = 2 * np.arange(len(_LAST_SPLITS), dtype=np.uint8)[:, None]
_MEAN_COLOUR: Final = np.array([[1, 1, 1, -1]]) / 3
"""Blue, green, red and 1 to the brightness: with one less in the sum, rounding gives what dlib gets by cutting off."""


@dataclass(frozen=True, slots=True)
class _Cascade:
    """One round of ``t`` trees, which look at ``f`` pixels.

    ``pixels`` (7, f) float32: two factors of the delta and five points times this is where the pixels are. A split says
    yes where, of the three rows of :attr:`_Desk.brightness` that ``compared`` (3, 15 t) names, the first is larger than
    the second by more than the third. ``leaves`` are (16 t, 10) float32.
    """

    pixels: NDArray[np.float32]
    compared: NDArray[np.intp]
    leaves: NDArray[np.float32]

    @classmethod
    def prepared(cls, predictor: ShapePredictor, index: int) -> Self:
        """Arrange the tables of one cascade.

        The difference of two ``uint8`` is never negative here, so where a split's threshold is, both pixels change
        places and so do the branches: a - b > t is the opposite of b - a > -t - 1, as all are whole.
        """
        first, second = predictor.first[index].astype(np.intp), predictor.second[index].astype(np.intp)
        threshold, deltas = predictor.threshold[index].astype(np.intp), predictor.deltas[index]
        opposite = threshold < 0
        nodes = _walked(opposite)
        brighter, darker = np.where(opposite, second, first), np.where(opposite, first, second)
        by_more_than = np.where(opposite, -threshold - 1, threshold) + len(deltas)
        splits, leaves = nodes[:, _ORDER], nodes[:, _LEAF_ORDER] - len(_ORDER)
        compared = [np.take_along_axis(row, splits, axis=1).T.ravel() for row in (brighter, darker, by_more_than)]
        return cls(
            np.vstack([deltas.T, np.eye(_POINTS, dtype=np.float32)[:, predictor.anchors[index]]]),
            np.stack(compared),
            np.take_along_axis(predictor.leaves[index], leaves[:, :, None], axis=1).reshape(-1, 2 * _POINTS),
        )


def _walked(opposite: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return which split or leaf (t, 31) stands at each place when some splits say the ``opposite`` (t, 15).

    In dlib's trees a yes leads to the left. Leaves are numbered on from the splits.
    """
    trees, splits = opposite.shape
    at = np.zeros((trees, 2 * splits + 1), dtype=np.intp)
    for place in range(splits):
        here = at[:, place]
        turn = np.take_along_axis(opposite, here[:, None], axis=1)[:, 0]
        at[:, 2 * place + 1] = 2 * here + 1 + turn
        at[:, 2 * place + 2] = 2 * here + 2 - turn
    return at


class Landmarks5:
    """Finds the five points. Keeps nothing of a picture: may be shared by threads."""

    def __init__(self, predictor: ShapePredictor) -> None:
        self._mean_shape = predictor.mean_shape.reshape(1, -1)
        self._to_factors = _turned_deltas(predictor.mean_shape).T
        self._trees, self._pixels = predictor.first.shape[1], predictor.deltas.shape[1]
        self._cascades = [_Cascade.prepared(predictor, index) for index in range(len(predictor.first))]
        self._of_thread = threading.local()

    def find(self, pictures: Sequence[tuple[Image, NDArray[np.intp]]]) -> list[NDArray[np.float64]]:
        """Return (n, 5, 2) float64 pixels for each picture and its ``boxes`` (n, 4) of whole pixels (x1, y1, x2, y2).

        The points are in dlib's order: the outer and the inner corner of the eye at the right of the picture, the same
        of the one at the left, the base of the nose. dlib itself rounds them to whole pixels.
        """
        found = [np.empty((len(boxes), _POINTS, 2)) for _, boxes in pictures]
        together: list[tuple[Image, NDArray[np.intp]]] = []
        places: list[NDArray[np.float64]] = []
        for (image, boxes), points in zip(pictures, found, strict=True):
            if max(image.shape) > _LARGEST_PX:
                points[:] = [self._find_in_part(image, box) for box in boxes]
                continue
            image = np.ascontiguousarray(image)  # noqa: PLW2901 - else OpenCV copies a mirrored view at each look
            together.extend((image, box) for box in boxes)
            places.extend(points)
        for start in range(0, len(together), _MOST_AT_ONCE):
            group = together[start : start + _MOST_AT_ONCE]
            shapes = self._find([image for image, _ in group], np.array([box for _, box in group]))
            for place, shape in zip(places[start:], shapes, strict=False):
                place[:] = shape
        return found

    def _find_in_part(self, image: Image, box: NDArray[np.intp]) -> NDArray[np.float64]:
        """Find the points of one face in what surrounds it."""
        size = box[2:] - box[:2]
        low = np.clip(box[:2] - size, 0, np.array(image.shape[1::-1]) - 1)
        high = np.maximum(box[2:] + size, low + 1)
        part = image[low[1] : high[1], low[0] : high[0]][:_LARGEST_PX, :_LARGEST_PX]
        (found,) = self.find([(part, (box - np.tile(low, 2))[None])])
        return np.asarray(found[0] + low)

    def _find(self, images: Sequence[Image], boxes: NDArray[np.intp]) -> NDArray[np.float64]:
        """Find the points of up to 32 faces: the ``boxes`` (n, 4), of each the picture that it lies in."""
        count = len(boxes)
        desk = self._desk(1 << (count - 1).bit_length())
        pictures = _with_its_faces(images)
        corner, size = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
        shapes = self._mean_shape.repeat(count, axis=0)
        for cascade in self._cascades:
            factors = (shapes @ self._to_factors).reshape(count, 2, -1)
            desk.look(pictures, cascade.pixels, factors, corner, size)
            desk.brightness.take(cascade.compared, axis=0, out=desk.seen, mode="clip")
            brighter, darker, by_more_than = desk.seen
            cv2.subtract(brighter, darker, dst=brighter)
            np.greater(brighter, by_more_than, out=brighter.view(np.bool_))
            leaf = _leaf(brighter.reshape(len(_ORDER), -1)).reshape(self._trees, -1)
            np.add(leaf, desk.first_leaf, out=desk.leaf)
            # In dlib's order, one tree after the other: the sums are the same to the last bit.
            desk.sums[0, :count] = shapes
            cascade.leaves.take(desk.leaf, axis=0, out=desk.sums[1:], mode="clip")
            total = cv2.reduce(desk.sums.reshape(len(desk.sums), -1), 0, cv2.REDUCE_SUM)
            shapes = np.asarray(total, dtype=np.float32).reshape(-1, 2 * _POINTS)[:count]
        return np.asarray(corner + shapes.reshape(-1, _POINTS, 2).astype(np.float64) * size)

    def _desk(self, width: int) -> _Desk:
        """Return this thread's arrays to work in."""
        desks: dict[int, _Desk] = self._of_thread.__dict__.setdefault("desks", {})
        if width not in desks:
            desks[width] = _Desk.laid(width, self._pixels, self._trees)
        return desks[width]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Arrays to work in for ``width`` faces: new memory for each step takes longer than the step.

    ``brightness`` (f + 256, width) is that of each pixel of each face and, below, each number from 0 to 255: so a
    split's threshold is picked out as its pixels are. Columns beyond the faces at work hold anything.
    """

    places: NDArray[np.float32]
    colours: NDArray[np.uint8]
    brightness: NDArray[np.uint8]
    seen: NDArray[np.uint8]
    leaf: NDArray[np.intp]
    first_leaf: NDArray[np.intp]
    sums: NDArray[np.float32]

    @classmethod
    def laid(cls, width: int, pixels: int, trees: int) -> Self:
        """Make them: for ``pixels`` pixels of each face, and ``trees`` trees."""
        thresholds = np.arange(256, dtype=np.uint8)[:, None].repeat(width, axis=1)
        return cls(
            places=np.empty((width, 2, pixels), np.float32),
            colours=np.empty((width, pixels, 3), np.uint8),
            brightness=np.vstack([np.zeros((pixels, width), np.uint8), thresholds]),
            seen=np.empty((3, len(_ORDER) * trees, width), np.uint8),
            leaf=np.empty((trees, width), np.intp),
            first_leaf=len(_LEAF_ORDER) * np.arange(trees)[:, None].repeat(width, axis=1),
            sums=np.zeros((trees + 1, width, 2 * _POINTS), np.float32),
        )

    def look(
        self,
        pictures: Sequence[tuple[Image, slice]],
        pixels: NDArray[np.float32],
        factors: NDArray[np.float64],
        corner: NDArray[np.intp],
        size: NDArray[np.intp],
    ) -> None:
        """See how bright the ``pixels`` (7, f) of each face in its picture are; what lies outside of that is black.

        ``pictures``: each with the faces that are in it. ``factors`` (n, 2, 7) are what :func:`_turned_deltas` makes
        of each face's shape, ``corner`` and ``size`` (n, 1, 2) those of its box.
        """
        count = len(factors)
        places, colours = self.places[:count], self.colours[:count]
        in_pixels = factors * size.reshape(-1, 2, 1)
        in_pixels[..., 2:] += 0.5  # so that cutting off the fraction rounds
        np.matmul(in_pixels.astype(np.float32).reshape(2 * count, -1), pixels, out=places.reshape(2 * count, -1))
        # Rounded before the corner is added: in large pictures a float32 has too few digits for the fraction.
        np.floor(places, out=places)
        np.add(places, corner.reshape(-1, 2, 1).astype(np.float32), out=places)
        for image, faces in pictures:
            cv2.remap(image, places[faces, 0], places[faces, 1], cv2.INTER_NEAREST, dst=colours[faces])
        cv2.transpose(cv2.transform(colours, _MEAN_COLOUR), dst=self.brightness[: pixels.shape[1], :count])


def _with_its_faces(images: Sequence[Image]) -> list[tuple[Image, slice]]:
    """Return each picture once, with the faces that are in it; ``images`` has one for each face."""
    found: list[tuple[Image, slice]] = []
    for face, image in enumerate(images):
        if found and found[-1][0] is image:
            found[-1] = image, slice(found[-1][1].start, face + 1)
        else:
            found.append((image, slice(face, face + 1)))
    return found


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


def _leaf(yes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return which leaf (n,) of 16, in _LEAF_ORDER, the answers ``yes`` (15, n) lead to, each 0 or 1, in _ORDER.

    From the last splits to the first, each chooses between the two below it. The answers are overwritten.
    """
    reached = yes[len(_ORDER) // 2 :]
    reached |= _FIRST_LEAF
    while len(reached) > 1:
        half = len(reached) // 2
        cv2.copyTo(reached[:half], yes[half - 1 : 2 * half - 1], reached[half:])
        reached = reached[half:]
    leaf: NDArray[np.uint8] = reached[0]
    return leaf
