from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of

from optimind.storage import Ledger, open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "ledger.db")) as opened:
        yield opened


def test_what_is_sent_may_stand_there_until_it_is_known_what_does(ledger: Ledger) -> None:
    key = ledger.record(make_mark("1"), ["sheets"]).record_id
    cells = ledger.cells
    assert cells.known("sheets", [key]) == {}
    cells.may_write("sheets", {key: "present"})
    cells.may_write("sheets", {key: "late"})
    cells.may_write("sheets", {key: "late"})
    assert cells.known("sheets", [key, "r-unknown"]) == {key: frozenset({"present", "late"})}
    assert cells.known("other", [key]) == {}
    cells.wrote("sheets", {key: "late"})
    assert cells.known("sheets", [key]) == {key: frozenset({"late"})}


def test_a_record_that_is_gone_is_no_error(ledger: Ledger) -> None:
    ledger.cells.may_write("sheets", {"r-gone": "present"})
    ledger.cells.wrote("sheets", {"r-gone": "present"})
    assert ledger.cells.known("sheets", ["r-gone"]) == {}


def test_many_records(ledger: Ledger) -> None:
    rows = ledger.record_many([make_mark(str(number)) for number in range(1200)])
    statuses = {row.record_id: "present" for row in rows}
    ledger.cells.wrote("sheets", statuses)
    assert len(ledger.cells.known("sheets", list(statuses))) == 1200
    ledger.cells.forget("sheets")
    assert ledger.cells.known("sheets", list(statuses)) == {}


def test_the_sinks_of_a_record(ledger: Ledger) -> None:
    one = ledger.record(make_mark("1"), ["sheets", "webhook"]).record_id
    two = ledger.record(make_mark("2"), ["sheets"]).record_id
    assert ledger.cells.sinks_of([one, two]) == ["sheets", "webhook"]
    assert ledger.cells.sinks_of([two]) == ["sheets"]
    assert ledger.cells.sinks_of([]) == []
