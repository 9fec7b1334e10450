"""The command `attendance`: the register from the ledger."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer

from optimind.app.running import ledger_url
from optimind.cli.options import ConfigOption, DataOption
from optimind.config import load_config
from optimind.errors import UsageError
from optimind.exports import write_register
from optimind.storage import open_ledger

__all__ = ["attendance"]


def attendance(
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
    """Print the register: who was present, from when to when, and how sure that is."""
    settings = load_config(config)
    wanted = _date(day)
    # Looking at a register must not make one: at a mistyped place it would be empty.
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        rows = ledger.register(session=session, date=wanted)
    write_register(rows, form, output, settings.zone())


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--date {text!r} is no date", mend="write it as 2026-09-01") from error
