"""The commands `register`: a class's month on paper or as a file."""

from __future__ import annotations

import getpass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, cast

import typer

from optimind.app.configured import ledger_url
from optimind.app.register import class_month, session_month
from optimind.cli.options import ConfigOption, DataOption
from optimind.config import load_config
from optimind.errors import UsageError
from optimind.exports import MonthFormat, write_month
from optimind.storage import open_ledger

__all__ = ["app"]

_FORMS = ("html", "xlsx", "csv", "json")

app = typer.Typer(help="The register of a class and month, to print or to keep.", no_args_is_help=True)


@app.callback()
def register() -> None:
    """The register of a class and month, to print or to keep."""


@app.command("print")
def print_month(
    *,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="Which month.")],
    class_id: Annotated[str | None, typer.Option("--class", metavar="ID", help="Which class of the timetable.")] = None,
    session: Annotated[str | None, typer.Option(help="Which session, where there is no timetable.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file; .html, .xlsx, .csv or .json say in which form it is written.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="html, xlsx, csv or json, whatever the file's name.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who prints it, for the page's foot (default: you).")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a class's month: people down, meetings across. Open the HTML in a browser to print it or save it as PDF."""
    if (class_id is None) == (session is None):
        raise UsageError("say which register", mend="with one of --class ID and --session NAME")
    first, wanted = _month(month), _form(form, output)
    settings = load_config(config)
    zone = settings.zone()
    # Looking at a register must not make one: at a mistyped place it would be empty.
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        if class_id is not None:
            found = class_month(ledger, class_id, first, zone)
        else:
            found = session_month(ledger, str(session), first, zone)
    write_month(found, wanted, output, printed_by=by or _user(), printed_at=datetime.now(zone))


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError as error:
        raise UsageError(f"--month {text!r} is no month", mend="write it as 2026-09") from error


def _form(form: str | None, output: Path | None) -> MonthFormat:
    told = form if form is not None else output.suffix.removeprefix(".").lower() if output else "html"
    if told == "pdf":
        raise UsageError(
            "no PDF is written",
            mend="write .html, open it in a browser, and choose Print, Save as PDF: nothing is lost",
        )
    if told == "htm":
        told = "html"
    if told not in _FORMS:
        raise UsageError(
            f"{told or 'no ending'!r} is no form of a register", mend="one of html, xlsx, csv and json, with --format"
        )
    return cast("MonthFormat", told)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return "somebody"
