from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of
from school import entries
from school_ledger import MEETING, at, mark, said, unseen, watches

from optimind.core.events import AttendanceStatus
from optimind.storage import Ledger

EXCUSED, LATE, PRESENT = AttendanceStatus.EXCUSED, AttendanceStatus.LATE, AttendanceStatus.PRESENT


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(url_of(tmp_path / "ledger.db"), clock=lambda: at(120)) as opened:
        opened.school.set_roster("7b", entries({"1": "Ana", "2": "Ben"}), MEETING.date)
        opened.school.watched(watches(-15, 45))
        yield opened


def statuses(ledger: Ledger) -> dict[str, tuple[str, str]]:
    return {row.person_id: (row.status, row.rule) for row in ledger.register()}


def test_a_corrected_mark_is_never_undone_by_what_is_seen_later(ledger: Ledger) -> None:
    ledger.record(mark("1", 12, 13))
    (row,) = ledger.correct([said("1", EXCUSED)], ["sheets"])
    assert (row.status, row.rule, row.reason, row.source) == ("excused", "corrected", "Ms Lang: bus", "manual")
    ledger.record(mark("1", 12, 44))
    ledger.record(mark("1", 0, 1, sighting="other", suspicion="flat"))
    ledger.settle(MEETING, at(60))
    ledger.redecide([row.record_id])
    found = next(each for each in ledger.register() if each.person_id == "1")
    assert (found.status, found.rule) == ("excused", "corrected")
    # What was seen is kept nevertheless.
    assert (found.first_seen_at, found.last_seen_at) == (at(0), at(44))


def test_the_newest_correction_counts_and_taking_it_back_brings_the_one_before(ledger: Ledger) -> None:
    ledger.record(mark("1", 12, 44))
    key = ledger.correct([said("1", EXCUSED)])[0].record_id
    ledger.correct([said("1", PRESENT, actor="Mr Kaya", why="")])
    assert ledger.register()[0].reason == "by Mr Kaya"
    for wanted in (("excused", "corrected"), ("late", "late")):
        row = ledger.withdraw(key, actor="Ms Lang", why="wrong person")
        assert row is not None
        assert (row.status, row.rule) == wanted
    assert ledger.withdraw(key, actor="Ms Lang") is None
    actions = [(line.actor, line.action) for line in ledger.audit.lines(record_id=key)]
    assert actions == [
        ("camera", "decided"),
        ("Ms Lang", "corrected"),
        ("Mr Kaya", "corrected"),
        ("Ms Lang", "correction withdrawn"),
        ("Ms Lang", "correction withdrawn"),
        ("camera", "decided"),
    ]


def test_somebody_who_was_not_seen_gets_a_record(ledger: Ledger) -> None:
    (row,) = ledger.correct([said("1", LATE)], unseen=[unseen("1")])
    assert (row.person_id, row.name, row.status, row.class_id) == ("1", "Ana", "late", "7b")
    assert (row.first_seen_at, row.seconds_seen, row.similarity) == (None, 0.0, None)
    ledger.settle(MEETING, at(60))
    assert statuses(ledger) == {"1": ("late", "corrected"), "2": ("absent", "never_seen")}
    ledger.withdraw(row.record_id, actor="Ms Lang")
    assert statuses(ledger)["1"] == ("absent", "never_seen")


def test_of_a_guest_who_was_not_seen_nothing_is_known_when_it_is_taken_back(ledger: Ledger) -> None:
    (row,) = ledger.correct([said("9", PRESENT)], unseen=[unseen("9")])
    withdrawn = ledger.withdraw(row.record_id, actor="Ms Lang")
    assert withdrawn is not None
    assert (withdrawn.status, withdrawn.rule) == ("needs_review", "taken_back")
    assert "nothing else is known" in withdrawn.reason
    ledger.record(mark("9", 0, 45))
    assert statuses(ledger)["9"] == ("needs_review", "not_on_roster")


def test_one_of_a_record_that_does_not_exist_is_left_out(ledger: Ledger) -> None:
    assert ledger.correct([said("1", LATE)]) == []
    assert ledger.withdraw("r" + "0" * 32, actor="x") is None
    assert ledger.register() == []


def test_also_without_a_timetable(ledger: Ledger) -> None:
    row = ledger.record(make_mark("17"))
    correction = said("17", LATE)
    ledger.correct([type(correction)(record_id=row.record_id, status=LATE, actor="Ms Lang", why="")])
    ledger.record(make_mark("17", last_s=500))
    assert statuses(ledger)["17"] == ("late", "corrected")
    ledger.withdraw(row.record_id, actor="Ms Lang")
    assert ledger.register()[0].status in ("present", "needs_review")


def test_every_version_is_told_to_the_sinks_once(ledger: Ledger) -> None:
    row = ledger.record(mark("1", 12, 44), ["sheets"])
    ledger.outbox.delivered("sheets", [(row.record_id, row.version)])
    (corrected,) = ledger.correct([said("1", EXCUSED)], ["sheets"])
    assert corrected.version == row.version + 1
    assert ledger.outbox.due("sheets", 10) == [(corrected, corrected.version)]
    ledger.outbox.delivered("sheets", [(corrected.record_id, corrected.version)])
    assert ledger.redecide([row.record_id], ["sheets"]) == []
    assert ledger.outbox.lag("sheets") == (0, None)
