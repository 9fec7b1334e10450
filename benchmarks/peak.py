"""What one core could do at most, and what a network asks of it.

The peak is that of a large matrix product: for 32-bit floats the better one of numpy's BLAS and ONNX Runtime, for int8
(uint8 times int8) that of ONNX Runtime. The best of many short runs counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from optimind.weights.sessions import open_session

__all__ = ["fp32_peak", "int8_peak", "multiplications"]

_SIZE = 1536
_RUNS = 20


def fp32_peak() -> float:
    """Multiplications (each with its addition) a second of one core, in 32-bit floats."""
    # BLAS takes its threads from the environment, when it is loaded.
    code = (
        "import time, numpy as np\n"
        f"a = np.ones(({_SIZE}, {_SIZE}), np.float32); best = 9.0\n"
        f"for _ in range({_RUNS}):\n"
        "    began = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - began)\n"
        "print(best)"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return max(_SIZE**3 / float(told.stdout), _product("MatMul", np.float32, np.float32, TensorProto.FLOAT))


def int8_peak() -> float:
    """Multiplications of a byte with a byte a second, of one core."""
    return _product("MatMulInteger", np.uint8, np.int8, TensorProto.INT32)


def _product(kind: str, left: Any, right: Any, result: int) -> float:
    """Multiplications a second of ONNX Runtime's matrix product ``kind``."""
    given = np.ones((_SIZE, _SIZE), dtype=left)
    graph = helper.make_graph(
        [helper.make_node(kind, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", helper.np_dtype_to_tensor_dtype(given.dtype), [_SIZE, _SIZE])],
        [helper.make_tensor_value_info("c", result, [_SIZE, _SIZE])],
        [numpy_helper.from_array(np.ones((_SIZE, _SIZE), dtype=right), "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = open_session(model.SerializeToString(), threads=1)
    best = float("inf")
    for _ in range(_RUNS):
        began = time.perf_counter()
        session.run(None, {"a": given})
        best = min(best, time.perf_counter() - began)
    return float(_SIZE**3 / best)


def multiplications(graph: bytes, shape: tuple[int, ...]) -> int:
    """How many multiplications the convolutions need for a picture of ``shape`` (n, height, width, 3).

    Weights that are zero, which fill up blocks of channels, do not count.
    """
    model = onnx.load_from_string(graph)
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*inferred.value_info, *inferred.output]}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            planes = shapes[node.output[0]]
            places = shape[0] * planes[2].dim_value * planes[3].dim_value
            total += places * int(np.count_nonzero(constants[node.input[1]]))
    return total
