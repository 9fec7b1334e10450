"""Rosters that an administrator edits, in a file or in a worksheet, while a run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from ledger_marks import url_of
from school import DAY, at, maths, seen, timetable
from sheets_model import Sheet
from sheets_server import SheetsServer

from optimind.app.register_keeping import RegisterKeeper
from optimind.app.rosters import READ_S, RosterWatch, read_rosters
from optimind.config import Config, load_config
from optimind.errors import ConfigError, OptiMindError
from optimind.pipeline.meetings import MeetingBook
from optimind.plugin_api import FacesCounted
from optimind.storage import Ledger, open_ledger

pytest_plugins = ("sheets_fixtures",)

CONFIG = """
cameras: [{{id: c1, source: 0, room: 101}}]
timezone: Europe/Berlin
timetable:
  absent_after_min: 30
  sessions: [{{class: 7B, name: maths, days: mon-fri, start: "8:00", end: "8:45", room: 101}}]
  rosters: {rosters}
"""
HEADER = ["Class", "Person_ID", "name", "from", "until"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "l.db")) as opened:
        yield opened


@pytest.fixture
def in_worksheet(tmp_path: Path, server: SheetsServer, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Settings whose rosters are in the worksheet Roster of the register's own spreadsheet."""
    monkeypatch.chdir(tmp_path)
    key = server.write_key(tmp_path)
    Path("config.yaml").write_text(
        CONFIG.format(rosters="{worksheet: Roster}")
        + f"sheets: {{spreadsheet: {server.spreadsheet}, credentials: {{file: {key}}}, endpoint: '{server.url}', "
        "timeout_s: 2, quota: {reads_per_minute: 100000, writes_per_minute: 100000}}\n"
    )
    server.sheets["Roster"] = Sheet("Roster", 77)
    return load_config(None)


@pytest.fixture
def in_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    Path("rosters.csv").write_text("class,person_id,name\n7B,1,Ana\n7B,2,Ben\n", "utf-8")
    Path("config.yaml").write_text(CONFIG.format(rosters="{csv: rosters.csv}"))
    return load_config(None)


def fill(server: SheetsServer, *lines: list[object]) -> None:
    server.sheets["Roster"].cells.clear()
    server.sheets["Roster"].fill([HEADER, *lines])


def read(watch: RosterWatch) -> None:
    """Wait for the reading that a tick began, and let the next tick enter it."""
    for thread in [each for each in threading.enumerate() if each.name == "rosters"]:
        thread.join(10)
    watch.tick(DAY)


def test_a_worksheet_is_read_like_a_table(in_worksheet: Config, server: SheetsServer) -> None:
    fill(
        server,
        ["7B", 1041, "Grace Hopper"],
        ["7B", "0042", "عليّ 🙂", "2026-09-01", "2026-10-31"],
        ["", "", ""],
        ["9A", 1041, ""],
    )
    found = read_rosters(in_worksheet)
    assert [(each.person_id, each.name) for each in found["7B"]] == [("1041", "Grace Hopper"), ("0042", "عليّ 🙂")]
    assert found["7B"][1].first_day == DAY
    assert [(each.person_id, each.name) for each in found["9A"]] == [("1041", "1041")]


def test_a_narrow_worksheet_and_days_as_a_spreadsheet_keeps_them(in_worksheet: Config, server: SheetsServer) -> None:
    fill(server, ["7B", 1041, "Grace Hopper", 46266, 46326.0], ["7B", 46266, "46266", "", "2026-10-31"])
    server.sheets["Roster"].columns = 5
    first, second = read_rosters(in_worksheet)["7B"]
    assert (first.first_day, first.last_day) == (DAY, date(2026, 10, 31))
    assert (second.person_id, second.name, second.last_day) == ("46266", "46266", date(2026, 10, 31))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([["7B", "", "Nobody"]], ["Roster", "2", "person_id"]),
        ([["7B", "1", "Ana", "yesterday"]], ["Roster", "2", "from"]),
        ([["7B", "1", "Ana"], ["", "2", "Ben"]], ["Roster", "3", "class"]),
        ([["7B", "1", "Ana"], ["7B", "2", "Ben"], ["7B", "1", "Ana"]], [":4", "1 is in 7B by line 2 already"]),
        ([["7B", "1", "", "2026-09-01", "2026-09-30"], ["7B", "1", "", "2026-09-30"]], [":3", "by line 2 already"]),
    ],
)
def test_what_is_wrong_in_a_worksheet_is_said_with_its_line(
    in_worksheet: Config, server: SheetsServer, lines: list[list[object]], words: list[str]
) -> None:
    fill(server, *lines)
    with pytest.raises(ConfigError) as raised:
        read_rosters(in_worksheet)
    assert all(word in str(raised.value) for word in words), str(raised.value)


def test_a_worksheet_that_is_not_there_is_named(in_worksheet: Config, server: SheetsServer) -> None:
    del server.sheets["Roster"]
    with pytest.raises(OptiMindError, match="Roster"):
        read_rosters(in_worksheet)


def test_a_worksheet_without_a_spreadsheet_is_a_fault_of_the_settings(in_worksheet: Config) -> None:
    path = Path("config.yaml")
    path.write_text(CONFIG.format(rosters="{worksheet: Roster}"))
    with pytest.raises(ConfigError, match="spreadsheet"):
        read_rosters(load_config(None))


def test_what_is_edited_is_noticed_and_what_cannot_be_read_changes_nothing(
    in_worksheet: Config, server: SheetsServer, ledger: Ledger
) -> None:
    clock = [0.0]
    watch = RosterWatch(in_worksheet, ledger, monotonic=lambda: clock[0])
    fill(server, ["7B", "1", "Ana"], ["7B", "2", "Ben"])
    watch.tick(DAY)
    read(watch)
    assert ledger.school.roster("7B", DAY) == {"1": "Ana", "2": "Ben"}
    fill(server, ["7B", "1", "Ana Maria"], ["7B", "3", "Cem"])
    read(watch)  # not yet: a minute has not passed
    assert ledger.school.roster("7B", DAY) == {"1": "Ana", "2": "Ben"}
    clock[0] += READ_S
    watch.tick(DAY)
    read(watch)
    assert ledger.school.roster("7B", DAY) == {"1": "Ana Maria", "3": "Cem"}
    with server.down():
        clock[0] += READ_S
        watch.tick(DAY)
        read(watch)
        assert watch.error
        assert ledger.school.roster("7B", DAY) == {"1": "Ana Maria", "3": "Cem"}
    clock[0] += READ_S
    watch.tick(DAY)
    read(watch)
    assert watch.error == ""


def test_a_file_that_is_broken_for_a_moment_changes_nothing(in_file: Config, ledger: Ledger) -> None:
    clock = [0.0]
    watch = RosterWatch(in_file, ledger, monotonic=lambda: clock[0])
    watch.tick(DAY)
    watch.finish(DAY)
    assert ledger.school.roster("7B", DAY) == {"1": "Ana", "2": "Ben"}
    for text in ("", "class;who\n7B;1\n", "\x00\x01"):
        Path("rosters.csv").write_text(text, "utf-8")
        clock[0] += READ_S
        watch.tick(DAY)
        read(watch)
        assert "rosters.csv" in watch.error, text
        assert ledger.school.roster("7B", DAY) == {"1": "Ana", "2": "Ben"}


def test_a_run_keeps_the_register_of_a_lesson(in_file: Config, ledger: Ledger) -> None:
    """From the events alone: the roster is read, each watched minute written down, and who did not come is absent."""
    clock = [0.0]
    book = MeetingBook(timetable(), ledger.school, monotonic=lambda: clock[0])
    keeper = RegisterKeeper(in_file, ledger, book, ["memory"], monotonic=lambda: clock[0])
    keeper.tick()  # before the first picture there is no time
    ledger.record(seen(maths(), "1", 0, 44))
    for minute in range(46):
        clock[0] += 60.0
        for second in (0, 20, 40):
            moment = at(maths(), minute) + timedelta(seconds=second)
            keeper.take([FacesCounted(at=moment, camera="c1", faces=3, named=1)])
        keeper.tick()
        if minute == 0:
            deadline = time.monotonic() + 10
            while not ledger.school.roster("7B", DAY) and time.monotonic() < deadline:
                time.sleep(0.01)
                keeper.tick()
        statuses = {row.person_id: row.status for row in ledger.register(session=maths().session)}
        assert statuses == ({"1": "present"} if minute < 30 else {"1": "present", "2": "absent"}), minute
    keeper.finish()
    assert ledger.school.closed(maths().starts_at)
    assert ledger.outbox.lag("memory")[0] == 2
