"""What the exact detector decides on pieces is what it would say of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from optimind.core.geometry import iou
from optimind.plugin_api import Image
from optimind.testing.engines import blank
from optimind.vision import _exact
from optimind.vision._dlib_files import DETECTOR
from optimind.vision._dlib_weights import Windows, read_network
from optimind.vision._exact import ExactPieces
from optimind.vision._forms import MMOD, open_exact_pieces, open_form
from optimind.vision._mmod import Mmod, canvas_of


@pytest.fixture(scope="module")
def exact() -> Any:
    return open_form(MMOD, "fp32", threads=None)


@pytest.fixture(scope="module")
def pieces() -> ExactPieces:
    return open_exact_pieces(threads=None)


@pytest.fixture(scope="module")
def windows() -> Windows:
    found = read_network(DETECTOR.read(), DETECTOR.name).windows
    assert found is not None
    return found


def _pictures(shared: Path) -> Iterator[Image]:
    for path in [
        *sorted((shared / "data" / "faces").glob("*/*.jpg"))[::300],
        *(shared / "data" / "photos").glob("*.jpg"),
    ]:
        picture = cv2.imread(str(path))
        assert picture is not None
        scale = min(1.0, 500 / max(picture.shape[:2]))
        yield np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def test_int8_with_the_exact_network_finds_the_exact_boxes(
    shared: Path, exact: Any, pieces: ExactPieces, windows: Windows
) -> None:
    fast = open_form(MMOD, "int8", threads=None)
    alone, together, reference = Mmod(fast, windows), Mmod(fast, windows, pieces), Mmod(exact, windows)
    faces = nearly = 0
    for picture in _pictures(shared):
        boxes, confidence = reference.detect(picture)
        found, found_confidence = together.detect(picture)
        assert np.array_equal(found, boxes)
        assert np.allclose(found_confidence, confidence, atol=1e-4)
        faces += len(boxes)
        nearly += int((iou(boxes, alone.detect(picture)[0]).max(axis=1, initial=0) >= 0.8).sum())
    assert faces > 30
    assert nearly < faces  # else the exact network were not needed


@pytest.mark.parametrize("threshold", [-1.0, -0.3, 0.6])
def test_it_does_so_at_any_threshold(
    shared: Path, exact: Any, pieces: ExactPieces, windows: Windows, threshold: float
) -> None:
    together, reference = Mmod(open_form(MMOD, "int8", threads=None), windows, pieces), Mmod(exact, windows)
    picture = next(_pictures(shared))
    assert np.array_equal(together.detect(picture, threshold)[0], reference.detect(picture, threshold)[0])


def test_a_face_that_the_fast_network_sees_wrongly_is_put_right(
    shared: Path, exact: Any, pieces: ExactPieces, windows: Windows
) -> None:
    class Wrong:
        """The place that is least a face has by far the highest peak, and all others the same."""

        def run(self, outputs: None, inputs: dict[str, Image]) -> list[Any]:
            peaks = exact.run(outputs, inputs)[0].copy()
            rows, columns = np.nonzero(peaks[0, 0] > 0)
            last = int(np.argmin(peaks[0, 0][rows, columns]))
            peaks[0, 0, rows, columns] = 0.5
            peaks[0, 0, rows[last], columns[last]] = 3.0
            return [peaks]

    picture = next(_pictures(shared))
    reference = Mmod(exact, windows).detect(picture)
    assert len(reference[0])
    wrong: Any = Wrong()
    assert not np.array_equal(Mmod(wrong, windows).detect(picture)[0], reference[0])
    assert np.array_equal(Mmod(wrong, windows, pieces).detect(picture)[0], reference[0])


@pytest.mark.parametrize("size", [(400, 300), (401, 307), (250, 250), (90, 700)])
def test_pieces_give_what_the_whole_gives(exact: Any, pieces: ExactPieces, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    canvas = canvas_of(np.asarray(cv2.resize(small, size), dtype=np.uint8))[0]
    whole = exact.run(None, {"pictures": canvas[None]})[0][0, 0]
    places = [(0, 0), (-1, -1), (0, -1), (-1, 0), (whole.shape[0] // 2, whole.shape[1] // 2)]
    for place in places:
        unsure = np.zeros(whole.shape, dtype=np.bool_)
        unsure[place] = True
        found, known = pieces.decided(canvas, np.full(whole.shape, -9, np.float32), unsure)
        assert known[place]
        assert np.allclose(found[known], whole[known], atol=1e-4)
        assert (found[~known] == -9).all()


def test_where_everything_is_unsure_the_whole_is_looked_at_once(exact: Any) -> None:
    canvas = canvas_of(blank(300, 200))[0]
    whole = exact.run(None, {"pictures": canvas[None]})[0][0, 0]
    calls = []

    class Counted:
        def run(self, outputs: None, inputs: dict[str, Image]) -> Any:
            calls.append(inputs["pictures"].shape)
            return exact.run(outputs, inputs)

    counted: Any = Counted()
    pieces = ExactPieces(counted, counted)
    unsure = np.ones(whole.shape, dtype=np.bool_)
    found, known = pieces.decided(canvas, np.zeros_like(whole), unsure)
    assert known.all()
    assert np.array_equal(found, whole)
    assert calls == [(1, *canvas.shape)]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], []),
        ([(0, 0, 21, 21)], [(0, 0, 21, 21)]),
        ([(0, 0, 21, 21), (2, 0, 23, 21)], [(0, 0, 23, 21)]),
        ([(0, 0, 21, 21), (100, 0, 121, 21)], [(0, 0, 21, 21), (100, 0, 121, 21)]),
        # The third joins the other two.
        ([(0, 0, 21, 21), (24, 0, 45, 21), (12, 0, 33, 21)], [(0, 0, 45, 21)]),
    ],
)
def test_pieces_that_overlap_much_become_one(pieces: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> None:
    merged = _exact._merged(np.array(pieces, dtype=np.intp).reshape(-1, 4))
    assert sorted(map(tuple, merged.tolist())) == expected
