from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_marks import url_of
from school import entries
from school_ledger import DAY, MEETING, at, mark, watches

from optimind.storage import Ledger, RosterEntry

NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(url_of(tmp_path / "ledger.db"), clock=lambda: at(120)) as opened:
        yield opened


def statuses(ledger: Ledger) -> dict[str, tuple[str, str]]:
    return {row.person_id: (row.status, row.rule) for row in ledger.register()}


# -- rosters -----------------------------------------------------------------------------------------------------------


def test_people_join_leave_and_come_back(ledger: Ledger) -> None:
    school = ledger.school
    first = school.set_roster("7b", entries({"1": "Ana", "2": "Ben"}), DAY)
    assert (first.joined, first.left, first.renamed) == (("1", "2"), (), ())
    second = school.set_roster("7b", entries({"1": "Ana M.", "3": "Cem"}), NEXT_DAY)
    assert (second.joined, second.left, second.renamed) == (("3",), ("2",), ("1",))
    assert set(school.roster("7b", DAY)) >= {"1", "2"}
    assert school.roster("7b", NEXT_DAY) == {"1": "Ana M.", "3": "Cem"}
    back = DAY + timedelta(days=9)
    third = school.set_roster("7b", entries({"1": "Ana M.", "2": "Ben", "3": "Cem"}), back)
    assert third.joined == ("2",)
    assert "2" not in school.roster("7b", back - timedelta(days=1))
    assert "2" in school.roster("7b", back)
    assert school.roster("8a", back) == {}


def test_the_same_roster_again_changes_nothing(ledger: Ledger) -> None:
    ledger.school.set_roster("7b", entries({"1": "Ana"}), DAY)
    again = ledger.school.set_roster("7b", entries({"1": "Ana"}), NEXT_DAY)
    assert (again.joined, again.left, again.renamed) == ((), (), ())


@pytest.mark.parametrize("is_reversed", [False, True])
def test_somebody_who_is_away_for_a_while_has_two_lines(ledger: Ledger, *, is_reversed: bool) -> None:
    times = [(DAY, DAY + timedelta(days=30)), (DAY + timedelta(days=90), None)]
    lines = [RosterEntry(person_id="1", name="Ana", first_day=first, last_day=last) for first, last in times]
    ledger.school.set_roster("7b", entries({"1": "Ana", "2": "Ben"}), DAY)
    for days in (1, 2, 60, 95):  # each minute the same is read again
        people = [*(reversed(lines) if is_reversed else lines), *entries({"2": "Ben"})]
        ledger.school.set_roster("7b", people, DAY + timedelta(days=days))
    found = [(each.first_day, each.last_day) for each in ledger.school.members("7b") if each.person_id == "1"]
    assert found == times


def test_a_person_in_several_classes(ledger: Ledger) -> None:
    for class_id in ("7b", "choir"):
        ledger.school.set_roster(class_id, entries({"1": "Ana"}), DAY)
    ledger.school.set_roster("choir", entries({"2": "Ben"}), NEXT_DAY)
    assert ledger.school.roster("7b", NEXT_DAY) == {"1": "Ana"}
    assert ledger.school.roster("choir", NEXT_DAY) == {"2": "Ben"}
    assert [(each.class_id, each.person_id) for each in ledger.school.members()] == [
        ("7b", "1"),
        ("choir", "1"),
        ("choir", "2"),
    ]


@pytest.mark.parametrize(
    ("person", "minutes", "kind", "is_passing"),
    [
        ("9", (-10, -2), "seen", True),
        ("9", (-10, 0), "seen", True),
        ("9", (-10, 0.1), "seen", False),  # they stayed: a guest
        ("9", (-1, 30), "out", True),  # they left, whatever else the camera saw of them
        ("9", (1, 1), "out", False),
        ("9", (-5, -5), "in", False),
        ("1", (-10, -2), "seen", False),
    ],
)
def test_who_is_of_another_class_and_goes_before_the_start_is_only_passing(
    ledger: Ledger, person: str, minutes: tuple[float, float], kind: Literal["seen", "in", "out"], is_passing: bool
) -> None:
    subject = replace(mark(person, *minutes), kind=kind)
    assert not ledger.school.is_passing(subject)  # of a class without a roster is whoever comes
    ledger.school.set_roster("7b", entries({"1": "Ana"}), DAY)
    assert ledger.school.is_passing(subject) is is_passing
    assert not ledger.school.is_passing(replace(subject, meeting=None))


# -- excuses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "class_id", "wanted"),
    [
        (0, 0, "", ("excused", "excused")),
        (-5, 5, "7b", ("excused", "excused")),
        (0, 0, "8a", ("absent", "never_seen")),
        (1, 5, "", ("absent", "never_seen")),
        (-5, -1, "", ("absent", "never_seen")),
    ],
)
def test_an_excuse_counts_on_its_days_and_in_its_class(
    first: int, last: int, class_id: str, wanted: tuple[str, str], ledger: Ledger
) -> None:
    ledger.school.set_roster("7b", entries({"1": "Ana"}), DAY)
    ledger.school.watched(watches(-15, 45))
    first_day, last_day = DAY + timedelta(days=first), DAY + timedelta(days=last)
    ledger.school.excuse("1", first_day, last_day, why="ill", actor="office", class_id=class_id)
    ledger.settle(MEETING, at(60))
    assert statuses(ledger) == {"1": wanted}


def test_an_excuse_that_comes_later_and_is_taken_back(ledger: Ledger) -> None:
    ledger.school.set_roster("7b", entries({"1": "Ana", "2": "Ben"}), DAY)
    ledger.school.watched(watches(-15, 45))
    ledger.settle(MEETING, at(60))
    excuse, touched = ledger.school.excuse("1", DAY, DAY, why="ill", actor="office")
    assert [row.person_id for row in ledger.redecide(touched)] == ["1"]
    assert statuses(ledger) == {"1": ("excused", "excused"), "2": ("absent", "never_seen")}
    assert [each.why for each in ledger.school.excuses("1")] == ["ill"]
    assert ledger.redecide(ledger.school.withdraw_excuse(excuse.excuse_id, actor="office"))
    assert statuses(ledger)["1"] == ("absent", "never_seen")
    assert ledger.school.excuses() == []
    assert ledger.school.withdraw_excuse(excuse.excuse_id, actor="office") == []
    assert [line.action for line in ledger.audit.lines(person_id="1")] == [
        "decided",
        "excused",
        "decided",
        "excuse withdrawn",
        "decided",
    ]


def test_an_excuse_must_not_end_before_it_begins(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="before it begins"):
        ledger.school.excuse("1", NEXT_DAY, DAY, why="", actor="office")


# -- settling ----------------------------------------------------------------------------------------------------------


def test_a_class_is_decided_and_closed(ledger: Ledger) -> None:
    ledger.school.set_roster("7b", entries({"1": "Ana", "2": "Ben", "3": "Cem"}), DAY)
    ledger.school.watched(watches(-15, 45))
    ledger.record_many([mark("1", 0, 45), mark("2", 12, 45), mark("9", 0, 45)])
    changed = ledger.settle(MEETING, at(45))
    assert [row.person_id for row in changed] == ["3"]
    assert statuses(ledger) == {
        "1": ("present", "on_time"),
        "2": ("late", "late"),
        "3": ("absent", "never_seen"),
        "9": ("needs_review", "not_on_roster"),
    }
    assert ledger.settle(MEETING, at(60)) == []
    assert ledger.school.meetings(at(-60), at(60), only_open=True) == []
    assert ledger.school.meetings(at(-60), at(60)) == [MEETING]


def test_one_that_nobody_watched_is_left_alone(ledger: Ledger) -> None:
    ledger.school.set_roster("7b", entries({"1": "Ana"}), DAY)
    ledger.school.watched([replace(each, room="102") for each in watches(-15, 45)])
    assert ledger.settle(MEETING, at(60)) == []
    assert ledger.register() == []


def test_a_mark_after_the_end_still_counts(ledger: Ledger) -> None:
    ledger.school.set_roster("7b", entries({"1": "Ana"}), DAY)
    ledger.school.watched(watches(-15, 45))
    ledger.settle(MEETING, at(60))
    assert statuses(ledger) == {"1": ("absent", "never_seen")}
    ledger.record(mark("1", 2, 45))
    assert statuses(ledger) == {"1": ("present", "on_time")}


def test_a_closed_meeting_keeps_the_rules_of_then(ledger: Ledger) -> None:
    ledger.school.watched(watches(-15, 45))
    ledger.record(mark("1", 12, 45))
    ledger.settle(MEETING, at(60))
    stricter = replace(MEETING, rules=replace(MEETING.rules, absent_after=timedelta(minutes=6)))
    ledger.school.enter(stricter)
    ledger.record(replace(mark("2", 12, 45), meeting=stricter))
    assert statuses(ledger) == {"1": ("late", "late"), "2": ("late", "late")}


def test_a_mark_of_a_run_that_has_not_noticed_does_not_go_on_with_a_session_that_was_stopped(ledger: Ledger) -> None:
    by_hand = replace(MEETING, by_hand=True)
    ledger.school.enter(by_hand)
    ledger.school.enter(replace(by_hand, ends_at=at(10)))
    ledger.record(replace(mark("1", 8, 12), meeting=by_hand))
    assert [each.ends_at for each in ledger.school.meetings(at(0), at(1))] == [at(10)]


# -- what was watched --------------------------------------------------------------------------------------------------


def test_of_a_minute_the_larger_figures_stay(ledger: Ledger) -> None:
    one = watches(0, 1, seconds=20)[0]
    ledger.school.watched([one])
    ledger.school.watched([replace(one, seconds=50, faces=1), replace(one, seconds=10, faces=9, named=5)])
    ledger.school.watched([replace(one, minute_at=at(0.5), seconds=7)])
    assert ledger.school.watches("101", at(0), at(1)) == [replace(one, seconds=50, faces=9, named=5)]


def test_a_minute_has_sixty_seconds(ledger: Ledger) -> None:
    ledger.school.watched(watches(0, 1, seconds=100))
    assert [each.seconds for each in ledger.school.watches("101", at(0), at(1))] == [60]


def test_many_minutes_of_many_cameras_in_any_order(ledger: Ledger) -> None:
    first = [each for number in range(30) for each in watches(0, 60, camera=f"c{number}")]
    ledger.school.watched(first[::-1])
    ledger.school.watched(first[:900])
    ledger.school.watched([])
    found = ledger.school.watches("101", at(0), at(60))
    assert found == sorted(first, key=lambda each: (each.minute_at, each.camera))
    assert ledger.school.forget_watches(at(30)) == 900
    assert len(ledger.school.watches("101", at(0), at(60))) == 900


# -- marks, many at once -----------------------------------------------------------------------------------------------

states = st.lists(
    st.builds(
        lambda person, sighting, first, length, flat: mark(
            person, first, first + length, sighting=sighting, suspicion="flat" if flat else ""
        ),
        st.sampled_from("12"),
        st.sampled_from("abc"),
        st.integers(0, 3),
        st.integers(0, 40),
        st.integers(0, 9).map(lambda number: number == 0),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(marks=states, cut=st.integers(0, 8))
def test_one_batch_is_as_good_as_many(marks: list[object], cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = []
    for parts in ([marks], [[each] for each in marks], [marks[:cut], marks[cut:]]):
        path = tmp_path_factory.mktemp("ledger") / "ledger.db"
        with Ledger(url_of(path), clock=lambda: at(120)) as ledger:
            for part in parts:
                ledger.record_many(part)  # type: ignore[arg-type] # they are marks
            found.append([replace(row, version=0) for row in ledger.register()])
    assert found[0] == found[1] == found[2]
