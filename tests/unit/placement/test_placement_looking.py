"""Which pictures are taken, and which faces are found in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from optimind.errors import SourceError
from optimind.placement.looking import LOOKED_FROM_PX, CloseLook, Faces, pictures_of
from optimind.plugin_api import Detections, Detector, Image
from optimind.testing.engines import FakeDetector, blank, paint_face
from optimind.testing.sources import FakeSource

FPS = 10.0


class ShortSighted(Detector):
    """Finds painted faces from 40 px of what it is shown, from 80 px in a picture of 1280 x 720."""

    name: ClassVar[str] = "short-sighted"

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []

    @classmethod
    def create(cls, min_face_px: int, settings: Any = None) -> Self:
        return cls()

    def detect(self, image: Image) -> Detections:
        height, width = image.shape[:2]
        self.shown.append((width, height))
        return FakeDetector(round(self.finds_from_px(width, height))).detect(image)

    def finds_from_px(self, width: int, height: int) -> float:
        return max(40.0, 80 * math.sqrt(width * height / (1280 * 720)))


def recording(seconds: float) -> FakeSource:
    return FakeSource("room", [blank(8, 8)] * round(seconds * FPS), fps=FPS)


@pytest.mark.parametrize(
    ("length_s", "look_s", "positions"),
    [
        (0.1, 10, [0]),
        (2.1, 10, [0, 0.5, 1, 1.5, 2]),
        (60, 1, [0, 0.5, 1]),
        (60, 6, [0, 1, 2, 3, 4, 5, 6]),
        (60, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (60, 30, [0, 4, 8, 12, 16, 20, 24, 28]),
    ],
)
def test_pictures_are_spread_evenly(length_s: float, look_s: float, positions: list[float]) -> None:
    source = recording(length_s)
    assert [frame.position_s for frame in pictures_of(source, look_s)] == pytest.approx(positions)
    assert (source.opened, source.closed) == (1, 1)


def test_no_more_pictures_however_long_one_looks() -> None:
    for length_s in (5, 13, 77, 150):
        assert 5 <= len(pictures_of(recording(length_s), 1000)) <= 12


def test_a_camera_is_looked_at_by_the_clock() -> None:
    def seconds() -> Iterator[float]:
        now_s = 100.0
        while True:
            yield now_s
            now_s += 0.3

    clock = seconds()
    source = FakeSource("room", [blank(8, 8)] * 20, live=True, every_s=0)
    frames = pictures_of(source, 2.0, clock=lambda: next(clock))
    assert [frame.index for frame in frames] == [0, 2, 4, 6]
    assert source.closed == 1


def test_a_source_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    lost = SourceError("the cable is out")
    with pytest.raises(SourceError, match="cable"):
        pictures_of(FakeSource("room", [lost]), 10)
    source = FakeSource("room", [blank(8, 8), lost], fps=FPS)
    assert len(pictures_of(source, 10)) == 1
    assert "cable is out" in caplog.text
    assert source.closed == 1
    with pytest.raises(SourceError, match="before its first picture"):
        pictures_of(FakeSource("room", []), 10)


def test_faces_are_measured() -> None:
    image = blank(320, 240)
    paint_face(image, 3, 100, 60, 50)
    faces = CloseLook(FakeDetector(LOOKED_FROM_PX)).faces_in(image, 7)
    assert faces.picture.tolist() == [7]
    assert faces.xyxy.tolist() == [[100, 60, 150, 110]]
    assert faces.middle[0] == pytest.approx([125 / 320, 85 / 240])
    assert faces.face_px[0] == pytest.approx(50)
    assert 0 < faces.frontality[0] <= 1
    # Checkered: sharp and with contrast.
    assert faces.sharpness[0] > 0.1
    assert faces.light[0] > 0.4
    assert 50 < faces.brightness[0] < 200


@pytest.mark.parametrize("at", [(5, 5), (610, 350), (640, 300), (1200, 20), (1240, 680), (625, 345)])
@pytest.mark.parametrize("size", [24, 45, 70])
def test_small_faces_are_found_in_parts_wherever_they_are(at: tuple[int, int], size: int) -> None:
    image = blank(1280, 720)
    left, top = min(at[0], 1280 - size), min(at[1], 720 - size)
    paint_face(image, 3, left, top, size)
    paint_face(image, 4, 300, 500, 100)
    detector = ShortSighted()
    faces = CloseLook(detector).faces_in(image, 0)
    boxes = sorted(faces.xyxy.tolist())
    assert len(boxes) == 2
    assert any(box == pytest.approx([left, top, left + size, top + size], abs=2) for box in boxes)
    assert max(width * height for width, height in detector.shown[1:]) < 1280 * 720
    # Only every third picture is looked at closely.
    detector.shown.clear()
    assert len(CloseLook(detector).faces_in(image, 1)) == 1
    assert detector.shown == [(1280, 720)]


def test_a_detector_that_sees_all_at_once_looks_once() -> None:
    class Counted(FakeDetector):
        looks = 0

        def detect(self, image: Image) -> Detections:
            self.looks += 1
            return super().detect(image)

        def finds_from_px(self, width: int, height: int) -> float:
            return float(LOOKED_FROM_PX)

    detector = Counted(LOOKED_FROM_PX)
    CloseLook(detector).faces_in(blank(1280, 720), 0)
    assert detector.looks == 1


def test_faces_of_several_pictures() -> None:
    image = blank()
    paint_face(image, 3, 100, 60, 50)
    look = CloseLook(FakeDetector(LOOKED_FROM_PX))
    faces = Faces.joined([look.faces_in(image, 0), look.faces_in(blank(), 1), look.faces_in(image, 2)])
    assert faces.picture.tolist() == [0, 2]
    assert len(faces[faces.picture == 2]) == 1
    assert len(faces[np.zeros(2, dtype=bool)]) == 0
