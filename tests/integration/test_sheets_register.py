"""The registers and the summary: a worksheet a class and month, filled in the same requests as the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sheets_rows import names
from sheets_server import EMAIL, Fault, Formula, Sheet, SheetsServer

from optimind.core.registers import record_id
from optimind.errors import DeliveryDelayed, DeliveryRefused
from optimind.plugin_api import RecordRow
from optimind.sinks._sheets_register import serial_of
from optimind.sinks.sheets import SheetsSink
from optimind.testing.sinks import make_row

pytest_plugins = ("sheets_fixtures",)

TITLE = "7B 2026-09"
KEY_1 = "2026-09-01 08:00 7B maths 08:00"


def lesson(person: str, day: int = 1, **changes: Any) -> RecordRow:
    """The record of ``person`` in 7B's maths lesson on a day of September."""
    at = datetime(2026, 9, day, 8, tzinfo=UTC)
    values: dict[str, Any] = {
        "date": at.date(),
        "session": "7B maths 08:00",
        "person_id": person,
        "name": f"Name {person}",
        "class_id": "7B",
        "starts_at": at,
        **changes,
    }
    return make_row(record_id(values["date"], values["session"], values["person_id"]), **values)


def table(server: SheetsServer, title: str = TITLE) -> dict[str, dict[str, Any]]:
    """What stands in a register: for each person the cells by the key in the header."""
    sheet = server.sheets[title]
    *_, keys = sheet.lines()[:3]
    found = {}
    for line in sheet.lines()[3:]:
        cells = dict(zip(map(str, keys), line, strict=True))
        if cells["person_id"]:
            assert cells["person_id"] not in found, "doubled"
            found[str(cells["person_id"])] = cells
    return found


def kinds(server: SheetsServer) -> list[str]:
    return [request.rpartition("/")[2] for request in server.requests if "/token" not in request]


def test_a_register_has_people_down_and_meetings_across(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("2", status="late"), lesson("1"), lesson("3", status="absent")])
    sheet = server.sheets[TITLE]
    head = sheet.lines()[:3]
    assert head[0] == ["7B 2026-09", "P present   L late   V left early   A absent   E excused   ? needs review", "",
                       serial_of(date(2026, 9, 1))]  # fmt: skip
    assert head[1] == ["person_id", "name", "notes", "7B maths 08:00"]
    assert head[2] == ["person_id", "name", "notes", KEY_1]
    assert [line[:2] + line[3:] for line in sheet.lines()[3:]] == [
        ["1", "Name 1", "P"], ["2", "Name 2", "L"], ["3", "Name 3", "A"],
    ]  # fmt: skip
    assert (sheet.frozen_rows, sheet.frozen_columns) == (3, 3)
    # Rows below the header of the row of keys are hidden from view, and the date is one of the spreadsheet's locale.
    assert sheet.dimensions[("ROWS", 2, "hiddenByUser")] is True
    assert any(look.get("numberFormat") == {"type": "DATE"} for _, look in sheet.formats)


def test_log_and_registers_share_one_read_one_write_and_one_look_back(server: SheetsServer, sink: SheetsSink) -> None:
    classes = [f"{number}{letter}" for number in range(5, 10) for letter in "abcdefgh"]
    sink.deliver([lesson("1", class_id=name) for name in classes])
    server.requests.clear()
    later = [lesson(f"{number}", 2, class_id=name, session=f"{name} art") for name in classes for number in range(12)]
    sink.deliver(later)
    assert kinds(server) == ["values:batchGet", "values:batchUpdate", "values:batchGet"]
    assert all(len(table(server, f"{name} 2026-09")) == 12 for name in classes)


def test_a_record_of_no_class_is_in_no_register(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([make_row("r1")])
    assert list(server.sheets) == ["Log", "Summary", "Sheet1"]


def test_registers_can_be_switched_off(server: SheetsServer, make_sink: Callable[..., SheetsSink]) -> None:
    make_sink(registers=False).deliver([lesson("1")])
    assert TITLE not in server.sheets


def test_meetings_are_in_order_whenever_they_come(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1", 10)])
    sink.deliver([lesson("1", 20), lesson("2", 20)])
    sink.deliver([lesson("1", 3), lesson("1", 15, status="late"), lesson("2", 2, status="absent")])
    sink.deliver([lesson("2", 10, status="excused")])
    head = server.sheets[TITLE].lines()[2]
    assert [str(key)[:10] for key in head[3:]] == [f"2026-09-{day}" for day in ("02", "03", "10", "15", "20")]
    found = table(server)
    assert [found["1"][key] for key in map(str, head[3:])] == ["", "P", "P", "L", "P"]
    assert [found["2"][key] for key in map(str, head[3:])] == ["A", "", "E", "", "P"]


def test_no_column_goes_between_others_while_an_earlier_write_may_come(server: SheetsServer, sink: SheetsSink) -> None:
    """Its letters would be another lesson's."""
    sink.deliver([lesson("1", 10)])
    sink.may_come_late(0.6)
    sink.deliver([lesson("1", 20)])
    with pytest.raises(DeliveryDelayed, match="a column goes between others") as caught:
        sink.deliver([lesson("1", 3)])
    assert caught.value.is_over
    assert 0 < (caught.value.retry_after_s or 0) <= 0.6
    assert len(table(server)["1"]) == 5
    time.sleep(0.6)
    sink.deliver([lesson("1", 3)])
    assert [str(key)[:10] for key in table(server)["1"]][3:] == ["2026-09-03", "2026-09-10", "2026-09-20"]


@pytest.mark.parametrize("known", [[], [lesson("1"), lesson("2")]], ids=["a new register", "people who are there"])
def test_where_two_machines_begin_the_same_cells_nobody_gets_the_others_letter(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], known: list[RecordRow]
) -> None:
    one, other = make_sink(), make_sink()
    one.deliver(known)
    other.deliver(known)
    mine, theirs = [lesson("1", 3), lesson("3", 3)], [lesson("2", 4, status="late"), lesson("4", 4, status="late")]

    def deliver_theirs() -> None:
        other.deliver(theirs)

    # The other one reads, writes and reads back in the moment before this one's write is carried out.
    server.faults.append(Fault("values:batchUpdate", action=deliver_theirs))
    with suppress(DeliveryDelayed):
        one.deliver(mine)
    for _ in range(2):
        one.deliver(mine)
        other.deliver(theirs)
    days = {person: "".join(map(str, list(cells.values())[3:])) for person, cells in table(server).items()}
    first = "P" if known else ""
    assert days == {"1": first + "P", "2": first + "L", "3": "P", "4": "L"}


@pytest.mark.parametrize(
    ("notes", "wanted"),
    [
        pytest.param(("", ""), [["1", "Name 1", "", "L", "P"], ["2", "Name 2", "", "P", ""]], id="no notes"),
        pytest.param(
            ("", "n"), [["2", "Name 2", "", "P", ""], ["1", "Name 1", "n", "L", "P"]], id="a note in the second"
        ),
        pytest.param(
            ("a", "b"),
            [["1", "Name 1", "a", "L", ""], ["2", "Name 2", "", "P", ""], ["1", "Name 1", "b", "L", "P"]],
            id="notes in both",
        ),
    ],
)
def test_who_stands_in_a_register_twice_stands_there_once_after_the_next_delivery(
    server: SheetsServer, sink: SheetsSink, notes: tuple[str, str], wanted: list[list[str]]
) -> None:
    """As after a write that came late. What only one of the rows says is kept."""
    sink.deliver([lesson("1"), lesson("2"), lesson("1", 2)])
    edit(
        server,
        lambda lines: [
            *lines[:3],
            ["1", "Name 1", notes[0], "P", ""],
            ["2", "Name 2", "", "P", ""],
            ["1", "Name 1", notes[1], "P", "P"],
        ],
    )
    sink.deliver([lesson("1", status="late")])
    assert [line for line in server.sheets[TITLE].lines()[3:] if any(line)] == wanted


@pytest.mark.parametrize("do", ["a person is gone", "a letter is gone", "the worksheet is gone"])
def test_the_second_look_misses_what_a_register_lost(server: SheetsServer, sink: SheetsSink, do: str) -> None:
    records = [lesson(each) for each in "123"]
    sink.deliver(records)
    sheet = server.sheets[TITLE]
    if do == "a person is gone":
        sheet.fill([line for line in sheet.lines() if line[0] != "2"])
    elif do == "a letter is gone":
        sheet.fill([[*line[:3], "" if line[0] == "2" else line[3]] for line in sheet.lines()])
    else:
        del server.sheets[TITLE]
    lost = {each.record_id for each in records if each.person_id == "2"}
    assert sink.lacking(records, []) == (set() if do == "the worksheet is gone" else lost)
    assert sink.lacking([], records) == set()


def test_a_meeting_before_the_first_has_its_colours(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1", 10)])
    sink.deliver([lesson("1", 3)])
    areas = [area for rule in server.sheets[TITLE].rules for area in rule["ranges"]]
    assert len(areas) == 6
    assert all(area["startColumnIndex"] <= 3 for area in areas)


def edit(server: SheetsServer, do: Callable[[list[list[Any]]], list[list[Any]]], title: str = TITLE) -> None:
    with server.lock:
        server.sheets[title].fill(do(server.sheets[title].lines()))


def sort_people(lines: list[list[Any]]) -> list[list[Any]]:
    return [*lines[:3], *lines[:2:-1]]


def move_columns(lines: list[list[Any]]) -> list[list[Any]]:
    return [[line[1], line[-1], line[0], *line[2:-1]] for line in lines]


def add_a_column(lines: list[list[Any]]) -> list[list[Any]]:
    return [[*line[:3], "sum" if number == 2 else f"of {line[0]}", *line[3:]] for number, line in enumerate(lines)]


def add_a_blank_row(lines: list[list[Any]]) -> list[list[Any]]:
    return [*lines[:4], [""] * len(lines[0]), *lines[4:]]


def write_notes(lines: list[list[Any]]) -> list[list[Any]]:
    return [*lines[:3], *([*line[:2], f"note {line[0]}", *line[3:]] for line in lines[3:])]


@pytest.mark.parametrize("do", [sort_people, move_columns, add_a_column, add_a_blank_row], ids=lambda do: do.__name__)
def test_people_may_rearrange_a_register(server: SheetsServer, make_sink: Callable[..., SheetsSink], do: Any) -> None:
    sink = make_sink()
    sink.deliver([lesson(each) for each in "123"])
    edit(
        server,
        lambda lines: [[*line[:2], f"note {line[0]}" if n > 2 else line[2], *line[3:]] for n, line in enumerate(lines)],
    )
    edit(server, do)
    for each in (sink, make_sink()):
        each.deliver([lesson("2", status="late"), lesson("4"), lesson("1", 2)])
    found = table(server)
    assert {person: cells[KEY_1] for person, cells in found.items()} == {"1": "P", "2": "L", "3": "P", "4": "P"}
    assert {person: cells["notes"] for person, cells in found.items() if person != "4"} == {
        each: f"note {each}" for each in "123"
    }


@pytest.mark.parametrize("do", [sort_people, add_a_blank_row], ids=lambda do: do.__name__)
def test_a_register_rearranged_between_read_and_write_is_mended(
    server: SheetsServer, sink: SheetsSink, do: Any
) -> None:
    truth = {row.record_id: row for row in [lesson(each) for each in "12345"]}
    sink.deliver(list(truth.values()))
    late = lesson("2", status="late")
    truth[late.record_id] = late
    server.faults.append(Fault("values:batchUpdate", action=lambda: edit(server, do)))
    with pytest.raises(DeliveryDelayed) as caught:
        sink.deliver([late])
    assert sink.collect([], lambda ids: {key: frozenset({truth[key].status}) for key in ids}) == []
    sink.deliver([late, *(truth[key] for key in caught.value.missing if key != late.record_id)])
    assert {person: cells[KEY_1] for person, cells in table(server).items()} == {
        "1": "P", "2": "L", "3": "P", "4": "P", "5": "P",
    }  # fmt: skip


def test_a_person_renamed_and_two_with_one_name(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1", name="Ada"), lesson("2", name="Ada")])
    sink.deliver([lesson("1", 2, name="Ada King")])
    # A correction of an old record that still has the old name does not take the new one back.
    sink.deliver([lesson("1", 1, name="Ada", status="late")])
    assert {person: cells["name"] for person, cells in table(server).items()} == {"1": "Ada King", "2": "Ada"}


def test_a_month_has_a_register_of_its_own(server: SheetsServer, sink: SheetsSink) -> None:
    october = lesson("1", date=date(2026, 10, 1), starts_at=datetime(2026, 10, 1, 8, tzinfo=UTC))
    sink.deliver([lesson("1", 30), october])
    assert set(table(server)["1"]) > {"2026-09-30 08:00 7B maths 08:00"}
    assert set(table(server, "7B 2026-10")["1"]) > {"2026-10-01 08:00 7B maths 08:00"}


EVIL = [
    "=1+1",
    "[x]'y",
    "+1",
    "-1",
    "@SUM(A1)",
    "'",
    "''",
    "a\nb",
    "🙂" * 30,
    "ש" * 40,
    "x" * 300,
    "Sheet1!A1",
    "7b",
    "7B",
]


@pytest.mark.parametrize("text", EVIL, ids=range(len(EVIL)))
def test_any_class_session_and_name(server: SheetsServer, sink: SheetsSink, text: str) -> None:
    rows = [lesson(text, name=text, class_id=text, session=text), lesson("2", class_id="plain", session=text)]
    sink.deliver(rows)
    sink.deliver([*rows, lesson("3", class_id=text, session=text, name="x" * 10_000)])
    title = next(title for title in server.sheets if title not in {"Log", "Summary", "Sheet1", "plain 2026-09"})
    assert len(title.encode("utf-16-le")) // 2 <= 100
    assert set(table(server, title)) == {text.strip(), "3"}
    cells = [value for sheet in server.sheets.values() for value in sheet.cells.values()]
    assert not any(isinstance(value, Formula) for value in cells)
    assert text in cells


def test_classes_whose_titles_look_the_same_are_kept_apart(server: SheetsServer, sink: SheetsSink) -> None:
    classes = ["7/B", "7-B", "7:B", "7b", "7B", "x" * 120, "x" * 121]
    for _ in range(2):
        for name in classes:
            sink.deliver([lesson("1", class_id=name, session=f"{name} art")])
    titles = [title for title in server.sheets if title.endswith("2026-09")]
    assert len(titles) == len(classes)
    assert all(len(server.sheets[title].lines()) == 4 for title in titles)


def test_classes_that_differ_in_case_alone_come_together(server: SheetsServer, sink: SheetsSink) -> None:
    """Google knows no two worksheets whose titles differ in case alone."""
    both = [lesson("1", class_id=name, session=f"{name} art") for name in ("7B", "7b")]
    sink.deliver(both)
    titles = [title for title in server.sheets if title.endswith("2026-09")]
    assert len({title.casefold() for title in titles}) == 2
    assert sink.compare(both, frozenset()).wrong == []
    day = date(2026, 10, 1)
    assert len(sink.set_up([("7B", day), ("7b", day)]).made) == 2
    assert sink.set_up([("7b", day), ("7B", day)]).made == ()
    del server.sheets["7B 2026-09"]
    sink.close()
    sink.deliver([lesson("1", class_id="7b", session="7b art", status="late")])
    assert [title for title in server.sheets if title.endswith("2026-09")] == [titles[1]]


def test_a_narrow_and_short_register_grows(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1")])
    server.sheets[TITLE].rows, server.sheets[TITLE].columns = 5, 5
    many = [lesson(str(person), day) for person in range(30) for day in range(1, 13)]
    sink.deliver(many)
    assert all(sum(value == "P" for value in cells.values()) == 12 for cells in table(server).values())
    assert len(table(server)) == 30


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "emptied"])
def test_an_emptied_register_gets_its_header_back_and_all_its_records_are_asked_for(
    server: SheetsServer, sink: SheetsSink, *, is_deleted: bool
) -> None:
    other: dict[str, Any] = {"class_id": "8A", "session": "8A maths 08:00"}
    mine = [lesson("1"), lesson("3", 2), lesson("2")]
    before = datetime(2026, 8, 31, 8, tzinfo=UTC)
    sink.deliver([*mine, lesson("7", **other), lesson("1", date=before.date(), starts_at=before), make_row("r1")])
    for _ in range(2):
        if is_deleted:
            del server.sheets[TITLE]
        else:
            server.sheets[TITLE].cells.clear()
        with pytest.raises(DeliveryDelayed, match="2 records stand in the log, but not in the register") as caught:
            sink.deliver([lesson("2")])
        assert set(caught.value.missing) == {mine[0].record_id, mine[1].record_id}
        sink.deliver([lesson("2")])  # where the others are another machine's, they do not come
        assert {person: cells[KEY_1] for person, cells in table(server).items()} == {"2": "P"}
        sink.deliver(mine)
        assert set(table(server)) == {"1", "2", "3"}


def test_a_register_without_its_header_does_not_hold_up_the_log(
    server: SheetsServer, sink: SheetsSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.deliver([lesson("1")])
    edit(server, lambda lines: lines[3:])
    before = dict(server.sheets[TITLE].cells)
    for _ in range(2):
        sink.deliver([lesson("2"), lesson("1", status="late")])
    assert server.sheets[TITLE].cells == before
    assert len(names(server)) == 2
    assert caplog.text.count("has no row with person_id") == 1


def test_a_meeting_whose_key_was_changed_gets_a_new_column(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1"), lesson("2")])
    edit(server, lambda lines: [[*line[:3], "my key" if n == 2 else line[3]] for n, line in enumerate(lines)])
    sink.deliver([lesson("1", status="late")])
    assert table(server)["1"][KEY_1] == "L"
    assert table(server)["1"]["my key"] == "P"


def test_a_full_spreadsheet_says_so(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1")])
    server.sheets["Big"] = Sheet("Big", 77, rows=9_900_000, columns=1)
    server.sheets["Log"].rows = 3
    with pytest.raises(DeliveryRefused, match="is full: it holds 10 million cells") as caught:
        sink.deliver([lesson(str(number), 2) for number in range(9000)])
    assert "delete worksheets" in caught.value.mend
    del server.sheets["Big"]
    sink.deliver([lesson("1", 2), lesson("2", 2)])
    assert len(names(server)) == 3


def test_a_nearly_full_spreadsheet_is_filled_to_its_end(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1", class_id="")])
    others = sum(sheet.rows * sheet.columns for title, sheet in server.sheets.items() if title != "Log")
    server.sheets["Log"].rows = 3
    server.sheets["Big"] = Sheet("Big", 77, rows=10_000_000 - others - (3 + 70) * server.sheet.columns, columns=1)
    sink.deliver([lesson(str(number), 2, class_id="") for number in range(50)])
    assert len(names(server)) == 51
    with pytest.raises(DeliveryRefused, match="is full"):
        sink.deliver([lesson(str(number), 3, class_id="") for number in range(50)])


# looks


def test_headers_are_protected_and_people_may_sort(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1")])
    for title in ("Log", TITLE):
        strict = [each for each in server.sheets[title].protected if not each.get("warningOnly")]
        assert [each["editors"]["users"] for each in strict] == [[EMAIL]]
        assert all(each["range"]["startRowIndex"] == 0 for each in strict)
        assert any(each.get("warningOnly") for each in server.sheets[title].protected)
    columns = {
        index
        for each in server.sheets["Log"].protected
        for index in range(each["range"]["startColumnIndex"], each["range"]["endColumnIndex"])
        if each.get("warningOnly")
    }
    header = [str(name) for name in server.sheets["Log"].lines()[0]]
    assert {name for index, name in enumerate(header) if index not in columns} == {"status", "corrected_by", "notes"}


def test_nothing_is_protected_where_that_is_not_wished(
    server: SheetsServer, make_sink: Callable[..., SheetsSink]
) -> None:
    make_sink(protect=False).deliver([lesson("1")])
    assert not any(sheet.protected for sheet in server.sheets.values())


def test_the_summary_is_right_after_each_delivery(server: SheetsServer, sink: SheetsSink) -> None:
    sink.deliver([lesson("1"), lesson("2", status="late"), lesson("3", class_id="8A", status="absent")])
    server.requests.clear()
    sink.deliver([lesson(each, 2, status="absent") for each in "1234"] + [lesson("2")])
    assert kinds(server) == ["values:batchGet", "values:batchUpdate", "values:batchGet"]
    assert server.pivot("Summary", 24, 1) == [["", "absent", "present"], ["7B", 4, 2], ["8A", 1, 0]]
    assert server.pivot("Summary", 24, 10) == [["", "absent", "present"], ["7B", 4 / 6, 2 / 6], ["8A", 1, 0]]
    assert server.pivot("Summary", 24, 19)[1:] == [["2026-09-01", 1 / 3, 2 / 3], ["2026-09-02", 1, 0]]
    charts = [each["spec"] for each in server.sheets["Summary"].charts]
    assert [each["title"] for each in charts] == ["Attendance by class", "Attendance by day"]


def test_the_summary_grows_with_the_log(server: SheetsServer, sink: SheetsSink) -> None:
    rows = [lesson(str(person), class_id="") for person in range(1100)]
    sink.deliver(rows[:550])
    server.requests.clear()
    sink.deliver(rows[550:])
    assert server.pivot("Summary", 24, 1) == [["", "present"], ["", 1100]]
    assert kinds(server) == [
        "values:batchGet", server.spreadsheet, f"{server.spreadsheet}:batchUpdate", "values:batchUpdate",
        "values:batchGet",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(10, 5), (1000, 30)], ids=["small", "large"])
def test_somebody_elses_summary_is_left_alone(server: SheetsServer, sink: SheetsSink, size: tuple[int, int]) -> None:
    server.sheets["summary"] = Sheet("summary", 77, *size)
    server.sheets["summary"].fill([["Budget", "EUR"], ["chalk", 12]])
    sink.deliver([lesson(str(person), class_id="") for person in range(1100)])
    sink.refresh()
    assert sink.set_up([]).has_foreign_summary
    assert (server.sheets["summary"].pivots, server.sheets["summary"].charts) == ({}, [])
    assert server.sheets["summary"].lines() == [["Budget", "EUR"], ["chalk", 12]]
    del server.sheets["summary"]
    assert sink.set_up([]).made == ("the worksheet 'Summary'",)


def test_our_summary_is_known_without_its_charts(server: SheetsServer, make_sink: Callable[..., SheetsSink]) -> None:
    make_sink().deliver([lesson("1")])
    server.sheets["Summary"].charts.clear()
    found = make_sink().set_up([])
    assert found.made == ("the chart 'Attendance by class'", "the chart 'Attendance by day'")
    assert not found.has_foreign_summary


def test_a_german_spreadsheet(server: SheetsServer, sink: SheetsSink) -> None:
    """Numbers are shown with commas there; nothing that is read or written depends on it."""
    server.locale = "de_DE"
    for _ in range(2):
        sink.deliver([lesson("1"), lesson("2", seconds_seen=0.5)])
    assert len(names(server)) == 2
    assert sink.compare([lesson("1"), lesson("2", seconds_seen=0.5)], frozenset()).wrong == []


def test_a_month_of_a_class(server: SheetsServer, sink: SheetsSink) -> None:
    rows = [lesson(str(person), day) for day in range(1, 29) for person in range(30)]
    for start in range(0, len(rows), 210):
        sink.deliver(rows[start : start + 210])
    found = table(server)
    assert len(found) == 30
    assert all(sum(value == "P" for value in cells.values()) == 28 for cells in found.values())
