"""Lets the exact form of the detector decide where its fast form is unsure.

The int8 form sees the same faces, but not always at the same place: around a face several neighbouring windows are
almost equally sure, and a hundredth more or less makes another one win (85 % of the boxes are the same at an overlap of
0.8). So the fast form looks at the whole canvas, and the exact one only at the windows that could win, in small pieces
of the canvas. Each piece is as large as what the network sees from such a window, so the numbers are those of the whole
canvas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import Image

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["decided"]

_STEP_PX: Final = 8
_WINDOW_PX: Final = 29
"""A piece of this size gives one result, and one that is ``_STEP_PX`` larger gives two."""
_MARGIN: Final = 10
"""So many results away from the border of a piece, what lies beyond it changes nothing."""


def decided(
    exact: onnxruntime.InferenceSession, canvas: Image, peaks: NDArray[np.float32], unsure: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return ``peaks`` with those that are ``unsure`` (both rows x columns) computed again, and which are exact now.

    Where the pieces would be more than the whole ``canvas``, everything is computed again.
    """
    pieces = _merged(_pieces(unsure))
    sizes = np.minimum((pieces[:, 2:] - pieces[:, :2] - 1) * _STEP_PX + _WINDOW_PX, canvas.shape[1::-1])
    if sizes.prod(axis=1).sum() > canvas.shape[0] * canvas.shape[1]:
        return _looked_at(exact, canvas), np.ones_like(unsure)
    result, known = peaks.copy(), np.zeros_like(unsure)
    for left, top, right, bottom in pieces.tolist():
        # At the right and the bottom the canvas may have some pixels more than its last result needs.
        x2 = canvas.shape[1] if right == peaks.shape[1] else (right - 1) * _STEP_PX + _WINDOW_PX
        y2 = canvas.shape[0] if bottom == peaks.shape[0] else (bottom - 1) * _STEP_PX + _WINDOW_PX
        found = _looked_at(exact, canvas[top * _STEP_PX : y2, left * _STEP_PX : x2])
        good = _away_from_cuts((left, top, right, bottom), peaks.shape)
        result[top:bottom, left:right][good] = found[good]
        known[top:bottom, left:right] |= good
    return result, known


def _looked_at(exact: onnxruntime.InferenceSession, part: Image) -> NDArray[np.float32]:
    found: NDArray[np.float32] = exact.run(None, {"pictures": np.ascontiguousarray(part)[None]})[0][0, 0]
    return found


def _pieces(unsure: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return (n, 4) left, top, right, bottom in results: around each group of neighbours, with the margin."""
    groups = cv2.connectedComponentsWithStats(unsure.astype(np.uint8), connectivity=8)[2][1:, :4].astype(np.intp)
    corner = np.array(unsure.shape[::-1])
    low = np.clip(groups[:, :2] - _MARGIN, 0, None)
    high = np.minimum(groups[:, :2] + groups[:, 2:] + _MARGIN, corner)
    return np.hstack([low, high])


def _merged(pieces: NDArray[np.intp]) -> NDArray[np.intp]:
    """Make one of two pieces where that is less work."""
    done: list[NDArray[np.intp]] = []
    for piece in pieces:
        grown = piece
        while done:
            others = np.array(done)
            low, high = np.minimum(others[:, :2], grown[:2]), np.maximum(others[:, 2:], grown[2:])
            saved = _areas(others) + _areas(grown[None]) - _areas(np.hstack([low, high]))
            best = int(saved.argmax())
            if saved[best] <= 0:
                break
            grown = np.concatenate([low[best], high[best]])
            del done[best]
        done.append(grown)
    return np.array(done, dtype=np.intp).reshape(-1, 4)


def _areas(pieces: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many pixels they have."""
    sides = (pieces[:, 2:] - pieces[:, :2] - 1) * _STEP_PX + _WINDOW_PX
    return np.asarray(sides.prod(axis=1))


def _away_from_cuts(piece: tuple[int, int, int, int], whole: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which results of a ``piece`` do not see that it was cut out of the ``whole``."""
    left, top, right, bottom = piece
    good = np.zeros((bottom - top, right - left), dtype=np.bool_)
    rows = slice(_MARGIN if top else 0, None if bottom == whole[0] else -_MARGIN)
    columns = slice(_MARGIN if left else 0, None if right == whole[1] else -_MARGIN)
    good[rows, columns] = True
    return good
