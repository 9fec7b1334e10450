"""Which face of a photograph is enrolled, and which photograph is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from optimind.core.types import Detections, Image
from optimind.gallery.quality import MIN_LIGHT, MIN_SHARPNESS, MainFace, Refusal, judge, light, sharpness
from optimind.testing.engines import blank, paint_face

FACE = np.array([163.0, 91.0, 388.0, 316.0])
"""Where the face is in Grace Hopper's portrait."""


@pytest.fixture(scope="module")
def portrait() -> Image:
    picture = cv2.imread(str(Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


def faces(*widths: float) -> Detections:
    left = np.cumsum([0.0, *widths])[: len(widths)]
    boxes = np.array([(x, 0, x + w, w) for x, w in zip(left, widths, strict=True)], dtype=float).reshape(-1, 4)
    return Detections(boxes, np.ones(len(boxes)))


@pytest.mark.parametrize(
    ("main", "other", "is_refused"),
    [
        pytest.param((150, 50, 250, 150), (330, 20, 400, 90), False, id="at the side"),
        pytest.param((150, 50, 250, 150), (300, 50, 400, 150), True, id="as large"),
        pytest.param((150, 50, 250, 150), (305, 50, 395, 140), False, id="nine tenths as large"),
        pytest.param((90, 50, 190, 150), (210, 60, 290, 140), True, id="two side by side"),
        pytest.param((20, 50, 120, 150), (160, 60, 240, 140), True, id="the smaller one in the middle"),
        pytest.param((150, 50, 250, 150), (230, 60, 300, 130), False, id="half hidden behind"),
        pytest.param((150, 50, 250, 150), (165, 70, 245, 150), True, id="as much in the middle"),
    ],
)
def test_a_smaller_face_at_the_side_is_not_meant(
    main: tuple[int, int, int, int], other: tuple[int, int, int, int], is_refused: bool
) -> None:
    picture = blank(400, 200)
    paint_face(picture, 1, main[0], main[1], main[2] - main[0])
    both = Detections(np.array([other, main], dtype=np.float64), np.ones(2))
    verdict = judge(picture, both, 1.0)
    assert isinstance(verdict, Refusal) is is_refused
    if isinstance(verdict, MainFace):
        assert verdict.face.xyxy.tolist() == [[float(v) for v in main]]
        assert verdict.smaller_faces == 1


@pytest.mark.parametrize(
    ("widths", "reduction", "expected"),
    [
        ((), 1.0, "no_face"),
        ((100,), 1.0, (0, 0)),
        ((100, 74), 1.0, (0, 1)),
        ((74, 100, 30), 1.0, (1, 2)),
        ((100, 75), 1.0, "several_faces"),
        ((100, 100, 100), 1.0, "several_faces"),
        ((35,), 1.0, "too_small"),
        ((37,), 1.0, (0, 0)),  # a 40 px window of a detector that works in steps
        ((30,), 2.0, (0, 0)),  # 60 px in the original
        ((12,), 2.0, "too_small"),
    ],
)
def test_choice(widths: tuple[float, ...], reduction: float, expected: str | tuple[int, int]) -> None:
    picture = blank(400, 200)
    found = faces(*widths)
    for x1, _, x2, _ in found.xyxy.astype(int):
        paint_face(picture, 1, x1, 0, x2 - x1)
    verdict = judge(picture, found, reduction)
    if isinstance(expected, str):
        assert isinstance(verdict, Refusal)
        assert verdict.reason == expected
        assert verdict.detail
    else:
        assert isinstance(verdict, MainFace)
        row, smaller = expected
        assert verdict.face.xyxy.tolist() == found.xyxy[[row]].tolist()
        assert (verdict.smaller_faces, verdict.face_px) == (smaller, widths[row] * reduction)


def test_of_a_reduced_photograph_the_smallest_findable_face_is_larger() -> None:
    verdict = judge(blank(1600, 1200), faces(), 2.5)
    assert verdict == Refusal("no_face", "no face of 100 px or more was found in 4000 x 3000 px")


def _gaussian(part: float) -> Callable[[Image], Image]:
    return lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), part * 225), dtype=np.uint8)


def _moved(part: float, *, down: bool = False) -> Callable[[Image], Image]:
    length = round(part * 225)
    kernel = np.full((length, 1) if down else (1, length), 1 / length)
    return lambda image: np.asarray(cv2.filter2D(image, -1, kernel), dtype=np.uint8)


def _darker(image: Image) -> Image:
    return np.asarray(image // 3, dtype=np.uint8)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        (lambda image: image, True),
        (_darker, True),
        (_gaussian(0.01), True),
        (_gaussian(0.04), False),
        (_gaussian(0.1), False),
        (_moved(0.04), True),
        (_moved(0.15), False),
        (_moved(0.15, down=True), False),
    ],
    ids=["as it is", "dark", "1 %", "4 %", "10 %", "moved 4 %", "moved 15 %", "moved down 15 %"],
)
def test_blur_is_found(portrait: Image, change: Callable[[Image], Image], good: bool) -> None:
    assert bool(sharpness(change(portrait), FACE[None])[0] >= MIN_SHARPNESS) is good


def _brighter(by: float) -> Callable[[Image], Image]:
    return lambda image: np.clip(image.astype(float) * by, 0, 255).astype(np.uint8)


def _half(by: float) -> Callable[[Image], Image]:
    def shadow(image: Image) -> Image:
        middle = round((FACE[0] + FACE[2]) / 2)
        image = image.copy()
        image[:, :middle] = (image[:, :middle] * by).astype(np.uint8)
        return image

    return shadow


def _fogged(part: float) -> Callable[[Image], Image]:
    return lambda image: (128 + (image.astype(float) - 128) * part).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        (lambda image: image, True),
        (_darker, True),
        (_brighter(0.1), False),
        (_brighter(3), False),
        (_half(0.25), True),
        (_half(0.0), False),
        (_fogged(0.5), True),
        (_fogged(0.1), False),
    ],
    ids=["as it is", "dark", "too dark", "blown out", "half at a quarter", "half black", "half the contrast", "fog"],
)
def test_bad_light_is_found(portrait: Image, change: Callable[[Image], Image], good: bool) -> None:
    assert (light(change(portrait), FACE) >= MIN_LIGHT) is good


def test_a_small_face_is_not_taken_for_a_blurred_one(portrait: Image) -> None:
    scale = 40 / 225
    small = np.asarray(cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    assert sharpness(small, FACE[None] * scale)[0] >= MIN_SHARPNESS


def test_a_blurred_face_is_refused_with_its_number(portrait: Image) -> None:
    verdict = judge(_gaussian(0.1)(portrait), Detections(FACE[None], np.ones(1)), 1.0)
    assert isinstance(verdict, Refusal)
    assert verdict.reason == "too_blurred"
    assert f"{MIN_SHARPNESS:.3f} is needed" in verdict.detail


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (900, 900, 950, 950), (-5, -5, 2000, 2000), (3, 3, 3.5, 3.5)])
def test_any_box_has_a_sharpness(portrait: Image, box: tuple[float, ...]) -> None:
    assert 0 <= sharpness(portrait, np.array([box], dtype=float))[0] < 10
    assert 0 <= light(portrait, np.array(box, dtype=float)) <= 1
    assert sharpness(blank(), np.array([[0.0, 0.0, 50.0, 50.0]])).tolist() == [0]
    assert light(blank(), np.array([0.0, 0.0, 50.0, 50.0])) == 0


@pytest.mark.shared
def test_good_photographs_are_not_refused(shared: Path) -> None:
    """Every 60th portrait, where the face is known to be in the middle."""
    portraits = sorted((shared / "data/faces").rglob("*.jpg"))[::60]
    middle = np.array([75.0, 75.0, 175.0, 175.0])
    pictures = {p.name: np.asarray(cv2.imread(str(p)), np.uint8) for p in portraits}
    refused = [name for name, picture in pictures.items() if sharpness(picture, middle[None])[0] < MIN_SHARPNESS]
    assert len(portraits) > 90
    assert len(refused) <= 1, refused
    assert [name for name, picture in pictures.items() if light(picture, middle) < MIN_LIGHT] == []
