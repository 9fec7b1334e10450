from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ledger_marks import START, make_mark, url_of

from optimind.errors import DeliveryDelayed, DeliveryRefused, StorageError
from optimind.pipeline.delivery import DeliveryWorker
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger, open_ledger
from optimind.testing.sinks import MemorySink

FAST: dict[str, Any] = {"interval_s": 0.01, "first_pause_s": 0.01, "longest_pause_s": 0.05}
SOON_S = 10.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def start(ledger: Ledger) -> Iterator[Callable[..., DeliveryWorker]]:
    workers: list[DeliveryWorker] = []

    def begin(sink: MemorySink, **changes: Any) -> DeliveryWorker:
        workers.append(DeliveryWorker(ledger, sink, **{**FAST, **changes}))
        workers[-1].start()
        return workers[-1]

    yield begin
    for worker in workers:
        worker.stop()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_marks_arrive(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    sink = MemorySink()
    worker = start(sink)
    row = ledger.record(make_mark(), ["memory"])
    assert worker.flush(SOON_S)
    assert sink.rows == {row.record_id: row}
    assert worker.status() == {
        "pending": 0,
        "oldest": None,
        "oldest_s": 0.0,
        "dead": 0,
        "last_error": None,
        "delivered": 1,
        "failures": 0,
    }


def test_flush_with_nothing_to_do_does_not_wait(start: Callable[..., DeliveryWorker]) -> None:
    worker = start(MemorySink(), interval_s=60.0)
    began = time.monotonic()
    assert worker.flush(SOON_S)
    assert time.monotonic() - began < 5


def test_records_from_before_the_sink_was_switched_on_arrive(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    ledger.record_many([make_mark("1"), make_mark("2")])
    sink = MemorySink()
    assert start(sink).flush(SOON_S)
    assert len(sink.rows) == 2


def test_many_marks_share_a_delivery(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    sink = MemorySink()
    worker = start(sink, interval_s=0.3)
    for last_s in range(1, 41):
        ledger.record(make_mark(last_s=last_s), ["memory"])
    assert worker.flush(SOON_S)
    assert 1 <= len(sink.deliveries) < 20
    assert [row.seconds_seen for row in sink.rows.values()] == [40.0]


def test_deliveries_keep_their_distance(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    moments: list[float] = []

    class Timed(MemorySink):
        def deliver(self, rows: Sequence[RecordRow]) -> None:
            moments.append(time.monotonic())
            super().deliver(rows)

    start(Timed(), interval_s=0.15)
    for number in range(30):
        ledger.record(make_mark(str(number)), ["memory"])
        time.sleep(0.02)
    until(lambda: ledger.outbox.lag("memory")[0] == 0)
    assert len(moments) >= 2
    assert all(later - earlier >= 0.14 for earlier, later in itertools.pairwise(moments))


def test_a_large_backlog_goes_in_batches(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    ledger.record_many([make_mark(str(number)) for number in range(1100)], ["memory"])
    sink = MemorySink()
    assert start(sink).flush(SOON_S)
    assert [len(batch) for batch in sink.deliveries] == [500, 500, 100]


def test_times_are_in_the_zone_of_the_school(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    ledger.record(make_mark(), ["memory"])
    sink = MemorySink()
    assert start(sink, zone=ZoneInfo("Europe/London")).flush(SOON_S)
    (row,) = sink.rows.values()
    assert row.first_seen_at is not None
    assert row.first_seen_at.isoformat() == "2026-09-01T09:00:00+01:00"


@pytest.mark.parametrize("fails_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "failures",
    [
        [DeliveryDelayed("down")],
        [DeliveryDelayed("down")] * 6,
        [DeliveryDelayed("quota", retry_after_s=0.05)],
        [DeliveryRefused("no access", mend="share it")],
        [RuntimeError("a bug in the sink")] * 3,
        [KeyError("x"), DeliveryDelayed("down"), DeliveryRefused("no")],
    ],
    ids=["once", "often", "quota", "refused", "bug", "all"],
)
def test_whatever_fails_all_arrives_in_the_end(
    ledger: Ledger, start: Callable[..., DeliveryWorker], failures: list[Exception], *, fails_after: bool
) -> None:
    sink = MemorySink()
    sink.failures, sink.fails_after = list(failures), fails_after
    rows = ledger.record_many([make_mark("1"), make_mark("2")], ["memory"])
    worker = start(sink)
    until(lambda: worker.status()["last_error"] is None and worker.status()["delivered"] == 2)
    assert sink.rows == {row.record_id: row for row in rows}
    assert worker.status()["failures"] == len(failures)


def test_one_record_that_breaks_the_sink_does_not_hold_up_the_others(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    class Picky(MemorySink):
        def deliver(self, rows: Sequence[RecordRow]) -> None:
            if any(row.person_id == "7" for row in rows):
                raise ValueError("seven!")
            super().deliver(rows)

    ledger.record_many([make_mark(str(number)) for number in range(20)], ["memory"])
    sink = Picky()
    worker = start(sink, longest_pause_s=60)
    until(lambda: worker.status()["pending"] == 1)
    assert {row.person_id for row in sink.rows.values()} == {str(number) for number in range(20)} - {"7"}
    assert worker.status()["failures"] >= 2


def test_a_delayed_sink_is_left_in_peace_as_long_as_it_asked(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    sink = MemorySink()
    sink.failures = [DeliveryDelayed("quota", retry_after_s=0.5)]
    ledger.record(make_mark(), ["memory"])
    began = time.monotonic()
    worker = start(sink)
    until(lambda: not sink.failures)
    assert not worker.flush(0.1)
    assert worker.flush(SOON_S)
    assert time.monotonic() - began >= 0.5


def test_pauses_grow_at_random_up_to_the_longest(ledger: Ledger) -> None:
    worker = DeliveryWorker(ledger, MemorySink(), interval_s=0.0, first_pause_s=1.0, longest_pause_s=300.0)
    for attempt in range(1, 60):
        pauses = worker._failed(DeliveryDelayed("down"))
        assert 0 <= pauses <= min(300.0, 2.0**attempt)
    many = [worker._failed(DeliveryDelayed("down")) for _ in range(200)]
    assert max(many) > 200
    assert min(many) < 100
    assert worker._failed(DeliveryRefused("no")) == 300.0
    assert 900 <= worker._failed(DeliveryDelayed("quota", retry_after_s=900)) <= 901


def test_what_the_sink_has_lost_is_sent_again(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    sink = MemorySink()
    worker = start(sink)
    lost, kept = ledger.record_many([make_mark("1"), make_mark("2")], ["memory"])
    assert worker.flush(SOON_S)
    sink.rows.clear()
    sink.failures = [DeliveryDelayed("rearranged", missing=(lost.record_id, "unknown"))]
    changed = ledger.record(make_mark("3"), ["memory"])
    until(lambda: ledger.outbox.lag("memory")[0] == 0)
    assert set(sink.rows) == {lost.record_id, changed.record_id}
    assert kept.record_id not in sink.rows


def test_a_refusal_is_logged_once_and_flush_does_not_wait_for_it(
    ledger: Ledger, start: Callable[..., DeliveryWorker], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sink = MemorySink()
    sink.failures = [DeliveryRefused("no access", mend="share it")] * 50
    ledger.record(make_mark(), ["memory"])
    worker = start(sink, longest_pause_s=0.02)
    until(lambda: len(sink.failures) < 45)
    began = time.monotonic()
    assert not worker.flush(SOON_S)
    assert time.monotonic() - began < 5
    sink.failures.clear()
    until(lambda: bool(sink.rows))
    until(lambda: worker.status()["last_error"] is None)
    said = [record.getMessage() for record in caplog.records if record.name == "optimind.pipeline.delivery"]
    assert said == ["sink memory: no access\n  mend: share it", "sink memory takes rows again"]


def test_flush_ends_in_time_while_the_sink_is_down(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    sink = MemorySink()
    sink.failures = [DeliveryDelayed("down")] * 10_000
    ledger.record(make_mark(), ["memory"])
    worker = start(sink)
    began = time.monotonic()
    assert not worker.flush(0.3)
    assert 0.3 <= time.monotonic() - began < 3
    status = worker.status()
    assert status["pending"] == 1
    assert status["last_error"] == "down"
    assert status["oldest"] is not None
    json.dumps(status)


def test_flush_does_not_wait_out_a_pause(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    sink = MemorySink()
    sink.failures = [DeliveryRefused("no access")]
    ledger.record(make_mark(), ["memory"])
    worker = start(sink, longest_pause_s=300.0, interval_s=60.0)
    until(lambda: not sink.failures)
    assert worker.flush(SOON_S)


def test_a_start_tries_at_once_what_an_earlier_run_put_off(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    row = ledger.record(make_mark(), ["memory"])
    ledger.outbox.delayed("memory", [row.record_id], "down", START + timedelta(days=40_000))
    sink = MemorySink()
    start(sink)
    until(lambda: bool(sink.rows))


def test_a_ledger_that_fails_is_tried_again(
    ledger: Ledger, start: Callable[..., DeliveryWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = ledger.outbox.delivered, [StorageError("disk full"), StorageError("disk full")]

    def failing(sink: str, versions: Sequence[tuple[str, int]], *, final: bool) -> None:
        if failures:
            raise failures.pop()
        real(sink, versions, final=final)

    monkeypatch.setattr(ledger.outbox, "delivered", failing)
    ledger.record(make_mark(), ["memory"])
    sink = MemorySink()
    worker = start(sink)
    until(lambda: ledger.outbox.lag("memory")[0] == 0)
    assert len(sink.deliveries) == 3
    assert worker.status()["failures"] == 2


def test_status_does_not_raise_when_the_ledger_cannot_be_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.record(make_mark(), ["memory"])
    worker = DeliveryWorker(ledger, MemorySink())
    assert worker.status()["pending"] == 1

    def broken(_sink: str) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(ledger.outbox, "lag", broken)
    assert worker.status()["pending"] == 1
    assert worker.status()["last_error"] == "the disk is gone"
    assert not worker.flush(0.05)


def test_stop_closes_the_sink_and_keeps_the_rest(ledger: Ledger) -> None:
    sink = MemorySink()
    worker = DeliveryWorker(ledger, sink, **FAST)
    worker.stop()
    worker = DeliveryWorker(ledger, sink, **FAST)
    worker.start()
    assert worker.flush(SOON_S)
    worker.stop()
    worker.stop()
    assert sink.closed
    ledger.record(make_mark(), ["memory"])
    assert not worker.flush(SOON_S)
    assert ledger.outbox.lag("memory")[0] == 1


def test_a_sink_that_cannot_close_does_no_harm(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(MemorySink):
        def close(self) -> None:
            raise OSError("stuck")

    worker = DeliveryWorker(ledger, Stuck(), **FAST)
    worker.start()
    worker.stop()
    assert "did not close: stuck" in caplog.text


def test_two_workers_on_one_ledger_take_turns(tmp_path: Path) -> None:
    active, most = [0], [0]
    guard = threading.Lock()

    class Counting(MemorySink):
        def deliver(self, rows: Sequence[RecordRow]) -> None:
            with guard:
                active[0] += 1
                most[0] = max(most[0], active[0])
            time.sleep(0.01)
            with guard:
                active[0] -= 1
            super().deliver(rows)

    with open_ledger(url_of(tmp_path / "l.db")) as one, open_ledger(url_of(tmp_path / "l.db")) as other:
        workers = [DeliveryWorker(one, Counting(), **FAST), DeliveryWorker(other, Counting(), **FAST)]
        for worker in workers:
            worker.start()
        for number in range(30):
            one.record(make_mark(str(number)), ["memory"])
            time.sleep(0.01)
        assert all(worker.flush(SOON_S) for worker in workers)
        delivered = sum(worker.status()["delivered"] for worker in workers)
        for worker in workers:
            worker.stop()
    assert most == [1]
    assert delivered == 30


def test_oldest_is_shown_in_the_zone(ledger: Ledger) -> None:
    ledger.record(make_mark(), ["memory"])
    worker = DeliveryWorker(ledger, MemorySink(), zone=ZoneInfo("Asia/Tokyo"))
    oldest = worker.status()["oldest"]
    assert oldest is not None
    assert oldest.endswith("+09:00")
    assert worker.status()["pending"] == 1


def test_a_row_that_is_never_taken_goes_to_the_dead_letter_and_a_newer_version_is_sent(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    class Picky(MemorySink):
        def deliver(self, rows: Sequence[RecordRow]) -> None:
            if any(row.person_id == "7" and row.seconds_seen < 50 for row in rows):
                raise ValueError("seven!")
            super().deliver(rows)

    bad, *_ = ledger.record_many([make_mark(str(number)) for number in (7, 8, 9)], ["memory"])
    worker = start(Picky())
    until(lambda: worker.status()["pending"] == 1)
    for number in range(10, 200):  # others are taken meanwhile: it is not the sink
        ledger.record(make_mark(str(number)), ["memory"])
        if worker.status()["dead"]:
            break
        time.sleep(0.05)
    until(lambda: worker.status()["dead"] == 1)
    assert worker.flush(SOON_S)
    (dead,) = ledger.outbox.dead_letter.rows()
    assert (dead.row.record_id, dead.sink) == (bad.record_id, "memory")
    assert dead.reason == "unexpected ValueError: seven!"
    ledger.record(make_mark("7", last_s=60), ["memory"])
    assert worker.flush(SOON_S)
    assert worker.status()["dead"] == 0
    assert worker.sink.rows[bad.record_id].seconds_seen == 60  # type: ignore[attr-defined] # the fake's


def test_where_the_sink_takes_nothing_no_row_is_given_up(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    """A worksheet that is protected refuses each row as well: a person must act, and all of them arrive then."""
    closed = [True]

    class Protected(MemorySink):
        asked = 0

        def deliver(self, rows: Sequence[RecordRow]) -> None:
            self.asked += 1
            if closed[0]:
                raise DeliveryRefused("protected", mend="unprotect it", perhaps_rows=True)
            super().deliver(rows)

    ledger.record_many([make_mark(str(number)) for number in range(40)], ["memory"])
    sink = Protected()
    worker = start(sink, longest_pause_s=0.02)
    until(lambda: sink.asked > 40)
    assert worker.status()["dead"] == 0
    assert not worker.flush(SOON_S)
    closed[0] = False
    until(lambda: worker.status()["pending"] == 0)
    assert len(sink.rows) == 40


def test_a_sink_that_always_says_at_once_is_not_asked_without_end(ledger: Ledger) -> None:
    worker = DeliveryWorker(ledger, MemorySink(), interval_s=0.0, first_pause_s=1.0)
    pauses = [worker._failed(DeliveryDelayed("busy", retry_after_s=0.0)) for _ in range(40)]
    assert sum(pauses[20:]) > 600


def test_a_large_batch_that_takes_too_long_is_made_smaller(ledger: Ledger) -> None:
    class Slow(MemorySink):
        batch_rows = 10_000

        def deliver(self, rows: Sequence[RecordRow]) -> None:
            if len(rows) > 60:
                raise DeliveryDelayed("no answer")
            super().deliver(rows)

    ledger.record_many([make_mark(str(number)) for number in range(400)], ["memory"])
    sink = Slow()
    worker = DeliveryWorker(ledger, sink, **FAST)
    worker.start()
    until(lambda: len(sink.rows) >= 50)
    worker.stop()


def test_a_batch_is_cut_at_the_bytes_that_the_sink_takes(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    class Narrow(MemorySink):
        batch_bytes = 3_000

    ledger.record_many([make_mark(str(number), name="N" * 900) for number in range(7)], ["memory"])
    ledger.record(make_mark("long", name="N" * 9_000), ["memory"])
    sink = Narrow()
    assert start(sink).flush(SOON_S)
    assert [len(batch) for batch in sink.deliveries] == [2, 2, 2, 1, 1]


class Forgetful(MemorySink):
    """Loses what it is told to lose, and is looked at once more."""

    recheck_s = 0.1

    def lacking(self, rows: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> set[str]:
        return {row.record_id for row in (*rows, *earlier)} - set(self.rows)


def test_what_was_overwritten_after_its_delivery_is_sent_again(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    sink = Forgetful()
    worker = start(sink)
    lost, kept = ledger.record_many([make_mark("1"), make_mark("2")], ["memory"])
    assert worker.flush(SOON_S)
    del sink.rows[lost.record_id]
    until(lambda: lost.record_id in sink.rows)
    assert sum(row.record_id == kept.record_id for batch in sink.deliveries for row in batch) == 1


def test_what_people_delete_later_stays_deleted_but_an_emptied_sink_gets_everything(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    sink = Forgetful()
    rows = ledger.record_many([make_mark(str(number)) for number in range(30)], ["memory"])
    worker = start(sink)
    assert worker.flush(SOON_S)
    look = ledger.outbox.second_look
    until(lambda: len(look.sample("memory", 30, START - timedelta(days=9999))) == 30)
    del sink.rows[rows[3].record_id]
    ledger.record(make_mark("30"), ["memory"])
    until(lambda: len(look.sample("memory", 31, START - timedelta(days=9999))) == 31)
    assert len(sink.rows) == 30
    sink.rows.clear()
    ledger.record(make_mark("31"), ["memory"])
    until(lambda: len(sink.rows) == 32)


def test_another_target_begins_empty(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    class Aimed(Forgetful):
        target = "2026"

    old = Aimed()
    ledger.record(make_mark("1"), ["memory"])
    worker = start(old)
    assert worker.flush(SOON_S)
    look = ledger.outbox.second_look
    until(lambda: len(look.sample("memory", 9, START - timedelta(days=9999))) == 1)
    worker.stop()
    new = Aimed()
    new.target = "2027"
    worker = start(new)
    row = ledger.record(make_mark("2"), ["memory"])
    assert worker.flush(SOON_S)
    time.sleep(0.5)
    assert set(new.rows) == {row.record_id}


def test_a_delivery_whose_end_nobody_knows_is_made_once_more(
    ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    sink = Forgetful()
    sink.failures = [DeliveryDelayed("no answer")]
    row = ledger.record(make_mark("1"), ["memory"])
    worker = start(sink)
    until(lambda: len(sink.deliveries) == 2)
    assert [each.record_id for batch in sink.deliveries for each in batch] == [row.record_id] * 2
    time.sleep(0.5)
    assert worker.flush(SOON_S)
    assert len(sink.deliveries) == 2


def test_a_delivery_that_is_over_is_not(ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    sink = Forgetful()
    sink.failures = [DeliveryDelayed("quota", retry_after_s=0.01, is_over=True), DeliveryRefused("no access")]
    ledger.record(make_mark("1"), ["memory"])
    worker = start(sink)
    until(lambda: len(sink.deliveries) == 1)
    time.sleep(0.5)
    assert worker.flush(SOON_S)
    assert len(sink.deliveries) == 1


def test_a_sink_that_cannot_be_looked_at_still_gets_its_rows(
    ledger: Ledger, start: Callable[..., DeliveryWorker], caplog: pytest.LogCaptureFixture
) -> None:
    class Blind(Forgetful):
        def lacking(self, rows: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> set[str]:
            raise ZeroDivisionError("blind")

    sink = Blind()
    worker = start(sink)
    for number in range(5):
        ledger.record(make_mark(str(number)), ["memory"])
        time.sleep(0.05)
    assert worker.flush(SOON_S)
    until(lambda: "could not be looked at: ZeroDivisionError: blind" in caplog.text)
    assert worker.status()["failures"] == 0


def test_stop_interrupts_the_sink(ledger: Ledger) -> None:
    released = threading.Event()

    class Waiting(MemorySink):
        def deliver(self, rows: Sequence[RecordRow]) -> None:
            released.wait(30)
            raise DeliveryDelayed("the run ended")

        def interrupt(self) -> None:
            released.set()

    ledger.record(make_mark(), ["memory"])
    worker = DeliveryWorker(ledger, Waiting(), **FAST)
    worker.start()
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 4
    assert ledger.outbox.lag("memory")[0] == 1


def test_the_lag_is_told_in_seconds_and_read_only_now_and_then(ledger: Ledger) -> None:
    ledger.record(make_mark(), ["memory"])
    worker = DeliveryWorker(ledger, MemorySink())
    first = worker.lag()
    assert first["pending"] == 1
    assert 0 <= first["oldest_s"] < 60
    ledger.record(make_mark("2"), ["memory"])
    assert worker.lag()["pending"] == 1
    assert worker.status()["pending"] == 2
