"""Cuts faces out so that eyes, nose and mouth lie where networks of the ArcFace kind expect them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import Image

__all__ = ["TEMPLATE_112", "align", "cut", "points_in_box", "similarity"]

TEMPLATE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five points of a face lie in a chip of 112 px: (5, 2) x, y, in the order of ``Detections.landmarks``."""

_MEAN_FACE = np.array([[0.27, 0.37], [0.73, 0.37], [0.5, 0.57], [0.306, 0.725], [0.694, 0.725]])
"""The mean of 540 faces in YuNet's boxes, made symmetric: fractions of width and height."""


def similarity(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation, scale and shift (2, 3) that brings ``points`` (n, 2) nearest to ``target`` (n, 2).

    Least squares after Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    IEEE PAMI 13 (1991); never a reflection. Points that all coincide are only shifted.
    """
    centre, wanted = points.mean(axis=0), target.mean(axis=0)
    spread = points - centre
    variance = float((spread**2).sum())
    if variance < 1e-12:
        return np.hstack([np.eye(2), (wanted - centre)[:, None]])
    u, singular, vt = np.linalg.svd((target - wanted).T @ spread)
    handed = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = (float((singular * handed).sum()) / variance) * (u * handed) @ vt
    return np.hstack([rotation, (wanted - rotation @ centre)[:, None]])


def align(image: Image, landmarks: NDArray[np.float64], size_px: int) -> Image:
    """Return the face with these five ``landmarks`` (5, 2) as a chip (``size_px``, ``size_px``, 3); black beyond."""
    # Pixel centres, not corners, are scaled: the middle of a chip stays its middle.
    return cut(image, similarity(landmarks, (TEMPLATE_112 + 0.5) * (size_px / 112) - 0.5), size_px)


def cut(image: Image, matrix: NDArray[np.float64], size_px: int) -> Image:
    """Return the square that ``matrix`` (2, 3), a similarity, brings to (0, 0) to (``size_px``, ``size_px``).

    Where that makes the picture much smaller, it is averaged first: interpolation looks at four pixels only and would
    skip what lies between them.
    """
    times = int(1 / max(math.sqrt(abs(float(np.linalg.det(matrix[:, :2])))), 1e-6))
    if times > 1:
        image, matrix = _reduced(image, matrix, size_px, times)
    return np.asarray(cv2.warpAffine(image, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _reduced(image: Image, matrix: NDArray[np.float64], size_px: int, times: int) -> tuple[Image, NDArray[np.float64]]:
    """Make the part of ``image`` that is needed ``times`` smaller; return it with the matrix for it."""
    turn = np.linalg.inv(matrix[:, :2])
    square = np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]], dtype=np.float64)
    corners = (square - matrix[:, 2]) @ turn.T
    sides = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)) - times, 0, sides - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + times, low + 1, sides).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    size = np.maximum(1, (high - low) // times)
    small = np.asarray(cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    # A point p of the picture is ((p - low + 0.5) / ratio - 0.5) in the small part.
    ratio = (high - low) / size
    shift = matrix[:, :2] @ (low - 0.5 + 0.5 * ratio) + matrix[:, 2]
    return small, np.hstack([matrix[:, :2] * ratio, shift[:, None]])


def points_in_box(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the five points of an upright face in this box (4,) usually are: (5, 2)."""
    return np.asarray(xyxy[:2] + _MEAN_FACE * (xyxy[2:] - xyxy[:2]))
