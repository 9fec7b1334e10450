"""A process killed at any moment loses no acknowledged mark, and in the end no row is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of
from sheets_server import Fault, SheetsServer

from optimind.storage import open_ledger

SUPPORT = Path(__file__).resolve().parent.parent / "support"
WAIT_S = 60


@pytest.fixture
def server() -> Iterator[SheetsServer]:
    with SheetsServer() as running:
        yield running


class Children:
    """Starts processes on one ledger and one sheet."""

    def __init__(self, server: SheetsServer, folder: Path) -> None:
        self.server = server
        self.ledger = folder / "data" / "ledger.db"
        self._key = server.write_key(folder)

    def start(self, marks: int, first: int = 0) -> subprocess.Popen[str]:
        arguments = [str(self.ledger), str(self._key), self.server.spreadsheet, self.server.url, str(marks), str(first)]
        return subprocess.Popen(
            [sys.executable, str(SUPPORT / "delivering_child.py"), *arguments], stdout=subprocess.PIPE, text=True
        )

    def finish(self) -> None:
        """Let a last process deliver what is pending."""
        with self.start(0) as child:
            assert child.wait(WAIT_S) == 0

    def check(self, acknowledged: set[int]) -> None:
        """The ledger has what was acknowledged, and the sheet what the ledger has, once."""
        with open_ledger(url_of(self.ledger)) as ledger:
            wanted = {row.record_id: row.seconds_seen for row in ledger.register()}
            people = {row.person_id for row in ledger.register()}
            assert ledger.outbox.lag("sheets") == (0, None)
        assert people >= {str(number % 20) for number in acknowledged}
        records = self.server.sheet.records()
        assert len(records) == len(wanted)
        assert {record["record_id"]: record["seconds_seen"] for record in records} == wanted


def acknowledged_by(child: subprocess.Popen[str]) -> set[int]:
    assert child.stdout is not None
    return {int(line) for line in child.stdout if line.strip().isdigit()}


@pytest.mark.parametrize("moment", ["before the write", "after the write", "at the read-back"])
def test_killed_between_ledger_and_sheet(server: SheetsServer, tmp_path: Path, moment: str) -> None:
    children = Children(server, tmp_path)
    with children.start(1, first=7) as earlier:  # so that the worksheet and its header are there
        assert earlier.wait(WAIT_S) == 0
    with children.start(5) as child:
        # The server sees the request at a known point of the delivery, and kills the client there.
        fault = Fault("values:batchUpdate", after=moment != "before the write", reset=True)
        if moment == "at the read-back":
            inner = Fault("values:batchGet", reset=True, action=lambda: os.kill(child.pid, signal.SIGKILL))
            fault = Fault("values:batchUpdate", after=True, action=lambda: server.faults.append(inner))
        else:
            fault.action = lambda: os.kill(child.pid, signal.SIGKILL)
        server.faults.append(fault)
        assert child.wait(WAIT_S) == -signal.SIGKILL
        acknowledged = acknowledged_by(child)
    assert acknowledged
    with open_ledger(url_of(children.ledger)) as ledger:
        assert ledger.outbox.lag("sheets")[0] > 0
    server.faults.clear()
    children.finish()
    children.check(acknowledged)


def test_killed_again_and_again(server: SheetsServer, tmp_path: Path) -> None:
    children = Children(server, tmp_path)
    acknowledged: set[int] = set()
    for number in range(3):
        with children.start(500, first=number * 500) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if line.strip().isdigit():
                    acknowledged.add(int(line))
                if len(acknowledged) >= 15 * (number + 1) + number * 7:
                    break
            child.kill()
            acknowledged |= acknowledged_by(child)
    children.finish()
    children.check(acknowledged)


def test_two_processes_deliver_from_one_ledger(server: SheetsServer, tmp_path: Path) -> None:
    children = Children(server, tmp_path)
    with children.start(60) as one, children.start(60, first=60) as other:
        acknowledged = acknowledged_by(one) | acknowledged_by(other)
        assert (one.wait(WAIT_S), other.wait(WAIT_S)) == (0, 0)
    assert acknowledged == set(range(120))
    children.check(acknowledged)


def test_processes_that_make_the_ledger_at_once_all_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ledger_marks import *; from optimind.storage import open_ledger\n"
        "print('up', flush=True); sys.stdin.readline()\n"
        "with open_ledger(url_of(Path(sys.argv[1]))) as ledger: ledger.record(make_mark(sys.argv[2]))\n"
    )
    path = tmp_path / "new" / "ledger.db"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SUPPORT)},
        )
        for number in range(4)
    ]
    for child in started:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
    for child in started:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in started:
        child.communicate(timeout=WAIT_S)
    assert [child.returncode for child in started] == [0, 0, 0, 0]
    with open_ledger(url_of(path)) as ledger:
        assert {row.person_id for row in ledger.register()} == {"0", "1", "2", "3"}
        ledger.record(make_mark("5"))
