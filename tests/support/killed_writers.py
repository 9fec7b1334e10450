"""Processes that keep marks in a ledger and deliver them, started by the dozen and killed: they share what is loaded.

Each is forked from a process that has loaded everything, so that it works a moment after it was started.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from ledger_marks import make_mark, url_of
from school import DAY, seen, timetable

from optimind.pipeline.delivery import DeliveryWorker
from optimind.plugin_api import AttendanceMarked
from optimind.sinks import _sheets_worksheet
from optimind.sinks.sheets import SheetsSettings, SheetsSink
from optimind.storage import Ledger, open_ledger

__all__ = ["RECHECK_S", "Writers"]

RECHECK_S = 2.0
MANY = 100_000
DONE_S = 300.0
LONGEST_S = 900.0


class Writers:
    """Starts the processes; ``settings`` are those of the Sheets sink."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "warm_ledger"])
        # What is loaded ahead is found by the environment alone.
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        try:
            forkserver.ensure_running()
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before

    def start(self, ledger: Path, acknowledged: Path, first: int, *, step: int = 1) -> ForkServerProcess:
        """One that makes marks, number ``first`` and every ``step``th after it, until it is killed."""
        return self._begin(write, ledger, acknowledged, first, step)

    def finish(self, ledger: Path) -> ForkServerProcess:
        """One that makes none and ends when all that waited is there, and was looked at once more."""
        return self._begin(deliver_the_rest, ledger)

    def _begin(self, work: Any, *arguments: Any) -> ForkServerProcess:
        process = self._context.Process(target=work, args=(self._settings, *arguments), daemon=True)
        process.start()
        return process


def write(settings: dict[str, Any], ledger_file: Path, acknowledged: Path, first: int, step: int) -> None:
    """Keep marks: each third is of somebody new, the others are of people seen before, so that rows change."""
    said = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with open_ledger(url_of(ledger_file)) as ledger:
        worker_on(ledger, settings).start()
        number = first
        # An end, for where whoever is to kill it is no more.
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            person = number // 3 if number % 3 == 0 else (number * 7919) % (number // 3 + 1)
            mark = mark_of(f"{ledger_file.stem}-{person}", person, number, ledger_file.stem)
            row = ledger.record(mark, ["sheets"])
            os.write(said, f"{row.person_id} {row.last_seen_at:%Y-%m-%dT%H:%M:%S%z}\n".encode())
            number += step
            time.sleep(0.03)


def mark_of(person_id: str, person: int, number: int, session: str) -> AttendanceMarked:
    """Two of three people are of a class, in one of its two lessons; who is seen again may not be late any more."""
    if person % 3 == 0:
        return make_mark(person_id, sighting=f"s{number}", last_s=10 + number, session=session)
    lesson = timetable().on(DAY)[person % 3 - 1]
    first_min = 10.0 if number % 2 == 0 else 0.0
    return seen(lesson, person_id, first_min, first_min + (10 + number) / 120, sighting_id=f"s{number}")


def deliver_the_rest(settings: dict[str, Any], ledger_file: Path) -> None:
    """End with 0 once nothing waits and nothing is left to be looked at."""
    with open_ledger(url_of(ledger_file)) as ledger:
        worker = worker_on(ledger, settings)
        worker.start()
        began = quiet_since = time.monotonic()
        # A look may find something to be sent again, which is looked at after so many seconds.
        while time.monotonic() - quiet_since < 2 * RECHECK_S and time.monotonic() - began < DONE_S:
            if not worker.flush(1.0) or is_unseen(ledger):
                quiet_since = time.monotonic()
            time.sleep(0.1)
        worker.stop()
        if worker.status()["pending"] or worker.status()["dead"] or is_unseen(ledger):
            raise SystemExit(f"{ledger_file}: {worker.status()}")


def is_unseen(ledger: Ledger) -> bool:
    """Whether a row was not looked at since it was delivered."""
    return bool(ledger.outbox.second_look.due("sheets", datetime.now(UTC) + timedelta(hours=1), 1))


def worker_on(ledger: Ledger, settings: dict[str, Any]) -> DeliveryWorker:
    logging.disable(logging.WARNING)
    _sheets_worksheet._SETTLE_S = 0.05
    SheetsSink.recheck_s = RECHECK_S
    sink = SheetsSink.create(SheetsSettings.model_validate(settings))
    return DeliveryWorker(ledger, sink, interval_s=0.02, first_pause_s=0.02, longest_pause_s=0.2)
