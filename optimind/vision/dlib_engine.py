"""The engine ``dlib``: dlib's own networks and landmarks, read from its weights and run by ONNX Runtime.

It needs neither dlib nor a compiler and fetches nothing: the weights come with the package face_recognition_models. The
networks are converted once and kept (:mod:`optimind.vision._graph_cache`). What was measured of the MMOD detector and
what follows from it: its window is 80 px, and of faces as wide as 66 px it finds 140 of 140, of 60 px 129, of 55 px 59
(the photographs of 140 people, made smaller), so the picture is resized to make the smallest wanted face 66 px wide.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from optimind.core.geometry import Boxes
from optimind.core.pose import frontality_of
from optimind.plugin_api import (
    Calibration,
    Detections,
    Detector,
    Embedded,
    Embedder,
    EmbedderInfo,
    EngineError,
    Image,
    Settings,
    Vectors,
    calibration_of,
)
from optimind.vision._chips import face_chips
from optimind.vision._dlib_files import DETECTOR, EMBEDDER, LANDMARKS
from optimind.vision._dlib_graphs import CONVERTER, EMBEDDING_SIZE
from optimind.vision._dlib_trees import pack_shape_predictor, read_shape_predictor, unpack_shape_predictor
from optimind.vision._dlib_weights import read_network
from optimind.vision._forms import MMOD, RESNET, Precision, form_for, open_exact_pieces, open_form
from optimind.vision._graph_cache import kept_or_made
from optimind.vision._landmarks5 import Landmarks5
from optimind.vision._mmod import Mmod
from optimind.vision._resizing import resized

__all__ = ["DlibDetector", "DlibEmbedder", "DlibSettings"]

SMALLEST_PX: Final = 66
"""The narrowest face that the detector finds as surely as a larger one."""
LARGEST_ENLARGEMENT: Final = 2.0
"""Beyond this nothing more is found, faces are only blurred further."""
PIXEL_BUDGET: Final = 6_000_000
"""A picture is not looked at with more pixels than these, whatever face is wanted: that takes a second."""
NEARLY_A_FACE: Final = 0.6
"""Of 102 photographs of several people 95 show more than one face of this much less confidence in a copy where the main
one is 80 px wide, 85 of the full one; of 600 portraits 3 % and 2 %."""
CHIPS_AT_ONCE: Final = 16
"""Chips in one run of the network: more are no faster, and need more memory."""


Search = Callable[[Image, float], tuple[Boxes, NDArray[np.float64]]]
"""From a picture and a least confidence to boxes (n, 4) and confidences (n,)."""


class DlibSettings(Settings):
    """``threads`` is for each network (None: one a core); ``mirror``: each face is embedded mirrored as well.

    ``precision`` is the form of the networks: exactly dlib's (``fp32``), one that is faster on most processors and a
    little off (``int8``), or the one that is faster here (``auto``). Embeddings of both can be compared.
    ``min_confidence`` is dlib's ``adjust_threshold``: 0 finds what dlib finds, less finds more, and more that are none.
    """

    threads: Annotated[int | None, Field(ge=1, le=256)] = None
    mirror: bool = True
    precision: Precision = "auto"
    min_confidence: Annotated[float, Field(ge=-1, le=2)] = 0.0


class DlibDetector(Detector):
    """MMOD faces, the surest first, with how far they look into the camera. May be shared by threads.

    dlib's five points are not those of :class:`Detections`, so no landmarks are given.
    """

    name: ClassVar[str] = "dlib"
    settings_type: ClassVar[type[Settings]] = DlibSettings

    def __init__(self, network: Mmod, landmarks: Landmarks5, min_face_px: int, min_confidence: float) -> None:
        self._network = network
        self._landmarks = landmarks
        self._min_face_px = min_face_px
        self._min_confidence = min_confidence

    @classmethod
    def create(cls, min_face_px: int, settings: Any) -> Self:
        """Load the network, converting it at the first time; ``settings`` is a :class:`DlibSettings`."""
        if min_face_px < 1:
            raise EngineError(f"min_face_px must be at least 1, got {min_face_px}", mend="40 is a good start")
        network = read_network(DETECTOR.read(), DETECTOR.name)
        if network.windows is None:
            raise EngineError(f"{DETECTOR.name} holds no detector", mend="install face_recognition_models again")
        form = form_for(MMOD, settings.precision)
        exact = open_exact_pieces(threads=settings.threads) if form == "int8" else None
        mmod = Mmod(open_form(MMOD, form, threads=settings.threads), network.windows, exact)
        return cls(mmod, _landmarks(), min_face_px, settings.min_confidence)

    def detect(self, image: Image) -> Detections:
        """Return the faces in ``image``; boxes lie inside it. The confidence of a clear face is about 1."""
        faces = self._found(image, self._network.detect, self._min_confidence)
        return dataclasses.replace(faces, frontality=self.pose(image, faces))

    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        """Return the faces as the network's fast form alone sees them, without the pose.

        Where it runs in fp32 and ``largest_px`` is None they are those of :meth:`detect`.
        """
        scale = self._scale(*image.shape[1::-1])
        largest = None if largest_px is None else largest_px * scale
        search = functools.partial(self._network.glance, largest_px=largest)
        return self._found(image, search, self._min_confidence)

    def pose(self, image: Image, faces: Detections) -> NDArray[np.float64]:
        """Return how far each of ``faces`` looks into the camera, by dlib's points: (n,)."""
        (points,) = self._landmarks.find([(image, _whole_pixels(faces, image))])
        return _frontality(points)

    def find_portrait(self, image: Image) -> Detections:
        """Return the faces as the network's fast form alone sees them, without the pose, and what is nearly a face."""
        faces = self._found(image, self._network.glance, self._min_confidence - NEARLY_A_FACE)
        return faces if (faces.confidence > self._min_confidence).any() else Detections.empty()

    def _found(self, image: Image, search: Search, min_confidence: float) -> Detections:
        """Return what ``search`` finds in a copy of the right size, in pixels of ``image`` and inside it."""
        height, width = image.shape[:2]
        seen = resized(image, self._scale(width, height))
        boxes, confidence = search(seen, min_confidence)
        boxes *= np.tile([width / seen.shape[1], height / seen.shape[0]], 2)
        boxes = np.clip(boxes, 0, np.tile([width, height], 2))
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Detections(boxes[inside], confidence[inside])

    def finds_from_px(self, width: int, height: int) -> float:
        """How wide a face must be to be found as surely as a larger one, in pixels of a picture of that size."""
        return SMALLEST_PX / self._scale(width, height)

    def _scale(self, width: int, height: int) -> float:
        within_budget = math.sqrt(PIXEL_BUDGET / (width * height))
        return min(SMALLEST_PX / self._min_face_px, LARGEST_ENLARGEMENT, within_budget)


class DlibEmbedder(Embedder):
    """dlib's ResNet on faces aligned by five points. Embeddings are not normalised; compared by Euclidean distance.

    Each face is also embedded mirrored and the two averaged, unless the settings say otherwise. May be shared by
    threads.
    """

    name: ClassVar[str] = "dlib"
    settings_type: ClassVar[type[Settings]] = DlibSettings
    info = EmbedderInfo("dlib-resnet-v1", EMBEDDING_SIZE)

    def __init__(self, session: Any, landmarks: Landmarks5, *, mirror: bool) -> None:
        """``session`` is ONNX Runtime's, of what :func:`~optimind.vision._dlib_graphs.resnet_graph` writes."""
        self._session = session
        self._landmarks = landmarks
        self._mirror = mirror

    @classmethod
    def describe(cls, settings: Any) -> EmbedderInfo:  # noqa: ARG003 - they make no difference
        """Look whether the weights are installed; nothing is loaded."""
        for file in (EMBEDDER, LANDMARKS, DETECTOR):
            file.path()
        return cls.info

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Load the network, converting it at the first time; ``settings`` is a :class:`DlibSettings`."""
        session = open_form(RESNET, form_for(RESNET, settings.precision), threads=settings.threads)
        return cls(session, _landmarks(), mirror=settings.mirror)

    def embed(self, image: Image, faces: Detections) -> Vectors:
        """Return (n, 128) float64. Landmarks in ``faces`` are not used: the network wants those of dlib's predictor."""
        return self._vectors(self.chips(image, faces))

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        """Return what :meth:`embed` does and each face's frontality, by the same points.

        Points and vectors are those of the faces of all pictures in as few runs as may be.
        """
        found = self._landmarks.find([(image, _whole_pixels(faces, image)) for image, faces in pictures])
        chips = [_chips(image, points) for (image, _), points in zip(pictures, found, strict=True)]
        ends = np.cumsum([len(points) for points in found])
        rows = np.split(self._vectors(np.concatenate(chips)), ends[:-1])
        return [Embedded(own, _frontality(points)) for own, points in zip(rows, found, strict=True)]

    def chips(self, image: Image, faces: Detections) -> Image:
        """Return the faces as the network sees them: (n, 150, 150, 3) BGR."""
        (points,) = self._landmarks.find([(image, _whole_pixels(faces, image))])
        return _chips(image, points)

    def calibration(self) -> Calibration | None:
        """The shipped one of these weights, which the engine ``face_recognition`` has too."""
        return calibration_of(self.info.embedder_id)

    def _vectors(self, chips: Image) -> Vectors:
        if self._mirror:
            chips = _with_mirror_images(chips)
        runs = [chips[start : start + CHIPS_AT_ONCE] for start in range(0, len(chips), CHIPS_AT_ONCE)]
        rows = [np.empty((0, EMBEDDING_SIZE)), *(self._session.run(None, {"chips": run})[0] for run in runs)]
        vectors = np.concatenate(rows, dtype=np.float64)
        return np.asarray((vectors[0::2] + vectors[1::2]) / 2) if self._mirror else vectors


def _chips(image: Image, points: NDArray[np.float64]) -> Image:
    # In whole pixels, as dlib has them: the network learned from chips that were cut so.
    return face_chips(image, np.floor(points + 0.5))


def _with_mirror_images(chips: Image) -> Image:
    """Return each chip and, next to it, its mirror image, so that one face needs one run."""
    both = np.empty((2 * len(chips), *chips.shape[1:]), dtype=np.uint8)
    both[0::2] = chips
    for chip, mirrored in zip(chips, both[1::2], strict=True):
        cv2.flip(chip, 1, dst=mirrored)
    return both


def _frontality(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """What dlib's ``points`` (n, 5, 2) tell of the pose: (n,)."""
    left, right = points[:, 2:4].mean(axis=1), points[:, :2].mean(axis=1)
    return frontality_of(left, right, points[:, 4])


@functools.cache
def _landmarks() -> Landmarks5:
    """Load what finds the five points, once for detector and embedder; its file is read at the first time only, which
    takes most of a second.
    """
    tables = kept_or_made(
        LANDMARKS.sha256,
        f"landmarks-{CONVERTER}",
        lambda: pack_shape_predictor(read_shape_predictor(LANDMARKS.read(), LANDMARKS.name)),
    )
    return Landmarks5(unpack_shape_predictor(tables))


def _whole_pixels(faces: Detections, image: Image) -> NDArray[np.intp]:
    """Return the boxes as whole pixels (n, 4), clipped to the picture and at least one pixel large."""
    corner = np.array(image.shape[1::-1])
    low = np.clip(np.rint(faces.xyxy[:, :2]).astype(np.intp), 0, corner - 1)
    high = np.clip(np.rint(faces.xyxy[:, 2:]).astype(np.intp), low + 1, corner)
    return np.hstack([low, high])
