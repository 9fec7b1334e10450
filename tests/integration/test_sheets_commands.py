"""The commands `sheets`, as a user calls them, on a server that behaves like Google's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_marks import START, make_mark, url_of
from school import entries
from sheets_model import ApiError
from sheets_server import EMAIL, Sheet, SheetsServer

from optimind.cli import main
from optimind.core.timetable import AttendanceRules, Meeting
from optimind.storage import Ledger, open_ledger

pytest_plugins = ("sheets_fixtures",)

TITLE = f"7B {START:%Y-%m}"
MEETING = Meeting(
    session="7B maths 08:00",
    date=START.date(),
    class_id="7B",
    room="1",
    opens_at=START - timedelta(minutes=15),
    starts_at=START,
    ends_at=START + timedelta(minutes=45),
    rules=AttendanceRules(),
)
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(server: SheetsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.0)
    server.write_key(tmp_path)
    lines = [
        "timezone: Europe/London",
        "sheets:",
        f"  spreadsheet: {server.spreadsheet}",
        "  credentials: {file: service-account.json}",
        f"  endpoint: {server.url}",
        f"  drive_endpoint: {server.url}",
        "  quota: {reads_per_minute: 100000, writes_per_minute: 100000, folder: quota}",
    ]
    (tmp_path / "config.yaml").write_text("\n".join(lines), "utf-8")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(folder / "data" / "optimind.db")) as opened:
        yield opened


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["sheets", *arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def lesson(ledger: Ledger, people: int = 3) -> list[str]:
    ledger.school.set_roster(
        "7B", entries({str(number): f"Name {number}" for number in range(people)}), date(2026, 1, 1)
    )
    ledger.school.enter(MEETING)
    rows = ledger.settle(MEETING, MEETING.ends_at + timedelta(minutes=1), ["sheets"])
    ledger.record(make_mark("9", last_s=77), ["sheets"])
    return sorted(row.record_id for row in rows)


def document(call: Run, *arguments: str, code: int = 0) -> dict[str, Any]:
    found, printed = call(*arguments, "--json")
    assert found == code, printed
    return dict(json.loads(printed[printed.index("{") :]))


def state(server: SheetsServer) -> dict[str, Any]:
    """Everything in the spreadsheet that can be seen."""
    return {title: {k: v for k, v in vars(sheet).items() if k != "formats"} for title, sheet in server.sheets.items()}


# init


def test_init_makes_everything_and_says_so(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    code, printed = call("init")
    assert code == 0
    title = f"7B {datetime.now(UTC):%Y-%m}"
    for made in ("'Log'", "'Summary'", repr(title)):
        assert f"made the worksheet {made}" in printed
    assert "locale is en_US, its time zone Europe/London" in printed
    assert server.sheets[title].lines()[2] == ["person_id", "name", "notes"]
    assert len(server.sheets["Summary"].charts) == 2
    before = state(server)
    code, printed = call("init")
    assert (code, "everything is there" in printed) == (0, True)
    assert state(server) == before


def test_init_gives_an_older_worksheet_its_look(server: SheetsServer, call: Run) -> None:
    server.sheets["Attendance"] = Sheet("Attendance", 9)
    server.sheets["Attendance"].fill([["name", "record_id", "my column"], ["Ada", "r1", "x"]])
    assert document(call, "init")["made"] == [
        "the worksheet 'Summary'", "the look of 'Attendance'", "the protection of 'Attendance'",
    ]  # fmt: skip
    assert server.sheets["Attendance"].cells[2, 3] == "x"
    del server.sheets["Summary"].charts[0]
    server.sheets["Attendance"].protected.clear()
    assert document(call, "init")["made"] == ["the protection of 'Attendance'", "the chart 'Attendance by class'"]


def test_init_warns_of_another_time_zone(server: SheetsServer, call: Run) -> None:
    server.time_zone = "Asia/Kolkata"
    code, printed = call("init")
    assert code == 0
    assert "the spreadsheet's time zone is Asia/Kolkata, the register's is Europe/London" in printed


@pytest.mark.parametrize("zone", ["GMT-07:00", "", "Mars/Olympus"])
def test_a_time_zone_that_only_google_knows_is_no_fault(server: SheetsServer, call: Run, zone: str) -> None:
    server.time_zone = zone
    assert document(call, "init")["warnings"] == []


def test_init_warns_of_a_time_zone_without_summer_time(server: SheetsServer, call: Run) -> None:
    server.time_zone = "Africa/Abidjan"  # all year what London has in winter
    (warning,) = document(call, "init")["warnings"]
    assert "the spreadsheet's time zone is Africa/Abidjan" in warning


def test_init_says_that_the_summary_is_somebody_elses(server: SheetsServer, call: Run) -> None:
    server.sheets["Summary"] = Sheet("Summary", 9)
    server.sheets["Summary"].fill([["Budget"]])
    code, printed = call("init")
    assert (code, "warning: the worksheet 'Summary' is somebody else's" in printed) == (0, True)


# sync


def test_sync_sends_what_waits(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    found = document(call, "sync")
    assert (found["records"], found["waiting"], found["left"], found["missing"]) == (4, 4, 0, 0)
    assert len(server.sheet.records()) == 4
    found = document(call, "sync")
    assert {key: value for key, value in found.items() if value} == {"records": 4}


def test_sync_repairs_whatever_was_done_to_the_sheet(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger, 6)
    document(call, "sync")
    good = {str(record["record_id"]): record for record in server.sheet.records()}
    header, one, two, three, *rest = server.sheet.lines()
    name = header.index("name")
    foreign = ["r-of-another-machine", *[""] * (len(one) - 1)]
    two[name] = "Mallory"
    server.sheet.fill([header, two, three, *rest, three, foreign])  # one is missing, two is stale, three is there twice
    register = server.sheets[TITLE]
    register.fill([[*line[:3], "" if number == 4 else line[3]] for number, line in enumerate(register.lines())])
    before = state(server)
    planned = document(call, "sync", "--dry-run")
    assert state(server) == before
    found = document(call, "sync")
    numbers = {kind: found[kind] for kind in ("missing", "stale", "doubled", "misplaced", "foreign", "left")}
    assert numbers == {"missing": 1, "stale": 1, "doubled": 1, "misplaced": 1, "foreign": 1, "left": 0}
    assert {**planned, "left": 0} == found
    assert {str(each["record_id"]): each for each in server.sheet.records() if each["record_id"] in good} == good
    assert all(line[3] for line in server.sheets[TITLE].lines()[3:])


def test_an_emptied_sheet_is_filled_again(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    for title in ("Log", TITLE):
        server.sheets[title].cells.clear()
    assert document(call, "sync")["missing"] == 4
    assert len(server.sheet.records()) == 4
    assert len(server.sheets[TITLE].lines()) == 6


def test_deleted_worksheets_come_back(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    del server.sheets["Log"], server.sheets[TITLE]
    assert document(call, "sync", "--dry-run")["missing"] == 4
    assert "Log" not in server.sheets
    assert document(call, "sync")["left"] == 0
    assert (len(server.sheet.records()), len(server.sheets[TITLE].lines())) == (4, 6)


def test_a_renamed_column_comes_back_at_the_right(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    lines = server.sheet.lines()
    lines[0][lines[0].index("name")] = "Student"
    server.sheet.fill(lines)
    before = state(server)
    assert document(call, "sync", "--dry-run")["stale"] == 4
    assert state(server) == before
    assert document(call, "sync")["left"] == 0
    assert all(str(record["name"]).startswith("Name") for record in server.sheet.records())
    assert server.pivot("Summary", 24, 1)[1][0] in {"", "7B"}


def test_moved_columns_do_not_mislead_the_summary(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    before = server.pivot("Summary", 24, 1)
    server.sheet.fill([line[::-1] for line in server.sheet.lines()])
    document(call, "sync")
    assert server.pivot("Summary", 24, 1) == before


def test_sync_takes_up_what_people_changed(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    keys = lesson(ledger)
    document(call, "sync")
    header, *lines = server.sheet.lines()
    for line, (status, who) in zip(lines, [("excused", "Ms. Lovelace"), ("late", ""), ("hm", "")], strict=False):
        line[header.index("status")], line[header.index("corrected_by")] = status, who
    server.sheet.fill([header, *lines])
    server.drive.last = {"displayName": "Mr. Babbage", "emailAddress": "b@school.example", "me": False}
    printed = call("sync", "--dry-run")[1]
    names = [str(line[header.index("name")]) for line in lines[:3]]
    said = [f"{name}, 2026-09-01, {MEETING.session}" for name in names]
    assert f"corrected in the sheet: {said[0]} is excused, by Ms. Lovelace" in printed
    assert f"put back: {said[2]} said 'hm'" in printed
    assert [each["actor"] for each in document(call, "sync", "--dry-run")["corrections"]] == [
        "Ms. Lovelace", "someone with access to the sheet",
    ]  # fmt: skip
    found = document(call, "sync", "--ask-drive")
    assert [(each["status"], each["actor"]) for each in found["corrections"]] == [
        ("excused", "Ms. Lovelace"), ("late", "Mr. Babbage (changed the spreadsheet last)"),
    ]  # fmt: skip
    assert [each["text"] for each in found["put_back"]] == ["hm"]
    assert found["left"] == 0
    assert {row.status for row in ledger.register() if row.record_id in keys} >= {"excused", "late"}
    assert document(call, "sync")["corrections"] == []


def test_one_row_that_is_not_taken_does_not_hold_sync_up(
    server: SheetsServer, ledger: Ledger, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run tries such a row again after minutes; whoever called the command wants an answer."""
    monkeypatch.setattr("optimind.app.sheets._PATIENCE_S", 5.0)
    lesson(ledger)
    write = server._write

    def refuse(body: Any) -> dict[str, Any]:
        if "Name 1" in json.dumps(body):
            raise ApiError(400, "INVALID_ARGUMENT", "Invalid value")
        return write(body)

    monkeypatch.setattr(server, "_write", refuse)
    began = time.monotonic()
    found = document(call, "sync", code=1)
    assert time.monotonic() - began < 30
    assert "Invalid value" in found["error"]
    monkeypatch.setattr("optimind.app.sheets._PATIENCE_S", 2.0)
    assert "(400: Invalid value) mend: " in call("sync")[1]
    assert (found["left"], len(server.sheet.records())) == (1, 3)
    monkeypatch.setattr(server, "_write", write)
    assert document(call, "sync")["left"] == 0


def test_of_many_changes_the_first_are_shown(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger, 23)
    document(call, "sync")
    header, *lines = server.sheet.lines()
    for line in lines[:23]:
        line[header.index("status")] = "hm"
    server.sheet.fill([header, *lines])
    printed = call("sync", "--dry-run")[1]
    assert printed.count("said 'hm'") == 20
    assert "put back: 3 more" in printed


def test_without_the_drive_api_it_was_someone(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    header, first, *lines = server.sheet.lines()
    first[header.index("status")] = "excused"
    server.sheet.fill([header, first, *lines])
    server.drive.enabled = False
    (found,) = document(call, "sync", "--ask-drive")["corrections"]
    assert found["actor"] == "someone with access to the sheet"


def test_a_register_without_its_header_needs_a_person(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    server.sheets[TITLE].fill(server.sheets[TITLE].lines()[3:])
    code, printed = call("sync")
    assert code == 3
    assert f"{TITLE!r} has no row with person_id" in printed


def test_sync_asks_for_no_more_than_the_spreadsheets(server: SheetsServer, ledger: Ledger, call: Run) -> None:
    lesson(ledger)
    document(call, "sync")
    assert set(server.scopes.values()) == {"https://www.googleapis.com/auth/spreadsheets"}


def test_a_big_sheet(server: SheetsServer, ledger: Ledger, call: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimind.sinks._sheets_setup._ROWS_AT_ONCE", 5_000)
    lesson(ledger)
    document(call, "sync")
    header = server.sheet.lines()[0]
    server.sheet.rows = 12_005
    for row in range(10, 12_000):
        server.sheet.cells[row, 1] = f"r-foreign-{row}"
        server.sheet.cells[row, 6] = "present"
    server.sheet.cells[12_001, 1] = server.sheet.cells.pop((2, 1))
    for column in range(2, len(header) + 1):
        value = server.sheet.cells.pop((2, column), "")
        if value != "":
            server.sheet.cells[12_001, column] = value
    found = document(call, "sync")
    assert (found["foreign"], found["missing"], found["stale"], found["left"]) == (11_990, 0, 0, 0)


@pytest.mark.parametrize("command", ["init", "sync", "audit"])
def test_without_a_spreadsheet_the_settings_are_named(folder: Path, ledger: Ledger, call: Run, command: str) -> None:
    (folder / "config.yaml").write_text("timezone: Europe/London", "utf-8")
    code, printed = call(command)
    assert code == 2
    assert "names no spreadsheet" in printed


def test_sync_without_a_ledger_makes_none(folder: Path, call: Run) -> None:
    code, _ = call("sync")
    assert code == 2
    assert not (folder / "data" / "optimind.db").exists()


# who may see it

OWNER = {"id": "1", "role": "owner", "type": "user", "emailAddress": "head@school.example", "displayName": "The Head"}
WRITER = {"id": "2", "role": "writer", "type": "user", "emailAddress": EMAIL, "displayName": "register"}
LINK = {"id": "anyoneWithLink", "role": "reader", "type": "anyone", "allowFileDiscovery": False}
FOUND = {"id": "anyone", "role": "writer", "type": "anyone", "allowFileDiscovery": True}
DOMAIN = {"id": "4", "role": "reader", "type": "domain", "domain": "school.example"}


@pytest.mark.parametrize(
    ("permissions", "code", "said"),
    [
        ([OWNER, WRITER], 0, "only these people and groups may see it"),
        ([OWNER, WRITER, LINK], 3, "WARNING: anyone who has the link can open it as reader"),
        ([OWNER, FOUND], 3, "WARNING: anyone who finds it in a search can open it as writer"),
        ([OWNER, DOMAIN], 3, "WARNING: everybody in school.example can open it as reader"),
    ],
    ids=["people", "link", "search", "domain"],
)
def test_audit(server: SheetsServer, call: Run, permissions: list[Any], code: int, said: str) -> None:
    server.drive.permissions, server.drive.page_size = permissions, 1
    found, printed = call("audit")
    assert found == code
    assert said in printed
    assert "head@school.example" in printed
    assert set(server.scopes.values()) == {"https://www.googleapis.com/auth/drive.metadata.readonly"}
    listed = document(call, "audit", code=code)
    assert len(listed["access"]) == len(permissions)
    assert len(listed["warnings"]) == (code == 3)


def test_share_and_take_away(server: SheetsServer, call: Run) -> None:
    server.drive.permissions = [OWNER, WRITER]
    assert call("share", "--email", "ana@school.example", "--role", "writer")[0] == 0
    assert server.drive.mails == []
    assert server.drive.permissions[-1]["role"] == "writer"
    assert call("share", "--email", "bob@school.example", "--message", "the register")[0] == 0
    assert server.drive.mails == [("bob@school.example", "the register")]
    assert call("share", "--email", "Ana@School.example", "--remove")[0] == 0
    assert [each.get("emailAddress") for each in server.drive.permissions] == [
        "head@school.example", EMAIL, "bob@school.example",
    ]  # fmt: skip
    assert call("share", "--email", "ana@school.example", "--remove")[0] == 2
    assert call("share", "--email", "head@school.example", "--remove")[0] == 2
    assert call("share", "--email", "nobody")[0] == 2


@pytest.mark.parametrize("command", [("audit",), ("share", "--email", "ana@school.example")], ids=["audit", "share"])
def test_what_google_drive_refuses_is_explained(server: SheetsServer, call: Run, command: tuple[str, ...]) -> None:
    server.drive.enabled = False
    code, printed = call(*command)
    assert (code, "the Google Drive API is off" in printed, "press Enable" in printed) == (1, True, True)
    server.drive.enabled = True
    server.editors.clear()
    code, printed = call(*command)
    assert (code, f"share the spreadsheet with {EMAIL} as Editor" in printed) == (1, True)


def test_an_account_that_may_not_share(server: SheetsServer, call: Run) -> None:
    server.drive.may_share = False
    code, printed = call("share", "--email", "ana@school.example")
    assert (code, "let editors share" in printed) == (1, True)
