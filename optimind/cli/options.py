"""Options that several commands share."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ConfigOption", "DataOption", "JsonOption", "printable", "this_user"]

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The settings file (default: config.yaml, if any).")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="The folder of the ledger (default: what the settings say).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_JOINERS = "\u200c\u200d"
"""Persian and emoji are written with them."""


def printable(text: str) -> str:
    """Make text from outside harmless for a terminal: a file name may hold what it takes for a command."""
    return "".join(c if c.isprintable() or c in _JOINERS else c.encode("unicode_escape").decode() for c in text)


def this_user() -> str:
    """Who calls the command, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "unknown"
