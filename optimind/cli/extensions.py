"""The command `plugins list`: what can be plugged in here, and why something cannot."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Column, Table

from optimind.cli.options import ConfigOption, JsonOption
from optimind.config import Config, load_config
from optimind.discovery import Extension, discover

__all__ = ["app"]

app = typer.Typer(help="Plugins, sinks, sources, engines and checks.", no_args_is_help=True)


@app.callback()
def plugins() -> None:
    """Plugins, sinks, sources, engines and checks."""


@app.command("list")
def list_extensions(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List every extension that was found, built in or not."""
    settings = load_config(config)
    found = discover(settings.plugins_folder).all()
    documents = [
        {
            "kind": extension.kind or "unknown",
            "name": extension.name,
            "state": _state(settings, extension),
            "origin": extension.origin,
            "error": extension.error,
        }
        for extension in found
    ]
    if as_json:
        print(json.dumps(documents, indent=1))
        return
    table = Table("kind", "name", "state", Column("from", overflow="fold"), box=None)
    for document in documents:
        table.add_row(document["kind"], document["name"], document["error"] or document["state"], document["origin"])
    Console().print(table)


def _state(settings: Config, extension: Extension) -> str:
    """Plugins, sinks and checks are switched on in the settings; sources and engines are there for who names them."""
    if extension.error:
        return "failed"
    if extension.kind in ("plugin", "sink"):
        return "on" if settings.enabled(extension.kind, extension.name) else "off"
    if extension.kind == "pad":
        return "on" if settings.pad_check == extension.name else "off"
    return "available"
