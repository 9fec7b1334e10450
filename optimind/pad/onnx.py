"""The check ``onnx``: any network that tells live faces from pictures of them, described by data.

docs/models.md shows a description. A track costs a few runs of the network, whatever it does; their mean decides.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from optimind.plugin_api import (
    EngineError,
    Image,
    Model,
    PadCheck,
    PadState,
    PadVerdict,
    Settings,
    installed_model,
    open_session,
)

__all__ = ["LivenessNetwork", "OnnxCheck", "OnnxSettings", "cut_around"]


class OnnxSettings(Settings):
    """Which model does the work, how many pictures of a track it sees (their mean decides), and with how many threads.

    ``threshold`` takes the place of the one in the model's description: below it a face is suspected, 0-1.
    """

    model: str = "minifasnet-v2"
    looks: Annotated[int, Field(ge=1, le=50)] = 5
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    threads: Annotated[int | None, Field(ge=1, le=256)] = None


class LivenessNetwork:
    """The loaded network of ``model``. Not thread-safe."""

    def __init__(self, model: Model, *, threads: int | None) -> None:
        """Raises :class:`EngineError` where the network cannot be read or is not what its description says."""
        told = model.description.pad
        if told is None:  # the description's own check sees to that; the type checker wants it said
            raise EngineError(f"the model {model.name} says nothing of how it is fed", mend="describe it again")
        self.told, self._name = told, model.name
        self._session = open_session(model.file, threads=threads)
        inputs = {tensor.name: tensor for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor for tensor in self._session.get_outputs()}
        self._input = told.input or next(iter(inputs))
        self._output = told.output or next(iter(outputs))
        if self._input not in inputs or self._output not in outputs:
            raise self._unlike(f"it has the inputs {', '.join(inputs)} and the outputs {', '.join(outputs)}")
        shape, wanted = inputs[self._input].shape, (1, 3, told.input_size_px, told.input_size_px)
        if len(shape) != 4 or any(isinstance(a, int) and a != b for a, b in zip(shape, wanted, strict=True)):
            raise self._unlike(f"it takes {shape}, and {list(wanted)} is described")
        if inputs[self._input].type != "tensor(float)":
            raise self._unlike(f"it takes {inputs[self._input].type}, not 32-bit floats")
        self._mean = np.asarray(told.mean, np.float32)
        self._scale = np.asarray(told.scale, np.float32)

    def liveness(self, image: Image, box: tuple[float, float, float, float]) -> float | None:
        """How surely the face in ``box`` (xyxy pixels) of ``image`` is a living one, 0-1; None: it is not in it."""
        part = cut_around(image, box, self.told.crop_scale)
        if part is None:
            return None
        size = (self.told.input_size_px, self.told.input_size_px)
        small = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        ordered = small[..., ::-1] if self.told.channels == "RGB" else small
        values = (ordered.astype(np.float32) - self._mean) * self._scale
        (given,) = self._session.run(
            [self._output], {self._input: np.ascontiguousarray(values.transpose(2, 0, 1)[None])}
        )
        return self._probability(np.asarray(given, dtype=np.float64).reshape(-1))

    def _probability(self, given: NDArray[np.float64]) -> float:
        if len(given) <= self.told.bona_fide:
            raise self._unlike(f"it gives {len(given)} numbers, and bona_fide is {self.told.bona_fide} (from 0)")
        if not np.isfinite(given).all():
            raise self._unlike("it gives numbers that are not finite")
        match self.told.activation:
            case "softmax":
                raised = np.exp(given - given.max())
                found = raised / raised.sum()
            case "sigmoid":
                found = 1 / (1 + np.exp(-np.clip(given, -50, 50)))
            case "none":
                found = given
        return float(np.clip(found[self.told.bona_fide], 0, 1))

    def _unlike(self, what: str) -> EngineError:
        return EngineError(
            f"the network of the model {self._name} is not as described: {what}",
            mend="correct its description and give it to `models add` again",
        )


def cut_around(image: Image, box: tuple[float, float, float, float], scale: float) -> Image | None:
    """The part of ``image`` that is ``scale`` times as wide and high as ``box`` (xyxy pixels) and around it.

    Where it would reach beyond the picture it is moved inside, and made smaller where that is not enough. None where
    the face's middle is not in the picture.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    if not (0 <= x < width and 0 <= y < height and right > left and bottom > top):
        return None
    scale = min(scale, width / (right - left), height / (bottom - top))
    across, down = max(1, round(scale * (right - left))), max(1, round(scale * (bottom - top)))
    first_x = min(max(0, round(x - across / 2)), width - across)
    first_y = min(max(0, round(y - down / 2)), height - down)
    return image[first_y : first_y + down, first_x : first_x + across]


class OnnxCheck(PadCheck):
    """Shows a few pictures of each track to the network."""

    name: ClassVar[str] = "onnx"
    settings_type: ClassVar[type[Settings]] = OnnxSettings
    interval_s = 1.0

    def __init__(self, network: LivenessNetwork, *, looks: int, threshold: float) -> None:
        self._network = network
        self._looks = looks
        self._threshold = threshold
        self._tracks: dict[str, list[float]] = {}

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Load the network that ``settings`` name."""
        network = LivenessNetwork(installed_model(settings.model, "pad"), threads=settings.threads)
        threshold = network.told.threshold if settings.threshold is None else settings.threshold
        return cls(network, looks=settings.looks, threshold=threshold)

    def observe(self, track: str, image: Image, box: tuple[float, float, float, float], at: datetime) -> PadVerdict:  # noqa: ARG002 - one picture is as good as another
        """Ask the network, unless it has seen enough of this face."""
        values = self._tracks.setdefault(track, [])
        if len(values) < self._looks:
            value = self._network.liveness(image, box)
            if value is not None:
                values.append(value)
        return self._verdict(values)

    def forget(self, track: str) -> None:
        """Drop what is known of ``track``."""
        self._tracks.pop(track, None)

    def _verdict(self, values: list[float]) -> PadVerdict:
        liveness = float(np.mean(values)) if values else 0.5
        if len(values) < self._looks:
            return PadVerdict(liveness=liveness)
        if liveness >= self._threshold:
            return PadVerdict(state=PadState.BONA_FIDE, liveness=liveness, is_final=True)
        reason = f"the network for presentation attacks took the face for a picture ({liveness:.2f} of 1)"
        return PadVerdict(state=PadState.SUSPECTED, liveness=liveness, reason=reason, is_final=True)
