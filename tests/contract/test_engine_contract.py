"""The checks that every detector and embedder must pass, run on the built-in ones and the fakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import pytest
import skimage.data

from optimind.plugin_api import Detections, Detector, Embedded, Embedder, Image, Vectors
from optimind.testing.engines import FakeDetector, FakeEmbedder, blank, check_detector, check_embedder, paint_face
from optimind.vision.dlib_engine import DlibDetector, DlibEmbedder
from optimind.vision.face_recognition_engine import FaceRecognitionDetector, FaceRecognitionEmbedder


def astronaut() -> Image:
    rgb = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # ships no types
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def painted() -> Image:
    picture = blank()
    paint_face(picture, 7, 100, 60, 80)
    return picture


ENGINES = [
    pytest.param(FaceRecognitionDetector, FaceRecognitionEmbedder, astronaut, id="face_recognition"),
    pytest.param(DlibDetector, DlibEmbedder, astronaut, id="dlib"),
    pytest.param(FakeDetector, FakeEmbedder, painted, id="fake"),
]


@pytest.mark.parametrize(("detector", "embedder", "portrait"), ENGINES)
def test_engine_keeps_the_contract(detector: type[Detector], embedder: type[Embedder], portrait: object) -> None:
    assert callable(portrait)
    picture = portrait()
    check_embedder(embedder, picture, check_detector(detector, picture))


class _Blind(FakeDetector):
    def detect(self, image: Image) -> Detections:
        return Detections.empty()


class _Scribbler(FakeDetector):
    def detect(self, image: Image) -> Detections:
        found = super().detect(image)
        image[:] = 0
        return found


class _Dreamer(FakeDetector):
    """Sees a face in every picture."""

    def detect(self, image: Image) -> Detections:
        return Detections(np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(1))


class _ShortSighted(FakeDetector):
    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        return Detections.empty()


class _Squinting(FakeDetector):
    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        found = self.detect(image)
        return Detections(found.xyxy + 60, found.confidence)


class _Scrawler(FakeDetector):
    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        found = self.detect(image)
        image[:4] = 0
        return found


class _Fanciful(FakeDetector):
    """Sees a face in every picture that it does not look at closely."""

    def glance(self, image: Image, largest_px: float | None = None) -> Detections:
        return Detections(np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(1))


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (_Blind, "1 face"),
        (_Scribbler, "detect must not change"),
        (_Dreamer, "blank picture"),
        (_ShortSighted, "glance must find what detect finds"),
        (_Squinting, "glance must find the faces where detect does"),
        (_Scrawler, "glance must not change"),
        (_Fanciful, "blank picture"),
    ],
)
def test_detector_check_finds_the_fault(kind: type[Detector], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_detector(kind, painted())


class _Single(FakeEmbedder):
    def embed(self, image: Image, faces: Detections) -> Vectors:
        return super().embed(image, faces).astype(np.float32)


class _Forgetful(FakeEmbedder):
    calls: ClassVar[int] = 0

    @classmethod
    def create(cls, settings: Any = None) -> Self:
        cls.calls = 0
        return cls()

    def embed(self, image: Image, faces: Detections) -> Vectors:
        type(self).calls += 1
        return super().embed(image, faces) * self.calls


class _Short(FakeEmbedder):
    def embed(self, image: Image, faces: Detections) -> Vectors:
        return super().embed(image, faces)[:, 1:]


class _Together(FakeEmbedder):
    """Several pictures at once give the answers that ``several`` makes of the right ones."""

    def several(self, rows: list[Vectors]) -> list[Vectors]:
        raise NotImplementedError

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        return [Embedded(rows) for rows in self.several([vectors for vectors, _ in super().embed_all(pictures)])]


class _Joining(_Together):
    def several(self, rows: list[Vectors]) -> list[Vectors]:
        return [np.concatenate(rows)]


class _Mixing(_Together):
    def several(self, rows: list[Vectors]) -> list[Vectors]:
        return rows[::-1]


class _Averaging(_Together):
    def several(self, rows: list[Vectors]) -> list[Vectors]:
        return [row * (1 - 0.01 * len(rows)) for row in rows]


class _Halving(_Together):
    def several(self, rows: list[Vectors]) -> list[Vectors]:
        return [row.astype(np.float32) for row in rows]


class _Nodding(FakeEmbedder):
    """Says of one face more than there are where it looks."""

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        return [Embedded(rows, np.ones(len(rows) + 1)) for rows, _ in super().embed_all(pictures)]


class _Staring(FakeEmbedder):
    """Its faces look into the camera more than straight."""

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        return [Embedded(rows, np.full(len(rows), 1.5)) for rows, _ in super().embed_all(pictures)]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (_Single, "float64"),
        (_Forgetful, "same row"),
        (_Short, "expected"),
        (_Joining, "4 pictures"),
        (_Mixing, "for a picture"),
        (_Averaging, "the rows that embed gives"),
        (_Halving, "embed_all must be float64"),
        (_Nodding, "a number from 0 to 1 for each face"),
        (_Staring, "a number from 0 to 1 for each face"),
    ],
)
def test_embedder_check_finds_the_fault(kind: type[Embedder], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_embedder(kind, painted(), FakeDetector.create(40).detect(painted()))


@pytest.mark.parametrize("person", [0, 7, 49])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.3])
def test_fake_tells_painted_people_apart_at_any_size(person: int, scale: float) -> None:
    picture = blank()
    paint_face(picture, person, 30, 40, 100)
    paint_face(picture, (person + 1) % 50, 180, 40, 120)
    resized = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    found = FakeDetector.create(40).detect(resized)
    assert FakeEmbedder.create().embed(resized, found).argmax(axis=1).tolist() == [person, (person + 1) % 50]


def test_paint_refuses_an_unknown_person() -> None:
    with pytest.raises(ValueError, match="0 to 49"):
        paint_face(blank(), 50, 0, 0, 50)
