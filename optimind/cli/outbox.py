"""The commands `outbox`: what waits for each sink, what one does not take, and trying that again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from optimind.app.configured import ledger_url
from optimind.app.outbox import OutboxStanding, document, retry, standing
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.config import load_config
from optimind.errors import UsageError
from optimind.storage import open_ledger

__all__ = ["app"]

NEEDS_A_PERSON = 3

app = typer.Typer(help="What waits for the sinks, and what one does not take.", no_args_is_help=True)

SinkOption = Annotated[str | None, typer.Option("--sink", metavar="NAME", help="Only this sink.")]


@app.command("list")
def list_outbox(
    *,
    sink: SinkOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Say how many rows wait for each sink, since when and why, and which records one does not take."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        found = standing(ledger, sink, datetime.now(UTC))
    if as_document:
        print(json.dumps(document(found), indent=1))
    else:
        _print(found, settings.zone())
    if found.dead:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command("retry")
def retry_dead(
    *,
    sink: SinkOption = None,
    record: Annotated[
        list[str] | None, typer.Option("--record", metavar="ID", help="This record. May be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All records of the dead letter.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Take records out of the dead letter: the run that is going on, or the next one, sends them again."""
    if bool(record) == everything:
        raise UsageError("say what to try again", mend="with --record ID, or --all")
    with open_ledger(ledger_url(load_config(config), data), create=False) as ledger:
        count = retry(ledger, sink, record or None)
    if as_document:
        print(json.dumps({"retried": count}))
    else:
        print("1 row is sent again" if count == 1 else f"{count} rows are sent again")


def _print(found: OutboxStanding, zone: tzinfo) -> None:
    console = Console(highlight=False, markup=False)
    if not found.sinks:
        print("no sink: nothing was ever to be sent")
        return
    numbers = [Column(heading, justify="right") for heading in ("waiting", "not taken")]
    table = Table("sink", numbers[0], "for", numbers[1], Column("last error", overflow="fold"), box=None)
    for each in found.sinks:
        waits = _length(found.waits_s(each)) if each.pending else ""
        table.add_row(printable(each.sink), str(each.pending), waits, str(each.dead), _line(each.last_error))
    console.print(table)
    if not found.dead:
        return
    print("\nnot taken (mend the reason, then: optimind outbox retry --all):")
    for row in found.dead:
        since = "" if row.dead_at is None else f", since {row.dead_at.astimezone(zone):%Y-%m-%d %H:%M}"
        who = f"{row.row.date}, {row.row.session}, {row.row.name} ({row.row.person_id})"
        # Lines, not a table: nothing of an id or a reason may be cut off.
        print(printable(f"  {row.row.record_id}  {row.sink}: {who}{since}"))
        print(f"    {_line(row.reason)}")


def _line(text: str | None) -> str:
    return printable(" ".join((text or "").split()))


def _length(seconds: float) -> str:
    """How long, in the largest unit that fits: 5 s, 3 min, 2 h, 4 days."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
