"""Visitors are kept when the database can be written, and nothing else suffers when it cannot."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ledger_marks import url_of
from visitor_tracks import START, make_seen

from optimind.errors import StorageError
from optimind.pipeline import visitors as module
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.visitors import MOST_WAITING, RETRY_S, SWEEP_S, VisitorKeeper
from optimind.plugin_api import Event, VisitorSeen
from optimind.storage import VisitorStore
from optimind.testing.plugins import a_sighting, a_track_ended


class Bench:
    """A keeper with clocks of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = START
        self.monotonic_s = 0.0
        self.store = VisitorStore(url_of(path), patience_s=0.05, clock=lambda: self.now)
        self.keeper = VisitorKeeper(
            self.store, None, 30, StageTimes(), monotonic=lambda: self.monotonic_s, now=lambda: self.now
        )

    def wait(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.now += timedelta(seconds=seconds)

    def take(self, *events: Event) -> list[int | None]:
        """The visitors' numbers that come back."""
        return [event.visitor_id for event in self.keeper.take(events) if isinstance(event, VisitorSeen)]

    def ids(self) -> list[int]:
        return sorted(visitor.visitor_id for visitor in self.store.visitors())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "l.db")
    yield made
    made.store.close()


@pytest.fixture
def locked(bench: Bench) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(bench.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def ended(track: int = 1) -> Event:
    return a_track_ended(track_id=f"run-door-{track}", person_id=None, camera="door")


def test_visitors_are_kept_counted_and_numbered(bench: Bench) -> None:
    sighting = a_sighting()
    events = bench.keeper.take([make_seen(1, 1), sighting, ended(1), make_seen(2, 2), ended(2)])
    assert events[1] is sighting
    assert [event.visitor_id for event in events if isinstance(event, VisitorSeen)] == [1, 2]
    assert bench.take(make_seen(1, 3, first_s=900, last_s=910), ended(3)) == [1]
    assert (bench.keeper.visits, bench.keeper.visitors, bench.keeper.dropped) == (3, 2, 0)
    assert bench.keeper.trouble() == ""
    # What is kept are JPEGs with the face in them.
    assert bench.store.shots(1)[0].picture.startswith(b"\xff\xd8")


def test_a_track_that_is_told_several_times_is_one_visit(bench: Bench) -> None:
    for last_s in (30, 330):
        assert bench.take(make_seen(1, last_s=last_s, ended=False)) == [1]
    assert bench.take(make_seen(1, last_s=400), ended()) == [1]
    assert (bench.keeper.visits, bench.keeper.visitors) == (1, 1)


def test_one_who_turns_out_to_be_enrolled_is_no_visitor(bench: Bench) -> None:
    bench.take(make_seen(1, last_s=30, ended=False))
    bench.take(a_sighting(40, track_id="run-door-1", camera="door"))
    assert bench.ids() == []
    assert (bench.keeper.visits, bench.keeper.visitors) == (0, 0)


def test_one_who_turns_out_to_be_enrolled_while_nothing_can_be_written(
    bench: Bench, locked: sqlite3.Connection
) -> None:
    assert bench.take(make_seen(1, last_s=30, ended=False)) == [None]
    bench.take(a_sighting(40, track_id="run-door-1", camera="door"))
    assert bench.keeper.waiting == 0
    locked.execute("ROLLBACK")
    bench.take(make_seen(2, 2, last_s=30, ended=False), a_sighting(1))
    bench.wait(RETRY_S)
    bench.take(make_seen(2, 2, last_s=60, ended=False))
    locked.execute("BEGIN IMMEDIATE")
    bench.take(a_sighting(70, track_id="run-door-2", camera="door"))
    assert "could not be deleted" in bench.keeper.trouble()
    locked.execute("ROLLBACK")
    bench.wait(RETRY_S)
    bench.keeper.tick()
    assert bench.ids() == []
    assert bench.keeper.trouble() == ""


def test_a_locked_database_is_tried_again_later(
    bench: Bench, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    assert bench.take(make_seen(1), ended()) == [None]
    locked.execute("ROLLBACK")
    bench.wait(RETRY_S / 2)
    bench.keeper.tick()
    assert bench.keeper.waiting == 1
    bench.wait(RETRY_S)
    with caplog.at_level(logging.WARNING):
        bench.keeper.tick()
    assert bench.ids() == [1]
    assert "can be kept again" in caplog.text
    assert (bench.keeper.visits, bench.keeper.waiting, bench.keeper.trouble()) == (1, 0, "")


def test_what_waits_is_bounded_and_what_is_lost_is_said(bench: Bench, locked: sqlite3.Connection) -> None:
    for number in range(MOST_WAITING + 3):
        bench.take(make_seen(number % 8, number, first_s=20 * number, last_s=20 * number + 10))
    assert bench.keeper.waiting == MOST_WAITING
    bench.keeper.finish()
    assert bench.keeper.waiting == 0
    assert bench.keeper.dropped == MOST_WAITING + 3
    assert "67 visits of unknown people could not be kept" in bench.keeper.trouble()
    assert "kept it locked" in bench.keeper.trouble()


def test_the_end_saves_at_once_what_waits(bench: Bench, locked: sqlite3.Connection) -> None:
    bench.take(make_seen(1), ended())
    locked.execute("ROLLBACK")
    bench.keeper.finish()
    assert (bench.ids(), bench.keeper.dropped) == ([1], 0)


def test_a_full_disk_is_no_reason_to_stop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("the ledger cannot be written: the disk is full", mend="free space")

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "keep", full)
        assert bench.take(make_seen(1), ended()) == [None]
    bench.wait(RETRY_S)
    bench.keeper.tick()
    assert bench.ids() == [1]


def test_whatever_goes_wrong_with_visitors_the_loop_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "sweep", broken)
        patched.setattr(bench.store, "keep", broken)
        assert bench.take(make_seen(1), ended()) == [None]
    assert bench.keeper.error == "unexpected ZeroDivisionError: a mistake"
    assert bench.keeper.dropped == 1
    bench.take(make_seen(1, 2), ended(2))
    bench.wait(RETRY_S)
    bench.keeper.tick()
    assert bench.ids() == [1]


def test_one_that_cannot_be_kept_does_not_hold_up_the_others(bench: Bench) -> None:
    broken = make_seen(1, 1)
    shot = replace(broken.shots[0], picture=np.empty((0, 0, 3), np.uint8))
    assert bench.take(replace(broken, shots=(shot,))) == [None]
    bench.wait(RETRY_S)
    assert bench.take(make_seen(2, 2)) == [1]
    assert bench.keeper.dropped == 1


@pytest.fixture
def refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tracks that the database does not take; it is changed by the test."""
    tracks: list[str] = []
    keep = bench.store.keep

    def sometimes(seen: VisitorSeen, *rest: Any) -> Any:
        if seen.track_id in tracks:
            raise StorageError(f"the ledger cannot be written: {seen.track_id} is too long")
        return keep(seen, *rest)

    monkeypatch.setattr(bench.store, "keep", sometimes)
    return tracks


def test_one_that_the_database_does_not_take_does_not_hold_up_the_others(
    bench: Bench, refused: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    refused.append("run-door-1")
    with caplog.at_level(logging.WARNING):
        bench.take(make_seen(1, 1), ended(1), make_seen(2, 2), ended(2), make_seen(3, 3), ended(3))
        bench.wait(RETRY_S)
        bench.keeper.tick()
        assert (bench.ids(), bench.keeper.waiting, bench.keeper.dropped) == ([1, 2], 1, 0)
        # Something could not be kept, so not all is well.
        assert "can be kept again" not in caplog.text
        refused.clear()
        bench.wait(RETRY_S)
        bench.keeper.tick()
    assert (bench.ids(), bench.keeper.waiting) == ([1, 2, 3], 0)
    assert caplog.text.count("can be kept again") == 1


def test_two_that_fail_are_enough_for_one_time(bench: Bench, refused: list[str]) -> None:
    refused += ["run-door-1", "run-door-2"]
    bench.take(make_seen(1, 1), ended(1), make_seen(2, 2), ended(2), make_seen(3, 3), ended(3))
    bench.wait(RETRY_S)
    bench.keeper.tick()
    assert (bench.ids(), bench.keeper.waiting) == ([], 3)


def test_a_sweep_that_fails_does_not_hold_up_those_who_come(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the ledger cannot be written")

    monkeypatch.setattr(bench.store, "sweep", fail)
    assert bench.take(make_seen(1), ended()) == [1]


@pytest.mark.parametrize("was_told", [False, True])
def test_a_track_that_is_saved_after_its_end_is_one_visit_and_held_no_longer(
    bench: Bench, refused: list[str], *, was_told: bool
) -> None:
    if was_told:
        assert bench.take(make_seen(1, last_s=30, ended=False)) == [1]
    refused.append("run-door-1")
    assert bench.take(make_seen(1, last_s=60, ended=False), ended()) == [1 if was_told else None]
    refused.clear()
    bench.wait(RETRY_S)
    bench.keeper.tick()
    assert (bench.keeper.visits, bench.keeper.waiting) == (1, 0)
    assert (bench.keeper._told, bench.keeper._over) == ({}, set())


def test_the_old_ones_are_deleted_at_the_start_and_now_and_then(bench: Bench) -> None:
    bench.take(make_seen(1, 1), ended(1))
    bench.now += timedelta(days=31)
    bench.keeper.tick()
    assert bench.ids() == [1]
    bench.wait(SWEEP_S)
    bench.keeper.tick()
    assert bench.ids() == []


def test_an_idle_keeper_leaves_the_database_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.keeper.tick()

    def touched(*_: object) -> None:
        raise AssertionError("nothing was to do")

    monkeypatch.setattr(bench.store, "sweep", touched)
    monkeypatch.setattr(bench.store, "keep", touched)
    for _ in range(3):
        bench.keeper.tick()
    assert bench.take(a_sighting(), ended()) == []


def test_no_face_and_no_vector_gets_into_the_log(
    bench: Bench, locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        bench.take(make_seen(1))
        bench.keeper.finish()
    assert "visitors cannot be kept" in caplog.text
    assert "array" not in caplog.text
    assert module.log.name in {record.name for record in caplog.records}


def test_a_recording_of_long_ago_is_kept_as_long_as_todays(tmp_path: Path) -> None:
    long_ago = datetime(2001, 9, 1, tzinfo=UTC)
    with VisitorStore(url_of(tmp_path / "l.db")) as store:
        keeper = VisitorKeeper(store, None, 1, StageTimes())
        keeper.take([replace(make_seen(1), first_seen_at=long_ago, last_seen_at=long_ago)])
        keeper.finish()
        store.sweep(datetime.now(UTC) - timedelta(days=1))
        assert store.visitor(1).last_seen_at == long_ago
