"""The commands `outbox` on a real ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of
from typer.testing import CliRunner, Result

from optimind.cli.outbox import app
from optimind.errors import UsageError
from optimind.storage import Ledger, open_ledger

Run = Callable[..., Result]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(url_of(tmp_path / "data" / "optimind.db"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "config.yaml").write_text("cameras: []\ntimezone: UTC\n")

    def call(*arguments: str) -> Result:
        command, *rest = arguments
        return CliRunner().invoke(app, [command, "--config", str(tmp_path / "config.yaml"), *rest])

    return call


def give_up(ledger: Ledger, person: str = "1", reason: str = "the cell\nis too long") -> str:
    row = ledger.record(make_mark(person, name="=Ana\x1b[31m"), ["sheets"])
    ledger.outbox.dead_letter.put("sheets", [(row.record_id, row.version)], reason)
    return row.record_id


def test_what_waits_and_what_is_dead_is_listed(ledger: Ledger, run: Run) -> None:
    dead = give_up(ledger)
    waiting = ledger.record(make_mark("2"), ["sheets", "webhook"])
    ledger.outbox.delayed("sheets", [waiting.record_id], "busy", datetime.now(UTC))
    answer = run("list")
    assert answer.exit_code == 3
    for text in ("sheets", "webhook", "busy", dead, "the cell is too long", "=Ana\\x1b"):
        assert text in answer.output
    assert "\x1b" not in answer.output


def test_the_document_has_it_all(ledger: Ledger, run: Run) -> None:
    dead = give_up(ledger)
    ledger.record(make_mark("2"), ["webhook"])
    told = json.loads(run("list", "--json").output)
    sheets, webhook = told["sinks"]
    assert (sheets["sink"], sheets["pending"], sheets["oldest"], sheets["oldest_s"], sheets["dead"]) == (
        *("sheets", 0, None, 0.0),
        1,
    )
    assert (webhook["sink"], webhook["pending"], webhook["dead"], webhook["last_error"]) == ("webhook", 1, 0, None)
    assert 0 <= webhook["oldest_s"] < 600
    (row,) = told["dead"]
    assert (row["record_id"], row["reason"], row["version"]) == (dead, "the cell\nis too long", 1)
    assert [each["sink"] for each in json.loads(run("list", "--json", "--sink", "webhook").output)["sinks"]] == [
        "webhook"
    ]


def test_an_empty_outbox_is_said(ledger: Ledger, run: Run) -> None:
    answer = run("list")
    assert (answer.exit_code, answer.output.strip()) == (0, "no sink: nothing was ever to be sent")


@pytest.mark.parametrize("form", ["--all", "--record"])
def test_it_is_tried_again(ledger: Ledger, run: Run, form: str) -> None:
    dead, other = give_up(ledger, "1"), give_up(ledger, "2")
    answer = run("retry", *(["--all"] if form == "--all" else ["--record", dead]), "--json")
    assert json.loads(answer.output) == {"retried": 2 if form == "--all" else 1}
    due = {row.record_id for row, _ in ledger.outbox.due("sheets", 9, datetime.now(UTC))}
    assert due == ({dead, other} if form == "--all" else {dead})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retry"], "say what to try again"),
        (["retry", "--all", "--record", "r1"], "say what to try again"),
        (["retry", "--record", "r1"], "r1 is not in the dead letter"),
        (["retry", "--all", "--sink", "sheet"], "nothing was ever meant for a sink 'sheet'"),
        (["list", "--sink", "sheet"], "nothing was ever meant for a sink 'sheet'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(ledger: Ledger, run: Run, arguments: list[str], message: str) -> None:
    give_up(ledger)
    answer = run(*arguments)
    assert isinstance(answer.exception, UsageError)
    assert message in answer.exception.message
    assert answer.exception.mend


def test_looking_makes_no_ledger(tmp_path: Path, run: Run) -> None:
    assert isinstance(run("list").exception, UsageError)
    assert not (tmp_path / "data").exists()
