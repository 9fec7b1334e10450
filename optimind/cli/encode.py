"""The command `encode`: photographs, or another project's encodings, to the gallery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.cli.progress import one_interrupt, photograph_progress
from optimind.config import Config, load_config
from optimind.engines import engine_for_enrolment
from optimind.errors import UsageError
from optimind.gallery.encoder import encode_dataset
from optimind.gallery.importer import import_encodings
from optimind.gallery.quality import MIN_FACE_PX
from optimind.gallery.report import EncodeReport

__all__ = ["encode"]

NEEDS_A_PERSON = 3


def encode(
    *,
    dataset: Annotated[
        Path | None, typer.Option(help="The photographs: <person>/*.jpg or <id>_<name>.jpg (default: datasets).")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The gallery file (default: what the settings say).")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many processes (default: one a core).")] = None,
    other: Annotated[
        Path | None,
        typer.Option("--import", help="Take over a pickle of encodings and names made with face_recognition."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol photographs into the gallery; only new ones are computed."""
    settings = load_config(config)
    target = output or settings.gallery
    sealer, who = settings.privacy.sealer(), _consenting(settings, data)
    if target.is_dir():
        named = "--output" if output else "gallery:"
        raise UsageError(f"{named} {target} is a folder", mend=f"name a file, such as {target / 'gallery.pickle'}")
    if other is not None:
        if dataset is not None:
            raise UsageError("--import and --dataset exclude each other", mend="run encode twice: imported people stay")
        report = import_encodings(other, target, consenting=who, sealer=sealer)
    else:
        engine = engine_for_enrolment(settings, MIN_FACE_PX)
        with one_interrupt(), photograph_progress() as on_progress:
            report = encode_dataset(
                dataset or Path("datasets"), target, engine, workers, on_progress, consenting=who, sealer=sealer
            )
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        _print(report)
    if report.needs_a_person:
        raise typer.Exit(NEEDS_A_PERSON)


def _consenting(settings: Config, data: Path | None) -> frozenset[str] | None:
    """Who may be enrolled; None where no consent is asked for, and then no ledger is looked at."""
    if not settings.privacy.require_consent:
        return None
    from optimind.app.configured import ledger_url  # noqa: PLC0415 - as above
    from optimind.app.consent import consenting  # noqa: PLC0415 - what speaks to the ledger takes a while to load

    return consenting(settings, ledger_url(settings, data))


def _print(report: EncodeReport) -> None:
    from rich.box import SIMPLE  # noqa: PLC0415 - photographs are looked at sooner when it is loaded afterwards
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(highlight=False, markup=False)
    if report.rejected:
        table = Table(
            "file", "reason", "detail", title="Not enrolled", title_justify="left", box=SIMPLE, pad_edge=False
        )
        for rejection in report.rejected:
            cells = (rejection.file, rejection.reason, rejection.detail)
            table.add_row(*(Text(printable(cell), overflow="fold") for cell in cells))
        console.print(table)
        for reason, mend in {r.reason: r.mend for r in report.rejected}.items():
            console.print(f"{reason}: {mend}")
        console.print()
    for warning in report.warnings:
        files = ", ".join(warning.files[:6]) + (f" and {len(warning.files) - 6} more" if len(warning.files) > 6 else "")
        console.print(printable(f"{warning.kind}: {warning.detail}" + (f" [{files}]" if files else "")), soft_wrap=True)
    people = "1 person" if report.people == 1 else f"{report.people} people"
    console.print(
        f"{people}, {report.samples} samples ({report.enrolled} new, {report.reused} known), "
        f"{len(report.rejected)} rejected, in {report.seconds:.1f} s: {printable(report.output)}",
        soft_wrap=True,
    )
