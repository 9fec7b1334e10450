"""Lets the exact form of the detector decide where its fast form is unsure.

The int8 form sees the same faces, but not always at the same place: around a face several neighbouring windows are
almost equally sure, and a hundredth more or less makes another one win (83 % of the boxes are the same at an overlap of
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
from optimind.vision._onnx import onnx_package

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["ExactPieces", "without_padding"]

_STEP_PX: Final = 8
_WINDOW_PX: Final = 29
"""A piece of this size gives one result, and one that is ``_STEP_PX`` larger gives two."""
_MARGIN: Final = 10
"""So many results away from the border of a piece, what lies beyond it changes nothing."""


class ExactPieces:
    """The exact form of the detector, for pieces of a canvas. Keeps nothing: may be shared by threads."""

    def __init__(self, network: onnxruntime.InferenceSession, inner: onnxruntime.InferenceSession) -> None:
        """``inner`` is ``network`` :func:`without_padding`."""
        self._network = network
        self._inner = inner

    def decided(
        self, canvas: Image, peaks: NDArray[np.float32], unsure: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return ``peaks`` with those computed again that are ``unsure``, and which are exact now (all rows x columns).

        Where the pieces would be more than the whole ``canvas``, everything is computed again.
        """
        pieces = _merged(_pieces(unsure))
        if _areas(pieces).sum() > canvas.shape[0] * canvas.shape[1]:
            return _looked_at(self._network, canvas), np.ones_like(unsure)
        result, known = peaks.copy(), np.zeros_like(unsure)
        for piece in pieces.tolist():
            found, (top, left) = self._looked_at(canvas, piece, peaks.shape)
            here = slice(top, top + found.shape[0]), slice(left, left + found.shape[1])
            result[here], known[here] = found, True
        return result, known

    def _looked_at(
        self, canvas: Image, piece: list[int], whole: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """Return the results of a piece that do not see that it was cut out, and the row and column of the first."""
        left, top, right, bottom = piece
        x, y = left * _STEP_PX, top * _STEP_PX
        if left > 0 and top > 0 and right < whole[1] and bottom < whole[0]:
            part = canvas[y : _end(bottom), x : _end(right)]
            return _looked_at(self._inner, part), (top + _MARGIN, left + _MARGIN)
        # Where the piece ends with the canvas, the network sees its padding, and some pixels that give no result.
        first_row, first_column = _MARGIN if top else 0, _MARGIN if left else 0
        last_row, last_column = bottom - top, right - left
        x2 = y2 = None
        if right < whole[1]:
            x2, last_column = _end(right), last_column - _MARGIN
        if bottom < whole[0]:
            y2, last_row = _end(bottom), last_row - _MARGIN
        found = _looked_at(self._network, canvas[y:y2, x:x2])[first_row:last_row, first_column:last_column]
        return found, (top + first_row, left + first_column)


def without_padding(graph: bytes) -> bytes:
    """Return the detector's graph for pictures that are cut out of larger ones.

    It gives only the results that do not depend on what is around the picture: ten fewer on each side, for 0.6 of the
    time where one is wanted. Raises :class:`EngineError` where the package onnx is missing.
    """
    model = onnx_package().load_from_string(graph)
    for node in model.graph.node:
        for setting in node.attribute:
            if setting.name == "pads":
                setting.ints[:] = [0] * len(setting.ints)
    return bytes(model.SerializeToString())


def _looked_at(network: onnxruntime.InferenceSession, part: Image) -> NDArray[np.float32]:
    found: NDArray[np.float32] = network.run(None, {"pictures": np.ascontiguousarray(part)[None]})[0][0, 0]
    return found


def _end(results: int) -> int:
    """Where the pixels end that so many results see."""
    return (results - 1) * _STEP_PX + _WINDOW_PX


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
