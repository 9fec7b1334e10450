"""Tiny networks that take a face for a picture where it is dark, as files and with their descriptions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["described", "write_network"]


def write_network(path: Path, *, size_px: int = 16, batch: int | str = 1, outputs: int = 2) -> Path:
    """A network that gives the mean of its values, times -1 and times 1 and so on, as ``outputs`` numbers."""
    signs = np.array([[(-1.0) ** (number + 1) for number in range(outputs)]], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["face"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "column"], ["rows"]),
        helper.make_node("MatMul", ["rows", "signs"], ["said"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, [batch, 3, size_px, size_px])],
        [helper.make_tensor_value_info("said", TensorProto.FLOAT, [batch, outputs])],
        [numpy_helper.from_array(signs, "signs"), numpy_helper.from_array(np.array([-1, 1]), "column")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def described(path: Path, name: str = "tiny", **pad: Any) -> dict[str, Any]:
    """What ``models add`` is given for a network that :func:`write_network` wrote."""
    content = path.read_bytes()
    return {
        "name": name,
        "kind": "pad",
        "path": str(path),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "licence": {"name": "MIT"},
        "pad": {"input_size_px": 16, "bona_fide": 1, "mean": 127.5, "scale": 0.02, **pad},
    }
