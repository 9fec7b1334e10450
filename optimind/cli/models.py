"""The commands `models list`, `models pull` and `models add`: the networks that an engine can use."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from optimind.cli.lazy_group import group_of
from optimind.cli.options import JsonOption, printable
from optimind.config.document import Document
from optimind.config.validation import validate
from optimind.errors import ConfigError, Interrupted, UsageError
from optimind.weights.description import ModelDescription
from optimind.weights.download import OnProgress
from optimind.weights.pull import NotFetched, other_ways, pull, refuse_without_licence
from optimind.weights.store import DEFAULT_MODELS, Model, ModelStore, how_to_have

__all__ = ["app"]

NEEDS_A_PERSON = 3
LINE_EVERY_S = 10.0
_WORDS = {"ready": "ready", "not_here": "not here", "damaged": "damaged"}

app = typer.Typer(
    cls=group_of({"calibrate": "optimind.cli.calibrate:calibrate"}),
    help="The networks that are fetched or described: list, fetch, describe.",
    no_args_is_help=True,
)


@app.command("list")
def list_models(*, as_json: JsonOption = False) -> None:
    """List every model that is known: its licence, whether its file is here, and where."""
    store = ModelStore()
    documents = [_document(store, model) for model in store.models()]
    broken = [{"file": str(one.file), "error": one.reason} for one in store.broken]
    if as_json:
        print(json.dumps({"folder": str(store.folder), "models": documents, "broken": broken}, indent=1))
    else:
        _print(documents, broken)
        print(f"folder of models: {store.folder}")
    if broken or any(document["state"] == "damaged" for document in documents):
        raise typer.Exit(NEEDS_A_PERSON)


@app.command("pull")
def pull_models(
    *,
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Which models (default: {' and '.join(DEFAULT_MODELS)}).")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept a licence that forbids commercial use, after reading it.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the file from here; it was fetched on another machine.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch models into the folder of models; what is right already is kept."""
    store = ModelStore()
    models = [store.get(name) for name in dict.fromkeys(names or DEFAULT_MODELS)]
    if source is not None and (not names or len(models) != 1):
        raise UsageError("--from goes with one model", mend="name the model that the file is: models pull NAME --from")
    for model in models:
        _show_licence(model)
    for model in models:
        refuse_without_licence(store, model, accepted=accept_licence)
    results = []
    for number, model in enumerate(models):
        try:
            with _progress(model.name) as on_progress:
                result = pull(store, model, accept_licence=accept_licence, source=source, on_progress=on_progress)
        except KeyboardInterrupt as error:
            words = f"interrupted while {model.name} was fetched; what is here of it is kept"
            raise Interrupted(words, mend="run the same command again: it goes on where it stopped") from error
        except NotFetched as error:
            # Whoever goes to another machine for one goes for all.
            later = [one for one in models[number + 1 :] if one.description.url and store.state(one) != "ready"]
            raise NotFetched(error.message, mend=other_ways([model, *later])) from error
        results.append({**_document(store, result.model), "state": result.state})
        if not as_json:
            print(f"{model.name}: {'here' if result.state == 'pulled' else 'was here already'}, {model.file}")
    if as_json:
        print(json.dumps({"folder": str(store.folder), "models": results}, indent=1))


@app.command("add")
def add_model(
    *,
    file: Annotated[Path, typer.Argument(help="The description: docs/models.md shows one.")],
    as_json: JsonOption = False,
) -> None:
    """Describe a network of your own; a file that it names by path stays where it is."""
    try:
        document = Document.read(file)
        description = validate(ModelDescription, document.tree, document)
    except ConfigError as error:
        raise ConfigError(error.message, mend="docs/models.md has a description with every key") from error
    store = ModelStore()
    model = store.add(description)
    added = _document(store, model)
    if as_json:
        print(json.dumps(added, indent=1))
        return
    print(f"{model.name}: known now, its file is {_WORDS[added['state']]}: {model.file}")
    if added["state"] != "ready":
        print(printable(f"to have it: {how_to_have(model)}"))


def _document(store: ModelStore, model: Model) -> dict[str, Any]:
    told = model.description
    return {
        "name": model.name,
        "kind": told.kind,
        "state": store.state(model),
        "size_bytes": told.size_bytes,
        "download_bytes": (told.archive or told).size_bytes if told.url else None,
        "licence": told.licence.name,
        "non_commercial": told.licence.non_commercial,
        "file": str(model.file),
        "url": told.url,
        "sha256": told.sha256,
        "own": model.is_own,
        "about": told.about,
    }


def _print(documents: list[dict[str, Any]], broken: list[dict[str, str]]) -> None:
    columns = (Column("MB", justify="right"), "licence", Column("where", overflow="fold"))
    table = Table(Column("name", no_wrap=True), "kind", "state", *columns, box=None)
    for one in documents:
        licence = one["licence"] + (" (opt-in)" if one["non_commercial"] else "")
        is_elsewhere = one["state"] == "not_here" and one["url"]
        where = f"from {urlsplit(one['url']).hostname}" if is_elsewhere else one["file"]
        megabytes = f"{one['size_bytes'] / 1e6:.1f}"
        if one["download_bytes"] not in (None, one["size_bytes"]):
            megabytes += f" (download {one['download_bytes'] / 1e6:.1f})"
        row = (one["name"], one["kind"], _WORDS[one["state"]], megabytes, licence, where)
        table.add_row(*(printable(text) for text in row))
    console = Console(highlight=False, markup=False)
    console.print(table)
    for fault in broken:
        console.print(printable(f"{fault['file']} cannot be used: {fault['error']}"), soft_wrap=True)


def _show_licence(model: Model) -> None:
    licence = model.description.licence
    print(printable(f"{model.name}: {licence.name} {licence.url} {licence.note}").rstrip(), file=sys.stderr)


@contextmanager
def _progress(name: str) -> Iterator[OnProgress]:
    """Show how far it is: a bar on a terminal, a line now and then in a log."""
    if not sys.stderr.isatty():
        yield _lines(name)
        return
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda here, total: bar.update(task, completed=here, total=total)


def _lines(name: str) -> OnProgress:
    said_at = time.monotonic()

    def say(here: int, total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= LINE_EVERY_S:
            said_at = time.monotonic()
            print(f"{name}: {here / 1e6:.1f} of {total / 1e6:.1f} MB", file=sys.stderr)

    return say
