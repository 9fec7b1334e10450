"""Who came through a door and stayed seated is there in the next session of the room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import time, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from ledger_marks import url_of
from school import BERLIN, CLASS, DAY, RULES, at, enter_class, entries, seen, timetable, watch

from optimind.core.events import AttendanceMarked
from optimind.core.timetable import Meeting, Timetable, WeeklySession
from optimind.storage import CARRIED, Ledger, open_ledger

MATHS, ART = timetable().on(DAY)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "l.db")) as opened:
        enter_class(opened)
        for meeting in (MATHS, ART):
            watch(opened, meeting)
        yield opened


def came(meeting: Meeting, person: str, minutes: float, **changes: object) -> AttendanceMarked:
    return seen(meeting, person, minutes, minutes, kind="in", **changes)


def went(meeting: Meeting, person: str, minutes: float) -> AttendanceMarked:
    return seen(meeting, person, minutes, minutes, kind="out")


def statuses(ledger: Ledger, meeting: Meeting = ART) -> dict[str, tuple[str, str]]:
    return {row.person_id: (row.status, row.rule) for row in ledger.register(session=meeting.session)}


def close(ledger: Ledger, *meetings: Meeting) -> None:
    for meeting in meetings or (MATHS, ART):
        ledger.settle(meeting, at(meeting, 120), ["memory"])


@pytest.mark.parametrize(
    ("moves", "wanted"),
    [
        ([came(MATHS, "1", -5)], ("present", "on_time")),
        ([came(MATHS, "1", -5), went(MATHS, "1", 44)], ("absent", "never_seen")),
        ([came(MATHS, "1", -5), went(MATHS, "1", 20), came(MATHS, "1", 25)], ("present", "on_time")),
        ([came(MATHS, "1", -5), went(ART, "1", 20)], ("left_early", "left_early")),
        ([went(MATHS, "1", 40)], ("absent", "never_seen")),
        ([seen(MATHS, "1", 0, 44)], ("absent", "never_seen")),  # a class camera sees them in each
        ([came(MATHS, "1", -5, suspicion="it is flat")], ("needs_review", "suspected")),
    ],
)
def test_who_is_inside_at_the_end_of_one_is_in_the_next(
    ledger: Ledger, moves: Sequence[AttendanceMarked], wanted: tuple[str, str]
) -> None:
    ledger.record_many(moves)
    close(ledger)
    assert statuses(ledger)["1"] == wanted


def test_it_is_entered_as_soon_as_the_next_begins(ledger: Ledger) -> None:
    ledger.record(came(MATHS, "1", -5))
    (row,) = ledger.settle(ART, at(ART, 0), ["memory"])
    assert (row.person_id, row.status, row.rule, row.version) == ("1", "present", "on_time", 1)
    assert (row.camera, row.similarity, row.first_seen_at) == ("c1", 0.8, ART.opens_at)
    assert ledger.outbox.lag("memory")[0] == 1
    (evidence,) = ledger.evidence(row.record_id)
    assert (evidence.sighting_id, evidence.kind, evidence.camera) == (CARRIED, "in", "c1")
    assert ledger.settle(ART, at(ART, 1), ["memory"]) == []
    assert len(ledger.evidence(row.record_id)) == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_marks_that_come_late_change_what_was_carried(ledger: Ledger, order: Sequence[int]) -> None:
    """A machine without a network hands in, a day later, who came and went, in any order."""
    close(ledger)
    assert statuses(ledger) == dict.fromkeys("123", ("absent", "never_seen"))
    late = [came(MATHS, "1", -5), went(MATHS, "1", 20), came(MATHS, "1", 30)]
    for number in order:
        ledger.record(late[number])
    assert statuses(ledger)["1"] == ("present", "on_time")
    ledger.record(went(MATHS, "1", 44.5))
    assert statuses(ledger)["1"] == ("absent", "never_seen")
    assert statuses(ledger, MATHS)["1"] == ("present", "on_time")
    assert ledger.audit.verify().fault is None


def test_through_a_whole_morning(ledger: Ledger) -> None:
    lessons = [
        WeeklySession(
            class_id=CLASS,
            name=f"hour {hour}",
            room="102",
            weekdays=frozenset({1}),
            start=time(hour),
            end=time(hour + 1),
        )
        for hour in range(8, 13)
    ]
    morning = Timetable(lessons, zone=BERLIN, rooms={"c1": "102"}).on(DAY)
    for meeting in morning:
        watch(ledger, meeting)
    ledger.record(came(morning[0], "1", -2))
    close(ledger, *morning)
    assert [statuses(ledger, each)["1"][0] for each in morning] == ["present"] * 5
    # Told of a day later, one going changes all that follow.
    ledger.record(went(morning[2], "1", 59))
    assert [statuses(ledger, each)["1"][0] for each in morning] == ["present"] * 3 + ["absent"] * 2


@pytest.mark.parametrize(
    ("opens_before_min", "break_min", "went_min", "wanted"),
    [
        (15, 10, None, "on_time"),
        (15, 10, -5, "went_out"),  # in the break
        (15, 10, 20, "left_early"),
        (15, 20, None, "never_seen"),  # in a part of the break the door belonged to nobody
        (0, 0, None, "on_time"),
        (0, 5, None, "never_seen"),
    ],
)
def test_over_a_break(
    ledger: Ledger, opens_before_min: int, break_min: int, went_min: float | None, wanted: str
) -> None:
    rules = replace(RULES, opens_before=timedelta(minutes=opens_before_min))
    first = timetable(rules).on(DAY)[0]
    starts_at = first.ends_at + timedelta(minutes=break_min)
    second = replace(
        ART,
        rules=rules,
        session="7B art later",
        starts_at=starts_at,
        opens_at=max(first.ends_at, starts_at - rules.opens_before),
        ends_at=starts_at + timedelta(minutes=45),
    )
    watch(ledger, second)
    ledger.record(came(first, "1", 0))
    if went_min is not None:
        ledger.record(went(second, "1", went_min))
    close(ledger, first, second)
    assert statuses(ledger, second)["1"][1] == wanted


def test_of_another_class_nobody_is_carried(ledger: Ledger) -> None:
    ledger.school.set_roster("8A", entries({"9": "Zoe", "2": "Ben"}), DAY)
    theirs = replace(MATHS, class_id="8A", session="8A maths 08:00")
    ledger.record_many([replace(came(theirs, person, 0), meeting=theirs) for person in ("9", "2", "5")])
    close(ledger, theirs, ART)
    # The door did not see 9 and 5 go; 2 is in both classes.
    assert statuses(ledger) == {"2": ("present", "on_time"), **dict.fromkeys("13", ("absent", "never_seen"))}


def test_a_class_without_a_roster_is_who_was_in_its_own_session(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        watch(ledger, ART)
        theirs = replace(MATHS, class_id="8A", session="8A maths 08:00")
        ledger.record_many([came(MATHS, "1", 0), replace(came(theirs, "9", 0), meeting=theirs)])
        close(ledger, MATHS, theirs, ART)
        assert statuses(ledger) == {"1": ("present", "on_time")}


def test_what_is_in_two_rooms_is_apart(ledger: Ledger) -> None:
    elsewhere = replace(ART, room="102", session="7B art in 102")
    other = replace(seen(ART, "2", 0, 44), meeting=elsewhere, session=elsewhere.session)
    ledger.record_many([came(MATHS, "1", 0), other])
    close(ledger, MATHS, elsewhere)
    # Its own camera was off, and what the other room's saw says nothing of it.
    assert statuses(ledger, elsewhere)["1"] == ("needs_review", "not_watched")
