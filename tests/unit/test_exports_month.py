"""A class's month: the matrix, and what each form makes of it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook

from optimind.errors import UsageError
from optimind.exports import MonthFormat, MonthRegister, month_register, write_month
from optimind.exports.month import LETTERS
from optimind.plugin_api import AttendanceStatus, RecordRow
from optimind.testing.sinks import make_row

BERLIN = ZoneInfo("Europe/Berlin")
PRINTED_AT = datetime(2026, 10, 1, 9, 5, tzinfo=BERLIN)
EVIL = '<script>alert("1")</script>'


def row(person: str, day: int, status: str, *, hour: int = 6, **changes: Any) -> RecordRow:
    starts_at = datetime(2026, 9, day, hour, 0, tzinfo=UTC)
    values = {
        "date": date(2026, 9, day),
        "session": f"7b maths {hour + 2:02}:00",
        "person_id": person,
        "name": f"Name {person}",
        "status": status,
        "starts_at": starts_at,
        "class_id": "7b",
    }
    return make_row(f"r-{person}-{day}-{hour}", **{**values, **changes})


def month(rows: list[RecordRow], people: dict[str, str] | None = None, title: str = "7b") -> MonthRegister:
    return month_register(rows, title=title, month=date(2026, 9, 1), people=people or {}, zone=BERLIN)


def written(register: MonthRegister, form: MonthFormat, tmp_path: Path, by: str = "Ms Lang") -> bytes:
    path = tmp_path / f"register.{form}"
    write_month(register, form, path, printed_by=by, printed_at=PRINTED_AT)
    return path.read_bytes()


class Page(HTMLParser):
    """The rows of all tables as texts, the elements' names, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.replace("\n", "")


ROWS = [
    row("2", 1, "late"),
    row("1", 1, "present"),
    row("1", 2, "absent"),
    row("1", 2, "left_early", hour=8),
    row("2", 2, "excused", hour=8),
    row("2", 3, "needs_review"),
]


def test_people_go_down_and_meetings_across() -> None:
    register = month([*reversed(ROWS)], {"3": "Ayşe", "1": "Name 1"})
    assert [(column.date.day, column.session) for column in register.columns] == [
        (1, "7b maths 08:00"),
        (2, "7b maths 08:00"),
        (2, "7b maths 10:00"),
        (3, "7b maths 08:00"),
    ]
    assert [line.name for line in register.lines] == ["Ayşe", "Name 1", "Name 2"]
    found = [[cell.status if cell else "" for cell in line.cells] for line in register.lines]
    assert found == [
        ["", "", "", ""],
        ["present", "absent", "left_early", ""],
        ["late", "", "excused", "needs_review"],
    ]
    starts_at = register.columns[0].starts_at
    assert starts_at is not None
    assert starts_at.isoformat() == "2026-09-01T08:00:00+02:00"


def test_every_status_has_a_letter_of_its_own() -> None:
    assert set(LETTERS) == set(AttendanceStatus)
    assert sorted(LETTERS.values()) == sorted("PLVAE?")


@pytest.mark.parametrize(
    ("statuses", "rate"),
    [
        ([], None),
        (["excused", "needs_review"], None),
        (["present", "late", "left_early", "absent"], 0.75),
        (["present", "excused", "needs_review"], 1.0),
        (["absent"], 0.0),
    ],
)
def test_the_rate_counts_what_is_decided(statuses: list[str], rate: float | None) -> None:
    register = month([row("1", day, status) for day, status in enumerate(statuses, 1)], {"1": "Ana"})
    (line,) = register.lines
    assert line.rate == rate
    assert sum(line.totals.values()) == len(statuses)


def test_a_person_renamed_has_the_roster_s_name_or_else_the_newest() -> None:
    rows = [row("1", 1, "present", name="Old"), row("1", 9, "present", name="New")]
    assert [line.name for line in month(rows).lines] == ["New"]
    assert [line.name for line in month(rows, {"1": "Roster"}).lines] == ["Roster"]


def test_two_people_with_one_name_stay_two() -> None:
    rows = [row("1", 1, "present", name="Ana"), row("2", 1, "absent", name="Ana")]
    assert [(line.person_id, line.name) for line in month(rows).lines] == [("1", "Ana"), ("2", "Ana")]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_on_paper_namesakes_are_told_apart(tmp_path: Path) -> None:
    people = {"17": "Ann Lee", "18": "Ann Lee", "19": "Bo"}
    page = written(month([row("17", 1, "present")], people), "html", tmp_path).decode()
    first_cells = [line[0] for line in Page(page).rows]
    assert [cell for cell in first_cells if cell.startswith(("Ann", "Bo"))] == ["Ann Lee 17", "Ann Lee 18", "Bo"]


def test_the_page_shows_the_matrix(tmp_path: Path) -> None:
    page = Page(written(month(ROWS, {"3": "Ayşe"}), "html", tmp_path).decode("utf-8"))
    assert page.rows[0] == ["7b September 2026"]
    head, *lines, there, absent = page.rows[1:]
    assert head == ["Name", "Tue108:00", "Wed208:00", "Wed210:00", "Thu308:00", *"PLVAE?", "Rate"]
    assert lines == [
        ["Ayşe", "", "", "", "", "", "", "", "", "", "", ""],
        ["Name 1", "P", "A", "V", "", "1", "", "1", "1", "", "", "67%"],
        ["Name 2", "L", "", "E", "?", "", "1", "", "", "1", "1", "100%"],
    ]
    assert there[:5] == ["there", "2", "0", "1", "0"]
    assert absent[:5] == ["absent", "0", "1", "0", "0"]
    assert "Printed 2026-10-01 09:05 (CEST) by Ms Lang" in page.text


def test_the_page_runs_nothing_and_asks_nobody(tmp_path: Path) -> None:
    rows = [row("1", 1, "present", name=EVIL, person_id=f'"{EVIL}', session=EVIL)]
    text = written(month(rows, title=EVIL), "html", tmp_path, by=EVIL).decode("utf-8")
    page = Page(text)
    assert not page.names & {"script", "link", "img", "iframe", "object", "base", "form", "a"}
    assert [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")] == []
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "http:" not in text
    assert "https:" not in text
    assert page.rows[2][0] == EVIL
    assert f"by {EVIL}" in page.text


def test_names_of_every_script_keep_their_own_direction(tmp_path: Path) -> None:
    names = ["محمد عبد الله", "יוסי", "王小明", "🙂", "x" * 10_000, "a\u202eb"]
    rows = [row(str(number), 1, "present", name=name) for number, name in enumerate(names)]
    text = written(month(rows), "html", tmp_path).decode("utf-8")
    page = Page(text)
    assert {line[0] for line in page.rows[2:8]} == {*names[:-1], "a\ufffdb"}
    assert text.count('scope="row" dir="auto"') == len(names)


def test_many_meetings_are_split_with_the_header_repeated(tmp_path: Path) -> None:
    rows = [row("1", day, "present", hour=hour) for day in range(1, 31) for hour in (6, 8)]
    page = Page(written(month(rows), "html", tmp_path).decode("utf-8"))
    heads = [line for line in page.rows if line[0] == "Name"]
    assert [len(head) for head in heads] == [27, 27, 9 + 7]
    assert sum(cell == "P" for line in page.rows if line[0] == "Name 1" for cell in line[1:]) == 60
    assert [line for line in page.rows if line[0] == "Name 1"][-1][-7:] == ["60", "", "", "", "", "", "100%"]


def test_a_month_without_a_record_says_so(tmp_path: Path) -> None:
    assert "There is no record." in written(month([]), "html", tmp_path).decode("utf-8")
    page = Page(written(month([], {"1": "Ana"}), "html", tmp_path).decode("utf-8"))
    assert page.rows[2][0] == "Ana"


# -- the other forms ---------------------------------------------------------------------------------------------------


def test_csv(tmp_path: Path) -> None:
    rows = [*ROWS, row("=1", 1, "present", name="=SUM(A1)")]
    lines = list(csv.reader(io.StringIO(written(month(rows), "csv", tmp_path).decode("utf-8"))))
    assert lines[0][:3] == ["person_id", "name", "2026-09-01 7b maths 08:00"]
    assert lines[0][-7:] == [*map(str, LETTERS), "rate"]
    assert lines[1] == ["'=1", "'=SUM(A1)", "P", "", "", "", "1", "0", "0", "0", "0", "0", "1.0"]
    assert lines[2] == ["1", "Name 1", "P", "A", "V", "", "1", "0", "1", "1", "0", "0", "0.6667"]


def test_json(tmp_path: Path) -> None:
    document = json.loads(written(month(ROWS), "json", tmp_path))
    assert (document["title"], document["month"]) == ("7b", "2026-09")
    assert document["meetings"][0] == {
        "date": "2026-09-01",
        "session": "7b maths 08:00",
        "starts_at": "2026-09-01T08:00:00+02:00",
    }
    assert [cell and cell["status"] for cell in document["people"][0]["cells"]] == [
        "present",
        "absent",
        "left_early",
        None,
    ]
    assert document["people"][0]["rate"] == 0.6667


def test_a_workbook_has_colours_and_no_formulas(tmp_path: Path) -> None:
    rows = [*ROWS, row("0", 1, "present", name="=SUM(A1)"), row("9", 1, "present", name="\x01bell")]
    written(month(rows), "xlsx", tmp_path)
    sheet = load_workbook(tmp_path / "register.xlsx").worksheets[0]
    assert sheet.title == "2026-09"
    assert [sheet.cell(3, column).value for column in range(1, 5)] == ["person_id", "name", "08:00", "08:00"]
    assert [sheet.cell(row_, 2).value for row_ in range(4, 8)] == ["bell", "=SUM(A1)", "Name 1", "Name 2"]
    assert sheet["B5"].data_type == "s"
    assert sheet["C6"].value == "P"
    assert sheet["D6"].value == "A"
    fills = {sheet[place].fill.start_color.rgb for place in ("C6", "D6", "E6", "C7", "E7", "F7")}
    assert len(fills) == 6
    assert sheet.freeze_panes == "C4"


def test_a_workbook_needs_a_file() -> None:
    with pytest.raises(UsageError, match="cannot be printed"):
        write_month(month(ROWS), "xlsx", None, printed_by="x", printed_at=PRINTED_AT)


def test_text_is_printed_without_a_file(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_month(month(ROWS), "html", None, printed_by="x", printed_at=PRINTED_AT)
    assert capfdbinary.readouterr().out.startswith(b"<!DOCTYPE html>")
