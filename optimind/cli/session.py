"""The commands `session`: start and stop a session by hand."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from optimind.app import by_hand
from optimind.app.configured import ledger_url
from optimind.app.corrections import known_classes
from optimind.cli.dates import parse_moment
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.config import Config, load_config
from optimind.core.timetable import Meeting
from optimind.storage import open_ledger

__all__ = ["app"]

app = typer.Typer(help="Sessions that are started by hand, besides those of the timetable.", no_args_is_help=True)

AtOption = Annotated[
    str | None, typer.Option("--at", metavar="ISO8601", help="When, for example 2026-09-01T08:00 (default: now).")
]


@app.command("start")
def start(
    *,
    class_id: Annotated[
        str, typer.Option("--class", help="Whose session it is; its roster decides who is absent.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="What it is called.")] = "",
    room: Annotated[str | None, typer.Option("--room", help="Where, if there is more than one room.")] = None,
    minutes: Annotated[float, typer.Option(min=1, max=24 * 60, help="When it ends, if nobody stops it.")] = 45,
    at: AtOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Start a session: whoever is seen in its room from now on is marked for it. A run notices it within seconds."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data)) as ledger:
        meeting = by_hand.start(
            settings, ledger, class_id=class_id, name=name, room=room, at=_at(at, settings), minutes=minutes
        )
        known = known_classes(settings, ledger)
    _print(meeting, settings, "goes on until", as_document=as_document)
    if class_id and known and class_id not in known:
        told = f"no roster and no timetable names a class {class_id}, so nobody will be absent; there are: "
        print(printable(told + ", ".join(known)), file=sys.stderr)


@app.command("stop")
def stop(
    *,
    session: Annotated[str | None, typer.Argument(metavar="NAME", help="Which, if several go on.")] = None,
    at: AtOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """End a session that was started by hand; who of its class was not seen is absent then."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        meeting = by_hand.stop(ledger, session, _at(at, settings))
    _print(meeting, settings, "ended at", as_document=as_document)


@app.command("list")
def list_sessions(
    *,
    at: AtOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """List the sessions that go on and were started by hand."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        found = by_hand.running(ledger, _at(at, settings))
    if as_document:
        print(json.dumps([_document(meeting, settings) for meeting in found], ensure_ascii=False, indent=1))
        return
    for meeting in found:
        _print(meeting, settings, "goes on until", as_document=False)
    if not found:
        print("no session that was started by hand goes on")


def _at(text: str | None, settings: Config) -> datetime:
    return datetime.now(UTC) if text is None else parse_moment(text, "--at", settings.zone())


def _print(meeting: Meeting, settings: Config, what: str, *, as_document: bool) -> None:
    if as_document:
        print(json.dumps(_document(meeting, settings), ensure_ascii=False, indent=1))
        return
    ends_at = meeting.ends_at.astimezone(settings.zone())
    print(printable(f'"{meeting.session}" in room {meeting.room} {what} {ends_at:%H:%M}'))


def _document(meeting: Meeting, settings: Config) -> dict[str, Any]:
    return {
        "date": meeting.date.isoformat(),
        "session": meeting.session,
        "class": meeting.class_id,
        "room": meeting.room,
        "starts_at": meeting.starts_at.astimezone(settings.zone()).isoformat(),
        "ends_at": meeting.ends_at.astimezone(settings.zone()).isoformat(),
    }
