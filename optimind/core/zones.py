"""Places in a camera's picture: seats, doors, parts to ignore, and the line between in and out.

All coordinates are fractions of the picture, (x, y) from 0 to 1 with y downwards, so that they stay right when the
camera sends another resolution. A face is where the middle of its box is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import Boxes, centres

__all__ = ["Line", "Passage", "Point", "Points", "Zone", "ZoneKind", "Zones", "middles", "polygon_fault"]

ZoneKind = Literal["seat", "door", "ignore"]
Point = tuple[float, float]
Points = NDArray[np.float64]
"""(n, 2) x, y in fractions of the picture."""

_LEAST_AREA = 1e-5
"""In parts of the picture: 5 x 4 pixels of 1920 x 1080, in which no face's middle can be meant to lie."""
_MOST_POINTS = 100


def middles(xyxy: Boxes, width: int, height: int) -> Points:
    """The middle of each box, in fractions of a picture of that size in pixels.

    A face at the border whose box reaches beyond the picture belongs to what is at that border.
    """
    return np.asarray(np.clip(centres(xyxy) / [width, height], 0, np.nextafter(1, 0)))


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon with a name; its last point is joined to its first. Raises ``ValueError`` where it is none."""

    name: str
    kind: ZoneKind
    polygon: tuple[Point, ...]

    def __post_init__(self) -> None:
        fault = polygon_fault(self.polygon)
        if fault:
            raise ValueError(f"zone {self.name}: {fault}")

    def contains(self, points: Points) -> NDArray[np.bool_]:
        """Whether each of (n, 2) points is inside: (n,).

        Of two zones that share an edge, a point on it is in exactly one.
        """
        x, y = points[:, 0], points[:, 1]
        inside = np.zeros(len(points), dtype=bool)
        for edge in _edges(self.polygon):
            # Always from the upper end, so that the zone on the other side of an edge computes the same numbers.
            (x1, y1), (x2, y2) = sorted(edge, key=lambda point: point[1])
            spans = (y1 <= y) & (y < y2)
            inside[spans] ^= x[spans] < x1 + (x2 - x1) * ((y[spans] - y1) / (y2 - y1))
        return inside


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of one camera, in the order of the settings. Raises ``ValueError`` where two have one name."""

    zones: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        if len({zone.name for zone in self.zones}) < len(self.zones):
            raise ValueError("two zones of a camera have the same name")

    def __len__(self) -> int:
        return len(self.zones)

    def __iter__(self) -> Iterator[Zone]:
        return iter(self.zones)

    def contains(self, points: Points) -> NDArray[np.bool_]:
        """Which of (n, 2) points are in which zone: (zones, n)."""
        inside = [zone.contains(points) for zone in self.zones]
        return np.array(inside, dtype=bool).reshape(len(self.zones), len(points))

    def ignores(self, points: Points) -> NDArray[np.bool_]:
        """Which of (n, 2) points are in a zone to ignore: (n,)."""
        ignoring = np.array([zone.kind == "ignore" for zone in self.zones], dtype=bool)
        return np.asarray(self.contains(points)[ignoring].any(axis=0))

    def ignored(self, xyxy: Boxes, width: int, height: int) -> NDArray[np.bool_]:
        """Which of the faces lie in a zone to ignore: (n,). Boxes are pixels of a picture of that size."""
        return self.ignores(middles(xyxy, width, height))

    def place_of(self, xyxy: Boxes, width: int, height: int) -> list[str | None]:
        """The name of the seat or door that each face is at, None where it is at none; of several, the first one."""
        inside = self.contains(middles(xyxy, width, height))
        places = [(zone.name, row) for zone, row in zip(self.zones, inside, strict=True) if zone.kind != "ignore"]
        return [next((name for name, row in places if row[face]), None) for face in range(len(xyxy))]


@dataclass(frozen=True, slots=True)
class Line:
    """The line between in and out: a stretch from ``start`` to ``end``, and which side of it is in.

    ``inside`` is the side on one's left or right hand when one walks over the picture from ``start`` to ``end``. Raises
    ``ValueError`` where both ends are in one place.
    """

    start: Point
    end: Point
    inside: Literal["left", "right"]

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("a line needs two different ends")

    def depth(self, point: Point) -> float:
        """How far ``point`` is on the inner side of the endless line through both ends; negative outside."""
        (x1, y1), (x2, y2) = self.start, self.end
        to_the_right = (x2 - x1) * (point[1] - y1) - (y2 - y1) * (point[0] - x1)
        depth = to_the_right / float(np.hypot(x2 - x1, y2 - y1))
        return depth if self.inside == "right" else -depth

    def crossing(self, before: Point, after: Point) -> Literal["in", "out"] | None:
        """What the straight way from ``before`` to ``after`` does; a point on the line itself is inside.

        A way past the line's ends is no crossing, one over an end is. For what a camera sees use :class:`Passage`,
        which does not count jitter.
        """
        was_in, is_in = self.depth(before) >= 0, self.depth(after) >= 0
        if was_in == is_in:
            return None
        # The way is always looked at from outside to inside, so that the way back gives the same answer.
        outer, inner = (before, after) if is_in else (after, before)
        if _turn(outer, inner, self.start) * _turn(outer, inner, self.end) > 0:
            return None
        return "in" if is_in else "out"


class Passage:
    """Watches one track's way over a :class:`Line`.

    Who lingers on the line, or only touches it, has not crossed it: a crossing counts when the track is ``margin`` (a
    fraction of the picture) beyond the line, after it was as far on the other side. Who went around the line's end has
    not crossed it either.
    """

    MARGIN = 0.02
    """A face at a door is at least this wide in the picture, and its box wavers by much less."""

    def __init__(self, line: Line, margin: float = MARGIN) -> None:
        self._line = line
        self._margin = margin
        self._is_in: bool | None = None
        self._last: Point | None = None
        self._balance = 0

    def update(self, point: Point) -> Literal["in", "out"] | None:
        """Take the track's next place (see :func:`middles`); returns the crossing that is sure now."""
        if self._last is not None:
            step = self._line.crossing(self._last, point)
            self._balance += {"in": 1, "out": -1, None: 0}[step]
        self._last = point
        depth = self._line.depth(point)
        if abs(depth) <= self._margin:
            return None
        was_in, self._is_in = self._is_in, depth > 0
        balance, self._balance = self._balance, 0
        if was_in is None or was_in == self._is_in:
            return None
        if self._is_in:
            return "in" if balance > 0 else None
        return "out" if balance < 0 else None


def polygon_fault(polygon: tuple[Point, ...]) -> str:
    """What keeps ``polygon`` from being a zone, in words; empty where nothing does."""
    if not 3 <= len(polygon) <= _MOST_POINTS:
        return f"has {len(polygon)} points; a polygon needs at least 3, and {_MOST_POINTS} are enough"
    if not all(0 <= value <= 1 for point in polygon for value in point):
        return "has a point outside the picture; fractions of the picture go from 0 to 1"
    if len(set(polygon)) < len(polygon):
        return "names a point twice; leave one out (the last point is joined to the first by itself)"
    if all(abs(_turn(polygon[0], b, c)) / 2 < _LEAST_AREA for b, c in combinations(polygon[1:], 2)):
        return "is too small to hold a face, or all its points are on one line"
    edges = list(_edges(polygon))
    for (i, one), (j, other) in combinations(enumerate(edges), 2):
        neighbours = j == i + 1 or (i == 0 and j == len(edges) - 1)
        if _folds_back(one, other) if neighbours else _touch(one, other):
            return f"crosses itself: its sides {i + 1} and {j + 1} meet; name the points in order around the zone"
    return ""


def _edges(polygon: tuple[Point, ...]) -> Iterator[tuple[Point, Point]]:
    return pairwise((*polygon, polygon[0]))


def _turn(a: Point, b: Point, c: Point) -> float:
    """Positive where the way from ``a`` over ``b`` to ``c`` turns to the right, as y goes down; 0 on one line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _touch(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two stretches have a point in common."""
    (a, b), (c, d) = one, other
    turns = [_turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)]
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _between(*points) for turn, points in zip(turns, ends, strict=True))


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether ``c``, which is on the endless line through ``a`` and ``b``, is between them."""
    return all(min(one, other) <= at <= max(one, other) for one, other, at in zip(a, b, c, strict=True))


def _folds_back(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two neighbouring sides lie on each other."""
    shared = (set(one) & set(other)).pop()
    (a,), (b,) = set(one) - {shared}, set(other) - {shared}
    ahead = (a[0] - shared[0]) * (b[0] - shared[0]) + (a[1] - shared[1]) * (b[1] - shared[1])
    return _turn(shared, a, b) == 0 and ahead > 0
