"""The mosaic: what is found in it is where it is in the picture, and no face is seen that a cell has cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimind.core.geometry import centres
from optimind.core.types import Detections, Image
from optimind.pipeline import mosaic
from optimind.pipeline.mosaic import Mosaic

WIDTH, HEIGHT = 800, 600


def mosaic_of(image: Image, boxes: list[tuple[float, ...]], margin: float = 0.5, face_px: float = 50) -> Mosaic:
    count = len(boxes)
    return Mosaic.of(image, np.array(boxes, dtype=np.float64), np.full(count, margin), np.full(count, face_px))


def painted(*boxes: tuple[int, int, int, int]) -> Image:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for left, top, right, bottom in boxes:
        image[top:bottom, left:right] = 255
    return image


def bright_in(made: Mosaic, cell: int) -> NDArray[np.float64]:
    """The bright rectangle in a cell as (1, 4), measured by its mass: a fraction of a pixel counts as such."""
    left, top, side = made.cells[cell].astype(int)
    grey = made.picture[top : top + side, left : left + side, 0].astype(np.float64) / 255
    rows, columns = grey.sum(axis=1), grey.sum(axis=0)
    height, width = columns.max(), rows.max()
    middle = np.array([columns @ np.arange(side), rows @ np.arange(side)]) / grey.sum() + 0.5
    half = np.array([width, height]) / 2
    box: NDArray[np.float64] = np.concatenate([middle - half, middle + half]) + np.tile([left, top], 2)
    return box[None]


def bare(xyxy: NDArray[np.float64]) -> Detections:
    return Detections(xyxy, np.ones(len(xyxy)))


@settings(max_examples=80, deadline=None)
@given(
    size=st.integers(12, 360),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    margin=st.floats(0.15, 1.5),
    face_px=st.floats(30, 120),
    off=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    others=st.lists(st.tuples(st.floats(0, 700), st.floats(0, 500), st.floats(20, 300)), max_size=3),
)
def test_what_is_found_lies_where_it_was_painted(
    *,
    size: int,
    x: float,
    y: float,
    margin: float,
    face_px: float,
    off: tuple[float, float],
    others: list[tuple[float, float, float]],
) -> None:
    # A few mosaic pixels from the rim: what lies beyond the picture looks like its last pixels.
    rim = 2 + int(2 * size / face_px)
    left, top = rim + round(x * (WIDTH - size - 2 * rim)), rim + round(y * (HEIGHT - size - 2 * rim))
    face = (left, top, left + size, top + size)
    expected = np.array(face) + np.tile(off, 2) * size  # where it should have been is not quite where it is
    elsewhere = [(a, b, a + s, b + s) for a, b, s in others]
    image = painted(face)
    made = mosaic_of(image, [*elsewhere, tuple(expected)], margin, face_px)
    found = made.back(bare(bright_in(made, len(elsewhere))))
    assert len(found) == 1
    mosaic_pixel = made.regions[-1, 2] / made.cells[-1, 2]
    np.testing.assert_allclose(found.xyxy[0], face, atol=0.6 + 0.15 * mosaic_pixel)
    # Interpolation looks at two pixels of every ``mosaic_pixel``: an edge between two looks is off by half of the rest.
    np.testing.assert_allclose(
        centres(found.xyxy)[0],
        [left + size / 2, top + size / 2],
        atol=0.15 + max(0.1 * mosaic_pixel, (mosaic_pixel - 1) / 2),
    )
    np.testing.assert_array_equal(image, painted(face))


@given(
    boxes=st.lists(
        st.tuples(st.floats(-300, 1100), st.floats(-300, 900), st.floats(5, 500), st.floats(0.1, 1.5)),
        min_size=1,
        max_size=6,
    ),
    where=st.tuples(st.floats(0.03, 0.45), st.floats(0.03, 0.45), st.floats(0.55, 0.97), st.floats(0.55, 0.97)),
    margin=st.floats(0.0, 1.5),
)
@settings(max_examples=60, deadline=None)
def test_each_cells_find_goes_back_to_its_own_region(
    boxes: list[tuple[float, float, float, float]], where: tuple[float, float, float, float], margin: float
) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    made = mosaic_of(image, [(x, y, x + s, y + s * shape) for x, y, s, shape in boxes], margin)
    cells, regions = made.cells, made.regions
    in_cells = np.tile(cells[:, :2], 2) + cells[:, 2:] * where
    points = np.linspace(0.1, 0.9, 10).reshape(5, 2)
    found = Detections(
        in_cells,
        np.linspace(0.5, 0.9, len(boxes)),
        cells[:, None, :2] + cells[:, None, 2:] * points,
        np.linspace(0, 1, len(boxes)),
    )
    back = made.back(found)
    np.testing.assert_allclose(back.xyxy, np.tile(regions[:, :2], 2) + regions[:, 2:] * where, atol=1e-6)
    assert back.landmarks is not None
    np.testing.assert_allclose(back.landmarks, regions[:, None, :2] + regions[:, None, 2:] * points, atol=1e-6)
    np.testing.assert_array_equal(back.confidence, found.confidence)
    assert back.frontality is not None
    np.testing.assert_array_equal(back.frontality, np.linspace(0, 1, len(boxes)))
    middles = np.array([(x + s / 2, y + s * shape / 2) for x, y, s, shape in boxes])
    np.testing.assert_allclose(regions[:, :2] + regions[:, 2:] / 2, middles)


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        pytest.param((0.2, 0.2, 0.8, 0.8), True, id="whole"),
        pytest.param((0.0, 0.2, 0.5, 0.8), False, id="cut off on the left"),
        pytest.param((0.2, 0.0, 0.8, 0.5), False, id="cut off at the top"),
        pytest.param((0.5, 0.2, 1.0, 0.8), False, id="cut off on the right"),
        pytest.param((0.2, 0.5, 0.8, 1.0), False, id="cut off at the bottom"),
        pytest.param((-0.3, 0.2, 0.6, 0.8), False, id="reaches into the neighbour"),
        pytest.param((0.2, 1.3, 0.8, 1.9), False, id="where no cell is"),
    ],
)
def test_what_a_cell_cuts_off_is_left_out(part: tuple[float, ...], *, kept: bool) -> None:
    # Two cells in a row: the part is of the second one, the other find is whole and in the first.
    made = mosaic_of(painted(), [(100, 100, 200, 200), (400, 300, 500, 400)])
    (x, y, side), (left, top, _) = made.cells
    first, second = np.tile([x, y], 2), np.tile([left, top], 2)
    boxes = np.array([second + side * np.array(part), first + side * np.array([0.2, 0.3, 0.8, 0.9])])
    back = made.back(Detections(boxes, np.array([0.9, 0.8]), None, np.array([0.3, 0.6])))
    assert back.confidence.tolist() == ([0.9, 0.8] if kept else [0.8])
    assert back.frontality is not None
    assert back.frontality.tolist() == ([0.3, 0.6] if kept else [0.6])


def test_a_neighbour_that_is_half_in_a_cell_is_not_a_face() -> None:
    # Seen in the cell of the first face: all of it, and a third of the second one.
    image = painted((100, 100, 200, 200), (230, 100, 330, 200))
    made = mosaic_of(image, [(100, 100, 200, 200)], margin=0.6, face_px=100)
    _, _, stats, _ = cv2.connectedComponentsWithStats((made.picture[:, :, 0] > 127).astype(np.uint8))
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:]], dtype=np.float64)
    assert len(boxes) == 2
    back = made.back(bare(boxes))
    np.testing.assert_allclose(back.xyxy, [[100, 100, 200, 200]], atol=1.5)


def test_nothing_found_is_nothing() -> None:
    made = mosaic_of(painted(), [(10, 10, 60, 60)])
    assert len(made.back(Detections.empty())) == 0
    everywhere = bare(np.array([[0.0, 0.0, *made.picture.shape[1::-1]]]))
    assert len(made.back(everywhere)) == 0


@pytest.mark.parametrize(
    ("size", "face_px", "wide"),
    [
        pytest.param(200, 50, 50, id="made smaller"),
        pytest.param(50, 50, 50, id="left as it is"),
        pytest.param(45, 50, 50, id="made a little larger"),
        pytest.param(20, 50, 20 * mosaic._LARGEST_ENLARGEMENT, id="not blown up"),
    ],
)
def test_faces_get_the_wished_width(size: float, face_px: float, wide: float) -> None:
    made = mosaic_of(painted(), [(100, 100, 100 + size, 100 + size)], margin=0.5, face_px=face_px)
    assert made.cells[0, 2] == np.ceil(wide * 2)
    np.testing.assert_allclose(made.regions[0], [100 - size / 2, 100 - size / 2, 2 * size])


def test_beyond_the_picture_its_last_pixels_go_on() -> None:
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for box in [(-60.0, -60.0, 40.0, 40.0), (760.0, 560.0, 860.0, 660.0), (-900.0, 100.0, -500.0, 500.0)]:
        made = mosaic_of(image, [box])
        side = int(made.cells[0, 2])
        assert (made.picture[:side, :side] == 90).all()


def test_what_is_made_much_smaller_is_averaged() -> None:
    # A checkerboard of single pixels is grey from afar; four pixels of it alone may be anything.
    checks = (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(checks[:, :, None], 3, axis=2)
    for size in (170.0, 263.0, 400.0):
        made = mosaic_of(image, [(200.0, 100.0, 200 + size, 100 + size)], margin=0.1)
        side = int(made.cells[0, 2])
        inner = made.picture[1 : side - 1, 1 : side - 1].astype(int)
        assert abs(inner - 127).max() <= 40


@given(cells=st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_cells_never_overlap_and_lie_in_the_mosaic(cells: list[int]) -> None:
    places, (width, height) = mosaic._packed(np.array(cells, dtype=np.float64))
    assert width % mosaic._GRID_PX == height % mosaic._GRID_PX == 0
    taken = np.zeros((height, width), np.uint8)
    for (x, y), side in zip(places.astype(int), cells, strict=True):
        assert 0 <= x <= width - side
        assert 0 <= y <= height - side
        taken[y : y + side, x : x + side] += 1
    assert taken.max() == 1
    np.testing.assert_array_equal(places, places.astype(int))


def test_a_full_room_makes_a_picture_that_is_mostly_faces() -> None:
    places, (width, height) = mosaic._packed(np.full(30, 90.0))
    assert len(np.unique(places, axis=0)) == 30
    assert width * height < 30 * 90**2 / 0.7
    assert 0.5 < width / height < 4
