"""What a run makes of the timetable in its settings."""

from __future__ import annotations

import logging

import pytest
from school import timetable

from optimind.app.timetables import warn_of_empty_rooms
from optimind.core.timetable import Timetable


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
