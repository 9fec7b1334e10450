"""The Sheets sink when it is asked what is still there, and when the quota is used up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sheets_rows import expected, names, rows
from sheets_server import EMAIL, Fault, SheetsServer

from optimind.errors import DeliveryDelayed
from optimind.sinks._quota import Quota
from optimind.sinks.sheets import SheetsSink

pytest_plugins = ("sheets_fixtures",)


def all_there(server: SheetsServer) -> set[str]:
    return set()


def one_deleted(server: SheetsServer) -> set[str]:
    header, *lines = server.sheet.lines()
    server.sheet.fill([header, *[line for line in lines if line[0] != "b"]])
    return {"b"}


def one_copied(server: SheetsServer) -> set[str]:
    header, *lines = server.sheet.lines()
    server.sheet.fill([header, *lines, lines[0]])
    return {str(lines[0][0])}


def sorted_and_moved(server: SheetsServer) -> set[str]:
    header, *lines = server.sheet.lines()
    turned = [header, *lines[::-1]]
    server.sheet.fill([[*line[3:], "mine", *line[:3]] for line in turned])
    return set()


def emptied(server: SheetsServer) -> set[str]:
    server.sheet.fill([])
    return {"a", "b", "c"}


def worksheet_deleted(server: SheetsServer) -> set[str]:
    del server.sheets["Log"]
    return {"a", "b", "c"}


def column_renamed(server: SheetsServer) -> set[str]:
    (place,) = [place for place, text in server.sheet.cells.items() if text == "status"]
    server.sheet.cells[place] = "how"
    return {"a", "b", "c"}


@pytest.mark.parametrize("again", [False, True], ids=["the same process", "another one"])
@pytest.mark.parametrize(
    "do", [all_there, one_deleted, one_copied, sorted_and_moved, emptied, worksheet_deleted, column_renamed]
)
def test_what_is_not_there_once_and_whole_is_named_and_mended(
    server: SheetsServer,
    make_sink: Callable[..., SheetsSink],
    do: Callable[[SheetsServer], set[str]],
    *,
    again: bool,
) -> None:
    sink = make_sink()
    sink.deliver(rows("a", "b", "c"))
    lacking = do(server)
    if again:
        sink = make_sink()
    assert set(sink.lacking(rows("a", "b", "c"), [])) == lacking
    sink.deliver(rows(*sorted(lacking)))
    assert set(sink.lacking(rows("a", "b", "c"), [])) == set()
    assert names(server) == expected("a", "b", "c")
    assert {record["status"] for record in server.sheet.records()} == {"present"}


def test_a_column_that_is_gone_is_noticed_in_all_of_many_rows(
    server: SheetsServer, make_sink: Callable[..., SheetsSink]
) -> None:
    sink = make_sink()
    many = [f"r{number}" for number in range(200)]
    sink.deliver(rows(*many))
    column_renamed(server)
    assert set(sink.lacking(rows(*many), [])) == set(many)


def test_a_column_that_went_between_two_deliveries_is_noticed(
    server: SheetsServer, make_sink: Callable[..., SheetsSink]
) -> None:
    sink = make_sink()
    older, newer = [f"a{number}" for number in range(100)], [f"b{number}" for number in range(100)]
    sink.deliver(rows(*older))
    (place,) = [place for place, text in server.sheet.cells.items() if text == "similarity"]
    server.sheet.cells[place] = "how sure"
    sink.deliver(rows(*newer))
    assert set(sink.lacking(rows(*older, *newer), [])) == set(older)
    assert set(sink.lacking(rows(*newer), rows(*older[:5]))) == set(older[:5])


def quota(tmp_path: Path, reads: int, writes: int) -> dict[str, Any]:
    return {"reads_per_minute": reads, "writes_per_minute": writes, "folder": tmp_path / "few"}


def test_requests_keep_to_the_quota_and_who_waits_can_be_interrupted(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], tmp_path: Path
) -> None:
    sink = make_sink(quota=quota(tmp_path, 12, 12))
    threading.Timer(1.0, sink.interrupt).start()
    began = time.monotonic()
    with pytest.raises(DeliveryDelayed, match="the run ended while rows waited"):
        sink.deliver(rows("a"))
    assert time.monotonic() - began < 10
    assert sum(request.startswith("GET") for request in server.requests) <= 4


def test_between_the_look_and_the_write_nobody_waits(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], tmp_path: Path
) -> None:
    """Who has no write left does not look either: meanwhile another one might take the row."""
    make_sink().deliver(rows("a"))
    sink = make_sink(quota=quota(tmp_path, 100_000, 60))
    sink.deliver(rows("b"))
    few = Quota(tmp_path / "few", f"{server.url} {EMAIL}", {"reads": 100_000, "writes": 60})
    few.spent("writes", 60.0)
    before = len(server.requests)
    threading.Timer(0.5, sink.interrupt).start()
    with pytest.raises(DeliveryDelayed):
        sink.deliver(rows("c"))
    assert len(server.requests) == before


def test_what_google_says_to_one_process_holds_for_the_others(
    server: SheetsServer, make_sink: Callable[..., SheetsSink], tmp_path: Path
) -> None:
    settings = quota(tmp_path, 600, 600)
    one, other = make_sink(quota=settings), make_sink(quota=settings)
    one.deliver(rows("a"))
    other.deliver(rows("b"))
    server.faults.append(Fault("values:batchGet", status=429, headers={"Retry-After": "40"}))
    with pytest.raises(DeliveryDelayed):
        one.deliver(rows("c"))
    before = len(server.requests)
    threading.Timer(0.5, other.interrupt).start()
    with pytest.raises(DeliveryDelayed, match="the run ended"):
        other.deliver(rows("d"))
    assert len(server.requests) == before
