"""Writes dlib's serialisation, so that tests can make small networks and predictors of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EMPTY_TENSOR = b"\x01\x02" + b"\x01\x00" * 4


def integer(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def integers(*values: int) -> bytes:
    return b"".join(map(integer, values))


def number(value: float) -> bytes:
    mantissa, exponent = math.frexp(value)
    return integers(int(mantissa * 2**24), exponent - 24)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def tensor(values: NDArray[np.float32] | Sequence[float]) -> bytes:
    flat = np.asarray(values, dtype="<f4").ravel()
    return integers(2, 1, flat.size, 1, 1) + flat.tobytes()


def alias() -> bytes:
    return integers(1, 1, 1, 1, 1)


def layer(name: str, details: bytes, *, first: bool = False) -> bytes:
    """A layer with what training leaves behind: three truth values and three empty tensors."""
    return text(name) + details + b"110" + EMPTY_TENSOR * 3 + (integer(1) if first else b"")


def convolution(
    filters: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    stride: int = 1,
    padding: int = 0,
    first: bool = False,
) -> bytes:
    out, _, height, width = filters.shape
    sizes = integers(out, height, width, stride, stride, padding, padding)
    rates = number(1.0) * 4
    params = tensor(np.concatenate([filters.ravel(), bias]))
    return layer("con_4", params + sizes + alias() + alias() + rates, first=first)


def affine(gain: NDArray[np.float32], offset: NDArray[np.float32], *, first: bool = False) -> bytes:
    return layer("affine_", tensor(np.concatenate([gain, offset])) + alias() + alias() + integer(0), first=first)


def batch_norm(
    gain: NDArray[np.float32], offset: NDArray[np.float32], mean: NDArray[np.float32], variance: NDArray[np.float32]
) -> bytes:
    params = tensor(np.concatenate([gain, offset])) + alias() + alias()
    statistics = EMPTY_TENSOR * 2 + tensor(mean) + tensor(variance)
    return layer("bn_con2", params + statistics + integers(100, 100) + number(1.0) * 4 + number(1e-4))


def relu(*, first: bool = False) -> bytes:
    return layer("relu_", b"", first=first)


def detector(layers: Sequence[bytes], *, window: tuple[int, int] = (80, 80), versions: int | None = None) -> bytes:
    """A detector's file: its loss, the versions of its layers, its input, and the layers in working order."""
    loss = integer(1) + text("loss_mmod_") + integers(1, *window)
    options = number(1.0) * 2 + number(0.5) + number(0.25) + number(1.0) + number(0.5) + number(1.0)
    between = integer(2) * (len(layers) - 1 if versions is None else versions)
    pixels = text("input_rgb_image_pyramid") + number(122.75) + number(117.0) + number(104.25)
    return loss + options + between + integer(3) + pixels + b"".join(layers)


def predictor(rng: np.random.Generator, *, cascades: int = 2, trees: int = 3, pixels: int = 6) -> bytes:
    """A five-point predictor of random trees."""

    def vector(values: NDArray[np.float64]) -> bytes:
        return b"".join(map(number, values.tolist()))

    def tree() -> bytes:
        splits = b"".join(
            integers(*rng.integers(0, pixels, 2).tolist()) + number(float(rng.uniform(-60, 60))) for _ in range(15)
        )
        leaves = b"".join(integers(-10, -1) + vector(rng.normal(0, 0.01, 10)) for _ in range(16))
        return integer(15) + splits + integer(16) + leaves

    shape = integers(1, -10, -1) + vector(rng.uniform(0.2, 0.8, 10))
    forest = integer(cascades) + b"".join(
        integer(trees) + b"".join(tree() for _ in range(trees)) for _ in range(cascades)
    )
    anchors = b"".join(integers(pixels, *rng.integers(0, 5, pixels).tolist()) for _ in range(cascades))
    deltas = b"".join(integer(pixels) + vector(rng.normal(0, 0.1, 2 * pixels)) for _ in range(cascades))
    return shape + forest + integer(cascades) + anchors + integer(cascades) + deltas
