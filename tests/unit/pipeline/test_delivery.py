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
