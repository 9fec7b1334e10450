"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ConfigOption", "DataOption", "JsonOption"]

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The settings file (default: config.yaml, if any).")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="The folder of the ledger (default: what the settings say).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
