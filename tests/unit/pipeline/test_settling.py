"""Who did not come is entered while the run goes on, by the time of the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from ledger_marks import url_of
from school import at, enter_class, maths, seen, timetable, watch

from optimind.errors import StorageError
from optimind.pipeline.meetings import MeetingBook
from optimind.pipeline.settling import SETTLE_S, Settler
from optimind.storage import Ledger, open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "l.db")) as opened:
        enter_class(opened)
        yield opened


class Clock:
    """The pictures' time and the run's own."""

    def __init__(self) -> None:
        self.at: datetime | None = None
        self.seconds = 0.0

    def __call__(self) -> datetime | None:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settler(ledger: Ledger, clock: Clock) -> Settler:
    book = MeetingBook(timetable(), ledger.school, monotonic=lambda: clock.seconds)
    return Settler(ledger, book, ["memory"], clock, monotonic=lambda: clock.seconds)


def began(settler: Settler, clock: Clock) -> None:
    """The run was there when the lesson began."""
    clock.at = at(maths(), 0)
    settler.tick()
    clock.seconds += SETTLE_S


def statuses(ledger: Ledger) -> dict[str, str]:
    return {row.person_id: row.status for row in ledger.register(session=maths().session)}


def test_the_absent_are_entered_when_nobody_can_come_in_time_any_more(
    ledger: Ledger, settler: Settler, clock: Clock
) -> None:
    watch(ledger, maths())
    ledger.record(seen(maths(), "1", 0, 40))
    expected = {29: {"1": "present"}, 31: {"1": "present", "2": "absent", "3": "absent"}}
    for minutes, wanted in expected.items():
        clock.at = at(maths(), minutes)
        clock.seconds += SETTLE_S
        settler.tick()
        assert statuses(ledger) == wanted, minutes
    assert ledger.outbox.lag("memory")[0] == 3


def test_who_comes_after_all_is_not_absent(ledger: Ledger, settler: Settler, clock: Clock) -> None:
    watch(ledger, maths())
    began(settler, clock)
    clock.at = at(maths(), 46)
    settler.tick()
    assert set(statuses(ledger).values()) == {"absent"}
    ledger.record(seen(maths(), "2", 3, 44))
    assert statuses(ledger)["2"] == "present"


def test_nobody_is_absent_from_a_room_that_nobody_watched(ledger: Ledger, settler: Settler, clock: Clock) -> None:
    clock.at = at(maths(), 50)
    settler.tick()
    assert statuses(ledger) == {}
    watch(ledger, maths(), 0, 10)
    clock.seconds += SETTLE_S
    settler.tick(now=True)
    # It was closed as far as this run is concerned; the command `attendance` looks again.
    assert statuses(ledger) == {}


def test_who_was_missed_by_a_camera_that_was_off_is_to_be_looked_at(
    ledger: Ledger, settler: Settler, clock: Clock
) -> None:
    watch(ledger, maths(), 0, 10)
    began(settler, clock)
    clock.at = at(maths(), 46)
    settler.tick()
    assert set(statuses(ledger).values()) == {"needs_review"}


def test_a_run_with_another_timetable_decides_about_no_session_of_before(
    ledger: Ledger, settler: Settler, clock: Clock
) -> None:
    """Its room was watched, but an earlier run would have begun it: then it stood in no timetable."""
    watch(ledger, maths())
    clock.at = at(maths(), 50)
    settler.tick()
    assert statuses(ledger) == {}
    ledger.school.enter(maths())
    clock.seconds += SETTLE_S
    Settler(ledger, MeetingBook(timetable(), ledger.school), [], clock).tick()
    assert set(statuses(ledger).values()) == {"absent"}


def test_it_is_not_done_all_the_time(ledger: Ledger, settler: Settler, clock: Clock) -> None:
    watch(ledger, maths())
    clock.at = at(maths(), 5)
    settler.tick()
    clock.at, clock.seconds = at(maths(), 46), SETTLE_S / 2
    settler.tick()
    assert statuses(ledger) == {}
    settler.tick(now=True)
    assert len(statuses(ledger)) == 3


def test_without_a_picture_there_is_no_time(settler: Settler, ledger: Ledger) -> None:
    settler.tick(now=True)
    assert statuses(ledger) == {}


def test_a_ledger_that_cannot_be_written_is_tried_again(
    ledger: Ledger, settler: Settler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(ledger, maths())

    def fail(*_: object, **__: object) -> None:
        raise StorageError("the disk is full", mend="make room")

    began(settler, clock)
    clock.at = at(maths(), 46)
    with monkeypatch.context() as broken:
        broken.setattr(ledger, "settle", fail)
        settler.tick()
    assert "the disk is full" in settler.error
    clock.seconds += SETTLE_S
    settler.tick()
    assert (settler.error, len(statuses(ledger))) == ("", 3)


def test_a_session_by_hand_is_settled_too(ledger: Ledger, settler: Settler, clock: Clock) -> None:
    meeting = maths()
    by_hand = type(meeting)(
        session="7B extra 15:00",
        date=meeting.date,
        class_id="7B",
        room="101",
        opens_at=at(meeting, 420),
        starts_at=at(meeting, 420),
        ends_at=at(meeting, 450),
        by_hand=True,
    )
    ledger.school.enter(by_hand)
    watch(ledger, by_hand)
    clock.at = by_hand.ends_at + timedelta(seconds=1)
    settler.tick()
    assert [row.status for row in ledger.register(session=by_hand.session)] == ["absent"] * 3
