"""Boxes: all are xyxy in pixels, float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Boxes", "centres", "iou", "sizes"]

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
