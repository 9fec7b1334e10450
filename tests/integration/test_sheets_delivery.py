"""From the mark in the ledger to the row in the sheet, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ledger_marks import make_mark, url_of
from school import DAY, seen, timetable
from sheets_server import EMAIL, Fault, SheetsServer

from optimind.pipeline.delivery import DeliveryWorker
from optimind.sinks.sheets import SheetsSettings, SheetsSink
from optimind.storage import Ledger, open_ledger

SOON_S = 15.0


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.0)


@pytest.fixture
def server() -> Iterator[SheetsServer]:
    with SheetsServer() as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def start(server: SheetsServer, tmp_path: Path) -> Iterator[Callable[..., DeliveryWorker]]:
    key = server.write_key(tmp_path)
    quota = {"reads_per_minute": 100_000, "writes_per_minute": 100_000, "folder": tmp_path / "quota"}
    workers: list[DeliveryWorker] = []

    def begin(ledger: Ledger, **changes: Any) -> DeliveryWorker:
        settings = {"spreadsheet": server.spreadsheet, "credentials": {"file": key}, "endpoint": server.url}
        sink = SheetsSink.create(SheetsSettings.model_validate({**settings, "timeout_s": 1.0, "quota": quota}))
        fast = {"interval_s": 0.02, "first_pause_s": 0.02, "longest_pause_s": 0.1, "zone": ZoneInfo("Europe/London")}
        workers.append(DeliveryWorker(ledger, sink, **{**fast, **changes}))
        workers[-1].start()
        return workers[-1]

    yield begin
    for worker in workers:
        worker.stop()


def assert_equal(server: SheetsServer, *ledgers: Ledger) -> None:
    """The sheet holds exactly the ledgers' records, none twice."""
    wanted = {row.record_id: (row.name, row.seconds_seen) for ledger in ledgers for row in ledger.register()}
    records = server.sheet.records()
    assert len(records) == len(wanted)
    assert {record["record_id"]: (record["name"], record["seconds_seen"]) for record in records} == wanted


def test_a_mark_becomes_a_row_in_the_time_of_the_school(
    server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    worker = start(ledger)
    ledger.record(make_mark("17", name="Grace Hopper"), ["sheets"])
    assert worker.flush(SOON_S)
    (record,) = server.sheet.records()
    assert (record["name"], record["first_seen_at"]) == ("Grace Hopper", "2026-09-01T09:00:00+01:00")


def test_marks_made_while_the_network_is_down_arrive_once(
    server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    worker = start(ledger)
    ledger.record(make_mark("before"), ["sheets"])
    assert worker.flush(SOON_S)
    with server.down():
        for number in range(40):
            ledger.record(make_mark(str(number % 8), last_s=10 + number), ["sheets"])
        assert not worker.flush(0.5)
        status = worker.status()
        assert status["pending"] == 8
        assert "cannot be reached" in str(status["last_error"])
        assert len(server.sheet.records()) == 1
    assert worker.flush(SOON_S)
    assert_equal(server, ledger)


def test_a_run_that_ends_offline_is_caught_up_by_the_next(
    server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    with server.down():
        worker = start(ledger)
        ledger.record_many([make_mark(str(number)) for number in range(5)], ["sheets"])
        assert not worker.flush(0.3)
        worker.stop()
    assert "Log" not in server.sheets
    assert start(ledger).flush(SOON_S)
    assert_equal(server, ledger)


FAULTS = [
    Fault(status=429, headers={"Retry-After": "0"}),
    Fault(status=500, after=True),
    Fault(status=503),
    Fault(reset=True),
    Fault(reset=True, after=True),
    Fault(status=401),
    Fault(status=400),
]


def test_a_bad_day(server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]) -> None:
    """Every kind of fault, at every kind of request, while marks come in and somebody sorts the sheet."""
    worker = start(ledger)
    for round_number, path in enumerate(["batchGet", "values:batchUpdate", "", "values:batchUpdate"]):
        for number, fault in enumerate(FAULTS):
            server.faults.append(Fault(**{**vars(fault), "path": path}))
            mark = make_mark(str((round_number * 5 + number) % 12), last_s=10 * round_number + number)
            ledger.record(mark, ["sheets"])
            if number % 3 == 0 and "Log" in server.sheets:
                with server.lock:
                    header, *lines = server.sheet.lines() or [[]]
                    server.sheet.fill([header, *lines[::-1]] if header else [])
            time.sleep(0.03)
    server.faults.clear()
    until_settled(worker)
    for person in range(12):  # a copy that a fault left behind is mended when its record changes
        ledger.record(make_mark(str(person), last_s=500), ["sheets"])
    assert worker.flush(SOON_S)
    assert_equal(server, ledger)


def test_a_revoked_share_is_noticed_and_given_back(
    server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    worker = start(ledger)
    server.editors.clear()
    ledger.record(make_mark(), ["sheets"])
    assert not worker.flush(SOON_S)
    assert f"share it with {EMAIL} as Editor" in str(worker.status()["last_error"])
    server.editors.add(EMAIL)
    assert worker.flush(SOON_S)
    assert_equal(server, ledger)


def test_a_row_overwritten_by_a_sort_comes_back_from_the_ledger(
    server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    worker = start(ledger)
    ledger.record_many([make_mark(str(number)) for number in range(6)], ["sheets"])
    assert worker.flush(SOON_S)

    def sort() -> None:
        header, *lines = server.sheet.lines()
        server.sheet.fill([header, *lines[::-1]])

    server.faults.append(Fault("values:batchUpdate", action=sort))
    ledger.record(make_mark("1", last_s=99), ["sheets"])
    until_settled(worker)
    assert_equal(server, ledger)


def test_an_emptied_register_is_filled_again_with_the_next_mark(
    server: SheetsServer, ledger: Ledger, start: Callable[..., DeliveryWorker]
) -> None:
    lesson = timetable().on(DAY)[0]
    ledger.record_many([seen(lesson, person, 0, 40) for person in "1234"], ["sheets"])
    worker = start(ledger)
    assert worker.flush(SOON_S)
    server.sheets["7B 2026-09"].cells.clear()
    ledger.record(seen(lesson, "5", 0, 40), ["sheets"])
    assert worker.flush(SOON_S)
    lines = server.sheets["7B 2026-09"].lines()[3:]
    assert [(line[0], line[3]) for line in lines] == [(person, "P") for person in "12345"]


def until_settled(worker: DeliveryWorker) -> None:
    deadline = time.monotonic() + SOON_S
    while worker.status()["pending"]:
        assert time.monotonic() < deadline, worker.status()
        time.sleep(0.01)


def test_two_ledgers_may_share_a_worksheet(
    server: SheetsServer, tmp_path: Path, start: Callable[..., DeliveryWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines have no lock between them: what one overwrites, the other finds and sends again."""
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.3)
    with open_ledger(url_of(tmp_path / "one.db")) as one, open_ledger(url_of(tmp_path / "two.db")) as two:
        workers = [start(one), start(two)]
        for number in range(25):
            one.record(make_mark(f"one-{number}"), ["sheets"])
            two.record(make_mark(f"two-{number}"), ["sheets"])
            time.sleep(0.01)
        assert all(worker.flush(SOON_S) for worker in workers)
        assert_equal(server, one, two)
        for worker in workers:
            worker.stop()


def test_two_workers_on_one_ledger_never_double(
    server: SheetsServer, tmp_path: Path, start: Callable[..., DeliveryWorker]
) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as one, open_ledger(url_of(tmp_path / "l.db")) as other:
        workers = [start(one), start(other)]
        for number in range(40):
            (one, other)[number % 2].record(make_mark(str(number % 15), last_s=number), ["sheets"])
            time.sleep(0.005)
        assert all(worker.flush(SOON_S) for worker in workers)
        assert_equal(server, one)
        for worker in workers:
            worker.stop()
