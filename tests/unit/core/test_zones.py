"""Where a point is in the picture, and which way a track crossed the line."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from optimind.core.zones import Line, Passage, Point, Zone, Zones, middles, polygon_fault

UNIT = st.floats(0, 1, allow_nan=False, width=32)
EXACT = st.integers(0, 64).map(lambda part: part / 64)
"""Fractions with which all sums and products are exact."""
POINTS = st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=30)
SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6))
DOOR = Line((0.5, 0.8), (0.5, 0.2), "left")
"""Upright in the middle of the picture: who comes from the right goes in, between 0.2 and 0.8 of the height."""
TIMES = np.linspace(0, 1, 41)


@st.composite
def polygons(draw: st.DrawFn) -> tuple[Point, ...]:
    """Star-shaped polygons, mostly not convex: corners at growing angles around a middle."""
    corners = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.05, 0.4), min_size=corners, max_size=corners))
    turned = draw(st.floats(0, 2 * math.pi))
    angles = turned + 2 * math.pi * np.arange(corners) / corners
    return tuple((0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


def zone(polygon: tuple[Point, ...] = SQUARE, kind: str = "seat", name: str = "A1") -> Zone:
    return Zone(name, kind, polygon)  # type: ignore[arg-type]  # a parameter of the tests


@given(polygons(), POINTS)
def test_inside_is_what_opencv_takes_for_inside(polygon: tuple[Point, ...], points: list[Point]) -> None:
    contour = np.array(polygon, dtype=np.float32)
    distances = np.array([cv2.pointPolygonTest(contour, point, measureDist=True) for point in points])
    found = zone(polygon).contains(np.array(points))
    # On the edge itself, OpenCV's 32 bits decide otherwise than 64.
    clear = np.abs(distances) > 1e-4
    assert (found == (distances > 0))[clear].all()


@given(polygons(), POINTS, st.integers(0, 20))
def test_neither_the_first_corner_nor_the_direction_matters(
    polygon: tuple[Point, ...], points: list[Point], first: int
) -> None:
    first %= len(polygon)
    inside = zone(polygon).contains(np.array(points))
    assert (zone(polygon[first:] + polygon[:first]).contains(np.array(points)) == inside).all()
    assert (zone(polygon[::-1]).contains(np.array(points)) == inside).all()


@given(st.floats(0, 1), st.floats(0, 1), POINTS, st.booleans())
def test_a_point_on_a_shared_edge_is_in_one_of_two_seats(
    left: float, right: float, points: list[Point], on_the_edge: bool
) -> None:
    assume(0.01 < left < 0.99 and 0.01 < right < 0.99)
    upper = zone(((0, 0), (1, 0), (1, right), (0, left)))
    lower = zone(((0, left), (1, right), (1, 1), (0, 1)))
    if on_the_edge:
        points = [(x, left + (right - left) * x) for x, _ in points]
    places = np.minimum(np.array(points), np.nextafter(1, 0))
    assert (upper.contains(places) ^ lower.contains(places)).all()


@pytest.mark.parametrize(
    ("polygon", "words"),
    [
        (((0, 0), (1, 1)), "at least 3"),
        (tuple((0.5 + 0.4 * math.cos(a), 0.5 + 0.4 * math.sin(a)) for a in np.linspace(0, 6, 101)), "100 are enough"),
        (((0, 0), (1, 0), (1, 1.01)), "outside the picture"),
        (((0, 0), (1, 0), (1, math.nan)), "outside the picture"),
        ((*SQUARE, SQUARE[0]), "a point twice"),
        (((0.1, 0.1), (0.3, 0.3), (0.5, 0.5)), "on one line"),
        (((0.1, 0.1), (0.101, 0.1), (0.1, 0.101)), "too small"),
        (((0, 0), (1, 1), (1, 0), (0, 0.8)), "sides 1 and 3"),
        (((0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)), "crosses itself"),  # touches with a corner
        (((0, 0), (1, 0), (0.5, 0), (0.5, 1)), "crosses itself"),  # goes back on its own side
        (SQUARE, ""),
        (((0, 0), (1, 0), (1, 1), (0.5, 0.1), (0, 1)), ""),
        (((0, 0), (0.5, 0), (1, 0), (1, 1)), ""),  # a corner in the middle of a straight side
    ],
)
def test_what_is_no_polygon(polygon: tuple[Point, ...], words: str) -> None:
    fault = polygon_fault(polygon)
    assert words in fault
    assert bool(words) == bool(fault)
    if words:
        with pytest.raises(ValueError, match=words):
            zone(polygon)


@given(polygons())
def test_a_star_shaped_polygon_is_one(polygon: tuple[Point, ...]) -> None:
    assert polygon_fault(polygon) == ""


def test_zones_of_a_camera() -> None:
    zones = Zones(
        (
            zone(name="A1"),
            zone(((0.5, 0.1), (0.9, 0.1), (0.9, 0.9), (0.5, 0.9)), "door", "door"),
            zone(((0, 0.5), (0.4, 0.5), (0.4, 1), (0, 1)), "ignore", "poster"),
        )
    )
    middle = np.array([(0.3, 0.3), (0.55, 0.3), (0.8, 0.5), (0.1, 0.9), (0.3, 0.55), (0.05, 0.05)])
    scale = np.array([1000, 500])
    boxes = np.hstack([middle * scale - 20, middle * scale + 20])
    assert zones.place_of(boxes, 1000, 500) == ["A1", "A1", "door", None, "A1", None]
    assert zones.ignored(boxes, 1000, 500).tolist() == [False, False, False, True, True, False]
    # The same picture with twice the pixels.
    assert zones.place_of(boxes * 2, 2000, 1000) == zones.place_of(boxes, 1000, 500)
    assert [named.name for named in zones] == ["A1", "door", "poster"]


@pytest.mark.parametrize("zones", [Zones(), Zones((zone(),))])
def test_no_zones_and_no_faces(zones: Zones) -> None:
    none = np.empty((0, 4))
    assert zones.place_of(none, 100, 100) == []
    assert zones.ignored(none, 100, 100).shape == (0,)
    assert zones.contains(np.empty((0, 2))).shape == (len(zones), 0)
    one = np.array([[30.0, 30, 50, 50]])
    assert zones.ignored(one, 100, 100).tolist() == [False]
    assert zones.place_of(one, 100, 100) == ["A1" if len(zones) else None]


def test_two_zones_of_one_name() -> None:
    with pytest.raises(ValueError, match="same name"):
        Zones((zone(), zone()))


@pytest.mark.parametrize("box", [(90, 90, 130, 130), (-30, -30, 10, 10), (90, -60, 140, 20)])
def test_a_face_at_the_border_is_in_what_is_there(box: tuple[float, ...]) -> None:
    boxes = np.array([box], dtype=np.float64)
    assert zone(((0, 0), (1, 0), (1, 1), (0, 1))).contains(middles(boxes, 100, 100)).all()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0.6, 0.5), (0.4, 0.5), "in"),
        ((0.4, 0.5), (0.6, 0.5), "out"),
        ((0.6, 0.5), (0.5, 0.5), "in"),  # on the line is in
        ((0.5, 0.5), (0.6, 0.5), "out"),
        ((0.4, 0.5), (0.5, 0.5), None),
        ((0.6, 0.5), (0.9, 0.5), None),
        ((0.6, 0.1), (0.4, 0.1), None),  # past the line's end
        ((0.6, 0.9), (0.4, 0.9), None),
        ((0.6, 0.5), (0.6, 0.5), None),
    ],
)
def test_one_step(before: Point, after: Point, expected: str | None) -> None:
    assert DOOR.crossing(before, after) == expected


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        (Line((0.5, 0.8), (0.5, 0.2), "left"), (0.4, 0.5)),  # upwards: left is left
        (Line((0.5, 0.8), (0.5, 0.2), "right"), (0.6, 0.5)),
        (Line((0.5, 0.2), (0.5, 0.8), "left"), (0.6, 0.5)),  # towards the viewer
        (Line((0.2, 0.5), (0.8, 0.5), "left"), (0.5, 0.4)),  # to the right: left is above
    ],
)
def test_which_side_is_in(line: Line, inner: Point) -> None:
    assert line.depth(inner) == pytest.approx(0.1)
    assert line.crossing((1 - inner[0], 1 - inner[1]), inner) == "in"


def test_a_line_without_length() -> None:
    with pytest.raises(ValueError, match="two different ends"):
        Line((0.5, 0.5), (0.5, 0.5), "left")


@given(*[st.tuples(UNIT, UNIT)] * 4, st.sampled_from(["left", "right"]))
def test_the_way_back_is_the_other_crossing(start: Point, end: Point, a: Point, b: Point, inside: str) -> None:
    assume(start != end)
    line = Line(start, end, inside)  # type: ignore[arg-type]  # a parameter of the test
    back = {"in": "out", "out": "in", None: None}
    assert line.crossing(b, a) == back[line.crossing(a, b)]


@given(*[st.tuples(EXACT, EXACT)] * 4)
def test_a_line_that_is_turned_round_has_its_inside_on_the_other_side(
    start: Point, end: Point, a: Point, b: Point
) -> None:
    assume(start != end)
    line, turned, mirrored = Line(start, end, "left"), Line(end, start, "left"), Line(end, start, "right")
    assert mirrored.crossing(a, b) == line.crossing(a, b)
    if 0 not in (line.depth(a), line.depth(b)):
        assert turned.crossing(a, b) == {"in": "out", "out": "in", None: None}[line.crossing(a, b)]


def watched(line: Line, path: list[Point], margin: float = Passage.MARGIN) -> list[str]:
    passage = Passage(line, margin)
    return [crossing for crossing in map(passage.update, path) if crossing]


def way(*corners: Point) -> list[Point]:
    """A path over ``corners``, 41 places for each stretch."""
    stretches = [[(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for t in TIMES] for a, b in pairwise(corners)]
    return [place for stretch in stretches for place in stretch]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (way((0.8, 0.5), (0.2, 0.5)), ["in"]),
        (way((0.8, 0.5), (0.2, 0.5), (0.8, 0.4)), ["in", "out"]),
        ([(0.8, 0.5), (0.2, 0.5)], ["in"]),  # in one leap
        (way((0.8, 0.5), (0.5, 0.5), (0.8, 0.5)), []),  # touches the line and turns round
        (way((0.8, 0.5), (0.49, 0.5), (0.8, 0.5)), []),  # looks in and turns round
        (way((0.51, 0.5), (0.2, 0.5)), []),  # stood on the line from the start: nobody knows
        (
            way((0.8, 0.5), (0.51, 0.5), (0.51, 0.7), (0.49, 0.7), (0.2, 0.7)),
            ["in"],
        ),  # walks along the line first
        (way((0.8, 0.5), (0.8, 0.05), (0.2, 0.05), (0.2, 0.5)), []),  # around its end
        (way((0.8, 0.5), (0.2, 0.5), (0.2, 0.05), (0.8, 0.05), (0.8, 0.5), (0.2, 0.5)), ["in", "in"]),
        (way((0.8, 0.5), (0.51, 0.5), (0.51, 0.1), (0.49, 0.1), (0.2, 0.1)), []),  # along it, and then around its end
        ([], []),
    ],
)
def test_a_track_at_the_door(path: list[Point], expected: list[str]) -> None:
    assert watched(DOOR, path) == expected


@given(st.lists(st.floats(-0.0199, 0.0199), min_size=1, max_size=50), st.booleans())
def test_jitter_on_the_line_is_no_crossing(offsets: list[float], came_in: bool) -> None:
    start = 0.8 if came_in else 0.2
    lingering = [(0.5 + offset, 0.5) for offset in offsets]
    assert watched(DOOR, [(start, 0.5), *lingering]) == []
    assert watched(DOOR, [(start, 0.5), *lingering, (start, 0.5)]) == []
    through = watched(DOOR, [(start, 0.5), *lingering, (1 - start, 0.5)])
    assert through == ["in" if came_in else "out"]


@example([(0.9, 1), (0.1, 1)], 0.02)
@example([(0.9, 0), (0.1, 0)], 0.02)
@given(st.lists(st.tuples(UNIT, UNIT), max_size=40), st.floats(0, 0.1))
def test_over_a_line_through_the_whole_picture_in_and_out_take_turns(path: list[Point], margin: float) -> None:
    line = Line((0.5, 1), (0.5, 0), "left")
    crossings = watched(line, path, margin)
    assert all(one != other for one, other in pairwise(crossings))
    sure = [line.depth(point) > 0 for point in path if abs(line.depth(point)) > margin]
    net = crossings.count("in") - crossings.count("out")
    assert net == (int(sure[-1]) - int(sure[0]) if sure else 0)
