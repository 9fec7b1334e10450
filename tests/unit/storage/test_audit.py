# ruff: noqa: S608 - statements are put together of the table's own column names
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_marks import url_of
from school import entries
from school_ledger import MEETING, at, mark, said, watches

from optimind.core.events import AttendanceStatus
from optimind.storage import Ledger
from optimind.storage.audit import FIRST_PREVIOUS, Said, erase

COLUMNS = ["number", "at", "actor", "action", "record_id", "person_id", "detail", "salt", "digest", "previous", "hash"]
LINES = 6


def file_of(ledger: Ledger) -> Path:
    assert ledger.path is not None
    return ledger.path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """With six lines: three decisions, an excuse, a correction, and something of nobody."""
    with Ledger(url_of(tmp_path / "ledger.db"), clock=lambda: at(120)) as opened:
        opened.school.set_roster("7b", entries({"1": "Ana", "2": "Ben", "3": "Cem"}), MEETING.date)
        opened.school.watched(watches(-15, 45))
        opened.record_many([mark("1", 0, 45), mark("2", 12, 45)])
        opened.settle(MEETING, at(60))
        opened.school.excuse("3", MEETING.date, MEETING.date, why="ill", actor="office")
        opened.correct([said("2", AttendanceStatus.PRESENT)])
        opened.audit.append([Said(actor="office", action="opened", detail={"what": "the register"})])
        yield opened


def change(ledger: Ledger, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file_of(ledger))) as connection, connection:
        connection.execute(statement, values)


def test_an_untouched_log_is_whole(ledger: Ledger) -> None:
    report = ledger.audit.verify()
    assert (report.lines, report.erased, report.fault) == (LINES, 0, None)
    assert report.head == ledger.audit.lines()[-1].hash
    assert [line.number for line in ledger.audit.lines()] == list(range(1, LINES + 1))
    assert [line.action for line in ledger.audit.lines(person_id="2")] == ["decided", "corrected"]


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    with Ledger(url_of(tmp_path / "empty.db")) as empty:
        assert empty.audit.verify().head == FIRST_PREVIOUS


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("number", range(1, LINES + 1))
def test_a_change_of_any_column_of_any_line_is_found(ledger: Ledger, number: int, column: str) -> None:
    value: object = 99 if column == "number" else "changed"
    change(ledger, f"UPDATE audit SET {column} = ? WHERE number = ?", value, number)
    report = ledger.audit.verify()
    assert report.fault is not None
    assert report.lines == number - 1


@pytest.mark.parametrize("column", ["record_id", "person_id", "detail", "salt"])
@pytest.mark.parametrize("number", [1, LINES - 1])
def test_taking_one_column_out_is_found(ledger: Ledger, number: int, column: str) -> None:
    change(ledger, f"UPDATE audit SET {column} = NULL WHERE number = ?", number)
    assert f"line {number}" in str(ledger.audit.verify().fault)


@pytest.mark.parametrize("number", range(1, LINES))
def test_a_removed_line_is_found(ledger: Ledger, number: int) -> None:
    change(ledger, "DELETE FROM audit WHERE number = ?", number)
    assert f"line {number} is missing" in str(ledger.audit.verify().fault)


def test_a_removed_line_whose_number_was_given_to_the_next_is_found(ledger: Ledger) -> None:
    change(ledger, "DELETE FROM audit WHERE number = 2")
    for number in range(3, LINES + 1):
        change(ledger, "UPDATE audit SET number = ? WHERE number = ?", number - 1, number)
    assert "line 2" in str(ledger.audit.verify().fault)


def test_two_lines_that_change_places_are_found(ledger: Ledger) -> None:
    for old, new in ((2, 100), (3, 2), (100, 3)):
        change(ledger, "UPDATE audit SET number = ? WHERE number = ?", new, old)
    assert ledger.audit.verify().fault is not None


def test_a_cut_end_is_found_by_whoever_wrote_the_head_down(ledger: Ledger) -> None:
    head = ledger.audit.verify().head
    change(ledger, "DELETE FROM audit WHERE number = ?", LINES)
    report = ledger.audit.verify()
    assert report.fault is None
    assert report.head != head
    assert head not in [line.hash for line in ledger.audit.lines()]


def test_a_person_who_is_erased_leaves_a_log_that_still_verifies(ledger: Ledger) -> None:
    before = ledger.audit.verify().head
    assert ledger.personal.forget("2", sinks=[], keep_counts=False, actor="office").audit_lines == 2
    report = ledger.audit.verify()
    assert (report.lines, report.erased, report.fault) == (LINES + 1, 2, None)
    assert before in [line.hash for line in ledger.audit.lines()]
    assert ledger.audit.lines(person_id="2") == []
    gone = [line for line in ledger.audit.lines() if line.is_erased]
    assert [(line.detail, line.record_id) for line in gone] == [({}, None), ({}, None)]
    with closing(sqlite3.connect(file_of(ledger))) as connection:
        kept = str(connection.execute("SELECT * FROM audit").fetchall())
    assert "Ben" not in kept
    ledger.record(mark("1", 0, 45, suspicion="flat"))
    assert ledger.audit.verify().fault is None


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_line_that_somebody_emptied_is_found(ledger: Ledger, *, is_forgotten: bool) -> None:
    """The chain does not hold what a line says, so that it can be taken out; how often that was done it does."""
    if is_forgotten:
        ledger.personal.forget("3", sinks=[], keep_counts=False, actor="office")
    assert ledger.audit.verify().fault is None
    change(
        ledger,
        "UPDATE audit SET record_id = NULL, person_id = NULL, detail = NULL, salt = NULL WHERE action = ?",
        "corrected",
    )
    assert "say nothing any more" in str(ledger.audit.verify().fault)


def test_what_was_erased_cannot_be_filled_with_something_else(ledger: Ledger) -> None:
    with ledger._database.writing() as session:
        erase(session, "2")
    change(ledger, "UPDATE audit SET detail = '{}', salt = 'x' WHERE salt IS NULL AND number = 2")
    assert "line 2" in str(ledger.audit.verify().fault)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
sayings = st.lists(
    st.builds(
        lambda actor, action, record, person, detail: Said(
            actor=actor, action=action, record_id=record, person_id=person, detail=detail
        ),
        texts,
        texts,
        st.one_of(st.none(), texts),
        st.one_of(st.none(), texts),
        st.dictionaries(texts, plain, max_size=3),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), said_=sayings)
def test_whatever_is_said_can_be_verified_and_not_changed(
    data: st.DataObject, said_: list[Said], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("audit") / "ledger.db"
    with Ledger(url_of(path), clock=lambda: at(0)) as ledger:
        for each in said_:
            ledger.audit.append([each])
        assert ledger.audit.verify().fault is None
        found = [
            (line.actor, line.action, line.record_id, line.person_id, line.detail) for line in ledger.audit.lines()
        ]
        assert found == [(each.actor, each.action, each.record_id, each.person_id, each.detail) for each in said_]
        number = data.draw(st.integers(1, len(said_)))
        column = data.draw(st.sampled_from(["actor", "action", "record_id", "person_id", "detail"]))
        with closing(sqlite3.connect(path)) as connection, connection:
            (old,) = connection.execute(f"SELECT {column} FROM audit WHERE number = ?", [number]).fetchone()
            value = data.draw(texts.filter(lambda text: text != old))
            connection.execute(f"UPDATE audit SET {column} = ? WHERE number = ?", [value, number])
        assert f"line {number}" in str(ledger.audit.verify().fault)
