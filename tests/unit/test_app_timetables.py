"""What a run makes of the timetable in its settings."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_marks import url_of
from school import enter_class, maths, timetable, watch

from optimind.app.timetables import settle, warn_of_empty_rooms
from optimind.config import Config, load_config
from optimind.core.timetable import Timetable
from optimind.storage import open_ledger


@pytest.mark.parametrize(
    ("rooms", "named"),
    [({"c1": "101"}, []), ({"c1": "101", "c2": "c2"}, ["c2"]), ({"gate": "yard", "hall": "hall"}, ["gate", "hall"])],
)
def test_a_camera_whose_room_has_no_session_is_named(
    rooms: dict[str, str], named: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lessons = timetable()
    with caplog.at_level(logging.WARNING):
        warn_of_empty_rooms(Timetable(lessons.sessions, zone=lessons.zone, rooms=rooms))
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == named
    assert all("sessions: 101" in record.getMessage() for record in caplog.records)


def test_without_a_timetable_there_is_nothing_to_say(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_empty_rooms(Timetable(rooms={"c1": "c1"}))
    assert not caplog.records


def test_a_timetable_that_is_changed_enters_no_absences_for_the_time_before(tmp_path: Path) -> None:
    """The room was watched all the time, so that a session that is renamed or new could have been held then."""
    lesson, later = maths(), maths().ends_at + timedelta(days=60)
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        enter_class(ledger)
        watch(ledger, lesson)
        settled = settle(_with(tmp_path, "maths", "08:00"), ledger, [], lesson.ends_at)
        assert [row.status for row in settled] == ["absent"] * 3
        for name, start in (("mathematics", "08:00"), ("maths", "08:05"), ("art", "07:50")):
            assert settle(_with(tmp_path, name, start), ledger, [], later) == [], name


def _with(folder: Path, name: str, start: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(
        "timezone: Europe/Berlin\ncameras: [{id: c1, source: 0, room: 101}]\ntimetable:\n  sessions:\n"
        f'    - {{class: 7B, name: {name}, days: mon-fri, start: "{start}", end: "08:45", room: 101}}\n'
    )
    return load_config(path)
