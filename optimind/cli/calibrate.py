"""The command `models calibrate`: measure an embedder on people who are in nobody's class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from optimind.app.evaluating import calibrate_configured
from optimind.cli.options import ConfigOption, JsonOption, printable
from optimind.cli.progress import one_interrupt, photograph_progress
from optimind.config import load_config

__all__ = ["calibrate"]


def calibrate(
    *,
    faces: Annotated[
        Path, typer.Option(help="Photographs of a few hundred people of whom nobody will be enrolled: <person>/*.jpg.")
    ],
    workers: Annotated[int | None, typer.Option(min=1, help="How many processes (default: one a core).")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how close strangers come with the engine in use, so that `recognition.fpir` can be kept."""
    settings = load_config(config)
    with one_interrupt(), photograph_progress() as on_progress:
        done = calibrate_configured(settings, faces, workers=workers, progress=on_progress)
    if as_json:
        document = {"embedder": done.embedder, "people": done.people, "samples": done.samples, "file": str(done.file)}
        print(json.dumps(document, indent=1))
        return
    print(
        f"{done.embedder}: calibrated on {done.samples} photographs of {done.people} people; "
        f"kept in {printable(str(done.file))}, no face is in it"
    )
