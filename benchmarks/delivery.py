"""How many requests 10,000 marks cost on their way to the sheet, how long they take, and how soon one mark is there.

Against the tests' Sheets server on this machine, with the settings that hold without any: what is measured is how many
requests there are and how long the quota makes them wait, not how fast Google is. Beside it what a project does that
calls ``append_row`` for each mark, as most do: that many writes, of which Google takes 60 a minute. That is computed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from optimind.pipeline.delivery import DeliveryWorker
from optimind.sinks.sheets import SheetsSettings, SheetsSink
from optimind.storage import Ledger, open_ledger

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from ledger_marks import make_mark, url_of
from sheets_server import SheetsServer

MARKS = 10_000
SINGLES = 8
GOOGLE_A_MINUTE = 60
LONGEST_S = 300.0


def measure(shared: Path) -> tuple[dict[str, Any], str]:  # noqa: ARG001 - as the others; nothing of it is needed
    """Deliver, count at the server, and put what a naive project needs beside it."""
    with tempfile.TemporaryDirectory() as name:
        figures = {"backlog": backlog(Path(name) / "many"), "single": single(Path(name) / "one")}
    naive = {"reads": 0, "writes": MARKS, "seconds": 60.0 * MARKS / GOOGLE_A_MINUTE}
    figures["append_row"] = naive
    many, one = figures["backlog"], figures["single"]
    again = many["second_look"]
    return figures, "\n".join(
        [
            "| way | marks | reads | writes | sent, MB | received, MB | time |",
            "|---|---|---|---|---|---|---|",
            f"| OptiMind | {MARKS} | {many['reads']} | {many['writes']} | {many['sent_mb']:.1f} "
            f"| {many['received_mb']:.1f} | {many['seconds']:.1f} s |",
            f"| and the look at all of it once more | {MARKS} | {again['reads']} | {again['writes']} | | | later |",
            f"| append_row for each mark (computed) | {MARKS} | 0 | {MARKS} | | | {naive['seconds'] / 60:.0f} min |",
            "",
            f"One mark alone is in the sheet {one['median_s']:.1f} s after it was made (median of {SINGLES}; "
            f"the slowest {one['slowest_s']:.1f} s).",
        ]
    )


def backlog(folder: Path) -> dict[str, Any]:
    """10,000 marks that wait, as after a day without a network."""
    with SheetsServer() as server, delivering(server, folder) as (ledger, worker):
        for first in range(0, MARKS, 1000):
            ledger.record_many(
                [make_mark(f"{number:05}", name=f"Grace Hopper {number}") for number in range(first, first + 1000)],
                ["sheets"],
            )
        began = time.monotonic()
        worker.start()
        assert worker.flush(LONGEST_S), worker.status()
        seconds = time.monotonic() - began
        figures: dict[str, Any] = {"marks": MARKS, "seconds": round(seconds, 2), **counts(server)}
        assert len(server.sheet.records()) == MARKS
        while not is_looked_at(ledger):
            time.sleep(0.2)
        both = counts(server)
        figures["second_look"] = {kind: both[kind] - figures[kind] for kind in ("reads", "writes")}
    return figures


def single(folder: Path) -> dict[str, Any]:
    """One mark now and then: how long until its row stands in the sheet."""
    waits_s = []
    with SheetsServer() as server, delivering(server, folder) as (ledger, worker):
        ledger.record(make_mark("first"), ["sheets"])
        worker.start()
        assert worker.flush(LONGEST_S)
        for number in range(SINGLES):
            time.sleep(4.0 + number / SINGLES)
            began, requests = time.monotonic(), len(server.requests)
            ledger.record(make_mark(str(number)), ["sheets"])
            while not any(request.endswith("values:batchUpdate") for request in server.requests[requests:]):
                time.sleep(0.01)
            waits_s.append(time.monotonic() - began)
    return {"median_s": round(statistics.median(waits_s), 2), "slowest_s": round(max(waits_s), 2)}


@contextmanager
def delivering(server: SheetsServer, folder: Path) -> Iterator[tuple[Ledger, DeliveryWorker]]:
    """A ledger and what delivers from it, with the usual settings; only the second look comes sooner."""

    class Sooner(SheetsSink):
        recheck_s = 3.0

    folder.mkdir()
    settings = {
        "spreadsheet": server.spreadsheet,
        "credentials": {"file": server.write_key(folder)},
        "endpoint": server.url,
        "quota": {"folder": folder / "quota"},
    }
    with open_ledger(url_of(folder / "ledger.db")) as ledger:
        worker = DeliveryWorker(ledger, Sooner.create(SheetsSettings.model_validate(settings)))
        try:
            yield ledger, worker
        finally:
            worker.stop()


def counts(server: SheetsServer) -> dict[str, Any]:
    """What the server was asked so far; signing in is not counted by Google."""
    asked = [request for request in server.requests if not request.endswith("/token")]
    reads = sum(request.startswith("GET") for request in asked)
    return {
        "reads": reads,
        "writes": len(asked) - reads,
        "sent_mb": round(server.received_bytes / 1e6, 2),
        "received_mb": round(server.sent_bytes / 1e6, 2),
    }


def is_looked_at(ledger: Ledger) -> bool:
    """Whether all that was delivered was looked at once more."""
    return not ledger.outbox.second_look.due("sheets", datetime.now(UTC) + timedelta(hours=1), 1)
