"""Which sessions are held in front of a camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ledger_marks import url_of
from school import at, maths, timetable

from optimind.errors import StorageError
from optimind.pipeline.meetings import REFRESH_S, MeetingBook
from optimind.storage import open_ledger


def test_the_timetable_and_what_was_started_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        book = MeetingBook(timetable(), ledger.school, monotonic=lambda: seconds[0])
        meeting = maths()

        def names(first_min: float, last_min: float, camera: str = "c1") -> list[str]:
            return [each.session for each in book(camera, at(meeting, first_min), at(meeting, last_min))]

        assert names(1, 2) == ["7B maths 08:00"]
        assert names(44, 46) == ["7B maths 08:00", "7B art 08:45"]
        assert names(1, 2, camera="elsewhere") == []
        by_hand = replace(meeting, session="extra", starts_at=at(meeting, 10), opens_at=at(meeting, 10), by_hand=True)
        ledger.school.enter(by_hand)
        assert names(20, 21) == ["7B maths 08:00"], "it is read now and then only"
        seconds[0] += REFRESH_S
        assert names(20, 21) == ["7B maths 08:00", "extra"]
        assert names(1, 2) == ["7B maths 08:00"]
        assert [each.session for each in book.here(at(meeting, 20), at(meeting, 21))] == ["7B maths 08:00", "extra"]

        def fail(*_: object) -> None:
            raise StorageError("the disk failed", mend="look at it")

        seconds[0] += REFRESH_S
        monkeypatch.setattr(ledger.school, "meetings", fail)
        assert names(20, 21) == ["7B maths 08:00", "extra"], "what is known goes on counting"
