"""The command register print: from a ledger to a page, and what it says where it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of

from optimind.core.timetable import Timetable, WeeklySession
from optimind.storage import Ledger
from optimind.storage.correcting import Correction, Unseen

WEEKLY = WeeklySession(
    class_id="7b", name="maths", room="101", weekdays=frozenset({0}), start=time(8, 0), end=time(8, 45)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with two Mondays of a class in September, one in October, and a session of no timetable."""
    (tmp_path / "config.yaml").write_text("timezone: Europe/Berlin\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    timetable = Timetable([WEEKLY], zone=UTC)
    with Ledger(url_of(tmp_path / "data" / "optimind.db"), clock=lambda: datetime(2026, 11, 1, tzinfo=UTC)) as ledger:
        for day in (date(2026, 9, 7), date(2026, 9, 14), date(2026, 10, 5)):
            (meeting,) = timetable.on(day)
            unseen = Unseen(meeting=meeting, person_id="p1", name="Ana <b>")
            said = Correction(record_id=unseen.record_id, status="late", actor="Ms Lang", why="bus")  # type: ignore[arg-type]
            ledger.correct([said], unseen=[unseen])
        ledger.record(make_mark("p2", session="day"))
    return tmp_path


def register(repository: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "main.py"), "register", "print", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_class_and_month_becomes_a_page(folder: Path, repository: Path) -> None:
    done = register(repository, folder, "--class", "7b", "--month", "2026-09", "--output", "r.html", "--by", "Ms Lang")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    page = (folder / "r.html").read_text("utf-8")
    assert page.count('<td class="cell late" title="late">L</td>') == 2
    assert "10:00" in page  # 8:00 UTC, where the register's clocks stand
    assert "Ana &lt;b&gt;" in page
    assert "Ms Lang" in page


def test_a_session_of_no_timetable_and_another_form(folder: Path, repository: Path) -> None:
    done = register(repository, folder, "--session", "day", "--month", "2026-09", "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [person["person_id"] for person in document["people"]] == ["p2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--month", "2026-09"], "--class ID"),
        (["--month", "2026-09", "--class", "7b", "--session", "day"], "one of --class"),
        (["--month", "September", "--class", "7b"], "write it as 2026-09"),
        (["--month", "2026-13", "--class", "7b"], "write it as 2026-09"),
        (["--month", "2026-09", "--class", "7c"], "nothing is known of a class '7c' in 2026-09"),
        (["--month", "2026-09", "--session", "night"], "no record of a session 'night'"),
        (["--month", "2026-09", "--class", "7b", "--output", "r.pdf"], "Save as PDF"),
        (["--month", "2026-09", "--class", "7b", "--output", "r.doc"], "no form of a register"),
        (["--month", "2026-09", "--class", "7b", "--format", "xlsx"], "--output register.xlsx"),
        (["--month", "2026-09", "--class", "7b", "--data", "nowhere"], "there is no ledger"),
    ],
)
def test_what_it_says_where_it_cannot(arguments: list[str], words: str, folder: Path, repository: Path) -> None:
    done = register(repository, folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not (folder / "nowhere").exists()
