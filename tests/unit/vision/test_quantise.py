"""The int8 forms: what they compute, how far they are from the exact ones, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from optimind.plugin_api import EngineError, Image
from optimind.vision._forms import MMOD, RESNET, Convertible, graph_for
from optimind.vision._quantise import quantised, quantised_values
from optimind.vision.dlib_engine import DlibDetector, DlibEmbedder, DlibSettings
from optimind.weights.sessions import open_session


def _graph(nodes: list[Any], constants: dict[str, Any], result: str, side: int | str) -> bytes:
    """A graph from pictures to ``result``, with the nodes that scale nothing in front."""
    first = [
        helper.make_node("Cast", ["pictures"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
    ]
    made = helper.make_graph(
        [*first, *nodes],
        "test",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", side, side, 3])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["n", "channels", "rows", "columns"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _convolution(given: str, result: str, padding: int = 0, stride: int = 1, size: int = 3) -> Any:
    return helper.make_node(
        "Conv",
        [given, f"{result}_filters", f"{result}_bias"],
        [result],
        kernel_shape=[size, size],
        strides=[stride, stride],
        pads=[padding] * 4,
    )


def _small(side: int | str = 32, kernel: int = 5) -> bytes:
    """Every operator that the networks have, in a small graph; the last convolution gives the result."""
    rng = np.random.default_rng(1)

    def filters(out: int, inner: int, size: int) -> Any:
        return (rng.normal(size=(out, inner, size, size)) / (inner * size * size) ** 0.5).astype(np.float32)

    constants = {
        "a_filters": filters(8, 3, kernel) / 64,
        "a_bias": rng.normal(size=8).astype(np.float32),
        "b_filters": filters(8, 8, 3),
        "b_bias": rng.normal(size=8).astype(np.float32),
        "c_filters": filters(16, 8, 3),
        "c_bias": np.zeros(16, np.float32),
        "result_filters": filters(1, 16, 3),
        "result_bias": np.zeros(1, np.float32),
        "ends": np.array([0, 0, 0, 0, 0, 8, 0, 0], dtype=np.int64),
    }
    nodes = [
        _convolution("planes", "a", stride=2, size=kernel),
        helper.make_node("Relu", ["a"], ["a_relu"]),
        helper.make_node("MaxPool", ["a_relu"], ["pooled"], kernel_shape=[3, 3], strides=[1, 1]),
        _convolution("pooled", "b", padding=1),
        helper.make_node("Add", ["pooled", "b"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["sum_relu"]),
        _convolution("sum_relu", "c", stride=2, padding=1),
        helper.make_node("AveragePool", ["sum_relu"], ["skip"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Pad", ["skip", "ends"], ["skip_padded"]),
        helper.make_node("Add", ["c", "skip_padded"], ["joined"]),
        _convolution("joined", "result", padding=1),
    ]
    return _graph(nodes, constants, "result", side)


def _measured(graph: bytes, picture: Image) -> dict[str, tuple[float, float]]:
    model = onnx.load_from_string(graph)
    names = quantised_values(graph)
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    values = ReferenceEvaluator(model).run(names, {"pictures": picture})
    return {name: (float(value.min()), float(value.max())) for name, value in zip(names, values, strict=True)}


def _run(graph: bytes, picture: Image) -> Any:
    # As the engine does where the processor's own sums of bytes overflow.
    session = open_session(graph, threads=1, exact_sums=True)
    return session.run(None, {session.get_inputs()[0].name: picture})[0]


@pytest.mark.parametrize(("kernel", "side"), [(5, 31), (5, 32), (7, 30)])
def test_the_int8_form_gives_nearly_the_same(kernel: int, side: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    graph = _small(side, kernel)
    made = quantised(graph, _measured(graph, picture))
    onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    exact, found = _run(graph, picture), _run(made, picture)
    assert found.shape == exact.shape
    assert 0 < np.abs(found - exact).max() < 0.03 * np.abs(exact).max()


@pytest.mark.parametrize("side", [32, 36])
def test_pictures_of_any_size_may_be_a_multiple_of_four_wide(side: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    graph = _small("side")
    exact, found = _run(graph, picture), _run(quantised(graph, _measured(graph, picture)), picture)
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() < 0.03 * np.abs(exact).max()


@pytest.mark.parametrize(("network", "in_floats"), [(RESNET, 0), (MMOD, 1)], ids=["resnet", "mmod"])
def test_the_integer_operators_are_used(network: Convertible, in_floats: int, tmp_path: Path) -> None:
    """That is what makes it fast: a change of the graph or of ONNX Runtime may take it away without any error."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(graph_for(network, "int8"), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    exact = [node.op_type for node in onnx.load_from_string(graph_for(network, "fp32")).graph.node]
    assert kinds.count("QLinearConv") == exact.count("Conv") + exact.count("AveragePool") - in_floats
    assert kinds.count("QLinearAdd") == exact.count("Add")
    assert kinds.count("Conv") == in_floats
    assert "Relu" not in kinds


def test_embeddings_are_close_to_the_exact_ones(shared: Path) -> None:
    exact, fast = (DlibEmbedder.create(DlibSettings(mirror=False, precision=form)) for form in ("fp32", "int8"))
    detector = DlibDetector.create(66, DlibSettings())
    apart = []
    for path in sorted((shared / "data" / "faces").glob("*/*.jpg"))[::150]:
        image = np.asarray(cv2.imread(str(path)), dtype=np.uint8)
        faces = detector.detect(image)
        apart.extend(np.linalg.norm(exact.embed(image, faces) - fast.embed(image, faces), axis=1))
    assert len(apart) > 35
    assert np.mean(apart) < 0.042
    assert max(apart) < 0.1


def test_a_range_that_is_missing_is_said() -> None:
    with pytest.raises(EngineError, match="a_relu has none") as raised:
        quantised(_small(), {})
    assert "precision: fp32" in raised.value.mend


def test_values_whose_range_is_wanted() -> None:
    # What is pooled or padded has the range of what it was before; pixels and the result need none.
    assert quantised_values(_small()) == ["a_relu", "b", "sum_relu", "skip", "c", "joined"]


@pytest.mark.parametrize(
    ("stride", "padding", "size"), [(1, 0, 5), (2, 1, 5), (2, 0, 7)], ids=["stride", "padding", "size"]
)
def test_another_first_layer_is_refused(stride: int, padding: int, size: int) -> None:
    nodes = [_convolution("planes", "a", padding, stride, size), helper.make_node("Relu", ["a"], ["result"])]
    constants = {"a_filters": np.ones((4, 3, size, size), np.float32), "a_bias": np.zeros(4, np.float32)}
    with pytest.raises(EngineError, match="first layer has no int8 form"):
        quantised(_graph(nodes, constants, "result", "side"), {})


def test_another_operator_is_refused() -> None:
    with pytest.raises(EngineError, match="Sigmoid has no int8 form"):
        quantised(_graph([helper.make_node("Sigmoid", ["planes"], ["result"])], {}, "result", 32), {})
