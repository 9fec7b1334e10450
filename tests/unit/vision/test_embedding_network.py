"""A network is fed as its description says, whatever it is; what is not as described is said."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.engines_here import TEST_EMBEDDER, install_test_models
from optimind.plugin_api import EngineError
from optimind.vision import _embedding_network
from optimind.vision._embedding_network import EmbeddingNetwork
from optimind.weights.description import ModelDescription
from optimind.weights.store import Model


class _Network:
    """Stands for an ONNX session; its answer is each face's mean a channel, so that what it was fed can be told."""

    def __init__(self, shape: Iterable[Any] = ("n", 3, 16, 16), kind: str = "tensor(float)") -> None:
        self.inputs = [SimpleNamespace(name="faces", shape=list(shape), type=kind)]
        self.outputs = [SimpleNamespace(name="more"), SimpleNamespace(name="vectors")]
        self.batches: list[int] = []
        self.answer: float | None = None

    def get_inputs(self) -> list[SimpleNamespace]:
        return self.inputs

    def get_outputs(self) -> list[SimpleNamespace]:
        return self.outputs

    def run(self, names: list[str], fed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        (given,) = fed.values()
        assert names == ["vectors"]
        assert list(fed) == ["faces"]
        assert given.dtype == np.float32
        assert given.flags.c_contiguous
        self.batches.append(len(given))
        means = given.mean(axis=(2, 3))
        return [means if self.answer is None else np.full_like(means, self.answer)]


def opened(monkeypatch: pytest.MonkeyPatch, session: _Network, **embedding: Any) -> EmbeddingNetwork:
    values = {"input_size_px": 16, "dimension": 3, "same_person_distance": 1.2, "output": "vectors", **embedding}
    description = ModelDescription.model_validate(
        {
            "name": "net",
            "kind": "embedder",
            "path": "net.onnx",
            "sha256": "0" * 64,
            "size_bytes": 1,
            "licence": {"name": "ours"},
            "embedding": values,
        }
    )
    monkeypatch.setattr(_embedding_network, "open_session", lambda file, threads: session)
    return EmbeddingNetwork(Model(description, Path("net.onnx"), is_own=True), threads=1)


def plain(count: int) -> NDArray[np.uint8]:
    """Chips of one colour each: blue 10, green 20, red 30, and so on upwards."""
    chips = np.empty((count, 16, 16, 3), np.uint8)
    chips[:] = np.array([10, 20, 30], np.uint8)
    return chips + np.arange(count, dtype=np.uint8)[:, None, None, None]


@pytest.mark.parametrize(
    ("embedding", "fed"),
    [
        ({}, (30, 20, 10)),
        ({"channels": "BGR"}, (10, 20, 30)),
        ({"mean": 10, "scale": 0.5}, (10, 5, 0)),
        ({"mean": (30, 10, 0), "scale": 2}, (0, 20, 20)),
        ({"mean": (30, 10, 0), "channels": "BGR"}, (-20, 10, 30)),
    ],
)
def test_it_is_fed_as_described(
    monkeypatch: pytest.MonkeyPatch, embedding: dict[str, Any], fed: tuple[float, float, float]
) -> None:
    vectors = opened(monkeypatch, _Network(), **embedding).vectors(plain(1))
    assert vectors.dtype == np.float64
    assert vectors == pytest.approx(np.array([fed]))


@pytest.mark.parametrize(
    ("first", "count", "batches"),
    [
        ("n", 0, []),
        ("n", 3, [3]),
        ("n", 35, [16, 16, 3]),
        (None, 3, [3]),
        (1, 3, [1, 1, 1]),  # as SFace has it
        (2, 3, [2, 2]),
    ],
)
def test_as_many_at_once_as_it_takes(
    monkeypatch: pytest.MonkeyPatch, first: Any, count: int, batches: list[int]
) -> None:
    session = _Network((first, 3, 16, 16))
    vectors = opened(monkeypatch, session).vectors(plain(count))
    assert session.batches == batches
    assert vectors.shape == (count, 3)
    assert vectors[:, 2].tolist() == [10.0 + row for row in range(count)]


@pytest.mark.parametrize(
    ("embedding", "lengths"),
    [
        ({}, [0.5, 0.5, 0.0]),
        ({"metric": "euclidean", "same_person_distance": 6.0}, [0.5, 0.1, 0.0]),
    ],
)
def test_vectors_come_on_the_common_scale(
    monkeypatch: pytest.MonkeyPatch, embedding: dict[str, Any], lengths: list[float]
) -> None:
    given = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    made = opened(monkeypatch, _Network(), **embedding).comparable(given)
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.array(lengths))


@pytest.mark.parametrize(
    ("session", "embedding", "words"),
    [
        (_Network(), {"input": "data"}, "it has the inputs faces"),
        (_Network(), {"output": "fc1"}, "the outputs more, vectors"),
        (_Network(("n", 3, 112, 112)), {}, "it takes"),
        (_Network(("n", 16, 16, 3)), {}, "it takes"),
        (_Network(("n", 3)), {}, "it takes"),
        (_Network(kind="tensor(uint8)"), {}, "not 32-bit floats"),
    ],
)
def test_another_network_than_described_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, session: _Network, embedding: dict[str, Any], words: str
) -> None:
    with pytest.raises(EngineError, match="net is not as described") as caught:
        opened(monkeypatch, session, **embedding)
    assert words in caught.value.message
    assert caught.value.mend


def test_what_it_gives_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="it gives 3 numbers a face, and 4 are described"):
        opened(monkeypatch, _Network(), dimension=4).vectors(plain(1))
    session = _Network()
    session.answer = float("nan")
    with pytest.raises(EngineError, match="not finite"):
        opened(monkeypatch, session).vectors(plain(1))


def test_a_real_network(shared: Path, tmp_path: Path) -> None:
    store = install_test_models(shared, tmp_path / "models")
    network = EmbeddingNetwork(store.installed(TEST_EMBEDDER, "embedder"), threads=1)
    chips = np.random.default_rng(1).integers(0, 255, (3, 112, 112, 3), np.uint8)
    together = network.vectors(chips)
    assert together.shape == (3, 128)
    assert np.allclose(together, np.concatenate([network.vectors(chips[row : row + 1]) for row in range(3)]), atol=1e-4)
    with pytest.raises(EngineError, match="no embedder"):
        EmbeddingNetwork(store.get("yunet"), threads=1)
