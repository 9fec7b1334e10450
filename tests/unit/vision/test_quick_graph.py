"""A network in the quicker form says what it said before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from optimind.plugin_api import open_session
from optimind.vision import _quick_graph
from optimind.vision._quick_graph import quick_graph, without_prelu

SLOPES = np.array([-0.5, 0.0, 0.25, 1.5], np.float32).reshape(4, 1, 1)
VALUES = np.linspace(-3, 3, 4 * 5 * 5, dtype=np.float32).reshape(1, 4, 5, 5)


def network(slope: NDArray[np.float32] | None, *, renamed: bool = False, kind: str = "PRelu") -> bytes:
    """One layer; without ``slope`` that is given from outside."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])]
    held: list[Any] = []
    nodes: list[Any] = []
    if slope is None:
        inputs.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, [4, 1, 1]))
    else:
        held.append(numpy_helper.from_array(slope, "held" if renamed else "s"))
    if renamed:
        nodes.append(helper.make_node("Identity", ["held"], ["s"]))
    nodes.append(helper.make_node(kind, ["x", "s"], ["y"]))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 5, 5])]
    graph = helper.make_graph(nodes, "layer", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    written: bytes = model.SerializeToString()
    return written


def said(network: bytes | Path) -> NDArray[np.float32]:
    return np.asarray(open_session(network, threads=1).run(None, {"x": VALUES})[0])


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("slope", [SLOPES, SLOPES[2:3]], ids=["a channel", "one for all"])
def test_it_says_the_same_without_the_slow_operation(slope: NDArray[np.float32], *, renamed: bool) -> None:
    slow = network(slope, renamed=renamed)
    quick = without_prelu(slow)
    assert "PRelu" not in {node.op_type for node in onnx.load_model_from_string(quick).graph.node}
    np.testing.assert_allclose(said(quick), said(slow), atol=1e-6)
    np.testing.assert_allclose(said(slow), np.where(VALUES > 0, VALUES, VALUES * slope), atol=1e-6)


@pytest.mark.parametrize("slow", [network(None), network(SLOPES, kind="Mul")], ids=["a slope from outside", "no PReLU"])
def test_where_nothing_is_gained_the_file_itself_is_taken(slow: bytes, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(slow)
    assert without_prelu(slow) == b""
    assert quick_graph(file, "0" * 64) == file


@pytest.mark.parametrize("content", [b"no network", None])
def test_what_cannot_be_read_is_left_to_whoever_opens_it(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    if content is not None:
        file.write_bytes(content)
    assert quick_graph(file, "1" * 64) == file


def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "net.onnx"
    file.write_bytes(network(SLOPES))
    first = quick_graph(file, "2" * 64)
    monkeypatch.setattr(_quick_graph, "without_prelu", lambda _: pytest.fail("made again"))
    assert quick_graph(file, "2" * 64) == first != file


@pytest.mark.shared
def test_a_real_network_says_the_same(shared: Path) -> None:
    file = shared / "models" / "mobilefacenet.onnx"
    chips = np.random.default_rng(0).integers(0, 256, (2, 3, 112, 112)).astype(np.float32)
    quick = quick_graph(file, "3" * 64)
    assert isinstance(quick, bytes)
    slow, fast = (open_session(each, threads=1).run(None, {"data": chips})[0] for each in (file, quick))
    np.testing.assert_allclose(fast, slow, atol=1e-5)
