"""The engine ``arcface``: YuNet finds faces, and any network of the ArcFace kind that a description names embeds them.

What was measured of YuNet and what follows from it: faces of 28 to 400 px are found, so a picture is looked at twice,
once as small as leaves the smallest wanted face 28 px, and once so small that a face which fills it has no more than
200. Five points found on so small a face cost accuracy (of right matches 3.9 % are missed at 0.1 % false ones; 2.1 % at
twice the size): the embedder looks at each face once more, larger, which takes that loss away (1.9 %) for 0.8 ms.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from optimind.core.geometry import iou, sizes
from optimind.core.pose import frontality_in
from optimind.plugin_api import (
    Calibration,
    Detections,
    Detector,
    Embedded,
    Embedder,
    EmbedderInfo,
    EngineError,
    Image,
    ModelStore,
    Settings,
    Vectors,
    calibration_of,
    installed_model,
)
from optimind.vision._alignment112 import align, cut, points_in_box
from optimind.vision._embedding_network import EmbeddingNetwork
from optimind.vision._resizing import resized
from optimind.vision._yunet import SMALLEST_PX, YuNet, merged

__all__ = ["ArcFaceDetector", "ArcFaceEmbedder", "ArcFaceSettings"]

LARGEST_PX = 400
"""Larger faces are not all found."""
PORTRAIT_PX = 200
"""The shorter side of the picture at the second look; a face that fills it is well within what YuNet sees."""
LARGEST_ENLARGEMENT = 2.0
"""Beyond this nothing more is found, faces are only blurred further."""
PIXEL_BUDGET = 8_000_000
"""A picture is not looked at with more pixels than these, whatever face is wanted."""
STILL_WANTED = 0.75
"""A face of this much of the smallest wanted one is still told: boxes are a little smaller or larger than faces."""

CLOSER_PX = 160
"""The side of the square in which a face is looked at again before it is embedded."""
CLOSER_FACE_PX = 74
"""How large the face is in it: the geometric mean of its box's sides, for a width of 64 px."""
CLOSER_CONFIDENCE = 0.3
"""It is known already that there is a face."""
SAME_FACE_IOU = 0.3


class ArcFaceSettings(Settings):
    """Which models do the work, by their names in the store, and with how many threads (None: one a core)."""

    detector: str = "yunet"
    embedder: str = "sface"
    threads: Annotated[int | None, Field(ge=1, le=256)] = None
    mirror: bool = True


class ArcFaceDetector(Detector):
    """YuNet, with five landmarks a face. Faces of less than 0.75 of ``min_face_px`` are left out."""

    name: ClassVar[str] = "arcface"
    settings_type: ClassVar[type[Settings]] = ArcFaceSettings

    def __init__(self, network: YuNet, min_face_px: int) -> None:
        self._network = network
        self._min_face_px = min_face_px

    @classmethod
    def create(cls, min_face_px: int, settings: Any) -> Self:
        """Load the detector that ``settings`` name."""
        if min_face_px < 1:
            raise EngineError(f"min_face_px must be at least 1, got {min_face_px}", mend="40 is a good start")
        return cls(_yunet(settings), min_face_px)

    def detect(self, image: Image) -> Detections:
        """Return the faces in ``image``, the surest first; boxes may reach beyond it."""
        return self.glance(image)

    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        """As :meth:`detect`; for faces that are not large once is enough."""
        scale = self._scale(*image.shape[1::-1])
        copies = [resized(image, scale)]
        large = largest_px is None or largest_px * scale > LARGEST_PX
        if large and min(copies[0].shape[:2]) > PORTRAIT_PX:
            # From the first copy: averaging the whole picture once more would take longer than looking at it.
            copies.append(resized(copies[0], PORTRAIT_PX / min(copies[0].shape[:2])))
        faces = merged([_in_pixels_of(image, copy, self._network.detect(copy)) for copy in copies])
        return faces[sizes(faces.xyxy) >= STILL_WANTED * self._min_face_px]

    def finds_from_px(self, width: int, height: int) -> float:
        """How wide a face must be to be found surely, in pixels of a picture of that size."""
        return SMALLEST_PX / self._scale(width, height)

    def _scale(self, width: int, height: int) -> float:
        return min(SMALLEST_PX / self._min_face_px, LARGEST_ENLARGEMENT, math.sqrt(PIXEL_BUDGET / (width * height)))


class ArcFaceEmbedder(Embedder):
    """Any network of the ArcFace kind, on faces aligned by five points, each also mirrored and the two averaged."""

    name: ClassVar[str] = "arcface"
    settings_type: ClassVar[type[Settings]] = ArcFaceSettings

    def __init__(self, info: EmbedderInfo, network: EmbeddingNetwork, yunet: YuNet, *, mirror: bool) -> None:
        self.info = info
        self._network = network
        self._yunet = yunet
        self._mirror = mirror

    @classmethod
    def describe(cls, settings: Any) -> EmbedderInfo:
        """Look whether both networks are here; nothing is loaded."""
        if importlib.util.find_spec("onnxruntime") is None:
            raise EngineError("the engine arcface needs onnxruntime", mend="install what requirements.txt names")
        installed_model(settings.detector, "detector")
        return _info(settings)

    @classmethod
    def settings_for(cls, embedder_id: str, settings: Any) -> Any | None:
        """The same settings with the model of the store that ``embedder_id`` names, also where its file is not here."""
        for model in ModelStore().models():
            if model.description.kind == "embedder" and model.description.model_id == embedder_id:
                return settings.model_copy(update={"embedder": model.name})
        return None

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Load the embedder that ``settings`` name, and the detector to look closer with."""
        model = installed_model(settings.embedder, "embedder")
        network = EmbeddingNetwork(model, threads=settings.threads)
        return cls(_info(settings), network, _yunet(settings), mirror=settings.mirror)

    def embed(self, image: Image, faces: Detections) -> Vectors:
        """Return (n, dimension) float64. Landmarks in ``faces`` serve where none are found by looking closer."""
        return self._vectors(self._chips(image, faces))

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        """As :meth:`embed`, with the faces of all pictures in as few runs as may be; the pose is by ``faces``."""
        vectors = self._vectors(np.concatenate([self._chips(image, faces) for image, faces in pictures]))
        ends = np.cumsum([len(faces) for _, faces in pictures])
        rows = np.split(vectors, ends[:-1])
        return [Embedded(own, frontality_in(faces)) for own, (_, faces) in zip(rows, pictures, strict=True)]

    def calibration(self) -> Calibration | None:
        """The one of these weights: the user's own (``optimind models calibrate``), else one that ships, else None."""
        return calibration_of(self.info.embedder_id)

    def _chips(self, image: Image, faces: Detections) -> Image:
        size_px = self._network.input_size_px
        chips = np.empty((len(faces), size_px, size_px, 3), np.uint8)
        for row, chip in enumerate(chips):
            chip[:] = align(image, self._points(image, faces[row : row + 1]), size_px)
        return chips

    def _vectors(self, chips: Image) -> Vectors:
        vectors = self._network.vectors(chips)
        if self._mirror:
            vectors = (vectors + self._network.vectors(chips[:, :, ::-1])) / 2
        return self._network.comparable(vectors)

    def _points(self, image: Image, face: Detections) -> NDArray[np.float64]:
        """The five points of one face, (5, 2) in pixels of ``image``, found in a square around it."""
        scale = CLOSER_FACE_PX / float(sizes(face.xyxy)[0])
        middle = (face.xyxy[0, :2] + face.xyxy[0, 2:]) / 2
        corner = middle - CLOSER_PX / (2 * scale)
        matrix = np.hstack([np.eye(2) * scale, (-corner * scale)[:, None]])
        found = self._yunet.detect(cut(image, matrix, CLOSER_PX), CLOSER_CONFIDENCE)
        if len(found) and found.landmarks is not None:
            overlap = iou((face.xyxy - np.tile(corner, 2)) * scale, found.xyxy)[0]
            best = int(np.argmax(overlap))
            if overlap[best] >= SAME_FACE_IOU:
                return np.asarray(found.landmarks[best] / scale + corner)
        return points_in_box(face.xyxy[0]) if face.landmarks is None else face.landmarks[0]


def _in_pixels_of(image: Image, copy: Image, found: Detections) -> Detections:
    """Bring what was found in a resized ``copy`` to where it is in ``image``."""
    return found.moved(0, np.array(image.shape[1::-1]) / copy.shape[1::-1])


def _yunet(settings: ArcFaceSettings) -> YuNet:
    return YuNet(installed_model(settings.detector, "detector").file, threads=settings.threads)


def _info(settings: ArcFaceSettings) -> EmbedderInfo:
    description = installed_model(settings.embedder, "embedder").description
    if description.embedding is None:  # the description's own check sees to that; the type checker wants it said
        raise EngineError(f"the model {settings.embedder} says nothing of its embedding", mend="describe it again")
    return EmbedderInfo(description.model_id, description.embedding.dimension)
