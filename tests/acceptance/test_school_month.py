"""A month of a school through the real ledger: a second way to compute the register agrees on every cell."""

from __future__ import annotations

import gc
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from ledger_marks import url_of
from school_feed import Feed, timetable_of
from school_month import make_month
from second_register import World, cells, held

from optimind.core.decisions import Rule
from optimind.core.events import AttendanceStatus
from optimind.core.timetable import Timetable
from optimind.storage import Ledger

pytestmark = pytest.mark.timeout(1500)

Cells = dict[tuple[date, str, str], tuple[str, str]]


def register(
    world: World, timetable: Timetable, path: Path, *, seed: int
) -> dict[tuple[date, str, str], tuple[str, str]]:
    """Live through ``world`` with a ledger at ``path``; return status and rule of each record."""
    feed = Feed(world, timetable, seed=seed)
    with Ledger(url_of(path), clock=feed.clock) as ledger:
        gc.collect()
        gc.freeze()  # the made-up month is no part of what is measured
        began, busy = time.perf_counter(), time.process_time()
        feed.run(ledger)
        took, worked = time.perf_counter() - began, time.process_time() - busy
        gc.unfreeze()
        rows = ledger.register()
        report = ledger.audit.verify()
    assert report.fault is None
    print(f"{len(rows)} records of {feed.marks} marks: {took:.1f} s, {worked:.1f} s of processor time")
    return {(row.date, row.session, row.person_id): (row.status, row.rule) for row in rows}


def differences(found: Cells, wanted: Cells) -> list[str]:
    keys = sorted(found.keys() | wanted.keys(), key=str)
    return [f"{key}: {found.get(key)}, not {wanted.get(key)}" for key in keys if found.get(key) != wanted.get(key)][:20]


def assert_meetings_agree(world: World, timetable: Timetable) -> None:
    days = sorted({each.day for each in held(world)})
    found = [
        (each.date, each.session, each.opens_at, each.starts_at, each.ends_at)
        for day in days
        for each in timetable.on(day)
    ]
    wanted = [
        (each.day, each.lesson.session, *(datetime.fromtimestamp(s, UTC) for s in (each.opens, each.starts, each.ends)))
        for each in held(world)
    ]
    assert found == wanted


@pytest.mark.slow
def test_a_month_of_a_school(tmp_path: Path) -> None:
    world = make_month(
        2026,
        "Europe/Berlin",
        date(2026, 10, 1),
        date(2026, 10, 31),
        classes=40,
        students=1200,
        a_day=1,
        change=date(2026, 10, 24),
    )
    timetable = timetable_of(world)
    assert_meetings_agree(world, timetable)
    wanted = cells(world)
    found = register(world, timetable, tmp_path / "ledger.db", seed=1)
    assert differences(found, wanted) == []
    assert len(wanted) > 25_000
    # Every status and every rule comes up often enough to be compared.
    statuses, rules = Counter(status for status, _ in wanted.values()), Counter(rule for _, rule in wanted.values())
    assert min(statuses[str(status)] for status in AttendanceStatus) > 100
    assert min(rules[str(rule)] for rule in Rule if rule not in (Rule.SEEN, Rule.TAKEN_BACK)) > 50
    assert rules[Rule.TAKEN_BACK] > 20  # somebody of outside, never seen, and nothing else said of them


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_a_small_school_in_the_month_of_the_other_change(seed: int, tmp_path: Path) -> None:
    """Clocks are put forward in the night of the evening class, whose end, and the start of the next, are skipped."""
    world = make_month(
        seed,
        "Europe/Berlin",
        date(2026, 3, 16),
        date(2026, 3, 31),
        classes=8,
        students=40,
        a_day=3,
        change=date(2026, 3, 28),
    )
    timetable = timetable_of(world)
    assert_meetings_agree(world, timetable)
    assert differences(register(world, timetable, tmp_path / "ledger.db", seed=seed), cells(world)) == []
