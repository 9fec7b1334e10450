"""The commands `attendance`: the register from the ledger, what people say of it, and why it says what it does."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from optimind.app.configured import ledger_url
from optimind.app.corrections import sink_names
from optimind.app.timetables import settle
from optimind.cli.dates import parse_day
from optimind.cli.lazy_group import group_of
from optimind.cli.options import ConfigOption, DataOption, printable
from optimind.config import load_config
from optimind.errors import StorageError
from optimind.exports import write_register
from optimind.plugin_api import RecordRow
from optimind.storage import open_ledger

__all__ = ["app"]

log = logging.getLogger(__name__)

_COMMANDS = {
    "correct": "optimind.cli.corrections:correct",
    "withdraw": "optimind.cli.corrections:withdraw",
    "excuse": "optimind.cli.corrections:excuse",
    "excuses": "optimind.cli.corrections:excuses",
    "show": "optimind.cli.evidence:show",
    "history": "optimind.cli.evidence:history",
    "verify": "optimind.cli.evidence:verify",
    "headcount": "optimind.cli.evidence:headcount",
}

_MOST_NAMED = 20

app = typer.Typer(
    cls=group_of(_COMMANDS),
    help="The register: print it, correct it, and see why it says what it does.",
    no_args_is_help=False,
)


@app.callback(invoke_without_command=True)
def attendance(
    context: typer.Context,
    *,
    data: DataOption = None,
    session: Annotated[str | None, typer.Option(help="Only this session.")] = None,
    day: Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Only this date.")] = None,
    form: Annotated[
        Literal["table", "csv", "json", "xlsx"], typer.Option("--format", help="How to print it.")
    ] = "table",
    output: Annotated[Path | None, typer.Option(help="A file to write to instead of the screen.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print the register: who was present, from when to when, and how sure that is. Or one of the commands below."""
    if context.invoked_subcommand is not None:
        return
    settings = load_config(config)
    wanted = parse_day(day, "--date")
    # Looking at a register must not make one: at a mistyped place it would be empty.
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        try:
            # Of sessions that have ended since the last run, who did not come.
            settle(settings, ledger, sink_names(settings))
        except StorageError as error:
            # A register that may be read only is still one to look at.
            log.warning("who did not come could not be entered: %s", error)
        rows = ledger.register(session=session, date=wanted)
        if session is not None and not rows:
            _say_which(session, ledger.register(date=wanted))
    write_register(rows, form, output, settings.zone())


def _say_which(session: str, rows: Iterable[RecordRow]) -> None:
    """Say which sessions there are where the one that was asked for has no record."""
    names = sorted({row.session for row in rows if row.session})
    there = f"there are: {', '.join(names[:_MOST_NAMED])}" if names else "there is none at all"
    print(printable(f'no record is of a session "{session}"; {there}'), file=sys.stderr)
