"""The copy of a picture that a detector looks at."""

from __future__ import annotations

import cv2
import numpy as np

from optimind.plugin_api import Image

__all__ = ["resized"]


def resized(image: Image, scale: float) -> Image:
    """Return ``image`` at ``scale`` times its size, at least one pixel; itself where that is the same."""
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Interpolation looks at four pixels, which is enough down to half the size and takes a fifth of the time.
    way = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    return image if size == (width, height) else np.asarray(cv2.resize(image, size, interpolation=way), dtype=np.uint8)
