"""A timetable, a roster and recordings of a lesson go in; who was there, who was not and who is a guest comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from program import Program

START = "2026-09-01T07:59:57+02:00"
BEFORE_S = 3.0
TIMES = 5
"""Shown so often, one after the other, the recording is a lesson of a minute."""
CONFIG = """
cameras: [{id: camera-1, source: lesson.mp4, room: 101}]
timezone: Europe/Berlin
timetable:
  sessions: [{class: 7B, name: maths, days: mon-fri, start: "8:00", end: "8:01", room: 101}]
  late_after_min: 0
  rosters: {csv: rosters.csv}
"""


def repeat(recording: Path, longer: Path) -> None:
    """Write ``recording`` :data:`TIMES` times after itself."""
    writer: cv2.VideoWriter | None = None
    for _ in range(TIMES):
        reader = cv2.VideoCapture(str(recording))
        while (read := reader.read())[0]:
            if writer is None:
                size = (read[1].shape[1], read[1].shape[0])
                writer = cv2.VideoWriter(
                    str(longer), cv2.VideoWriter.fourcc(*"mp4v"), reader.get(cv2.CAP_PROP_FPS), size
                )
            writer.write(read[1])
        reader.release()
    assert writer is not None
    writer.release()


@pytest.fixture(scope="module")
def school(
    classroom: tuple[Path, dict[str, Any]], gallery: Path, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The folder of a school after its lesson, and who was in it; one of these is on no roster."""
    folder, truth = tmp_path_factory.mktemp("school"), classroom[1]
    guest = sorted(truth["present"])[0]
    members = sorted({*truth["present"], *truth["absent"]} - {guest})
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "rosters.csv").write_text("class,person_id\n" + "".join(f"7B,{each}\n" for each in members))
    repeat(classroom[0] / "video.mp4", folder / "lesson.mp4")
    done = program("run", "--gallery", gallery, "--pace", "fast", "--start", START, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, {**truth, "guest": guest, "members": members}


def listed(program: Program, folder: Path, *arguments: object) -> Any:
    done = program("attendance", *arguments, "--date", "2026-09-01", "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_everybody_of_the_class_has_a_status_and_its_rule(
    school: tuple[Path, dict[str, Any]], program: Program
) -> None:
    folder, truth = school
    rows = {row["person_id"]: row for row in listed(program, folder)}
    assert set(rows) == {*truth["members"], truth["guest"]}
    assert {row["session"] for row in rows.values()} == {"7B maths 08:00"}
    for person, row in rows.items():
        if person in truth["absent"]:
            assert (row["status"], row["first_seen_at"]) == ("absent", None)
        elif person == truth["guest"]:
            assert row["status"] == "needs_review"
        else:
            # Who arrives in the first three seconds of the recording is there before the bell.
            assert row["status"] in ("present", "late")
    arrives = {person: truth["present"][person][0] for person in truth["members"] if person in truth["present"]}
    late = {person for person, row in rows.items() if row["status"] == "late"}
    assert late >= {person for person, second in arrives.items() if second > BEFORE_S}


def test_why_and_how_many(school: tuple[Path, dict[str, Any]], program: Program) -> None:
    folder, truth = school
    on = ("--date", "2026-09-01", "--json")
    shown = program("attendance", "show", truth["guest"], *on, cwd=folder)
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document["rule"] == "not_on_roster"
    assert document["picture"]["face_px"] > 40
    assert document["sightings"]
    counted = program("attendance", "headcount", *on, cwd=folder)
    assert counted.returncode == 0, counted.stderr
    (session,) = json.loads(counted.stdout)
    assert (session["roster"], session["named"]) == (len(truth["members"]), len(truth["present"]))
    assert sorted(session["absent"]) == sorted(
        row["name"] for row in listed(program, folder) if row["person_id"] in truth["absent"]
    )
    assert program("attendance", "verify", cwd=folder).returncode == 0
