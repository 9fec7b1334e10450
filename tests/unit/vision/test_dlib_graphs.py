"""The graphs give what dlib's networks give."""

from __future__ import annotations

import builtins
import importlib
from typing import Any

import cv2
import numpy as np
import pytest
from dlib_format import affine, convolution, detector, relu
from numpy.typing import NDArray

from optimind.plugin_api import EngineError, Image
from optimind.vision._dlib_files import DETECTOR, EMBEDDER
from optimind.vision._dlib_graphs import detector_graph, resnet_graph
from optimind.vision._dlib_weights import Convolution, Network, read_network
from optimind.weights.sessions import open_session


@pytest.fixture(scope="module")
def embedder() -> Network:
    return read_network(EMBEDDER.read(), "embedder")


def _chips() -> Image:
    rng = np.random.default_rng(5)
    noise = rng.normal(128, 120, (6, 150, 150, 3))
    smooth = [cv2.GaussianBlur(chip, (0, 0), sigma) for chip, sigma in zip(noise, (0.5, 1, 2, 4, 8, 16), strict=True)]
    extremes = [np.zeros((150, 150, 3)), np.full((150, 150, 3), 255)]
    return np.asarray(np.clip([*smooth, *extremes], 0, 255), dtype=np.uint8)


def test_the_embedding_is_dlibs(embedder: Network) -> None:
    dlib = pytest.importorskip("dlib")
    model = dlib.face_recognition_model_v1(str(EMBEDDER.path()))
    chips = _chips()
    ours = open_session(resnet_graph(embedder), threads=1).run(None, {"chips": chips})[0]
    theirs = [model.compute_face_descriptor(np.ascontiguousarray(chip[:, :, ::-1])) for chip in chips]
    assert ours.shape == (8, 128)
    assert np.abs(ours - np.array(theirs)).max() < 1e-5


def test_a_chip_gives_the_same_alone_and_among_others(embedder: Network) -> None:
    session = open_session(resnet_graph(embedder), threads=1)
    chips = _chips()
    alone = np.concatenate([session.run(None, {"chips": chip[None]})[0] for chip in chips])
    assert np.abs(session.run(None, {"chips": chips})[0] - alone).max() < 1e-6


def test_the_same_weights_give_the_same_graph(embedder: Network) -> None:
    assert resnet_graph(embedder) == resnet_graph(embedder)


def _convolved(planes: NDArray[np.float64], layer: Convolution) -> NDArray[np.float64]:
    """A convolution as it is written in books."""
    pad_y, pad_x = layer.padding
    padded = np.pad(planes, ((0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    views = np.lib.stride_tricks.sliding_window_view(padded, layer.filters.shape[2:], axis=(1, 2))
    views = views[:, :: layer.stride[0], :: layer.stride[1]]
    return np.asarray(np.einsum("cyxhw,ochw->oyx", views, layer.filters) + layer.bias[:, None, None])


def test_a_detector_of_odd_sizes_is_computed_as_written() -> None:
    rng = np.random.default_rng(3)

    def filters(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    gain, offset = filters(7) + 1, filters(7)
    first, second, last = filters(5, 3, 5, 5), filters(7, 5, 3, 3), filters(1, 7, 9, 9)
    network = read_network(
        detector(
            [
                convolution(first, filters(5), stride=2, first=True),
                relu(),
                convolution(second, filters(7), padding=1),
                affine(gain, offset),
                relu(),
                convolution(last, filters(1), padding=4),
            ]
        ),
        "x",
    )
    picture = rng.integers(0, 256, (41, 57, 3), dtype=np.uint8)
    planes = ((picture[:, :, ::-1] - np.array(network.mean_rgb)) / 256).transpose(2, 0, 1)
    one, _, two, _, _, three = network.layers
    assert isinstance(one, Convolution)
    assert isinstance(two, Convolution)
    assert isinstance(three, Convolution)
    planes = np.maximum(_convolved(planes, one), 0)
    planes = np.maximum(_convolved(planes, two) * gain[:, None, None] + offset[:, None, None], 0)
    expected = _convolved(planes, three)
    got = open_session(detector_graph(network), threads=1).run(None, {"pictures": picture[None]})[0]
    assert got.shape == (1, *expected.shape)
    assert np.allclose(got[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [relu(first=True)],
        [affine(np.ones(3, np.float32), np.ones(3, np.float32), first=True)],
        [convolution(np.ones((2, 4, 5, 5), np.float32), np.ones(2, np.float32), first=True)],
        [convolution(np.ones((2, 3, 5, 5), np.float32), np.ones(2, np.float32), padding=2, first=True)],
        [convolution(np.ones((2, 3, 5, 5), np.float32), np.ones(2, np.float32), first=True)],
        [convolution(np.ones((1, 3, 5, 5), np.float32), np.ones(1, np.float32), first=True), relu()],
    ],
)
def test_another_network_is_refused(layers: list[bytes]) -> None:
    network = read_network(detector(layers, versions=0), "x")
    with pytest.raises(EngineError, match="another network than expected"):
        detector_graph(network)


def test_one_network_is_not_taken_for_the_other(embedder: Network) -> None:
    with pytest.raises(EngineError, match="another network than expected"):
        detector_graph(embedder)
    with pytest.raises(EngineError, match="another network than expected"):
        resnet_graph(read_network(DETECTOR.read(), "detector"))


def test_without_onnx_the_error_says_what_to_install(embedder: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(name: str, *arguments: Any) -> Any:
        if name == "onnx":
            raise builtins.ModuleNotFoundError("No module named 'onnx'")
        return real(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(EngineError, match="onnx, which converts the networks once"):
        resnet_graph(embedder)
