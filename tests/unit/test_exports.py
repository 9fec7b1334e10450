from __future__ import annotations

import csv
import io
import json
import stat
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook

from optimind.errors import OptiMindError, UsageError
from optimind.exports import COLUMNS, RegisterFormat, replace_file, write_register
from optimind.plugin_api import RecordRow
from optimind.testing.sinks import make_row

LONDON = ZoneInfo("Europe/London")
FORMATS: list[RegisterFormat] = ["table", "csv", "json", "xlsx"]
# Columns that the contract fixes; nobody may reorder or rename them.
CONTRACT = [
    "record_id", "date", "session", "person_id", "name", "status", "first_seen_at", "last_seen_at", "seconds_seen",
    "camera", "similarity", "margin", "source",
]  # fmt: skip
FORMULAS = ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)"]
EVIL = [*FORMULAS, "\tx", "\rx", "\nx"]


def printed(capfdbinary: pytest.CaptureFixture[bytes], rows: list[RecordRow], form: RegisterFormat) -> str:
    write_register(rows, form, None, LONDON)
    sys.stdout.flush()
    return capfdbinary.readouterr().out.decode("utf-8")


def cells(rows: list[RecordRow], tmp_path: Path) -> Any:
    path = tmp_path / "r.xlsx"
    write_register(rows, "xlsx", path, LONDON)
    return load_workbook(path).worksheets[0]


def test_the_columns_are_the_contract() -> None:
    assert list(COLUMNS) == CONTRACT


def test_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = printed(
        capfdbinary, [make_row(name="Łukasz 王", first_seen_at=datetime(2026, 9, 1, 8, 0, 0, 123456, UTC))], "json"
    )
    assert "Łukasz 王" in text
    (record,) = json.loads(text)
    assert list(record) == CONTRACT
    assert record["date"] == "2026-09-01"
    assert record["first_seen_at"] == "2026-09-01T09:00:00.123+01:00"
    assert record["last_seen_at"] == "2026-09-01T09:45:00.000+01:00"
    assert (record["seconds_seen"], record["similarity"], record["margin"]) == (2650.5, 0.83, 0.21)


def test_no_records(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    assert json.loads(printed(capfdbinary, [], "json")) == []
    assert printed(capfdbinary, [], "csv") == ",".join(CONTRACT) + "\r\n"
    assert "The register is empty." in printed(capfdbinary, [], "table")
    assert cells([], tmp_path).max_row == 1


def test_csv_is_read_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    rows = [make_row("r1", name='O"Neill, Ana'), make_row("r2", name="two, words"), make_row("r3", margin=-0.25)]
    text = printed(capfdbinary, rows, "csv")
    assert not text.startswith("\ufeff")
    found = list(csv.DictReader(io.StringIO(text)))
    assert list(found[0]) == CONTRACT
    assert [record["name"] for record in found] == [row.name for row in rows]
    assert found[0]["first_seen_at"] == "2026-09-01T09:00:00+01:00"
    assert found[2]["margin"] == "-0.25"


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_guards_formulas(capfdbinary: pytest.CaptureFixture[bytes], text: str) -> None:
    out = printed(capfdbinary, [make_row(name=text, camera=text, session=text, person_id=text)], "csv")
    (record,) = csv.DictReader(io.StringIO(out, newline=""))
    assert {record[key] for key in ("name", "camera", "session", "person_id")} == {f"'{text}"}


@pytest.mark.parametrize("form", ["csv", "table"])
@pytest.mark.parametrize("character", "\x00\x1b\r\n\t\x9b\u202a\u202e\u2066\u2069")
def test_no_character_disguises_a_row(
    capfdbinary: pytest.CaptureFixture[bytes], form: RegisterFormat, character: str
) -> None:
    plain, odd = (printed(capfdbinary, [make_row(name=f"A{c}B")], form) for c in ("\ufffd", character))
    assert odd == plain


def test_xlsx_cells_are_typed(tmp_path: Path) -> None:
    sheet = cells([make_row("r1"), make_row("r2", seconds_seen=60.0)], tmp_path)
    assert [cell.value for cell in sheet[1]] == CONTRACT
    first = {cell.value: sheet.cell(2, cell.column) for cell in sheet[1]}
    assert first["date"].value == datetime(2026, 9, 1)  # noqa: DTZ001 - a workbook knows no zones
    assert first["date"].number_format == "yyyy-mm-dd"
    assert first["first_seen_at"].value == datetime(2026, 9, 1, 9, 0)  # noqa: DTZ001 - a workbook knows no zones
    assert first["first_seen_at"].is_date
    assert first["similarity"].data_type == "n"
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["E"].width > 20
    assert sheet.max_row == 3


@pytest.mark.parametrize("text", [*EVIL, "#N/A", "2026-09-01", "007", "TRUE"])
def test_xlsx_texts_are_texts(tmp_path: Path, text: str) -> None:
    cell = cells([make_row(name=text)], tmp_path)["E2"]
    assert cell.data_type == "s"
    # XML itself turns a carriage return into a line end.
    assert cell.value == text.replace("\r", "\n") or cell.value == text


def test_xlsx_drops_what_a_workbook_cannot_hold(tmp_path: Path) -> None:
    sheet = cells([make_row("r1", name="a\x00b\x1bc"), make_row("r2", name="x" * 40_000)], tmp_path)
    assert sheet["E2"].value == "abc"
    assert len(sheet["E3"].value) == 32_767


def test_the_table_is_for_people(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    rows = [
        make_row("r1", name="Ana", status="left_early"),
        make_row("r2", name="[red]Ben[/red]", session="art"),
        make_row("r3", name="clear\x1b[2J", session="art", date=date(2026, 9, 2)),
    ]
    text = printed(capfdbinary, rows, "table")
    for wanted in ("2026-09-01  maths", "2026-09-02  art", "Ana", "left early", "09:00:00", "44.2", "[red]Ben[/red]"):
        assert wanted in text
    assert "\x1b[2J" not in text


def test_namesakes_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    two = [make_row(f"r{each}", person_id=each, name="Ann Lee", rule="late", reason=f"why {each}") for each in "78"]
    write_register([*two, make_row("r9", person_id="9", name="Bo")], "table")
    told = " ".join(capsys.readouterr().out.split())
    assert all(f"Ann Lee ({each})" in told and f"Ann Lee ({each}): why {each}" in told for each in "78")
    assert "Bo (9)" not in told


def test_the_table_fits_any_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    write_register([make_row(name="Łukasz")], "table", None, LONDON)
    narrow.flush()
    assert b"ukasz" in narrow.buffer.getvalue()


def test_json_is_utf8_whatever_the_terminal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    write_register([make_row(name="Łukasz")], "json", None, LONDON)
    assert "Łukasz" in narrow.buffer.getvalue().decode("utf-8")


def test_a_replaced_standard_output_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    write_register([make_row(name="Łukasz")], "json", None, LONDON)
    assert json.loads(text.getvalue())[0]["name"] == "Łukasz"


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_replaced_as_a_whole(tmp_path: Path, form: RegisterFormat) -> None:
    path = tmp_path / "register"
    path.write_bytes(b"old" * 1_000_000)
    path.chmod(0o640)
    write_register([make_row(name="Ana")], form, path, LONDON)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]
    assert not path.read_bytes().startswith(b"old")
    if form != "xlsx":
        assert "Ana" in path.read_text(encoding="utf-8")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old", encoding="utf-8")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_register([], "json", tmp_path / "link.json", LONDON)
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text(encoding="utf-8") == "[]\n"


def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "register.csv"
    path.write_text("old", encoding="utf-8")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OptiMindError, match=r"register\.csv cannot be written: No space left") as caught:
        write_register([make_row()], "csv", path, LONDON)
    assert "free space" in caught.value.mend
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_outputs_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be printed") as caught:
        write_register([], "xlsx", None, LONDON)
    assert "--output" in caught.value.mend
    with pytest.raises(UsageError, match="is a folder"):
        write_register([], "csv", tmp_path, LONDON)
    with pytest.raises(UsageError, match="there is no folder"):
        write_register([], "csv", tmp_path / "none" / "r.csv", LONDON)


def test_a_device_is_written_to(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_register([make_row(name="Ana")], "json", Path("/dev/stdout"), LONDON)
    assert json.loads(capfdbinary.readouterr().out)[0]["name"] == "Ana"


def test_the_table_says_why_where_the_status_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    late = make_row("r2", name="Ben", status="late", rule="late", reason="came 9 min after the start")
    write_register([make_row("r1", name="Ana", rule="on_time", reason="was there in time"), late], "table")
    told = " ".join(capsys.readouterr().out.split())
    assert "Ben: came 9 min after the start" in told
    assert "in time" not in told
    write_register([make_row("r1", name="Ana", rule="on_time", reason="was there in time")], "table")
    assert "in time" not in capsys.readouterr().out


def test_what_is_private_is_so_whatever_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.touch(0o644)
    replace_file(path, b"a face", is_private=True)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"a face", 0o600)


def test_a_name_of_10000_characters_fills_no_screen(capsys: pytest.CaptureFixture[str]) -> None:
    long = make_row(name="x" * 10_000, status="late", rule="late", reason="came 9 min after the start")
    write_register([long], "table")
    printed = capsys.readouterr().out
    assert len(printed) < 2_000
    assert "x…: came 9 min" in " ".join(printed.split())
