"""What is kept long enough goes, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from ledger_marks import START, make_mark, url_of
from school import DAY, enter_class, entries, maths, seen, watch
from school_person import add_shot

from optimind.core.events import AttendanceStatus
from optimind.core.timetable import Meeting
from optimind.sealing import PLAIN
from optimind.storage import Correction, Ledger, Unseen, Watch

NOW = datetime(2027, 9, 1, 12, 0, tzinfo=UTC)
LONG_AGO = date(2027, 1, 1)
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(url_of(tmp_path / "l.db"), clock=lambda: NOW) as opened:
        yield opened


def sweep(
    ledger: Ledger,
    *,
    records: date | None = None,
    sightings: date | None = None,
    shots: datetime = NEVER,
    sinks: tuple[str, ...] = (),
) -> dict[str, int]:
    return ledger.personal.sweep(records_before=records, sightings_before=sightings, shots_before=shots, sinks=sinks)


def old_and_new(ledger: Ledger, sinks: tuple[str, ...] = ()) -> None:
    """A record of 2026, with all that belongs to it, and one of this year's."""
    (old,) = ledger.record_many([make_mark("1")], sinks)
    ledger.correct([Correction(record_id=old.record_id, status=AttendanceStatus.LATE, actor="a", why="b")], sinks)
    ledger.record_many([make_mark("2", first_s=0)], sinks)
    with ledger._database.writing() as session:
        from optimind.storage.tables import Record  # noqa: PLC0415 - only here

        for record in session.query(Record).filter_by(person_id="2"):
            record.date = date(2027, 8, 30)
        add_shot(session, old.record_id, b"JPEG", PLAIN, kept_at=NOW - timedelta(days=20))


def people(ledger: Ledger) -> set[str]:
    return {row.person_id for row in ledger.register()}


def test_records_go_by_their_date_with_all_that_belongs_to_them(ledger: Ledger) -> None:
    old_and_new(ledger)
    ledger.school.excuse("1", date(2026, 9, 1), date(2026, 9, 2), why="ill", actor="a")
    ledger.school.excuse("2", date(2027, 8, 1), date(2027, 9, 2), why="ill", actor="a")
    ledger.school.set_roster("7b", entries({"1": "One", "2": "Two"}), date(2026, 9, 1))
    ledger.school.set_roster("7b", entries({"2": "Two"}), date(2026, 12, 1))
    assert sweep(ledger) == {}
    gone = sweep(ledger, records=LONG_AGO)
    assert gone == {
        "audit lines": 2,
        "corrections": 1,
        "excuses": 1,
        "members": 1,
        "records": 1,
        "shots": 1,
        "sightings": 1,
    }
    assert people(ledger) == {"2"}
    assert ledger.personal.counts("1") == {"audit": 1}  # the excuse was entered this year
    report = ledger.audit.verify()
    assert (report.fault, report.erased) == (None, 2)
    *told, line = [line for line in ledger.audit.lines() if line.action == "swept"]
    assert [each.detail for each in told] == [{"audit_lines": 2}]
    assert (line.actor, line.person_id, {"audit lines": 2} | line.detail) == ("privacy sweep", None, gone)
    assert sweep(ledger, records=LONG_AGO) == {}


def test_what_a_sink_has_not_got_stays(ledger: Ledger) -> None:
    old_and_new(ledger, ("sheets",))
    assert sweep(ledger, records=LONG_AGO, sinks=("sheets",)) == {}
    # A sink that was switched on later has no entry yet, and must get the record as well.
    due = ledger.outbox.due("sheets", 10)
    ledger.outbox.delivered("sheets", [(row.record_id, version) for row, version in due])
    assert sweep(ledger, records=LONG_AGO, sinks=("sheets", "webhook")) == {}
    assert sweep(ledger, records=LONG_AGO, sinks=("sheets",))["records"] == 1
    assert people(ledger) == {"2"}


def test_more_than_one_piece(ledger: Ledger) -> None:
    ledger.record_many([make_mark(str(number)) for number in range(1203)])
    assert sweep(ledger, records=LONG_AGO)["records"] == 1203


def test_pictures_go_by_the_day_on_which_they_were_kept(ledger: Ledger) -> None:
    old_and_new(ledger)
    assert sweep(ledger, shots=NOW - timedelta(days=21)) == {}
    assert sweep(ledger, shots=NOW - timedelta(days=14)) == {"shots": 1}


def test_without_its_evidence_a_record_stays_what_it_is(ledger: Ledger) -> None:
    """A rule that is applied again must not make somebody absent whose evidence was kept long enough."""
    starts_at = START
    meeting = Meeting(
        session="maths",
        date=START.date(),
        class_id="7b",
        room="room-101",
        opens_at=starts_at - timedelta(minutes=15),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
    )
    ledger.school.set_roster("7b", entries({"1": "Name 1"}), START.date())
    ledger.school.enter(meeting)
    from dataclasses import replace  # noqa: PLC0415 - only here

    mark = replace(make_mark("1", last_s=3500), meeting=meeting)
    (row,) = ledger.record_many([mark])
    assert sweep(ledger, sightings=LONG_AGO) == {}  # the meeting is open
    ledger.settle(meeting, meeting.ends_at)
    (before,) = ledger.register()
    assert before.status == "present"
    assert sweep(ledger, sightings=LONG_AGO) == {"sightings": 1}
    assert ledger.redecide([row.record_id]) == []
    ledger.school.excuse("1", START.date(), START.date(), why="ill", actor="a")
    assert ledger.redecide([row.record_id]) == []
    assert ledger.register() == [before]
    said = Correction(record_id=row.record_id, status=AttendanceStatus.LATE, actor="a", why="b")
    (after,) = ledger.correct([said])
    assert (after.status, after.first_seen_at, after.camera) == ("late", before.first_seen_at, before.camera)


def test_minutes_go_after_90_days_but_for_those_of_an_open_meeting(ledger: Ledger) -> None:
    def watch(minute_at: datetime, room: str = "a") -> None:
        watched = Watch(camera=f"c-{room}", room=room, minute_at=minute_at, seconds=60, faces=1, named=1)
        ledger.school.watched([watched])

    old = NOW - timedelta(days=91)
    watch(old)
    watch(old, room="b")
    watch(NOW - timedelta(days=89))
    meeting = Meeting(
        session="s",
        date=old.date(),
        class_id="7b",
        room="b",
        opens_at=old,
        starts_at=old,
        ends_at=old + timedelta(hours=1),
    )
    ledger.school.enter(meeting)
    assert sweep(ledger) == {"watched": 1}
    unseen = Unseen(meeting=meeting, person_id="1", name="One")
    said = Correction(record_id=unseen.record_id, status=AttendanceStatus.LATE, actor="a", why="")
    ledger.correct([said], unseen=[unseen])
    ledger.settle(meeting, meeting.ends_at)
    assert sweep(ledger) == {"watched": 1}
    assert len(ledger.school.watches("a", old, NOW)) == 1


def test_when_the_minutes_are_gone_what_was_decided_by_them_stays(ledger: Ledger) -> None:
    enter_class(ledger, ["late", "early", "absent"])
    watch(ledger, maths())
    ledger.record_many([seen(maths(), "late", 9, 44), seen(maths(), "early", 0, 20)])
    ledger.settle(maths(), maths().ends_at)
    assert sweep(ledger) == {"watched": 45}
    statuses = {"late": "late", "early": "left_early", "absent": "absent"}
    assert {row.person_id: row.status for row in ledger.register()} == statuses
    for person in statuses:
        _, touched = ledger.school.excuse(person, DAY, DAY, why="said so months later", actor="a")
        ledger.redecide(touched)
    assert {row.person_id: row.status for row in ledger.register()} == {**statuses, "absent": "excused"}


@pytest.mark.parametrize("days", [0, 1])
def test_a_correction_that_is_taken_back_brings_what_was_decided_by_evidence_that_is_gone(
    ledger: Ledger, days: int
) -> None:
    enter_class(ledger, ["late", "absent"])
    watch(ledger, maths())
    ledger.record(seen(maths(), "late", 9, 44))
    ledger.settle(maths(), maths().ends_at)
    before = {row.person_id: (row.status, row.rule, row.reason, row.source) for row in ledger.register()}
    sweep(ledger, sightings=DAY + timedelta(days=days))
    for row in ledger.register():
        said = Correction(record_id=row.record_id, status=AttendanceStatus.EXCUSED, actor="a", why="")
        assert [each.status for each in ledger.correct([said])] == ["excused"]
        ledger.withdraw(row.record_id, actor="a")
    assert {row.person_id: (row.status, row.rule, row.reason, row.source) for row in ledger.register()} == before
