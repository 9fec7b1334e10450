from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import integers, sampled_from
from ledger_marks import START, make_mark, url_of

from optimind.core.registers import record_id
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=1)
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(url_of(tmp_path / "ledger.db"), clock=Clock()) as opened:
        yield opened


def take(ledger: Ledger, sink: str = "sheets", limit: int = 100) -> list[tuple[str, int]]:
    due = [(row.record_id, version) for row, version in ledger.outbox.due(sink, limit)]
    ledger.outbox.delivered(sink, due)
    return due


def test_a_mark_is_due_until_it_is_delivered(ledger: Ledger) -> None:
    row = ledger.record(make_mark(), ["sheets", "webhook"])
    assert ledger.outbox.due("sheets", 10) == [(row, 1)]
    assert take(ledger) == [(row.record_id, 1)]
    assert ledger.outbox.due("sheets", 10) == []
    assert ledger.outbox.due("webhook", 10) == [(row, 1)]
    assert ledger.outbox.due("unknown", 10) == []


def test_only_a_visible_change_is_due_again(ledger: Ledger) -> None:
    ledger.record(make_mark(last_s=10), ["sheets"])
    take(ledger)
    ledger.record(make_mark(last_s=10, samples=9), ["sheets"])
    assert ledger.outbox.lag("sheets") == (0, None)
    row = ledger.record(make_mark(last_s=11), ["sheets"])
    assert ledger.outbox.due("sheets", 10) == [(row, 2)]


def test_a_change_during_the_delivery_stays_due(ledger: Ledger) -> None:
    old = ledger.record(make_mark(last_s=10), ["sheets"])
    due = ledger.outbox.due("sheets", 10)
    new = ledger.record(make_mark(last_s=20), ["sheets"])
    ledger.outbox.delivered("sheets", [(row.record_id, version) for row, version in due])
    assert ledger.outbox.due("sheets", 10) == [(new, 2)]
    assert old != new


def test_a_late_note_of_an_old_delivery_takes_nothing_back(ledger: Ledger) -> None:
    row = ledger.record(make_mark(last_s=10), ["sheets"])
    ledger.record(make_mark(last_s=20), ["sheets"])
    ledger.outbox.delivered("sheets", [(row.record_id, 2)])
    ledger.outbox.delivered("sheets", [(row.record_id, 1)])
    assert ledger.outbox.lag("sheets") == (0, None)


def test_the_longest_waiting_come_first_and_the_limit_holds(ledger: Ledger) -> None:
    people = ["c", "a", "b"]
    for person in people:
        ledger.record(make_mark(person), ["sheets"])
    ledger.record(make_mark("c", last_s=99), ["sheets"])
    assert [row.person_id for row, _ in ledger.outbox.due("sheets", 2)] == ["c", "a"]
    take(ledger)
    for person in ["b", "c"]:
        ledger.record(make_mark(person, last_s=200), ["sheets"])
    assert [row.person_id for row, _ in ledger.outbox.due("sheets", 9)] == ["b", "c"]


def test_a_delayed_row_waits(ledger: Ledger) -> None:
    row = ledger.record(make_mark("1"), ["sheets"])
    other = ledger.record(make_mark("2"), ["sheets"])
    later = START + dt.timedelta(hours=1)
    ledger.outbox.delayed("sheets", [row.record_id], "quota " * 200, later)
    assert ledger.outbox.due("sheets", 10, START + dt.timedelta(minutes=30)) == [(other, 1)]
    assert {found for found, _ in ledger.outbox.due("sheets", 10, later)} == {row, other}
    assert len(ledger.outbox.due("sheets", 10)) == 2
    assert ledger.outbox.lag("sheets")[0] == 2


def test_lag_counts_from_the_oldest_missing_change(ledger: Ledger) -> None:
    assert ledger.outbox.lag("sheets") == (0, None)
    ledger.record(make_mark("1"), ["sheets"])
    count, oldest = ledger.outbox.lag("sheets")
    ledger.record(make_mark("2"), ["sheets"])
    ledger.record(make_mark("1", last_s=50), ["sheets"])
    assert ledger.outbox.lag("sheets") == (2, oldest)
    assert count == 1
    assert oldest is not None
    assert START < oldest < START + dt.timedelta(minutes=1)


def test_a_sink_switched_on_later_gets_everything_once(ledger: Ledger) -> None:
    rows = ledger.record_many([make_mark(person) for person in "abc"], ["sheets"])
    assert ledger.backfill("webhook") == 3
    assert ledger.backfill("webhook") == 0
    assert {row for row, _ in ledger.outbox.due("webhook", 10)} == set(rows)
    take(ledger, "webhook")
    assert ledger.backfill("webhook") == 0
    assert ledger.outbox.lag("webhook") == (0, None)


def test_a_record_unchanged_since_is_entered_for_a_new_sink(ledger: Ledger) -> None:
    ledger.record(make_mark(), ["sheets"])
    take(ledger)
    ledger.record(make_mark(), ["sheets", "webhook"])
    assert ledger.outbox.lag("sheets")[0] == 0
    assert ledger.outbox.lag("webhook")[0] == 1


def test_what_a_sink_has_lost_is_due_again(ledger: Ledger) -> None:
    row = ledger.record(make_mark(), ["sheets"])
    take(ledger)
    ledger.outbox.redeliver("sheets", [row.record_id, "unknown"])
    assert ledger.outbox.due("sheets", 10) == [(row, 1)]


def test_many_at_once(ledger: Ledger) -> None:
    ledger.record_many([make_mark(str(number)) for number in range(1200)], ["sheets"])
    due = take(ledger, limit=2000)
    assert len(due) == 1200
    ledger.outbox.redeliver("sheets", [rid for rid, _ in due])
    assert ledger.outbox.lag("sheets")[0] == 1200


class OutboxMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, what the sink lacks is due, and what it has is not."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile  # noqa: PLC0415 - the machine has no fixtures

        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(url_of(Path(self.folder.name) / "l.db"), clock=Clock())
        self.truth: dict[str, RecordRow] = {}
        self.copy: dict[str, RecordRow] = {}
        self.taken: list[tuple[RecordRow, int]] = []

    @rule(person=sampled_from("abc"), last_s=integers(1, 5))
    def mark(self, person: str, last_s: int) -> None:
        row = self.ledger.record(make_mark(person, last_s=last_s), ["sheets"])
        self.truth[row.record_id] = row

    @rule()
    def read(self) -> None:
        self.taken = self.ledger.outbox.due("sheets", 2)

    @rule()
    def write(self) -> None:
        for row, _ in self.taken:
            self.copy[row.record_id] = row

    @rule()
    def write_and_note(self) -> None:
        self.write()
        self.ledger.outbox.delivered("sheets", [(row.record_id, version) for row, version in self.taken])
        self.taken = []

    @rule(person=sampled_from("abc"))
    def fail(self, person: str) -> None:
        self.ledger.outbox.delayed("sheets", [record_id(START.date(), "maths", person)], "down", START)

    @rule(person=sampled_from("abc"))
    def lose(self, person: str) -> None:
        key = record_id(START.date(), "maths", person)
        self.copy.pop(key, None)
        self.ledger.outbox.redeliver("sheets", [key])

    @rule(person=sampled_from("abc"))
    def give_up(self, person: str) -> None:
        key = record_id(START.date(), "maths", person)
        version = self.truth[key].version if key in self.truth else 1
        self.ledger.outbox.dead_letter.put("sheets", [(key, version)], "never")

    @rule()
    def retry(self) -> None:
        self.ledger.outbox.dead_letter.retry()

    @rule()
    def begin(self) -> None:
        self.ledger.outbox.second_look.begin("sheets", [row.record_id for row, _ in self.taken])

    @invariant()
    def what_differs_is_due_or_given_up(self) -> None:
        due = {row.record_id for row, _ in self.ledger.outbox.due("sheets", 100)}
        dead = {each.row.record_id for each in self.ledger.outbox.dead_letter.rows("sheets")}
        assert not due & dead
        assert {key for key, row in self.truth.items() if self.copy.get(key) != row} <= due | dead
        assert self.ledger.outbox.lag("sheets")[0] == len(due)

    def teardown(self) -> None:
        self.ledger.outbox.dead_letter.retry("sheets")
        for _ in range(3):
            self.read()
            self.write_and_note()
        assert self.copy == self.truth
        assert self.ledger.outbox.lag("sheets") == (0, None)
        self.ledger.close()
        self.folder.cleanup()


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
