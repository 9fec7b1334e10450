"""A painted world for tests of what uses an engine, and the checks that every detector and embedder must pass.

``paint_face`` draws a face that only :class:`FakeDetector` sees; :class:`FakeEmbedder` tells whose it is. Neither needs
weights. The author of a real engine calls the two ``check_`` functions with a portrait of their own::

    check_detector(MyDetector, portrait, faces=1)
    check_embedder(MyEmbedder, portrait, Detections(...))
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from optimind.core.geometry import iou
from optimind.plugin_api import Detections, Detector, Embedder, EmbedderInfo, Image, Settings, Vectors

__all__ = [
    "FakeDetector",
    "FakeEmbedder",
    "FakeEngineFactory",
    "blank",
    "check_detector",
    "check_embedder",
    "paint_face",
]

_RED = 10
_PEOPLE = 50
_ALIKE = 0.5
"""The boxes of a glance overlap those of a thorough look by this much (IoU) at least."""
_SAME_ROW = 1e-3
"""Rows of the same face differ by no more than this, however many faces were embedded with it."""


def blank(width: int = 320, height: int = 240) -> Image:
    """Return a grey picture with nobody in it."""
    return np.full((height, width, 3), 128, dtype=np.uint8)


def paint_face(image: Image, person: int, left: int, top: int, size_px: int) -> None:
    """Draw the face of ``person`` (0-49) into ``image``. It survives resizing and mild JPEG compression.

    Checkered, so that a gate that refuses blurred faces lets it pass.
    """
    if not 0 <= person < _PEOPLE:
        raise ValueError(f"person must be 0 to {_PEOPLE - 1}, got {person}")
    cells = np.indices((size_px, size_px)) // max(1, size_px // 10)
    face = image[top : top + size_px, left : left + size_px]
    checks = np.where(cells.sum(axis=0) % 2, 255, 180)[: face.shape[0], : face.shape[1]]
    face[:, :, 0] = person * 5
    face[:, :, 1] = checks
    face[:, :, 2] = _RED


class FakeDetector(Detector):
    """Finds painted faces of at least ``min_face_px``."""

    name: ClassVar[str] = "fake"

    def __init__(self, min_face_px: int) -> None:
        self._min_face_px = min_face_px

    @classmethod
    def create(cls, min_face_px: int, settings: Any = None) -> Self:  # noqa: ARG003 - there are none
        """Nothing to load, and nothing to set."""
        return cls(min_face_px)

    def detect(self, image: Image) -> Detections:
        """Return the painted faces, the leftmost first, with confidence 0.9 and five landmarks."""
        painted = (image[:, :, 1] > 150) & (image[:, :, 2] < 60)
        _, _, stats, _ = cv2.connectedComponentsWithStats(painted.astype(np.uint8), connectivity=8)
        boxes = [
            (x, y, x + w, y + h)
            for x, y, w, h, area in stats[1:].tolist()
            if min(w, h) >= self._min_face_px and area > 0.8 * w * h
        ]
        xyxy = np.array(sorted(boxes), dtype=np.float64).reshape(-1, 4)
        spread = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
        landmarks = xyxy[:, None, :2] + spread * (xyxy[:, None, 2:] - xyxy[:, None, :2])
        return Detections(xyxy, np.full(len(xyxy), 0.9), landmarks)


class FakeEmbedder(Embedder):
    """Turns a painted face into its person's own direction, the same every time; strangers are 1.41 apart."""

    name: ClassVar[str] = "fake"
    info = EmbedderInfo("fake-v1", _PEOPLE)

    @classmethod
    def describe(cls, settings: Any = None) -> EmbedderInfo:  # noqa: ARG003 - there are none
        """It is always here."""
        return cls.info

    @classmethod
    def create(cls, settings: Any = None) -> Self:  # noqa: ARG003 - there are none
        """Nothing to load, and nothing to set."""
        return cls()

    def embed(self, image: Image, faces: Detections) -> Vectors:
        """Return (n, 50), each row of length 1."""
        rows = np.zeros((len(faces), self.info.dimension))
        height, width = image.shape[:2]
        for row, (x1, y1, x2, y2) in zip(rows, faces.xyxy, strict=True):
            x = int(np.clip((x1 + x2) / 2, 0, width - 1))
            y = int(np.clip((y1 + y2) / 2, 0, height - 1))
            row[min(round(float(np.median(image[y : y + 9, x : x + 9, 0])) / 5), _PEOPLE - 1)] = 1
        return rows


class FakeEngineFactory:
    """Makes the two fakes; picklable, as encoding in several processes needs it."""

    def __init__(self, min_face_px: int = 40) -> None:
        self.min_face_px = min_face_px

    def __call__(self) -> tuple[Detector, Embedder]:
        """Return a detector and an embedder."""
        return FakeDetector.create(self.min_face_px), FakeEmbedder.create()

    def describe(self) -> tuple[str, EmbedderInfo]:
        """Return the detector's name and what the embedder is."""
        return FakeDetector.name, FakeEmbedder.describe()


def check_detector(
    kind: type[Detector],
    portrait: Image,
    *,
    faces: int = 1,
    min_face_px: int = 40,
    settings: Settings | None = None,
) -> Detections:
    """Raise ``AssertionError`` with what is wrong where ``kind`` is no proper detector; return what it found.

    ``portrait`` (BGR) shows ``faces`` faces of at least ``min_face_px``. ``settings`` None: the defaults.
    """
    _require(isinstance(kind.name, str) and bool(kind.name), "name must be a text")
    detector = kind.create(min_face_px, settings or kind.settings_type())
    untouched = copy.deepcopy(portrait)
    found = detector.detect(portrait)
    _require(np.array_equal(portrait, untouched), "detect must not change the picture")
    _require(isinstance(found, Detections), "detect must return Detections")
    _require(len(found) == faces, f"{faces} face(s) expected, {len(found)} found")
    height, width = portrait.shape[:2]
    centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
    _require(bool(((centres >= 0) & (centres <= [width, height])).all()), "boxes must be in pixels of the picture")
    again = detector.detect(portrait)
    _require(np.allclose(again.xyxy, found.xyxy), "the same picture must give the same boxes")
    for size in ((1, 1), (3, 700), (33, 17)):
        for look in (detector.detect, detector.glance):
            _require(len(look(blank(*size))) == 0, f"a blank picture of {size} must give no face")
    window = portrait[:, ::-1][: height // 2 * 2, : width // 2 * 2]
    for look in (detector.detect, detector.glance):
        _require(isinstance(look(window), Detections), "a picture that is a view of another must be accepted")
    glanced = detector.glance(portrait)
    _require(np.array_equal(portrait, untouched), "glance must not change the picture")
    _require(len(glanced) == faces, f"glance must find what detect finds: {faces} face(s), not {len(glanced)}")
    alike = iou(found.xyxy, glanced.xyxy) >= _ALIKE
    _require(bool(alike.any(axis=0).all() and alike.any(axis=1).all()), "glance must find the faces where detect does")
    return found


def check_embedder(
    kind: type[Embedder], portrait: Image, faces: Detections, *, settings: Settings | None = None
) -> Vectors:
    """Raise ``AssertionError`` with what is wrong where ``kind`` is no proper embedder; return what it gave.

    ``faces`` (one or more) are where the faces of ``portrait`` (BGR) are. ``settings`` None: the defaults.
    """
    _require(isinstance(kind.name, str) and bool(kind.name), "name must be a text")
    settings = settings or kind.settings_type()
    told = kind.describe(settings)
    _require(isinstance(told.embedder_id, str) and bool(told.embedder_id), "embedder_id must be a text")
    embedder = kind.create(settings)
    _require(embedder.info == told, f"describe says {told}, and info is {embedder.info}")
    untouched = copy.deepcopy(portrait)
    given = embedder.embed(portrait, faces)
    _require(np.array_equal(portrait, untouched), "embed must not change the picture")
    _require(given.dtype == np.float64, f"rows must be float64, got {given.dtype}")
    wanted = (len(faces), told.dimension)
    _require(given.shape == wanted, f"{wanted} expected, got {given.shape}")
    _require(bool(np.isfinite(given).all()), "every number must be finite")
    _require(np.allclose(embedder.embed(portrait, faces), given), "the same face must give the same row")
    none = embedder.embed(portrait, Detections.empty())
    _require(none.shape == (0, told.dimension), f"no face must give (0, {told.dimension}), got {none.shape}")
    height, width = portrait.shape[:2]
    beyond = Detections(np.array([[-20.0, -20.0, width + 20.0, height + 20.0]]), np.ones(1), _one_row(faces))
    _require(bool(np.isfinite(embedder.embed(portrait, beyond)).all()), "a box beyond the picture must be accepted")
    _check_several(embedder, portrait, faces)
    return given


def _check_several(embedder: Embedder, portrait: Image, faces: Detections) -> None:
    """Raise ``AssertionError`` where several pictures at once give other rows than each of them alone."""
    untouched = copy.deepcopy(portrait)
    enlarged = np.asarray(cv2.resize(portrait, None, fx=2, fy=2), dtype=np.uint8)
    landmarks = None if faces.landmarks is None else 2 * faces.landmarks
    twice = Detections(np.tile(2 * faces.xyxy, (2, 1)), np.tile(faces.confidence, 2), _tiled(landmarks))
    pictures = [(portrait, faces), (portrait, Detections.empty()), (enlarged, twice), (portrait, faces[:1])]
    together = embedder.embed_all(pictures)
    _require(np.array_equal(portrait, untouched), "embed_all must not change a picture")
    _require(len(together) == len(pictures), f"{len(pictures)} pictures must give as many answers, not {len(together)}")
    for (rows, frontality), (image, some) in zip(together, pictures, strict=True):
        alone = embedder.embed(image, some)
        _require(rows.dtype == np.float64, f"rows of embed_all must be float64, got {rows.dtype}")
        _require(rows.shape == alone.shape, f"embed_all must give {alone.shape} for a picture, got {rows.shape}")
        _require(np.allclose(rows, alone, atol=_SAME_ROW), "embed_all must give the rows that embed gives")
        if frontality is not None:
            is_pose = frontality.shape == (len(some),) and bool(((frontality >= 0) & (frontality <= 1)).all())
            _require(is_pose, "the frontality of embed_all must be a number from 0 to 1 for each face, or None")


def _tiled(landmarks: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None) -> Any:
    return None if landmarks is None else np.tile(landmarks, (2, 1, 1))


def _one_row(faces: Detections) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    return None if faces.landmarks is None else faces.landmarks[:1]


def _require(fact: bool, message: str) -> None:
    # Not the assert statement: "python -O" would remove it.
    if not fact:
        raise AssertionError(message)
