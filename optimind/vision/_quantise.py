"""Turns a graph of :mod:`optimind.vision._dlib_graphs` into its int8 form.

Weights become int8, symmetric, with a scale for each output channel; what flows between the layers becomes uint8 with
a scale for the whole tensor, taken from ranges that were measured on photographs. Everything is said in ONNX's own
terms (QuantizeLinear and DequantizeLinear around each operator), which ONNX Runtime turns into its integer operators.
The scheme is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018, without the training.

What gives the result stays in 32-bit floats: it costs next to nothing, and bytes would cost accuracy. Pixels are whole
numbers from 0 to 255 already, so they go in as they are.

Two operators are written in another way, which gives the same numbers, because ONNX Runtime is slow at them. Its
integer convolutions are made for many channels: one of three channels takes four times as long as it should, half of
the detector's time. So four pixels of a row become one of twelve channels, and the first convolution gives two results
side by side. And the mean of a window is a convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import EngineError
from optimind.vision._onnx import onnx_package

__all__ = ["QUANTISER", "Ranges", "quantised", "quantised_values"]

Ranges = Mapping[str, tuple[float, float]]
"""The lowest and the highest number that a value takes, by the value's name in the graph."""

QUANTISER: Final = 2
"""Raised when the int8 form changes, so that kept ones are made again."""

_LEVELS: Final = 255
_LARGEST_WEIGHT: Final = 127
_SAME_RANGE: Final = frozenset({"MaxPool", "Pad"})
"""Their results are of the numbers that they are given, so they have their scale too."""
_FOLD: Final = 4
"""So many pixels of a row become one."""
_RESULTS: Final = 2
"""The first convolution has a stride of two, so four pixels are where two of its results start."""
_KNOWN: Final = _SAME_RANGE | frozenset(
    ("Add", "AveragePool", "Cast", "Conv", "Flatten", "GlobalAveragePool", "MatMul", "Relu", "Transpose")
)


def quantised(graph: bytes, ranges: Ranges) -> bytes:
    """Return the int8 form of ``graph``; its inputs and outputs are the same.

    Pictures of any size must be a multiple of 4 pixels wide. ``ranges`` has those of :func:`quantised_values`. Raises
    :class:`EngineError` where one is missing, or where the graph holds an operator that has no int8 form here.
    """
    return _Quantiser(graph, ranges).written()


def quantised_values(graph: bytes) -> list[str]:
    """Return the names of the values whose ranges :func:`quantised` wants to know."""
    quantiser = _Quantiser(graph, None)
    quantiser.written()
    return list(quantiser.asked)


class _Quantiser:
    """Goes through the nodes once and writes those of the int8 form."""

    def __init__(self, graph: bytes, ranges: Ranges | None) -> None:
        self._onnx = onnx_package()
        self._model = self._onnx.load_from_string(graph)
        self._ranges = ranges
        self._constants = {
            tensor.name: self._onnx.numpy_helper.to_array(tensor) for tensor in self._model.graph.initializer
        }
        self._maker = {output: node for node in self._model.graph.node for output in node.output}
        self._results = {output.name for output in self._model.graph.output}
        self._nodes: list[Any] = []
        self._written: dict[str, Any] = {}
        self._scales: dict[str, tuple[float, str, str]] = {}
        self._as_float: dict[str, str] = {}
        self._folded: dict[str, int] = {}
        self._picture = ""
        self.asked: dict[str, None] = {}

    def written(self) -> bytes:
        """Return the model of the int8 form."""
        for node in self._model.graph.node:
            if node.op_type not in _KNOWN:
                raise EngineError(f"the operator {node.op_type} has no int8 form", mend="set precision: fp32")
            if node.op_type == "Cast":
                continue  # pixels go in as they are, see _pixels
            if node.op_type == "Transpose":
                self._pixels(node)
            elif node.op_type == "Pad":
                self._pad(node)
            elif node.op_type == "Conv" and node.output[0] not in self._results:
                filters, bias = (self._constants[name] for name in node.input[1:])
                if node.input[0] == self._picture:
                    self._first_convolution(node, filters, bias)
                else:
                    self._convolution(node, filters, bias, **self._settings(node))
            elif node.op_type == "AveragePool":
                self._mean(node)
            else:
                self._other(node)
        made = self._onnx.helper.make_graph(
            self._nodes,
            self._model.graph.name,
            self._model.graph.input,
            self._model.graph.output,
            list(self._written.values()),
        )
        return bytes(
            self._onnx.helper.make_model(
                made,
                producer_name=self._model.producer_name,
                opset_imports=self._model.opset_import,
                ir_version=self._model.ir_version,
            ).SerializeToString()
        )

    def _pixels(self, node: Any) -> None:
        """Turn and use the bytes of the picture: the number that stands for a pixel is the pixel."""
        name, source = node.output[0], self._maker[node.input[0]].input[0]
        scale, zero = self._constant(f"{name}_scale", np.float32(1)), self._constant(f"{name}_zero", np.uint8(0))
        self._scales[name] = (1.0, scale, zero)
        missing = -self._width() % _FOLD
        if missing:
            ends = self._constant(f"{name}_ends", np.array([0, 0, 0, 0, 0, 0, missing, 0], dtype=np.int64))
            source = self._node("Pad", [source, ends, zero], f"{name}_wide")
        source = self._node("Reshape", [source, self._row_shape(3 * _FOLD)], f"{name}_folded")
        self._node("Transpose", [source], f"{name}_bytes", perm=[0, 3, 1, 2])
        self._as_float[name] = self._node("DequantizeLinear", [f"{name}_bytes", scale, zero], f"{name}_float")
        self._picture = name

    def _pad(self, node: Any) -> None:
        """Pad the bytes, with the one that stands for zero: ONNX Runtime would do it in floats."""
        before, name = node.input[0], node.output[0]
        self._quantise(before)
        _, scale, zero = self._scale(before)
        ends = self._constant(node.input[1], self._constants[node.input[1]])
        self._node("Pad", [f"{before}_bytes", ends, zero], f"{name}_bytes")
        self._as_float[name] = self._node("DequantizeLinear", [f"{name}_bytes", scale, zero], f"{name}_float")

    def _first_convolution(self, node: Any, filters: NDArray[Any], bias: NDArray[Any]) -> None:
        """Take folded pixels, and give two neighbouring results as twice the channels."""
        count, inner, height, width = filters.shape
        settings = self._settings(node)
        folded_width = -(-(width + 2) // _FOLD)
        side = self._width() or 100 * _FOLD
        results = _RESULTS * (-(-side // _FOLD) - folded_width + 1)
        if settings["strides"] != [2, 2] or any(settings["pads"]) or results != (side - width) // 2 + 1:
            raise EngineError("the network's first layer has no int8 form", mend="set precision: fp32")
        # By result, channel, place in the row, colour, row: the second result starts two pixels further right.
        spread = np.zeros((_RESULTS, count, folded_width * _FOLD, inner, height), dtype=np.float32)
        for result in range(_RESULTS):
            spread[result, :, 2 * result : 2 * result + width] = filters.transpose(0, 3, 1, 2)
        spread = spread.reshape(_RESULTS * count, folded_width, _FOLD * inner, height).transpose(0, 2, 3, 1)
        settings |= {"strides": [2, 1], "kernel_shape": [height, folded_width]}
        self._convolution(node, spread, np.tile(bias, _RESULTS), **settings)
        self._folded[node.output[0]] = count

    def _mean(self, node: Any) -> None:
        """Write a mean of windows as a convolution in which each channel sees itself only."""
        settings = self._settings(node)
        height, width = settings["kernel_shape"]
        channels = self._channels(node.input[0])
        filters = np.zeros((channels, channels, height, width), dtype=np.float32)
        filters[np.arange(channels), np.arange(channels)] = 1 / (height * width)
        self._convolution(node, filters, np.zeros(channels, dtype=np.float32), **settings)

    def _channels(self, name: str) -> int:
        """How many channels a value has."""
        node = self._maker[name]
        return len(self._constants[node.input[1]]) if node.op_type == "Conv" else self._channels(node.input[0])

    def _convolution(self, node: Any, filters: NDArray[Any], bias: NDArray[Any], **settings: Any) -> None:
        """Write a convolution with these ``filters`` (out, in, height, width) and ``bias`` in the place of ``node``."""
        name = node.output[0]
        given = self._quantise(node.input[0])
        largest = np.abs(filters).reshape(len(filters), -1).max(axis=1)
        # A channel of nothing but zeros (it fills up a block) has any scale.
        scales = np.where(largest > 0, largest / _LARGEST_WEIGHT, 1).astype(np.float32)
        whole = np.rint(filters / scales[:, None, None, None]).astype(np.int8)
        bias_scales = scales * np.float32(self._scale(node.input[0])[0])
        limit = np.iinfo(np.int32).max - 64  # the next smaller number that a float has
        whole_bias = np.clip(np.rint(bias / bias_scales.astype(np.float64)), -limit, limit).astype(np.int32)
        weights = self._weights(f"{name}_filters", whole, scales)
        offsets = self._weights(f"{name}_bias", whole_bias, bias_scales)
        self._node("Conv", [given, weights, offsets], name, **settings)

    def _weights(self, name: str, whole: NDArray[Any], scales: NDArray[np.float32]) -> str:
        inputs = [
            self._constant(f"{name}_whole", whole),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero", np.zeros(len(scales), whole.dtype)),
        ]
        return self._node("DequantizeLinear", inputs, f"{name}_float", axis=0)

    def _other(self, node: Any) -> None:
        """Write a node whose constants stay what they are."""
        kind = node.op_type
        inputs = []
        for name in node.input:
            if name in self._constants:
                inputs.append(self._constant(name, self._constants[name]))
            elif kind in {"Relu", "Flatten", "MatMul"}:
                inputs.append(name)  # a ReLU becomes part of what it follows; the others work on few numbers, exactly
            else:
                inputs.append(self._quantise(name))
        if kind == "Relu" and node.input[0] in self._folded:
            self._folded[node.output[0]] = self._folded[node.input[0]]
        self._node(kind, inputs, node.output[0], **self._settings(node))

    def _quantise(self, name: str) -> str:
        """Let the value ``name`` be whole numbers; returns the name under which it is read as floats again."""
        if name not in self._as_float:
            _, scale, zero = self._scale(name)
            if name in self._folded:
                source = self._node("QuantizeLinear", [name, scale, zero], f"{name}_folded")
                source = self._node("Transpose", [source], f"{name}_rows", perm=[0, 2, 3, 1])
                source = self._node("Reshape", [source, self._row_shape(self._folded[name])], f"{name}_unfolded")
                self._node("Transpose", [source], f"{name}_bytes", perm=[0, 3, 1, 2])
            else:
                self._node("QuantizeLinear", [name, scale, zero], f"{name}_bytes")
            self._as_float[name] = self._node("DequantizeLinear", [f"{name}_bytes", scale, zero], f"{name}_float")
        return self._as_float[name]

    def _scale(self, name: str) -> tuple[float, str, str]:
        """Return the step of the value ``name``, and the names of the constants for it and for the zero point."""
        if name not in self._scales:
            node = self._maker[name]
            if node.op_type in _SAME_RANGE:
                self._scales[name] = self._scale(node.input[0])
            else:
                low, high = self._range(name)
                step = np.float32(max(high - low, 1e-6) / _LEVELS)
                zero = np.uint8(np.clip(np.rint(-low / step), 0, _LEVELS))
                names = self._constant(f"{name}_scale", step), self._constant(f"{name}_zero", zero)
                self._scales[name] = (float(step), *names)
        return self._scales[name]

    def _range(self, name: str) -> tuple[float, float]:
        self.asked[name] = None
        if self._ranges is None:
            return (0.0, 1.0)
        if name not in self._ranges:
            raise EngineError(
                f"the ranges that ship with OptiMind do not fit the network: {name} has none",
                mend="install OptiMind again, or set precision: fp32",
            )
        low, high = self._ranges[name]
        return min(low, 0.0), max(high, 0.0)  # zero is a whole number of steps, for padding

    def _width(self) -> int:
        """How wide pictures are, 0 where they may have any width."""
        return int(self._model.graph.input[0].type.tensor_type.shape.dim[2].dim_value)

    def _row_shape(self, channels: int) -> str:
        """The shape that makes pixels of ``channels`` of each row, (n, height, width, channels)."""
        return self._constant(f"rows_of_{channels}", np.array([0, 0, -1, channels], dtype=np.int64))

    def _settings(self, node: Any) -> dict[str, Any]:
        return {one.name: self._onnx.helper.get_attribute_value(one) for one in node.attribute}

    def _node(self, kind: str, inputs: list[str], output: str, **settings: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **settings))
        return output

    def _constant(self, name: str, values: Any) -> str:
        if name not in self._written:
            self._written[name] = self._onnx.numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name
