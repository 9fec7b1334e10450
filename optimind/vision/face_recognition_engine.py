"""The engine ``face_recognition``: the library of that name, unchanged. Faster engines must agree with it.

What was measured of its HOG detector and what follows from it: a face narrower than 80 px is not found, so the picture
is resized to make the smallest wanted face that wide; a grey picture gives the same faces as a coloured one in 0.6 of
the time; two threads in the library at once crash the process, so one lock guards every call.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import threading
import warnings
from types import ModuleType
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from optimind.plugin_api import (
    Calibration,
    Detections,
    Detector,
    Embedder,
    EmbedderInfo,
    EngineError,
    Image,
    Vectors,
    calibration_of,
)

__all__ = ["FaceRecognitionDetector", "FaceRecognitionEmbedder"]

HOG_WINDOW_PX = 80
"""The narrowest face that the library's detector sees."""
LARGEST_ENLARGEMENT = 2.0
"""Beyond this nothing more is found, faces are only blurred further."""
PIXEL_BUDGET = 16_000_000
"""A picture is not enlarged beyond this many pixels: about 1.5 s of work and 0.6 GB of memory."""

_MEND = "python -m pip install --no-deps -r requirements-face-recognition.txt (or: make setup)"
_one_call_at_a_time = threading.Lock()


def _library() -> ModuleType:
    """Import face_recognition; raises :class:`EngineError` where it, dlib or the weights are missing."""
    mend = _MEND
    try:
        with _one_call_at_a_time, warnings.catch_warnings():
            # The package of weights looks its files up through pkg_resources, which only warns that it is old.
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
            # The weights first: where they fail, face_recognition prints a wrong advice and ends the process.
            importlib.import_module("face_recognition_models")
            return importlib.import_module("face_recognition")
    except ModuleNotFoundError as error:
        if error.name == "pkg_resources":
            mend = 'pip install "setuptools<81"'
        raise EngineError(f"the engine face_recognition cannot start: {error}", mend=mend) from error
    except (ImportError, RuntimeError, OSError, SystemExit) as error:
        raise EngineError(f"the engine face_recognition cannot start: {error}", mend=mend) from error


class FaceRecognitionDetector(Detector):
    """HOG faces. The library tells no confidence, so every face has 1.0; it gives no landmarks."""

    name: ClassVar[str] = "face_recognition"

    def __init__(self, library: ModuleType, min_face_px: int) -> None:
        self._library = library
        self._min_face_px = min_face_px

    @classmethod
    def create(cls, min_face_px: int, settings: Any = None) -> Self:  # noqa: ARG003 - there are none
        """Load the library; there is nothing to set. Faces below 40 px are not found, whatever ``min_face_px`` says."""
        if min_face_px < 1:
            raise EngineError(f"min_face_px must be at least 1, got {min_face_px}", mend="40 is a good start")
        return cls(_library(), min_face_px)

    def detect(self, image: Image) -> Detections:
        """Return the faces in ``image``; boxes lie inside it. May be called by several threads: one works at a time."""
        height, width = image.shape[:2]
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        scale = self._scale(width, height)
        if scale != 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA)
        with _one_call_at_a_time:
            found = self._library.face_locations(grey, number_of_times_to_upsample=0, model="hog")
        # The library's order is top, right, bottom, left.
        css = np.array(found, dtype=np.float64).reshape(-1, 4)
        back = np.array([width / grey.shape[1], height / grey.shape[0]] * 2)
        xyxy = css[:, [3, 0, 1, 2]] * back
        xyxy = xyxy[(xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)]
        return Detections(xyxy, np.ones(len(xyxy)))

    def finds_from_px(self, width: int, height: int) -> float:
        """How wide a face must be to be seen by the library's window, in pixels of a picture of that size."""
        return HOG_WINDOW_PX / self._scale(width, height)

    def _scale(self, width: int, height: int) -> float:
        scale = min(HOG_WINDOW_PX / self._min_face_px, LARGEST_ENLARGEMENT)
        within_budget = math.sqrt(PIXEL_BUDGET / (width * height))
        return min(scale, max(1.0, within_budget))


class FaceRecognitionEmbedder(Embedder):
    """dlib's ResNet behind the 5-point aligner. Embeddings are not normalised; compared by Euclidean distance."""

    name: ClassVar[str] = "face_recognition"
    info = EmbedderInfo("dlib-resnet-v1", 128)

    def __init__(self, library: ModuleType) -> None:
        self._library = library

    @classmethod
    def describe(cls, settings: Any = None) -> EmbedderInfo:  # noqa: ARG003 - there are none
        """Look whether the library is installed, without loading it."""
        absent = [name for name in ("dlib", "face_recognition") if importlib.util.find_spec(name) is None]
        if absent:
            raise EngineError(f"the engine face_recognition cannot start: {' and '.join(absent)} missing", mend=_MEND)
        return cls.info

    @classmethod
    def create(cls, settings: Any = None) -> Self:  # noqa: ARG003 - there are none
        """Load the library; there is nothing to set."""
        return cls(_library())

    def embed(self, image: Image, faces: Detections) -> Vectors:
        """Return (n, 128) float64. Landmarks in ``faces`` are not used: the library finds its own five points."""
        if not len(faces):
            return np.empty((0, self.info.dimension))
        height, width = image.shape[:2]
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        with _one_call_at_a_time:
            rows = self._library.face_encodings(rgb, _css_inside(faces, width, height), model="small")
        return np.array(rows, dtype=np.float64)

    def calibration(self) -> Calibration | None:
        """The shipped one of these weights, which the engine ``dlib`` has too."""
        return calibration_of(self.info.embedder_id)


def _css_inside(faces: Detections, width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the boxes as whole (top, right, bottom, left), clipped to the picture and at least one pixel large."""
    low = np.clip(np.rint(faces.xyxy[:, :2]).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.rint(faces.xyxy[:, 2:]).astype(int), low + 1, [width, height])
    return [(int(y1), int(x2), int(y2), int(x1)) for (x1, y1), (x2, y2) in zip(low, high, strict=True)]
