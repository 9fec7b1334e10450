"""The commands `visitors`: people whom the cameras saw and nobody enrolled, and enrolling one of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer
from rich.console import Console
from rich.table import Column, Table

from optimind.app.configured import ledger_url
from optimind.app.consent import consenting
from optimind.app.contact_sheet import contact_sheet
from optimind.app.enrolling import Enrolment, Others, as_json, enrol_visitor
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.cli.progress import one_interrupt, photograph_progress
from optimind.config import Config, load_config
from optimind.errors import OptiMindError, UsageError
from optimind.storage.visitors import Forgotten, Visitor, VisitorStore

__all__ = ["app"]

NEEDS_A_PERSON = 3
_ENOUGH_PHOTOGRAPHS = 3

app = typer.Typer(help="Unknown people whom the cameras saw: list, show, enrol, forget.", no_args_is_help=True)

VisitorId = Annotated[int, typer.Argument(metavar="ID", help="The visitor's number, as `visitors list` shows it.")]


@app.command("list")
def list_visitors(
    *,
    days: Annotated[int | None, typer.Option(min=1, help="Only those seen in the last so many days.")] = None,
    camera: Annotated[str | None, typer.Option(metavar="ID", help="Only those whom this camera saw.")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """List who was seen, the latest first: when, how often, by which cameras, and how large the best picture is."""
    settings = load_config(config)
    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    with _store(settings, data) as store:
        found = store.visitors(since=since, camera=camera)
    if as_document:
        print(json.dumps([_document(visitor) for visitor in found], indent=1))
        return
    _print(found, settings.zone())


@app.command("show")
def show_visitor(
    *,
    visitor_id: VisitorId,
    output: Annotated[Path, typer.Option(metavar="FILE.jpg", help="Where to draw the pictures, with their times.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw all pictures of a visitor side by side, for whoever may know them."""
    settings = load_config(config)
    if not output.parent.is_dir() or output.is_dir() or not cv2.haveImageWriter(str(output)):
        raise UsageError(f"--output {output} can be no picture", mend="name a .jpg or .png in a folder that exists")
    with _store(settings, data) as store:
        visitor, shots = store.visitor(visitor_id), store.shots(visitor_id)
    if not shots:
        raise UsageError(
            f"visitor {visitor_id} has no picture any more", mend="optimind visitors list shows how many each has"
        )
    _write(output, cv2.imencode(output.suffix, contact_sheet(shots, settings.zone()))[1].tobytes())
    print(printable(f"visitor {visitor.visitor_id}, {_visits(visitor)}, {len(shots)} pictures: {output}"))
    print("it shows the face of somebody who may not know of it: delete the file when you have looked", file=sys.stderr)


@app.command("enrol")
def enrol(
    *,
    visitor_id: VisitorId,
    name: Annotated[str | None, typer.Option(help="Who it is; of that name there may be photographs already.")] = None,
    person: Annotated[
        str | None, typer.Option(metavar="ID", help="The same by the person's id, the name of their folder.")
    ] = None,
    dataset: Annotated[Path, typer.Option(help="The folder of photographs.")] = Path("datasets"),
    gallery: Annotated[Path | None, typer.Option(help="The gallery file (default: what the settings say).")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the visitor looks like somebody else than you say.")
    ] = False,
    visits: Annotated[bool, typer.Option("--visits", help="Print when they were here before.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Enrol a visitor: the best pictures become photographs of that person, and the gallery knows them."""
    if (name is None) == (person is None):
        raise UsageError("say who it is", mend="with one of --name NAME and --person ID")
    settings = load_config(config)
    with _store(settings, data) as store, one_interrupt(), photograph_progress() as on_progress:
        result = enrol_visitor(
            settings,
            store,
            visitor_id,
            dataset=dataset,
            output=gallery or settings.gallery,
            name=name,
            person_id=person,
            force=force,
            consenting=consenting(settings, ledger_url(settings, data)),
            progress=on_progress,
        )
    if as_document:
        print(json.dumps(as_json(result), indent=1))
    else:
        _print_enrolment(result, settings.zone() if visits else None)
    if not result.is_enrolled or result.warnings:
        raise typer.Exit(NEEDS_A_PERSON)


@app.command("merge")
def merge(
    *,
    visitor_id: VisitorId,
    other_id: Annotated[int, typer.Argument(metavar="ID", help="The number of who is the same person.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Make two visitors one who are the same person; the first number stays."""
    with _store(load_config(config), data) as store:
        visitor = store.merge(visitor_id, other_id)
    if as_document:
        print(json.dumps(_document(visitor), indent=1))
    else:
        print(f"visitor {other_id} is visitor {visitor_id} now: {_visits(visitor)}, {visitor.pictures} pictures")


@app.command("forget")
def forget(
    *,
    visitor_ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Whom to forget.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Forget all of them.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Delete visitors: their pictures, embeddings and visits."""
    if bool(visitor_ids) == everybody:
        raise UsageError("say whom to forget", mend="name their numbers, or --all")
    with _store(load_config(config), data) as store:
        for visitor_id in visitor_ids or []:
            store.visitor(visitor_id)
        gone = store.forget(None if everybody else visitor_ids)
    if as_document:
        print(json.dumps({"visitors": gone.visitors, "tracks": gone.tracks, "pictures": gone.pictures}))
    else:
        print(_deleted(gone))


@contextmanager
def _store(settings: Config, data: Path | None) -> Iterator[VisitorStore]:
    """The visitors, those left out who are too old by now."""
    with VisitorStore(ledger_url(settings, data), create=False, sealer=settings.privacy.sealer()) as store:
        days = settings.visitors.keep_days
        if days:
            store.sweep(datetime.now(UTC) - timedelta(days=days))
        else:
            print(
                "visitors.keep_days is 0: nobody new is kept, and the next run deletes those who are here",
                file=sys.stderr,
            )
        yield store


def _document(visitor: Visitor) -> dict[str, Any]:
    return {
        "id": visitor.visitor_id,
        "first_seen_at": visitor.first_seen_at.isoformat(),
        "last_seen_at": visitor.last_seen_at.isoformat(),
        "visits": len(visitor.visits),
        "cameras": list(visitor.cameras),
        "pictures": visitor.pictures,
        "face_px": round(visitor.face_px),
        "embedder": visitor.embedder,
    }


def _print(visitors: list[Visitor], zone: tzinfo) -> None:
    if not visitors:
        print("no visitors")
        return
    numbers = [Column(heading, justify="right") for heading in ("id", "visits", "pictures", "best, px")]
    table = Table(
        numbers[0], "first seen", "last seen", numbers[1], Column("cameras", overflow="fold"), *numbers[2:], box=None
    )
    for visitor in visitors:
        table.add_row(
            str(visitor.visitor_id),
            _time(visitor.first_seen_at, zone),
            _time(visitor.last_seen_at, zone),
            str(len(visitor.visits)),
            printable(", ".join(visitor.cameras)),
            str(visitor.pictures),
            f"{visitor.face_px:.0f}",
        )
    Console(highlight=False, markup=False).print(table)


def _print_enrolment(result: Enrolment, zone: tzinfo | None) -> None:
    number, owner = result.visitor.visitor_id, result.owner
    if result.is_enrolled:
        count = len(result.files)
        photographs = "1 photograph" if count == 1 else f"{count} photographs"
        said = f"is enrolled with {photographs}" if owner.is_new else f"has {photographs} more"
        print(printable(f"{owner.name} ({owner.person_id}) {said}; visitor {number} is deleted"))
        for file in result.files:
            print(printable(f"  {file}"))
        if owner.is_new and count < _ENOUGH_PHOTOGRAPHS:
            print("three photographs of different days are surer: add some to the folder and run encode")
        print("a run that is going on knows them in a few seconds")
    else:
        changed = "nothing was changed" if result.others is None else "no photograph of theirs was added"
        print(printable(f"visitor {number} was not enrolled; {changed}"))
    if result.refused:
        print(printable(f"refused: {result.refused}"))
    for reason, detail in result.rejected:
        print(printable(f"not used: {reason}, {detail}"))
    for kind, detail in result.warnings:
        print(printable(f"{kind}: {detail}"))
    if result.others is not None and any(result.others):
        print(_along(result.others))
    if zone is not None:
        for first, last in result.visitor.visits:
            print(f"  was here {_time(first, zone)} - {_time(last, zone)}")


def _along(others: Others) -> str:
    """What `encode` would have done at its next call."""
    why = "; encode says why" if others.rejected else ""
    return (
        f"of the other photographs in the folder, {others.enrolled} are new in the gallery, "
        f"{others.removed} are no longer in it, and {others.rejected} could not be used{why}"
    )


def _visits(visitor: Visitor) -> str:
    return "1 visit" if len(visitor.visits) == 1 else f"{len(visitor.visits)} visits"


def _time(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _deleted(gone: Forgotten) -> str:
    visitors = "1 visitor" if gone.visitors == 1 else f"{gone.visitors} visitors"
    return f"deleted: {visitors}, with {gone.tracks} tracks and {gone.pictures} pictures"


def _write(path: Path, content: bytes) -> None:
    """Write a picture of a face for its owner's eyes only."""
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise OptiMindError(
            f"the picture {path} cannot be written: {error.strerror}", mend="name a .jpg in a folder that exists"
        ) from error
