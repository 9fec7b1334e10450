"""Reading dlib's five-point predictor: the real one, small ones of our own, and damaged ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
from dlib_format import integers, predictor
from hypothesis import given
from hypothesis import strategies as st

from optimind.plugin_api import EngineError
from optimind.vision._dlib_files import LANDMARKS
from optimind.vision._dlib_trees import (
    ShapePredictor,
    pack_shape_predictor,
    read_shape_predictor,
    unpack_shape_predictor,
)

SMALL = predictor(np.random.default_rng(0))


def _require_told(error: EngineError) -> None:
    assert "x is damaged" in error.message


def test_a_small_predictor() -> None:
    read = read_shape_predictor(SMALL, "x")
    assert read.mean_shape.shape == (5, 2)
    assert read.leaves.shape == (2, 3, 16, 10)
    assert read.first.shape == read.second.shape == read.threshold.shape == (2, 3, 15)
    assert read.deltas.shape == (2, 6, 2)
    # The same numbers in the same order as they were written.
    rng = np.random.default_rng(0)
    assert np.allclose(read.mean_shape.ravel(), rng.uniform(0.2, 0.8, 10))
    first, second = rng.integers(0, 6, 2).tolist()
    assert (read.first[0, 0, 0], read.second[0, 0, 0]) == (first, second)
    assert read.threshold[0, 0, 0] == np.floor(rng.uniform(-60, 60))


def test_packing_keeps_everything() -> None:
    read = read_shape_predictor(SMALL, "x")
    again = unpack_shape_predictor(pack_shape_predictor(read))
    for name in ShapePredictor.__slots__:
        assert np.array_equal(getattr(again, name), getattr(read, name)), name


def test_the_real_predictor() -> None:
    read = read_shape_predictor(LANDMARKS.read(), "landmarks")
    assert read.leaves.shape == (15, 500, 16, 10)
    assert read.deltas.shape == (15, 800, 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no row of integers"),
        (b"PK\x03\x04", "no row of integers"),
        (integers(1, -136, -1), "-10 expected, -136 found"),
        (integers(1, -10, -1), "ends too early"),
        (SMALL + integers(3), "goes on"),
        (SMALL[:-1], "no row of integers"),
        (integers(1, -10, -1, *[1, 0] * 10, 10**6, 10**6, 1), "1000000 cascades"),
        (integers(1, -10, -1, *[1, 0] * 10, 99, 9999, 1), "ends too early"),
        (integers(1, -10, -1, *[1, 99] * 10, 99, 9999, 1), "do not fit"),
    ],
)
def test_what_is_no_predictor_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EngineError, match="x is damaged or of another kind") as raised:
        read_shape_predictor(data, "x")
    assert reason in raised.value.message


@given(st.data())
def test_a_damaged_predictor_is_refused_or_read(data: st.DataObject) -> None:
    damaged = bytearray(SMALL[: data.draw(st.integers(len(SMALL) - 3, len(SMALL)))])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_shape_predictor(bytes(damaged), "x")
    except EngineError as error:
        _require_told(error)
    else:
        assert max(read.first.max(), read.second.max()) < read.deltas.shape[1]
        assert np.isfinite(read.leaves).all()


def test_tables_that_are_none_are_refused() -> None:
    other = io.BytesIO()
    np.savez(other, a=np.zeros(3))
    for packed in (b"", b"PK\x03\x04nonsense", other.getvalue()):
        with pytest.raises(EngineError, match="cannot be read"):
            unpack_shape_predictor(packed)
