"""The commands `sheets`: set the spreadsheet up, bring it in step with the ledger, who may see it, sharing it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from optimind.app.sheets import SyncResult, set_up_sheets, sheets_sink, synchronise, wide_accesses
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.config import load_config
from optimind.errors import UsageError

__all__ = ["app"]

NEEDS_A_PERSON = 3
_MOST_SHOWN = 20

app = typer.Typer(help="The register in Google Sheets: init, sync, audit, share.", no_args_is_help=True)


@app.command("init")
def init(*, data: DataOption = None, config: ConfigOption = None, as_document: JsonOption = False) -> None:
    """Make what is missing: worksheets, headers, colours, protection, the summary and its charts."""
    result = set_up_sheets(load_config(config), data)
    if as_document:
        document = {"made": result.made, "locale": result.locale, "time_zone": result.time_zone}
        print(json.dumps({**document, "warnings": result.warnings}, indent=1))
        return
    for made in result.made:
        print(printable(f"made {made}"))
    if not result.made:
        print("everything is there")
    print(printable(f"the spreadsheet's locale is {result.locale}, its time zone {result.time_zone}"))
    for warning in result.warnings:
        print(printable(f"warning: {warning}"))


@app.command("sync")
def sync(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    ask_drive: Annotated[
        bool, typer.Option("--ask-drive", help="Where a change has no name, take who changed the spreadsheet last.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Take up what people changed, send what waits, and repair what differs from the ledger."""
    result = synchronise(load_config(config), data, dry_run=dry_run, ask_drive=ask_drive)
    if as_document:
        print(json.dumps(_document(result), indent=1))
    else:
        _print(result)
    if result.error or result.left:
        raise typer.Exit(1)
    if result.difference.unreadable:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command("audit")
def audit(*, config: ConfigOption = None, as_document: JsonOption = False) -> None:
    """List who may see the spreadsheet, and warn where that is more than named people. Asks Google Drive."""
    accesses = sheets_sink(load_config(config)).sharing().accesses()
    warnings = wide_accesses(accesses)
    if as_document:
        people = [
            {name: getattr(each, name) for name in ("role", "type", "email", "name", "domain", "is_found")}
            for each in accesses
        ]
        print(json.dumps({"access": people, "warnings": warnings}, indent=1))
    else:
        table = Table("role", "who", "name", box=None)
        for each in accesses:
            who = {"anyone": "ANYONE WITH THE LINK", "domain": f"ALL OF {each.domain}"}.get(each.type, each.email)
            table.add_row(each.role, printable(who), printable(each.name))
        Console(highlight=False, markup=False).print(table)
        for warning in warnings:
            print(printable(f"WARNING: {warning}"))
        if not warnings:
            print("only these people and groups may see it")
    if warnings:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command("share")
def share(
    *,
    email: Annotated[str, typer.Option(metavar="ADDRESS", help="With whom.")],
    role: Annotated[
        Literal["reader", "commenter", "writer"], typer.Option(help="What they may do; a writer may correct.")
    ] = "reader",
    message: Annotated[
        str | None, typer.Option(help="Have Google write them a mail with this text; without it, no mail.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take their access away.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let somebody see the spreadsheet, or take that away. Asks Google Drive."""
    if "@" not in email.strip("@"):
        raise UsageError(f"{email!r} is no e-mail address", mend="write it like --email ana@school.example")
    sharing = sheets_sink(load_config(config)).sharing()
    if not remove:
        sharing.grant(email, role, message)
        print(printable(f"{email} may see the spreadsheet now, as {role}"))
        return
    mine = [each for each in sharing.accesses() if each.email.casefold() == email.casefold()]
    if not mine:
        raise UsageError(f"{email} has no access of their own", mend="optimind sheets audit shows who has")
    if any(each.role == "owner" for each in mine):
        raise UsageError(f"{email} owns the spreadsheet", mend="give it to another owner first, in the browser")
    for each in mine:
        sharing.remove(each)
    print(printable(f"{email} may not see the spreadsheet any more"))


def _document(result: SyncResult) -> dict[str, Any]:
    found, difference = result.picked_up, result.difference
    kinds = ("missing", "stale", "doubled", "misplaced", "foreign")
    return {
        "records": result.records,
        "waiting": result.waiting,
        "corrections": [
            {"record_id": each.record_id, "status": str(each.status), "actor": each.actor} for each in found.corrections
        ],
        "put_back": [{"record_id": each.record_id, "text": each.text} for each in found.put_back],
        **{kind: len(getattr(difference, kind)) for kind in kinds},
        "unreadable": difference.unreadable,
        "left": result.left,
        "error": result.error,
    }


_DIFFERENCES = {
    "missing": ("row was missing", "rows were missing"),
    "stale": ("row said something else", "rows said something else"),
    "doubled": ("row stood there twice", "rows stood there twice"),
    "misplaced": (
        "letter or name in a register was missing or wrong",
        "letters or names in registers were missing or wrong",
    ),
    "foreign": (
        "row is of no record here (another machine's?); it is left alone",
        "rows are of no record here (another machine's?); they are left alone",
    ),
}


def _print(result: SyncResult) -> None:
    print(f"{_counted(result.records, 'record', 'records')}; {result.waiting} waited to be sent")
    _print_changes(result)
    for kind, words in _DIFFERENCES.items():
        if count := len(getattr(result.difference, kind)):
            print(_counted(count, *words))
    for title in result.difference.unreadable:
        print(
            printable(f"the worksheet {title!r} has no row with person_id, name and notes: put it back, or delete it")
        )
    if result.error:
        print(printable(f"not everything was sent: {' '.join(result.error.split())}"))
    if result.left is None:
        print("nothing was changed (a dry run)")
    elif result.left:
        print(_counted(result.left, "row is still wrong", "rows are still wrong"))
    else:
        print("the sheet equals the ledger")


def _print_changes(result: SyncResult) -> None:
    """What people had changed: whose status, not the record's id."""
    found = result.picked_up
    lines = {
        "corrected in the sheet": [
            (each.record_id, f"is {each.status}, by {each.actor}") for each in found.corrections
        ],
        "put back": [(each.record_id, f"said {each.text[:40]!r}") for each in found.put_back],
    }
    for what, changes in lines.items():
        for record_id, said in changes[:_MOST_SHOWN]:
            print(printable(f"{what}: {result.whose.get(record_id, record_id)} {said}"))
        if len(changes) > _MOST_SHOWN:
            print(f"{what}: {len(changes) - _MOST_SHOWN} more")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
