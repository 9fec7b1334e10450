"""Writes dlib's two networks as ONNX graphs: what runs them afterwards knows nothing of dlib.

They take pictures as OptiMind has them (BGR, ``uint8``, rows of pixels); the scaling of the pixels is part of the first
convolution, and affine layers are part of the convolution before them. The package ``onnx`` is needed here only, once
for each file of weights: what comes out is kept (:mod:`optimind.vision._graph_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import EngineError
from optimind.vision._chips import CHIP_PX
from optimind.vision._dlib_weights import (
    Activation,
    Addition,
    Affine,
    Convolution,
    FullyConnected,
    Layer,
    Network,
    Pool,
)
from optimind.vision._onnx import onnx_package

__all__ = ["CONVERTER", "EMBEDDING_SIZE", "detector_graph", "resnet_graph"]

CONVERTER: Final = 2
"""Raised when the graphs change, so that kept ones are converted again."""
EMBEDDING_SIZE: Final = 128

_BLOCK: Final = 16
"""ONNX Runtime works on this many channels at once; a convolution to 45 of them is slower than one to 48."""
_OPSET: Final = 17
_IR_VERSION: Final = 8
_PIXEL_SCALE: Final = 256.0


@dataclass(frozen=True, slots=True)
class _Planes:
    """A value in the graph: (n, ``channels``, ``side_px``, ``side_px``); ``side_px`` None where the picture says it."""

    name: str
    channels: int
    side_px: int | None


def resnet_graph(network: Network) -> bytes:
    """Return the embedding network: ``chips`` (n, 150, 150, 3) uint8 BGR to ``embeddings`` (n, 128) float32.

    ``network`` is the one of dlib_face_recognition_resnet_model_v1.dat; another raises :class:`EngineError`.
    """
    graph = _Graph()
    planes = skip = graph.pictures("chips", CHIP_PX)
    ends_block = False
    for layer in _folded(network):
        match layer:
            case Convolution():
                planes = graph.convolution(planes, layer)
            case Activation():
                planes = graph.activation(planes)
                skip = planes if ends_block else skip
            case Pool(is_max=False, size=(height, _)) if height:
                # A block that halves the picture does it to what passes by as well.
                skip = graph.pool(skip, layer)
            case Pool():
                planes = skip = graph.pool(planes, layer)
            case Addition():
                planes = graph.sum_of(planes, skip)
            case FullyConnected():
                planes = graph.product(planes, layer)
            case Affine():
                raise _unexpected(layer)
        ends_block = isinstance(layer, Addition)
    if (planes.channels, planes.side_px) != (EMBEDDING_SIZE, 1):
        raise _unexpected(network.layers[-1])
    return graph.serialised(planes, "embeddings", ("n", EMBEDDING_SIZE))


def detector_graph(network: Network) -> bytes:
    """Return the detector: ``pictures`` (n, height, width, 3) uint8 BGR to ``peaks`` (n, 1, rows, columns) float32.

    A peak at (row, column) is the confidence that the window whose middle is at x = 8 * column + 14, y = 8 * row + 14
    holds a face. A picture must be at least 29 pixels high and wide. ``network`` is the one of
    mmod_human_face_detector.dat; another raises :class:`EngineError`.
    """
    graph = _Graph()
    planes = graph.pictures("pictures", None)
    *layers, last = _folded(network)
    for layer in layers:
        match layer:
            case Convolution():
                planes = graph.convolution(planes, _in_blocks(layer, planes.channels))
            case Activation():
                planes = graph.activation(planes)
            case _:
                raise _unexpected(layer)
    if not isinstance(last, Convolution):
        raise _unexpected(last)
    for part in _row_by_row(last, planes.channels):
        planes = graph.convolution(planes, part)
    return graph.serialised(planes, "peaks", ("n", 1, "rows", "columns"))


class _Graph:
    """Collects nodes and constants, and writes them down."""

    def __init__(self) -> None:
        self._onnx = onnx_package()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def pictures(self, name: str, side_px: int | None) -> _Planes:
        """Declare the input ``name``: (n, side, side, 3) uint8, of any height and width where ``side_px`` is None."""
        kinds = self._onnx.TensorProto
        shape = ["n", side_px or "height", side_px or "width", 3]
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, kinds.UINT8, shape))
        values = self._node("Cast", name, to=kinds.FLOAT)
        return _Planes(self._node("Transpose", values, perm=[0, 3, 1, 2]), 3, side_px)

    def convolution(self, planes: _Planes, layer: Convolution) -> _Planes:
        filters = layer.filters
        if filters.shape[1] != planes.channels:
            raise _unexpected(layer)
        name = self._node(
            "Conv",
            planes.name,
            self._constant(filters),
            self._constant(layer.bias),
            kernel_shape=filters.shape[2:],
            strides=layer.stride,
            pads=layer.padding * 2,
        )
        return _Planes(name, len(filters), _side(planes, filters.shape[2], layer))

    def activation(self, planes: _Planes) -> _Planes:
        return _Planes(self._node("Relu", planes.name), planes.channels, planes.side_px)

    def pool(self, planes: _Planes, layer: Pool) -> _Planes:
        if not any(layer.size):
            return _Planes(self._node("GlobalAveragePool", planes.name), planes.channels, 1)
        kind = "MaxPool" if layer.is_max else "AveragePool"
        name = self._node(kind, planes.name, kernel_shape=layer.size, strides=layer.stride, pads=layer.padding * 2)
        return _Planes(name, planes.channels, _side(planes, layer.size[0], layer))

    def product(self, planes: _Planes, layer: FullyConnected) -> _Planes:
        if layer.matrix.shape != (planes.channels, EMBEDDING_SIZE):
            raise _unexpected(layer)
        flat = self._node("Flatten", planes.name)
        return _Planes(self._node("MatMul", flat, self._constant(layer.matrix)), EMBEDDING_SIZE, 1)

    def sum_of(self, a: _Planes, b: _Planes) -> _Planes:
        """Add two values; what one lacks in channels, or at the right and the bottom, counts as zero."""
        if a.side_px is None or b.side_px is None:
            raise ValueError("only planes of a known size can be added")
        channels, side_px = max(a.channels, b.channels), max(a.side_px, b.side_px)
        grown = [self._grown(planes, channels - planes.channels, side_px - (planes.side_px or 0)) for planes in (a, b)]
        return _Planes(self._node("Add", *grown), channels, side_px)

    def _grown(self, planes: _Planes, channels: int, side_px: int) -> str:
        if not (channels or side_px):
            return planes.name
        ends = np.array([0, 0, 0, 0, 0, channels, side_px, side_px], dtype=np.int64)
        return self._node("Pad", planes.name, self._constant(ends))

    def _node(self, kind: str, *inputs: str, **settings: Any) -> str:
        name = f"value_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **settings))
        return name

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def serialised(self, planes: _Planes, output: str, shape: tuple[int | str, ...]) -> bytes:
        """Return the model, whose only result is ``planes`` under the name ``output``."""
        helper = self._onnx.helper
        last = next(node for node in self._nodes if node.output[0] == planes.name)
        last.output[0] = output
        graph = helper.make_graph(
            self._nodes,
            "dlib",
            self._inputs,
            [helper.make_tensor_value_info(output, self._onnx.TensorProto.FLOAT, shape)],
            self._constants,
        )
        model = helper.make_model(
            graph, producer_name="optimind", opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return bytes(model.SerializeToString())


def _side(planes: _Planes, window: int, layer: Convolution | Pool) -> int | None:
    if planes.side_px is None:
        return None
    return (planes.side_px + 2 * layer.padding[0] - window) // layer.stride[0] + 1


def _folded(network: Network) -> list[Layer]:
    """Return the layers with each affine put into the convolution before it, the first one made to take plain BGR."""
    layers: list[Layer] = []
    for layer in network.layers:
        before = layers[-1] if layers else None
        if not isinstance(layer, Affine):
            layers.append(layer)
        elif isinstance(before, Convolution) and len(before.bias) == len(layer.gain):
            layers[-1] = _scaled(before, layer)
        else:
            raise _unexpected(layer)
    first = layers[0] if layers else None
    if not isinstance(first, Convolution) or first.filters.shape[1] != 3 or any(first.padding):
        raise _unexpected(first)
    layers[0] = _for_pixels(first, network.mean_rgb)
    return layers


def _in_blocks(layer: Convolution, inner: int) -> Convolution:
    """Give the layer silent channels, until it takes ``inner`` and returns whole blocks."""
    filters, outer = layer.filters, len(layer.filters)
    grown = -outer % _BLOCK
    if filters.shape[1] > inner:
        raise _unexpected(layer)
    return Convolution(
        np.pad(filters, ((0, grown), (0, inner - filters.shape[1]), (0, 0), (0, 0))),
        np.pad(layer.bias, (0, grown)),
        layer.stride,
        layer.padding,
    )


def _row_by_row(layer: Convolution, inner: int) -> tuple[Convolution, Convolution]:
    """Split a convolution to one channel: each row of its filter becomes a channel, and a second one adds them up.

    Alone it would take as long as one to a whole block of channels, seven times what the two take together.
    """
    rows = layer.filters.shape[2]
    if len(layer.filters) != 1 or layer.filters.shape[1] > inner or rows > _BLOCK or layer.stride != (1, 1):
        raise _unexpected(layer)
    each_row = np.zeros((_BLOCK, inner, 1, layer.filters.shape[3]), dtype=np.float32)
    each_row[:rows, : layer.filters.shape[1], 0] = layer.filters[0].transpose(1, 0, 2)
    added_up = np.zeros((1, _BLOCK, rows, 1), dtype=np.float32)
    added_up[0, range(rows), range(rows)] = 1
    return (
        Convolution(each_row, np.zeros(_BLOCK, dtype=np.float32), (1, 1), (0, layer.padding[1])),
        Convolution(added_up, layer.bias, (1, 1), (layer.padding[0], 0)),
    )


def _scaled(layer: Convolution, affine: Affine) -> Convolution:
    gain = affine.gain.astype(np.float64)
    filters = (layer.filters * gain[:, None, None, None]).astype(np.float32)
    bias = (layer.bias * gain + affine.offset).astype(np.float32)
    return Convolution(filters, bias, layer.stride, layer.padding)


def _for_pixels(layer: Convolution, mean_rgb: tuple[float, float, float]) -> Convolution:
    """Let the first convolution, which has no padding, take BGR from 0 to 255."""
    filters = layer.filters.astype(np.float64) / _PIXEL_SCALE
    bias = layer.bias - np.einsum("oihw,i->o", filters, np.array(mean_rgb))
    return Convolution(filters[:, ::-1].astype(np.float32), bias.astype(np.float32), layer.stride, layer.padding)


def _unexpected(layer: Layer | None) -> EngineError:
    return EngineError(
        f"the weights hold another network than expected ({type(layer).__name__} where it does not fit)",
        mend="install the weights again: pip install --force-reinstall --no-deps face_recognition_models",
    )
