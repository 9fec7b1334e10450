"""Runs a network of the ArcFace kind as its description says: chips in, vectors on OptiMind's scale out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import EngineError, Model, Vectors, open_session
from optimind.vision._quick_graph import quick_graph

__all__ = ["EmbeddingNetwork"]

AT_ONCE = 16
"""Chips in one run: more are no faster, and need more memory."""


class EmbeddingNetwork:
    """The loaded network of ``model``. Not thread-safe."""

    def __init__(self, model: Model, *, threads: int | None) -> None:
        """Raises :class:`EngineError` where the network cannot be read or is not what its description says."""
        told = model.description.embedding
        if told is None:
            raise EngineError(f"the model {model.name} is no embedder", mend="name another one as embedder")
        self._name, self._told = model.name, told
        self._session = open_session(quick_graph(model.file, model.description.sha256), threads=threads)
        inputs = {tensor.name: tensor for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor for tensor in self._session.get_outputs()}
        self._input = told.input or next(iter(inputs))
        self._output = told.output or next(iter(outputs))
        if self._input not in inputs or self._output not in outputs:
            raise self._unlike(f"it has the inputs {', '.join(inputs)} and the outputs {', '.join(outputs)}")
        shape = inputs[self._input].shape
        wanted = (None, 3, told.input_size_px, told.input_size_px)
        if len(shape) != 4 or any(isinstance(a, int) and a != b for a, b in zip(shape[1:], wanted[1:], strict=True)):
            raise self._unlike(f"it takes {shape}, and (n, {', '.join(map(str, wanted[1:]))}) is described")
        if inputs[self._input].type != "tensor(float)":
            raise self._unlike(f"it takes {inputs[self._input].type}, not 32-bit floats")
        # Many networks take one face at a time only, and say so in their shape.
        self._fixed = shape[0] if isinstance(shape[0], int) else None
        self._mean = np.asarray(told.mean, np.float32).reshape(-1, 1, 1)

    @property
    def input_size_px(self) -> int:
        """The side of the chips that it takes."""
        return self._told.input_size_px

    def vectors(self, chips: NDArray[np.uint8]) -> Vectors:
        """Return what the network says of ``chips`` (n, size, size, 3) BGR: (n, dimension) float64, as it comes."""
        ordered = chips[..., ::-1] if self._told.channels == "RGB" else chips
        step = self._fixed or AT_ONCE
        rows = [self._run(ordered[first : first + step]) for first in range(0, len(ordered), step)]
        return np.concatenate([np.empty((0, self._told.dimension)), *rows])

    def comparable(self, vectors: Vectors) -> Vectors:
        """Bring ``vectors`` to the scale on which 0.6 divides one person's pictures from those of two."""
        if self._told.metric == "cosine":
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(lengths, 1e-12)
        return vectors * self._told.factor

    def _run(self, chips: NDArray[np.uint8]) -> Vectors:
        count = len(chips)
        values = (chips.transpose(0, 3, 1, 2).astype(np.float32) - self._mean) * np.float32(self._told.scale)
        if self._fixed is not None and count < self._fixed:
            values = np.concatenate([values, np.zeros((self._fixed - count, *values.shape[1:]), np.float32)])
        (given,) = self._session.run([self._output], {self._input: np.ascontiguousarray(values)})
        rows = np.asarray(given, dtype=np.float64).reshape(len(values), -1)[:count]
        if rows.shape[1] != self._told.dimension:
            raise self._unlike(f"it gives {rows.shape[1]} numbers a face, and {self._told.dimension} are described")
        if not np.isfinite(rows).all():
            raise self._unlike("it gives numbers that are not finite")
        return rows

    def _unlike(self, what: str) -> EngineError:
        return EngineError(
            f"the network of the model {self._name} is not as described: {what}",
            mend="correct its description and give it to `models add` again",
        )
