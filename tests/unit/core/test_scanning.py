"""Where a picture is searched: that no face can hide between the tiles, and that only what changes is searched."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimind.core import scanning
from optimind.core.geometry import Boxes
from optimind.core.scanning import ScanPlan, Search, Tile
from optimind.core.zones import Zone, Zones

INTERVAL_S = 1.0
QUIET_S = 10.0
CELL_PX = 16
NOBODY = np.empty((0, 4))
NOWHERE = Zones()
Thumbnail = NDArray[np.float32]

sides = st.integers(16, 4500)
faces_px = st.floats(15, 300)
fractions = st.floats(0, 1)


def plan_of(width: int = 1920, height: int = 1080, min_face_px: float = 45, zones: Zones = NOWHERE) -> ScanPlan:
    return ScanPlan(width, height, min_face_px, interval_s=INTERVAL_S, quiet_s=QUIET_S, zones=zones)


def thumbnail_of(plan: ScanPlan, cell_px: float = CELL_PX) -> Thumbnail:
    """Some picture: no two cells need be alike."""
    width, height = plan.size
    shape = (max(1, int(height // cell_px)), max(1, int(width // cell_px)))
    return np.random.default_rng(1).uniform(60, 180, shape).astype(np.float32)


def search_all(plan: ScanPlan, thumbnail: Thumbnail, now_s: float) -> list[Search]:
    due = plan.due(thumbnail, NOBODY, now_s)
    for search in due:
        plan.searched(search, thumbnail, now_s)
    return due


def searched_plan(**size: float) -> tuple[ScanPlan, Thumbnail]:
    """A plan of which every part was searched at second 0, and what the picture looked like."""
    plan = plan_of(**size)  # type: ignore[arg-type]  # numbers
    thumbnail = thumbnail_of(plan)
    search_all(plan, thumbnail, 0.0)
    return plan, thumbnail


def changed(thumbnail: Thumbnail, rows: slice, columns: slice, by: float = 3 * scanning._CHANGE) -> Thumbnail:
    other = thumbnail.copy()
    other[rows, columns] += by
    return other


def holds(box: tuple[float, ...], face: tuple[float, ...]) -> bool:
    return box[0] <= face[0] and box[1] <= face[1] and box[2] >= face[2] and box[3] >= face[3]


# -- the tiles ------------------------------------------------------------------------------------------------------


@given(width=sides, height=sides, min_face_px=faces_px, part=fractions, x=fractions, y=fractions)
def test_every_face_lies_whole_in_a_tile_that_shows_it_large_enough(
    *, width: int, height: int, min_face_px: float, part: float, x: float, y: float
) -> None:
    plan = plan_of(width, height, min_face_px)
    size = min_face_px + part * (min(width, height) - min_face_px)
    assume(min_face_px <= size <= min(width, height))
    left, top = x * (width - size), y * (height - size)
    face = (left, top, left + size, top + size)
    good = [
        tile
        for tile in plan.tiles
        # A tile's own faces are those up to its margin; the small copy is for whoever is larger.
        if size <= tile.margin_px and holds(tile.box, face) and size * tile.scale >= min_face_px * 0.999
    ]
    if len(plan.tiles) == 1:
        assert holds(plan.tiles[0].box, face)
    else:
        assert good


@given(width=sides, height=sides, min_face_px=faces_px)
def test_tiles_are_parts_of_the_picture(width: int, height: int, min_face_px: float) -> None:
    plan = plan_of(width, height, min_face_px)
    for tile in plan.tiles:
        left, top, right, bottom = tile.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert all(isinstance(edge, int) for edge in tile.box)
        assert 0 < tile.scale <= 1
    *parts, last = plan.tiles
    if parts:
        assert all(tile.scale == 1 for tile in parts)
        assert last == Tile((0, 0, width, height), last.scale, last.least_px, max(width, height))
        assert last.least_px == parts[0].margin_px  # smaller ones are found in the parts
    else:
        assert last.box == (0, 0, width, height)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160)])
def test_tiles_cost_little_more_than_the_picture(width: int, height: int) -> None:
    searches = plan_of(width, height).due(thumbnail_of(plan_of(width, height)), NOBODY, 0.0)
    assert sum(search.pixels for search in searches) < 1.75 * width * height
    tiles = [search for search in searches if search.scale == 1]
    assert all(search.pixels < 2.5 * (scanning._TILE * 45) ** 2 for search in tiles)


def test_a_copy_has_as_many_pixels_as_its_scale_says() -> None:
    assert Search(0, (10, 20, 110, 70), 0.5, 1.0).pixels == 50 * 25


@given(width=sides, height=sides, min_face_px=faces_px)
def test_a_picture_has_as_many_pixels_as_are_searched_at_first(width: int, height: int, min_face_px: float) -> None:
    plan = plan_of(width, height, min_face_px)
    assert plan.pixels == sum(search.pixels for search in plan.due(thumbnail_of(plan), NOBODY, 0.0))


@pytest.mark.parametrize(("width", "height", "min_face_px"), [(640, 480, 45), (320, 240, 20), (1920, 1080, 120)])
def test_a_single_tile_is_searched_as_a_whole_wherever_something_changes(
    width: int, height: int, min_face_px: float
) -> None:
    plan, thumbnail = searched_plan(width=width, height=height, min_face_px=min_face_px)
    whole = (0, 0, width, height)
    assert plan.tiles == [Tile(whole, 1.0, min_face_px, max(width, height))]
    [search] = plan.due(changed(thumbnail, slice(3, 8), slice(3, 8)), NOBODY, INTERVAL_S)
    assert (search.box, search.scale) == (whole, 1.0)


# -- what is due ----------------------------------------------------------------------------------------------------


def test_at_first_all_of_it_is_due() -> None:
    plan = plan_of()
    due = plan.due(thumbnail_of(plan), NOBODY, 1.7e9)
    assert [(search.index, search.box, search.scale) for search in due] == [
        (index, tile.box, tile.scale) for index, tile in enumerate(plan.tiles)
    ]
    assert all(search.waited == math.inf for search in due)


@given(
    width=st.integers(400, 4000),
    height=st.integers(400, 2200),
    min_face_px=st.floats(52, 90),
    size=fractions,
    x=fractions,
    y=fractions,
    by=st.sampled_from([-1.5, 1.5, 8]),
)
def test_whoever_appears_lies_whole_in_what_is_searched(
    *, width: int, height: int, min_face_px: float, size: float, x: float, y: float, by: float
) -> None:
    assume(min(width, height) > 5 * min_face_px)
    plan, thumbnail = searched_plan(width=width, height=height, min_face_px=min_face_px)
    # What changes in more than half of a tile would be another light.
    side = min_face_px + size * (min(plan.tiles[0].margin_px, 0.6 * min(width, height)) - min_face_px)
    left, top = x * (width - side), y * (height - side)
    per_cell = np.array([width / thumbnail.shape[1], height / thumbnail.shape[0]])
    low = np.ceil(np.array([left, top]) / per_cell - 1e-9).astype(int)
    high = np.floor(np.array([left, top]) / per_cell + side / per_cell + 1e-9).astype(int)
    assert (high - low >= 2).all()
    now = changed(thumbnail, slice(low[1], high[1]), slice(low[0], high[0]), by * scanning._CHANGE)
    due = plan.due(now, NOBODY, INTERVAL_S)
    face = (left, top, left + side, top + side)
    assert any(holds(search.box, face) for search in due)
    for search in due:
        assert holds(plan.tiles[search.index].box, search.box)
        assert search.waited == pytest.approx(1)
        plan.searched(search, now, INTERVAL_S)
    assert plan.due(now, NOBODY, 2 * INTERVAL_S) == []


def test_what_changed_is_searched_and_not_all_of_its_tile() -> None:
    plan, thumbnail = searched_plan()
    now = changed(thumbnail, slice(10, 13), slice(10, 13))
    part, *others = [search for search in plan.due(now, NOBODY, INTERVAL_S) if search.scale == 1]
    assert not others
    tile = plan.tiles[part.index]
    to_x, to_y = 1920 / thumbnail.shape[1], 1080 / thumbnail.shape[0]
    margin = tile.margin_px
    assert part.box == (
        max(0, math.floor(10 * to_x) - margin),
        max(0, math.floor(10 * to_y) - margin),
        math.ceil(13 * to_x) + margin,
        math.ceil(13 * to_y) + margin,
    )


def test_a_part_is_not_searched_more_often_than_the_interval() -> None:
    plan, thumbnail = searched_plan()
    now = changed(thumbnail, slice(10, 14), slice(10, 14))
    assert plan.due(now, NOBODY, 0.99 * INTERVAL_S) == []
    assert plan.due(now, NOBODY, INTERVAL_S)


@pytest.mark.parametrize("seconds", [INTERVAL_S, 5 * INTERVAL_S, QUIET_S - 0.01])
def test_where_nothing_changes_nothing_is_due(seconds: float) -> None:
    plan, thumbnail = searched_plan()
    noise = np.random.default_rng(0).uniform(-0.45, 0.45, thumbnail.shape) * scanning._CHANGE
    assert plan.due((thumbnail + noise).astype(np.float32), NOBODY, seconds) == []


def test_all_of_a_quiet_picture_is_due_from_time_to_time() -> None:
    plan, thumbnail = searched_plan()
    due = plan.due(thumbnail, NOBODY, QUIET_S)
    assert [search.box for search in due] == [tile.box for tile in plan.tiles]
    assert all(search.waited == pytest.approx(1) for search in due)


def test_searches_of_parts_do_not_put_off_the_search_of_the_whole_tile() -> None:
    plan, thumbnail = searched_plan()
    now_s = 0.0
    while now_s + INTERVAL_S < QUIET_S:
        now_s += INTERVAL_S
        thumbnail = changed(thumbnail, slice(10, 14), slice(10, 14))
        search_all(plan, thumbnail, now_s)
    assert {search.box for search in plan.due(thumbnail, NOBODY, QUIET_S)} >= {tile.box for tile in plan.tiles[:-1]}


def test_what_is_too_small_for_a_tiles_faces_is_searched_in_the_others_only() -> None:
    plan, thumbnail = searched_plan()
    *parts, everything = plan.tiles
    least = everything.least_cells(CELL_PX)
    assert least > parts[0].least_cells(CELL_PX)
    side = math.isqrt(least)
    for wide, scales in ((side - 1, {1.0}), (side + 1, {1.0, everything.scale})):
        due = plan.due(changed(thumbnail, slice(10, 10 + wide), slice(10, 10 + wide)), NOBODY, INTERVAL_S)
        assert {search.scale for search in due} == scales


def test_what_flickers_here_and_there_is_nobody() -> None:
    plan, thumbnail = searched_plan()
    flicker = thumbnail.copy()
    flicker[::4, ::4] += 3 * scanning._CHANGE
    assert plan.due(flicker, NOBODY, INTERVAL_S) == []


def test_one_cell_alone_is_nobody() -> None:
    plan, thumbnail = searched_plan()
    few = scanning._LEAST_CELLS - 1
    assert plan.due(changed(thumbnail, slice(10, 11), slice(10, 10 + few)), NOBODY, INTERVAL_S) == []
    assert plan.due(changed(thumbnail, slice(10, 11), slice(10, 11 + few)), NOBODY, INTERVAL_S)


@given(by=st.floats(-60, 60), seconds=st.floats(INTERVAL_S, QUIET_S - 0.1))
def test_another_light_is_no_change(by: float, seconds: float) -> None:
    plan, thumbnail = searched_plan()
    assert plan.due(thumbnail + np.float32(by), NOBODY, seconds) == []


@given(by=st.floats(-60, 60))
def test_who_comes_while_the_light_changes_is_searched_once(by: float) -> None:
    plan, thumbnail = searched_plan()
    now = changed(thumbnail + np.float32(by), slice(10, 14), slice(10, 14))
    due = plan.due(now, NOBODY, INTERVAL_S)
    assert all(search.scale < 1 or search.box != plan.tiles[search.index].box for search in due)
    for search in due:
        plan.searched(search, now, INTERVAL_S)
    assert due
    assert plan.due(now, NOBODY, 2 * INTERVAL_S) == []


def test_a_face_that_is_followed_explains_what_changes_around_it_until_it_is_no_longer() -> None:
    plan, thumbnail = searched_plan()
    left, top, right, bottom = 400.0, 300.0, 500.0, 400.0
    face = np.array([[left, top, right, bottom]])
    around = scanning._EXPLAINED * 100
    rows = slice(math.ceil((top - around) / CELL_PX), math.floor((bottom + around) / CELL_PX))
    columns = slice(math.ceil((left - around) / CELL_PX), math.floor((right + around) / CELL_PX))
    now = changed(thumbnail, rows, columns)
    assert plan.due(now, face, INTERVAL_S) == []
    assert plan.due(now, NOBODY, INTERVAL_S)
    beside = changed(now, rows, slice(columns.stop + 2, columns.stop + 6))
    [search, *_] = plan.due(beside, face, INTERVAL_S)
    assert search.box[0] > left - around - plan.tiles[0].margin_px


@pytest.mark.parametrize(
    ("kind", "is_searched"), [pytest.param("ignore", False, id="ignored"), pytest.param("seat", True, id="a seat")]
)
def test_what_changes_in_a_zone_to_ignore_is_nothing(kind: Literal["seat", "ignore"], *, is_searched: bool) -> None:
    window = Zone("window", kind, ((0.5, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5)))
    plan = plan_of(zones=Zones((window,)))
    thumbnail = thumbnail_of(plan)
    search_all(plan, thumbnail, 0.0)
    rows, columns = (side // 2 for side in thumbnail.shape)
    moved = changed(thumbnail, slice(2, rows - 2), slice(columns + 2, columns + 30))
    assert bool(plan.due(moved, NOBODY, INTERVAL_S)) is is_searched
    # Beside it somebody is searched nevertheless, and from time to time all of it is.
    beside = changed(moved, slice(rows + 2, rows + 6), slice(columns + 2, columns + 6))
    assert plan.due(beside, NOBODY, INTERVAL_S)
    assert [search.box for search in plan.due(moved, NOBODY, QUIET_S)] == [tile.box for tile in plan.tiles]


@pytest.mark.parametrize(
    "face", [(-300.0, -200.0, -150.0, -50.0), (1900.0, 1060.0, 2100.0, 1260.0), (-50.0, -50.0, 3000.0, 3000.0)]
)
def test_a_followed_face_may_be_beyond_the_picture(face: tuple[float, ...]) -> None:
    plan, thumbnail = searched_plan()
    now = changed(thumbnail, slice(30, 34), slice(60, 64))
    due = plan.due(now, np.array([face]), INTERVAL_S)
    assert bool(due) is not holds(face, (0, 0, 1920, 1080))


@pytest.mark.parametrize("back_s", [0.5, 3600.0])
def test_a_clock_set_back_hides_nobody(back_s: float) -> None:
    plan, thumbnail = searched_plan()
    search_all(plan, thumbnail, QUIET_S)
    now_s = 2 * QUIET_S - 5
    first = changed(thumbnail, slice(10, 14), slice(10, 14))
    search_all(plan, first, now_s)
    second = changed(first, slice(20, 24), slice(20, 24))
    due = plan.due(second, NOBODY, now_s - back_s)
    assert any(search.scale == 1 and holds(search.box, (320, 320, 384, 384)) for search in due)
    if back_s > QUIET_S:
        assert [search.box for search in due] == [tile.box for tile in plan.tiles]


def test_the_most_urgent_comes_first_and_nothing_waits_for_ever() -> None:
    plan = plan_of()
    random = np.random.default_rng(5)
    shape = thumbnail_of(plan).shape
    latest = dict.fromkeys(range(len(plan.tiles)), 0)
    for step in range(200):
        now = random.uniform(0, 255, shape).astype(np.float32)
        due = plan.due(now, NOBODY, 0.3 * step)
        waited = [search.waited for search in due]
        assert waited == sorted(waited, reverse=True)
        if due:  # there is time for one only
            plan.searched(due[0], now, 0.3 * step)
            latest[due[0].index] = step
        assert min(latest.values()) >= step - 2 * len(plan.tiles)


# -- what changes and is no face ------------------------------------------------------------------------------------


def due_s(plan: ScanPlan, before: Thumbnail, *, found: Boxes | None, until_s: float) -> list[float]:
    """When the place that flickers is searched, looking at it ten times in an interval."""
    other = changed(before, slice(10, 16), slice(10, 16))
    searched: list[float] = []
    for step in range(1, round(10 * until_s / INTERVAL_S)):
        now_s = step * INTERVAL_S / 10
        now = other if len(searched) % 2 == 0 else before
        due = [search for search in plan.due(now, NOBODY, now_s) if search.scale == 1]
        for search in due:
            plan.searched(search, now, now_s, found)
        searched += [now_s / INTERVAL_S] * bool(due)
    return [round(moment, 1) for moment in searched]


def test_what_flickers_and_is_no_face_is_searched_less_and_less_often_but_not_never() -> None:
    plan, thumbnail = searched_plan()
    moments = due_s(plan, thumbnail, found=NOBODY, until_s=9 * INTERVAL_S)
    gaps = np.diff(moments)
    assert gaps[0] == pytest.approx(1)
    assert gaps[1:] == pytest.approx(scanning._PATIENCE)


def test_where_there_is_a_face_it_is_searched_at_every_interval() -> None:
    plan, thumbnail = searched_plan()
    cell = 1920 / thumbnail.shape[1]
    face = np.array([[10 * cell, 10 * cell, 16 * cell, 16 * cell]])
    gaps = np.diff(due_s(plan, thumbnail, found=face, until_s=8 * INTERVAL_S))
    assert gaps == pytest.approx(1)


def test_who_comes_beside_what_flickers_is_searched_at_once() -> None:
    plan, thumbnail = searched_plan()
    due_s(plan, thumbnail, found=NOBODY, until_s=6 * INTERVAL_S)
    now = changed(changed(thumbnail, slice(10, 16), slice(10, 16)), slice(10, 16), slice(24, 30))
    now_s = 6 * INTERVAL_S + 0.01
    assert any(search.scale == 1 for search in plan.due(now, NOBODY, now_s))


def test_a_clock_that_is_set_back_holds_nothing_back() -> None:
    plan, thumbnail = searched_plan()
    due_s(plan, thumbnail, found=NOBODY, until_s=12 * INTERVAL_S)
    now = changed(thumbnail, slice(10, 16), slice(10, 16))
    assert plan.due(now, NOBODY, 2 * INTERVAL_S)
