from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.sinks._sheets_table import (
    HEADER,
    View,
    cells_of,
    column_letters,
    find_columns,
    homes_of,
    place,
    range_of,
)
from optimind.testing.sinks import make_row

STRAIGHT = {name: index for index, name in enumerate(HEADER)}


def view(*ids: str, used: int = 0) -> View:
    return View(STRAIGHT, ["record_id", *ids], max(used, 1 + len(ids)))


def placed(ids: list[str], before: View, torn: Any = (), homes: Any = None) -> tuple[Any, Any]:
    plan = place([make_row(each) for each in ids], before, frozenset(torn), homes or {})
    return {row: record.record_id for row, record in plan.rows.items()}, plan.cleared


def test_the_columns_are_those_of_the_register() -> None:
    assert HEADER == (
        "record_id", "date", "session", "person_id", "name", "status", "first_seen_at", "last_seen_at",
        "seconds_seen", "camera", "similarity", "margin", "source", "class", "reason", "corrected_by", "notes",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "before", "rows", "cleared"),
    [
        (["a", "b"], view(), {2: "a", 3: "b"}, set()),
        (["b", "c"], view("a", "b"), {3: "b", 4: "c"}, set()),
        (["c"], view("a", "", "b"), {5: "c"}, set()),
        (["c"], view("a", used=9), {10: "c"}, set()),
        (["a"], view("a", "b", "a", "a"), {2: "a"}, {4, 5}),
        (["a", "a"], view(), {2: "a"}, set()),
    ],
    ids=["empty", "known and new", "a gap stays", "below what people wrote", "doubled", "given twice"],
)
def test_place(ids: list[str], before: View, rows: dict[int, str], cleared: set[int]) -> None:
    assert placed(ids, before) == (rows, cleared)


def test_a_torn_write_is_mended() -> None:
    # "a" was written into row 2 while a sort moved "b" there and "a" itself to row 3.
    before = view("a", "a", "c")
    assert placed(["a", "b"], before, {2}, {"b": (2, "a")}) == ({3: "a", 2: "b"}, set())
    assert placed(["a", "new"], before, {2}, {"b": (2, "a")}) == ({3: "a", 4 + 1: "new"}, {2})
    # Somebody sorted once more: the row is another's by now.
    assert placed(["a", "b"], view("c", "a", "a"), {2}, {"b": (2, "a")}) == ({3: "a", 5: "b"}, {4})


def test_a_new_record_makes_room_for_the_one_it_overwrote() -> None:
    assert placed(["f", "c"], view("a", "f", "d"), {3}, {"c": (3, "f")}) == ({5: "f", 3: "c"}, set())
    assert placed(["f"], view("a", "f", "d"), {3}, {"c": (3, "f")}) == ({3: "f"}, set())


@pytest.mark.parametrize(
    ("after", "written", "lost", "homes"),
    [
        (view("b", "b", "d", "e"), {3}, {"a", "c"}, {"c": (3, "b")}),
        (view("", "b", "", "", "b", "f", "d", "e"), {3, 7}, {"a", "c"}, {"a": (3, "b"), "c": (7, "f")}),
        (view("e", "b", "c", "b", "a", "f"), {3, 7}, {"d"}, {"d": (3, "b")}),
        (view("f", "g", "d", "e"), {2, 3}, {"a", "b", "c"}, {}),
    ],
    ids=["a row was deleted", "rows were inserted", "sorted the other way", "cannot be told"],
)
def test_where_a_lost_record_stood(after: View, written: set[int], lost: set[str], homes: dict[str, Any]) -> None:
    assert homes_of(view("a", "b", "c", "d", "e"), after, written, lost) == homes


@given(st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
def test_every_record_gets_one_row_of_its_own(ids: list[str], given_ids: list[str]) -> None:
    before = view(*ids)
    rows, cleared = placed(given_ids, before)
    assert sorted(rows.values()) == sorted(given_ids)
    after = {row: text for row, text in enumerate(before.ids[1:], 2) if row not in cleared} | rows
    assert all(list(after.values()).count(each) == 1 for each in given_ids)
    # Nobody else's row is touched.
    assert all(before.ids[row - 1] in {"", record} for row, record in rows.items() if row <= len(before.ids))
    assert all(before.ids[row - 1] in given_ids for row in cleared)


def test_blocks_join_neighbours_and_spare_foreign_columns() -> None:
    columns = {name: index + (index >= 3) for index, name in enumerate(HEADER)}
    before = View(columns, ["record_id", "a", "b", "x", "a"], 5)
    plan = place([make_row("a"), make_row("b"), make_row("c")], before, frozenset(), {})
    blocks = plan.blocks(before)
    assert [cells for cells, _ in blocks] == ["A2:P3", "A5:P6"]
    assert [len(rows) for _, rows in blocks] == [2, 2]
    row_a, row_b = blocks[0][1]
    assert (row_a[0], row_b[0], row_a[3], row_a[4]) == ("a", "b", None, "p-a")
    cleared, row_c = blocks[1][1]
    assert cleared == ["", "", "", None, *[""] * 12]
    assert row_c[0] == "c"


@pytest.mark.parametrize(
    ("stands", "written"), [("present", None), ("late", "present"), ("", "present")], ids=["same", "other", "blank"]
)
def test_a_status_that_is_there_is_not_written_again(stands: str, written: str | None) -> None:
    before = View(STRAIGHT, ["record_id", "a"], 2, ["status", stands])
    ((_, [row]),) = place([make_row("a")], before, frozenset(), {}).blocks(before)
    assert row[STRAIGHT["status"]] == written


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ([], {}),
        (["record_id", "name"], {"record_id": 0, "name": 1}),
        (["Notes", " Name ", "RECORD_ID", "name"], {"notes": 0, "name": 1, "record_id": 2}),
    ],
)
def test_find_columns(header: list[str], wanted: dict[str, int]) -> None:
    assert find_columns(header) == wanted


@pytest.mark.parametrize(("index", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_column_letters(index: int, letters: str) -> None:
    assert column_letters(index) == letters


def test_range_of() -> None:
    assert range_of(5, 0, 1, 13) == "A5:M5"
    assert range_of(2, 25, 3, 2) == "Z2:AA4"


def test_cells_are_texts_and_numbers() -> None:
    row = make_row(
        "r1",
        first_seen_at=datetime(2026, 9, 1, 9, 0, 0, 987_654, tzinfo=timezone(timedelta(hours=1))),
        last_seen_at=datetime(2026, 9, 1, 8, 45, tzinfo=UTC),
        seconds_seen=1.234567,
        similarity=0.987654,
    )
    cells = cells_of(row)
    assert cells["date"] == "2026-09-01"
    assert cells["first_seen_at"] == "2026-09-01T09:00:00+01:00"
    assert cells["last_seen_at"] == "2026-09-01T08:45:00+00:00"
    assert (cells["seconds_seen"], cells["similarity"]) == (1.2346, 0.9877)


@pytest.mark.parametrize("letter", ["x", "é", "🙂"])
def test_a_long_text_is_cut_to_what_a_cell_holds(letter: str) -> None:
    name = str(cells_of(make_row(name=letter * 60_000))["name"])
    assert 49_990 <= len(name.encode("utf-16-le")) // 2 <= 50_000
    assert name.endswith(letter + "…")
    fits = "x" * 50_000
    assert cells_of(make_row(name=fits))["name"] == fits
