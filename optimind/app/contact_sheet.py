"""A visitor's pictures side by side, each with its time and camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

import cv2
import numpy as np

from optimind.core.types import Image
from optimind.storage.visitors import KeptShot

__all__ = ["contact_sheet"]

CELL_PX: Final = 240
_CAPTION_PX: Final = 44
_COLUMNS: Final = 4
_GROUND, _INK = 245, (40, 40, 40)
_LONGEST_CAMERA: Final = 24


def contact_sheet(shots: Sequence[KeptShot], zone: tzinfo) -> Image:
    """Draw ``shots`` (one or more) in the order of their times, which are shown in ``zone``."""
    columns = min(_COLUMNS, len(shots))
    rows = math.ceil(len(shots) / columns)
    height = CELL_PX + _CAPTION_PX
    sheet = np.full((rows * height, columns * CELL_PX, 3), _GROUND, np.uint8)
    for number, shot in enumerate(sorted(shots, key=lambda one: one.taken_at)):
        row, column = divmod(number, columns)
        cell = sheet[row * height : (row + 1) * height, column * CELL_PX : (column + 1) * CELL_PX]
        _paste(cell, shot.picture)
        taken_at = shot.taken_at.astimezone(zone)
        for line, text in enumerate((f"{taken_at:%Y-%m-%d %H:%M:%S}", shot.camera[:_LONGEST_CAMERA])):
            where = (8, CELL_PX + 18 * (line + 1))
            cv2.putText(cell, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return sheet


def _paste(cell: Image, data: bytes) -> None:
    """Put a picture into the middle of the upper part of ``cell``; one that cannot be read stays empty."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return
    scale = (CELL_PX - 8) / max(picture.shape[:2])
    width, height = (max(1, round(side * scale)) for side in picture.shape[1::-1])
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (CELL_PX - height) // 2, (CELL_PX - width) // 2
    cell[top : top + height, left : left + width] = resized
