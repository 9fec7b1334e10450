"""Timetable, roster, corrections and head counts, as an administrator meets them on the command line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_marks import url_of
from school import DAY, maths, seen, watch

from optimind.storage import open_ledger

CONFIG = """
cameras: [{id: c1, source: 0, room: 101}]
timezone: Europe/Berlin
timetable:
  absent_after_min: 30
  leave_early_min: 10
  sessions: lessons.csv
  rosters: {csv: rosters.csv}
"""
LESSONS = "class,name,days,start,end,room\n7B,maths,mon-fri,8:00,8:45,101\n7B,art,mon-fri,8:45,9:30,101\n"
ROSTER = "class,person_id,name\n7B,1,Ana\n7B,2,Ben\n7B,3,Cem\n7B,4,Ömer\n"
ON = ("--date", DAY.isoformat())

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path, repository: Path) -> Command:
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")
    (tmp_path / "lessons.csv").write_text(LESSONS, "utf-8")
    (tmp_path / "rosters.csv").write_text(ROSTER, "utf-8")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(repository / "main.py"), *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return call


@pytest.fixture
def lesson(tmp_path: Path, command: Command) -> None:
    """One maths lesson in the ledger: Ana was there, Ben late, a guest looked in, Cem and Ömer did not come."""
    assert command("timetable", "roster").returncode == 0
    with open_ledger(url_of(tmp_path / "data" / "optimind.db")) as ledger:
        watch(ledger, maths(), faces=4)
        ledger.record_many([seen(maths(), "1", 0, 44), seen(maths(), "2", 9, 44), seen(maths(), "9", 3, 4)])


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows(command: Command) -> dict[str, Any]:
    return {row["name"]: row for row in document(command("attendance", *ON, "--format", "json"))}


def statuses(command: Command) -> dict[str, str]:
    return {name: row["status"] for name, row in rows(command).items()}


@pytest.mark.usefixtures("lesson")
def test_who_did_not_come_is_in_the_register(command: Command) -> None:
    found = rows(command)
    assert {name: row["status"] for name, row in found.items()} == {
        "Ana": "present",
        "Ben": "late",
        "Cem": "absent",
        "Ömer": "absent",
        "Name 9": "needs_review",
    }
    cem = found["Cem"]
    assert (cem["first_seen_at"], cem["similarity"], cem["seconds_seen"], cem["source"]) == (None, None, 0.0, "rule")


@pytest.mark.usefixtures("lesson")
def test_a_correction_counts_whatever_is_seen_later_and_can_be_taken_back(command: Command, tmp_path: Path) -> None:
    statuses(command)
    words = ["--status", "excused", "--why", "ill", "--by", "Ms X", "--json"]
    said = document(command("attendance", "correct", "Cem", *ON, *words))
    assert (said["status"], said["rule"], said["reason"]) == ("excused", "corrected", "Ms X: ill")
    with open_ledger(url_of(tmp_path / "data" / "optimind.db")) as ledger:
        ledger.record(seen(maths(), "3", 0, 44))
    assert statuses(command)["Cem"] == "excused"
    history = document(command("attendance", "history", "Cem", *ON, "--json"))
    assert [(line["actor"], line["action"]) for line in history] == [("rule", "decided"), ("Ms X", "corrected")]
    assert command("attendance", "withdraw", "3", *ON, "--by", "Ms X").returncode == 0
    assert statuses(command)["Cem"] == "present"
    assert command("attendance", "withdraw", "3", *ON).returncode == 2


@pytest.mark.usefixtures("lesson")
def test_somebody_without_a_record_can_be_corrected(command: Command) -> None:
    words = ("--status", "excused", "--why", "x")
    told = command("attendance", "correct", "Cem", *ON, "--session", "7B art 08:45", *words)
    assert told.returncode == 0, told.stderr
    assert "was: no record" in told.stdout
    unknown = command("attendance", "correct", "Zed", *ON, *words)
    assert unknown.returncode == 2
    assert '"7B art 08:45", "7B maths 08:00"' in unknown.stderr
    several = command("attendance", "correct", "4", *ON, *words)
    assert (several.returncode, "add --session with one of" in several.stderr) == (2, True)


@pytest.mark.usefixtures("lesson")
def test_an_excuse_changes_what_was_decided(command: Command) -> None:
    statuses(command)
    told = command("attendance", "excuse", "4", "--from", DAY.isoformat(), "--why", "flu", "--by", "Ms X")
    assert "1 record changed" in told.stdout
    assert statuses(command)["Ömer"] == "excused"
    (excuse,) = document(command("attendance", "excuses", "--json"))
    assert (excuse["person_id"], excuse["why"], excuse["until"]) == ("4", "flu", DAY.isoformat())
    number = str(excuse["excuse_id"])
    assert command("attendance", "excuse", "3", "--withdraw", number).returncode == 2
    for words, named in ((["Umer"], "nobody has the id or the name"), (["4", "--class", "7b"], 'one of: "7B"')):
        refused = command("attendance", "excuse", *words)
        assert (refused.returncode, named in refused.stderr) == (2, True), refused.stderr
    (by_name,) = document(command("attendance", "excuses", "--person", "4", "--json"))
    assert command("attendance", "excuse", "Ömer", "--from", "2026-09-08").returncode == 0
    assert len(document(command("attendance", "excuses", "--person", "4", "--json"))) == 2
    assert command("attendance", "excuse", "Ömer", "--withdraw", str(by_name["excuse_id"] + 1)).returncode == 0
    assert command("attendance", "excuse", "4", "--withdraw", number).returncode == 0
    assert statuses(command)["Ömer"] == "absent"


@pytest.mark.usefixtures("lesson")
def test_the_head_count_says_what_explains_the_difference(command: Command) -> None:
    statuses(command)
    (count,) = document(command("attendance", "headcount", *ON, "--json"))
    assert (count["faces"], count["unnamed"], count["named"], count["roster"]) == (4, 2, 3, 4)
    assert (count["absent"], count["guests"]) == (["Cem", "Ömer"], ["Name 9"])
    told = command("attendance", "headcount", *ON)
    assert "4 faces, 3 named, roster 4" in told.stdout
    assert "2 absent: Cem, Ömer" in told.stdout


@pytest.mark.usefixtures("lesson")
def test_what_a_mark_rests_on(command: Command) -> None:
    shown = document(command("attendance", "show", "2", *ON, "--json"))
    assert (shown["status"], shown["rule"]) == ("late", "late")
    assert shown["reason"] == "came 9 min after the start; late after 5 min"
    assert [(each["camera"], each["similarity"]) for each in shown["sightings"]] == [("c1", 0.8)]
    assert command("attendance", "show", "2", *ON, "--picture", "ben.jpg").returncode == 2
    nobody = command("attendance", "show", "3", "--date", (DAY + timedelta(days=1)).isoformat())
    assert nobody.returncode == 2


@pytest.mark.usefixtures("lesson")
def test_a_changed_log_is_found_out(command: Command, tmp_path: Path) -> None:
    statuses(command)
    report = document(command("attendance", "verify", "--json"))
    assert (report["ok"], report["erased"]) == (True, 0)
    head = report["head"]
    assert command("attendance", "verify", "--head", f" {head.upper()}").returncode == 0
    assert command("attendance", "verify", "--head", head[:8]).returncode == 2, "it is no log that was cut off"
    connection = sqlite3.connect(tmp_path / "data" / "optimind.db")
    connection.execute("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)")
    connection.commit()
    assert command("attendance", "verify").returncode == 0
    cut = command("attendance", "verify", "--head", head)
    assert (cut.returncode, "the end of the log was cut off" in cut.stderr) == (1, True)
    connection.execute("UPDATE audit SET detail = replace(detail, 'late', 'present') WHERE number = 2")
    connection.commit()
    connection.close()
    changed = command("attendance", "verify", "--json")
    assert changed.returncode == 1
    assert "what line 2 says was changed" in json.loads(changed.stdout)["fault"]


def test_the_timetable_is_shown_as_it_will_be_held(command: Command) -> None:
    held = document(command("timetable", "show", "--date", "2026-09-04", "--days", "3", "--json"))
    assert [(each["date"], each["session"], each["cameras"]) for each in held] == [
        ("2026-09-04", "7B maths 08:00", ["c1"]),
        ("2026-09-04", "7B art 08:45", ["c1"]),
    ]
    assert held[0]["starts_at"] == "2026-09-04T08:00:00+02:00"
    told = command("timetable", "show", "--date", "2026-09-05", "--days", "1")
    assert "no session is held" in told.stdout


def test_a_roster_that_changes(command: Command, tmp_path: Path) -> None:
    assert "7B: 4 joined, 0 left" in command("timetable", "roster").stdout
    assert "joined" not in command("timetable", "roster").stdout
    (tmp_path / "rosters.csv").write_text("class;person_id;name\n7B;1;Anna\n7B;5;Eva\n", "utf-8")
    assert "7B: 1 joined, 3 left, 1 renamed" in command("timetable", "roster").stdout
    members = document(command("timetable", "roster", "--json"))
    assert [each["name"] for each in members] == ["Anna", "Eva"]
    for day in ("2026-01-01", "2036-01-01"):
        (tmp_path / "rosters.csv").write_text("class,person_id,name\n7B,1,Anna\n7B,6,Finn\n", "utf-8")
        assert command("timetable", "roster", "--date", day).returncode == 0
    finn = [each for each in document(command("timetable", "roster", "--json")) if each["person_id"] == "6"]
    assert finn, "who looks at another day enters nothing as of it"
    (tmp_path / "rosters.csv").write_text("class,person_id,name\n7B,,x\n", "utf-8")
    refused = command("timetable", "roster")
    assert (refused.returncode, "rosters.csv:2: person_id: is empty" in refused.stderr) == (2, True)
    checked = command("config", "check")
    assert (checked.returncode, "rosters.csv:2: person_id: is empty" in checked.stderr) == (2, True)


def test_a_session_by_hand(command: Command) -> None:
    begin = ("session", "start", "--class", "7B", "--name", "extra", "--at", "2026-09-01T15:00")
    started = document(command(*begin, "--json"))
    assert (started["session"], started["ends_at"]) == ("7B extra 15:00", "2026-09-01T15:45:00+02:00")
    again = command(*begin)
    assert (again.returncode, "give this one another --name" in again.stderr) == (2, True)
    assert len(document(command("session", "list", "--at", "2026-09-01T15:10", "--json"))) == 1
    stopped = document(command("session", "stop", "--at", "2026-09-01T15:20", "--json"))
    assert stopped["ends_at"] == "2026-09-01T15:20:00+02:00"
    assert document(command("session", "list", "--at", "2026-09-01T15:30", "--json")) == []
    assert command("session", "stop", "--at", "2026-09-01T15:30").returncode == 2
    assert command("session", "start", "--room", "nowhere").returncode == 2
    assert command("session", "start", "--class", "X" * 65).returncode == 2
    assert command("session", "start", "--at", "9999-12-31T23:59").returncode == 2
    # Else the lesson of the timetable and this one would be the same.
    like_maths = command("session", "start", "--class", "7B", "--name", "maths", "--at", "2026-09-01T08:00")
    assert (like_maths.returncode, "another --name" in like_maths.stderr) == (2, True)
    mistyped = command("session", "start", "--class", "7b", "--at", "2026-09-01T16:00")
    assert (mistyped.returncode, "nobody will be absent; there are: 7B" in mistyped.stderr) == (0, True)
    # The clocks are put back an hour at three.
    at_night = document(command("session", "start", "--name", "night", "--at", "2026-10-25T02:45", "--json"))
    assert at_night["ends_at"] == "2026-10-25T02:30:00+01:00"
