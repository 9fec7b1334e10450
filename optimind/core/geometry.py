"""Boxes: all are xyxy in pixels, float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Boxes", "centres", "iou", "pixels_around", "sizes"]

Boxes = NDArray[np.float64]
"""(n, 4): left, top, right, bottom."""


def centres(boxes: Boxes) -> NDArray[np.float64]:
    """The middle of each box: (n, 2) x, y."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def sizes(boxes: Boxes) -> NDArray[np.float64]:
    """The geometric mean of width and height of each box: (n,) pixels."""
    return np.asarray(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)))


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every box of ``b``: (len(a), len(b)), 0-1."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)
    return np.asarray(shared / (area_a[:, None] + area_b[None] - shared))


def pixels_around(
    box: NDArray[np.float64], around: float | NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The whole pixels of ``box`` (4,) and ``around`` pixels (one number, or x and y) on each side of it.

    Returns the first (x, y) and the one behind the last; at least one pixel of a picture of ``size``, width and height.
    """
    corner = np.array(size)
    low = np.clip(np.floor(box[:2] - around), 0, corner - 1).astype(np.intp)
    high = np.clip(np.ceil(box[2:] + around), low + 1, corner).astype(np.intp)
    return low, high
