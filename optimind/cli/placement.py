"""The command `placement`: whether the camera hangs right, told by the faces in its picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from optimind.app.placement import CameraPlacement, placements
from optimind.cli.options import ConfigOption, JsonOption, printable
from optimind.config import load_config
from optimind.gallery.quality import MIN_FACE_PX
from optimind.placement.drawing import check_drawable, write_picture
from optimind.placement.findings import Finding, Placement

__all__ = ["placement"]

NEEDS_A_PERSON = 3


def placement(
    *,
    source: Annotated[
        list[str] | None,
        typer.Option(help="A device number, path, rtsp/http URL, or a camera id of the settings. May be repeated."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="How long to look.")] = 10.0,
    output: Annotated[
        Path, typer.Option(metavar="FILE.png", help="Where to draw it; of several cameras, each in a file of its own.")
    ] = Path("placement.png"),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how large the faces are by part of the picture and by seat, and what to do where they are too small."""
    settings = load_config(config)
    check_drawable(output)
    found: list[tuple[CameraPlacement, Path | None]] = []
    several = len(source or settings.cameras) > 1
    console = Console(highlight=False, markup=False)
    for result in placements(settings, source or [], seconds, _say_how_far):
        drawing = None
        if result.picture is not None:
            drawing = output.with_stem(f"{output.stem}-{result.camera}") if several else output
            write_picture(drawing, result.picture)
        found.append((result, drawing))
        if not as_json:
            _print(result, drawing, console)
    if as_json:
        print(json.dumps({"ok": _is_fine(found), "cameras": [_as_json(*one) for one in found]}, indent=1))
    errors = [result.error for result, _ in found if result.error is not None]
    if errors and len(errors) == len(found):
        raise errors[0]
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if not _is_fine(found):
        raise typer.Exit(NEEDS_A_PERSON)


def _say_how_far(camera: str, number: int, pictures: int) -> None:
    if sys.stderr.isatty():
        print(f"\rcamera {camera}: picture {number + 1} of {pictures}", end="", file=sys.stderr, flush=True)
        if number + 1 == pictures:
            print(file=sys.stderr)


def _is_fine(found: list[tuple[CameraPlacement, Path | None]]) -> bool:
    return all(result.placement is not None and result.placement.is_fine for result, _ in found)


def _as_json(result: CameraPlacement, drawing: Path | None) -> dict[str, Any]:
    told = {} if result.placement is None else {**result.placement.as_json(), "drawing": str(drawing)}
    error = None if result.error is None else str(result.error)
    return {
        "id": result.camera,
        "engine": result.engine,
        "seconds": round(result.seconds, 2),
        "error": error,
        **told,
    }


def _print(result: CameraPlacement, drawing: Path | None, console: Console) -> None:
    if result.placement is None:
        return
    for line in _heading(result, result.placement):
        console.print(line, soft_wrap=True)
    shown = [*result.placement.zones, *(area for area in result.placement.areas if area.seen)]
    if shown:
        console.print(_table(shown))
    # With seats it is they that count; what the rest of the picture shows may be far away on purpose.
    for advice, names in _by_advice(result.placement.zones or shown).items():
        console.print(printable(f"{', '.join(names)}: {advice}"), soft_wrap=True)
    if not len(result.placement.faces):
        console.print("no face was found: let somebody sit where people will be, and look again")
    console.print(printable(f"the picture, with faces on it: {drawing}"), soft_wrap=True)


def _by_advice(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """What is to be done, and for which places."""
    names: dict[str, list[str]] = {}
    for finding in findings:
        if finding.advice:
            names.setdefault(finding.advice, []).append(finding.name)
    return names


def _heading(result: CameraPlacement, found: Placement) -> Iterator[str]:
    wanted = found.wanted
    ignored = f", {found.ignored} more in parts to ignore" if found.ignored else ""
    pictures = "1 picture" if found.pictures == 1 else f"{found.pictures} pictures"
    yield (
        f"camera {printable(result.camera)}: {pictures} of {wanted.width} x {wanted.height}, "
        f"{len(found.faces)} faces in them{ignored}"
    )
    yield (
        f"  a face of {wanted.found_from_px:.0f} px or more is found (engine {result.engine}), "
        f"one of {MIN_FACE_PX} px or more is good enough to be enrolled"
    )


def _table(findings: list[Finding]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("where")
    table.add_column("what")
    for heading in ("at once", "width in px", "smallest"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for finding in findings:
        table.add_row(
            printable(finding.name),
            finding.kind,
            str(finding.at_once),
            _px(finding.median_px),
            _px(finding.smallest_px),
            _verdict(finding),
        )
    return table


def _px(size: float | None) -> str:
    return "" if size is None else f"{size:.0f}"


def _verdict(finding: Finding) -> str:
    problems = ", ".join(problem.replace("_", " ") for problem in finding.problems if problem != "small")
    return finding.verdict.replace("_", " ") + (f" ({problems})" if problems else "")
