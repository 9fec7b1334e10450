from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_marks import START, make_mark, url_of

from optimind.storage import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(url_of(tmp_path / "ledger.db"), clock=lambda: START) as opened:
        yield opened


def test_what_is_dead_is_neither_pending_nor_lost(ledger: Ledger) -> None:
    row = ledger.record(make_mark("1"), ["sheets", "webhook"])
    ledger.outbox.dead_letter.put("sheets", [(row.record_id, 1)], "no such thing " * 99)
    assert ledger.outbox.due("sheets", 9) == []
    assert ledger.outbox.lag("sheets") == (0, None)
    assert ledger.outbox.dead_letter.count("sheets") == 1
    (dead,) = ledger.outbox.dead_letter.rows()
    assert (dead.sink, dead.row, dead.attempts, dead.dead_at) == ("sheets", row, 1, START)
    assert dead.reason.startswith("no such thing no such")
    assert len(dead.reason) == 500
    assert ledger.outbox.dead_letter.rows("webhook") == []
    assert [found for found, _ in ledger.outbox.due("webhook", 9)] == [row]
    assert ledger.register() == [row]


def test_a_newer_version_leaves_it_by_itself(ledger: Ledger) -> None:
    row = ledger.record(make_mark("1"), ["sheets"])
    ledger.outbox.dead_letter.put("sheets", [(row.record_id, 1)], "no")
    newer = ledger.record(make_mark("1", last_s=99), ["sheets"])
    assert ledger.outbox.due("sheets", 9, START) == [(newer, 2)]
    assert ledger.outbox.dead_letter.rows() == []
    ledger.outbox.dead_letter.put("sheets", [(row.record_id, 1)], "too late")
    assert ledger.outbox.dead_letter.count("sheets") == 0


@pytest.mark.parametrize(
    ("sink", "ids", "count"),
    [(None, None, 3), ("sheets", None, 2), ("webhook", None, 1), (None, ["first"], 2), ("other", None, 0)],
)
def test_it_is_tried_again_when_somebody_says_so(
    ledger: Ledger, sink: str | None, ids: list[str] | None, count: int
) -> None:
    first, second = ledger.record_many([make_mark("1"), make_mark("2")], ["sheets", "webhook"])
    dead = ledger.outbox.dead_letter
    dead.put("sheets", [(first.record_id, 1), (second.record_id, 1)], "no")
    dead.put("webhook", [(first.record_id, 1)], "no")
    assert dead.retry(sink, None if ids is None else [first.record_id]) == count
    assert len(dead.rows()) == 3 - count
    assert ledger.outbox.lag("sheets")[0] + ledger.outbox.lag("webhook")[0] == 1 + count
    assert dead.retry("sheets", []) == 0


def test_the_overview_tells_each_sink(ledger: Ledger) -> None:
    one, other = ledger.record_many([make_mark("1"), make_mark("2")], ["sheets", "webhook"])
    ledger.outbox.delivered("webhook", [(one.record_id, 1), (other.record_id, 1)])
    ledger.outbox.dead_letter.put("sheets", [(one.record_id, 1)], "no")
    ledger.outbox.delayed("sheets", [other.record_id], "busy", START)
    assert [tuple(each) for each in ledger.outbox.waiting()] == [
        ("sheets", 1, START, 1, "busy"),
        ("webhook", 0, None, 0, None),
    ]


def test_an_attempt_put_off_by_a_wrong_clock_is_made_all_the_same(ledger: Ledger) -> None:
    row = ledger.record(make_mark("1"), ["sheets"])
    ledger.outbox.delayed("sheets", [row.record_id], "busy", START + dt.timedelta(days=400))
    assert ledger.outbox.due("sheets", 9, START) == [(row, 1)]
