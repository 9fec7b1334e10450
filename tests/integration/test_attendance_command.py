"""The command attendance: where it looks, what it finds, and what it says where there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_marks import make_mark

from optimind.config import sqlite_url
from optimind.storage import open_ledger


def attendance(repository: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "main.py"), "attendance", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("data", [None, "nodir/typo", "empty"])
def test_where_no_ledger_is_none_is_made(data: str | None, tmp_path: Path, repository: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = attendance(repository, tmp_path, *(("--data", data) if data else ()))
    place = tmp_path / (data or "data") / "optimind.db"
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no ledger at {place}" in done.stderr
    assert "--data" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_a_session_of_any_name_is_found(tmp_path: Path, repository: Path) -> None:
    session = os.fsdecode(b"a\xffb")
    with open_ledger(sqlite_url(tmp_path / "d" / "optimind.db")) as ledger:
        ledger.record_many([make_mark("1", session=session), make_mark("2", session="maths")])
    done = attendance(repository, tmp_path, "--data", "d", "--session", session, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [row["person_id"] for row in json.loads(done.stdout)] == ["1"]
    assert attendance(repository, tmp_path, "--data", "d", "--session", session).returncode == 0
    done = attendance(repository, tmp_path, "--data", "d", "--session", "Maths", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert 'no record is of a session "Maths"; there are: ' in done.stderr
    assert "maths" in done.stderr


def test_the_folder_of_the_settings_may_have_any_name(tmp_path: Path, repository: Path) -> None:
    folder = tmp_path / "what? #1 100%20"
    folder.mkdir()
    (folder / "config.yaml").write_text("data: register?\n", encoding="utf-8")
    with open_ledger(sqlite_url(folder / "register?" / "optimind.db")) as ledger:
        ledger.record(make_mark("1"))
    done = attendance(repository, folder, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1
