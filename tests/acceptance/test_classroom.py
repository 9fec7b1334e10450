"""Photographs and a recording go in, a correct register comes out: the commands as the contract names them."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from program import Program

START = "2026-09-01T08:00:00+02:00"
COLUMNS = [
    "record_id",
    "date",
    "session",
    "person_id",
    "name",
    "status",
    "first_seen_at",
    "last_seen_at",
    "seconds_seen",
    "camera",
    "similarity",
    "margin",
    "source",
]


@pytest.fixture(scope="module")
def lesson(
    classroom: tuple[Path, dict[str, Any]], gallery: Path, program: Program
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A whole run: the data folder, the truth and the summary."""
    folder, truth = classroom
    data = folder / "data of 7b"
    done = program(
        *("run", "--source", folder / "video.mp4", "--gallery", gallery, "--data", data, "--session", "maths"),
        *("--pace", "fast", "--start", START, "--json"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return data, truth, json.loads(done.stdout)


@pytest.fixture(scope="module")
def register(lesson: tuple[Path, dict[str, Any], dict[str, Any]], program: Program) -> list[dict[str, Any]]:
    data, _, _ = lesson
    done = program("attendance", "--data", data, "--session", "maths", "--format", "json", cwd=data.parent)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_every_student_present_is_found_and_nobody_else(
    lesson: tuple[Path, dict[str, Any], dict[str, Any]], register: list[dict[str, Any]]
) -> None:
    _, truth, _ = lesson
    assert sorted(row["person_id"] for row in register) == sorted(truth["present"])
    assert {row["status"] for row in register} == {"present"}


def test_the_register_has_the_contracts_columns_and_the_recordings_times(
    lesson: tuple[Path, dict[str, Any], dict[str, Any]], register: list[dict[str, Any]]
) -> None:
    _, truth, _ = lesson
    start = datetime.fromisoformat(START)
    for row in register:
        assert list(row) == COLUMNS
        first, last = (datetime.fromisoformat(row[key]) for key in ("first_seen_at", "last_seen_at"))
        assert first.tzinfo is not None
        arrives, leaves = truth["present"][row["person_id"]]
        # Half a second between two looks, a quarter in which a student looks away, and what a detector misses.
        assert arrives - 0.1 <= (first - start).total_seconds() <= arrives + 6
        assert (last - start).total_seconds() <= leaves + 0.1
        assert 0 < row["seconds_seen"] <= leaves - arrives + 0.1
        assert row["similarity"] >= 0.5
        assert (row["session"], row["date"], row["camera"]) == ("maths", "2026-09-01", "camera-1")
    assert len({row["record_id"] for row in register}) == len(register)


def test_the_summary_is_the_contracts(lesson: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, truth, summary = lesson
    assert summary["frames"] == {"read": 14 * 15, "processed": 14 * 15, "dropped": 0}
    assert summary["people"] == sorted(truth["present"])
    [camera] = summary["cameras"]
    assert (camera["id"], camera["state"], camera["frames"]) == ("camera-1", "ended", summary["frames"])
    assert summary["unknown_tracks"] >= len(truth["strangers"])
    assert summary["tracks"] >= summary["sightings"] >= len(summary["people"])
    assert {"detect", "embed", "identify"} <= set(summary["stages_ms"])
    assert all(set(times) == {"mean", "p95"} for times in summary["stages_ms"].values())
    assert 50 < summary["peak_rss_mb"] < 2000


def test_the_same_recording_again_changes_nothing(
    lesson: tuple[Path, dict[str, Any], dict[str, Any]], gallery: Path, register: list[dict[str, Any]], program: Program
) -> None:
    data, _, _ = lesson
    again = ("run", "--source", data.parent / "video.mp4", "--gallery", gallery, "--data", data, "--session", "maths")
    done = program(*again, "--pace", "fast", "--start", START, "--json", cwd=data.parent)
    assert done.returncode == 0, done.stderr
    done = program("attendance", "--data", data, "--format", "json", cwd=data.parent)
    assert json.loads(done.stdout) == register


def test_other_formats(
    lesson: tuple[Path, dict[str, Any], dict[str, Any]],
    register: list[dict[str, Any]],
    program: Program,
    tmp_path: Path,
) -> None:
    data, _, _ = lesson
    table = program("attendance", "--data", data, "--format", "table", cwd=tmp_path).stdout
    text = program("attendance", "--data", data, "--format", "csv", cwd=tmp_path).stdout
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["person_id"] for row in rows] == [row["person_id"] for row in register]
    assert list(rows[0]) == COLUMNS
    for row in register:
        assert row["name"] in table
    done = program("attendance", "--data", data, "--format", "xlsx", "--output", tmp_path / "r.xlsx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sheet = load_workbook(tmp_path / "r.xlsx").active
    assert sheet is not None
    assert [cell.value for cell in sheet[1]] == COLUMNS
    assert sheet.max_row == len(register) + 1


def test_a_date_or_session_without_records_is_an_empty_register(
    lesson: tuple[Path, dict[str, Any], dict[str, Any]], program: Program
) -> None:
    data, _, _ = lesson
    for choice in (("--session", "physics"), ("--date", "2026-09-02")):
        done = program("attendance", "--data", data, *choice, "--format", "json", cwd=data.parent)
        assert (done.returncode, json.loads(done.stdout)) == (0, [])
