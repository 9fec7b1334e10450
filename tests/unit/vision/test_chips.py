"""Chips are dlib's, but for how a half is rounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optimind.plugin_api import Image
from optimind.vision import _chips
from optimind.vision._chips import CHIP_PX, face_chips
from optimind.vision._dlib_files import LANDMARKS

UPRIGHT = np.array([(0.86, 0.21), (0.65, 0.23), (0.12, 0.21), (0.33, 0.23), (0.49, 0.63)])


def _textured(size_px: int = 400) -> Image:
    noise = np.random.default_rng(2).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), dtype=np.uint8)


def test_points_that_are_in_place_leave_the_picture_as_it_is() -> None:
    picture = _textured()
    points = _chips._TEMPLATE + np.array([40, 30])
    # dlib takes the middle of 150 pixels to be at 75, not at 74.5.
    expected = cv2.warpAffine(picture, np.array([[1.0, 0, 40.5], [0, 1, 30.5]]), (150, 150), flags=1 | 16)
    assert np.abs(face_chips(picture, points[None])[0].astype(int) - expected).max() <= 1


def _dlib_shape(dlib: Any, image: Image, box: tuple[int, ...]) -> Any:
    return dlib.shape_predictor(str(LANDMARKS.path()))(image, dlib.rectangle(*box))


@pytest.mark.parametrize("enlarged", [0.4, 1.0, 1.7, 2.6, 5.3])
def test_they_are_dlibs(shared: Path, enlarged: float) -> None:
    dlib = pytest.importorskip("dlib")
    for path in sorted((shared / "data" / "faces").glob("*/*.jpg"))[::1500]:
        picture = cv2.imread(str(path))
        assert picture is not None
        image = np.asarray(cv2.resize(picture, None, fx=enlarged, fy=enlarged), dtype=np.uint8)
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        shape = _dlib_shape(dlib, rgb, tuple(round(side * enlarged) for side in (75, 78, 172, 175)))
        points = np.array([[(part.x, part.y) for part in shape.parts()]], dtype=np.float64)
        theirs = dlib.get_face_chip(rgb, shape, size=CHIP_PX, padding=0.25)[:, :, ::-1].astype(int)
        apart = face_chips(image, points)[0] - theirs
        # dlib cuts fractions off, here they are rounded, and once more for each time the picture is halved.
        assert -0.1 < apart.mean() < 0.6 * (1 + max(0, np.log2(enlarged)))
        # The rim of the picture is blended into the black around it here.
        inner = np.abs(apart - round(float(apart.mean())))[theirs.min(axis=2) > 0]
        assert (inner <= 1).mean() > 0.99


@pytest.mark.parametrize("moved", [(-9000.0, 0.0), (0.0, 9000.0), (-120.0, -120.0), (380.0, 380.0)])
def test_what_lies_outside_is_black(moved: tuple[float, float]) -> None:
    chips = face_chips(_textured(), (UPRIGHT * 100 + moved)[None])
    assert chips.shape == (1, CHIP_PX, CHIP_PX, 3)
    assert (chips == 0).mean() > 0.4


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e4])
def test_any_points_give_a_chip(scale: float) -> None:
    chips = face_chips(_textured(), np.stack([UPRIGHT, UPRIGHT[::-1], -UPRIGHT]) * scale + 100)
    assert chips.shape == (3, CHIP_PX, CHIP_PX, 3)


def test_no_points_give_no_chip() -> None:
    assert face_chips(_textured(), np.empty((0, 5, 2))).shape == (0, CHIP_PX, CHIP_PX, 3)
