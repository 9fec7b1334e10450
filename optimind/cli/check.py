"""The command `check`: what is installed, what works, and how to mend what does not.

Works with the standard library alone too: then :func:`main_without_packages` is called, and prints a plain table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from optimind.status import INSTALL, Item, Report, install_command, run_checks

# Without typer there is no command line to describe; the annotations that need these names are then never read.
with contextlib.suppress(ImportError):
    import typer

    from optimind.cli.options import ConfigOption, JsonOption

    VerboseOption = Annotated[bool, typer.Option("--verbose", help="List every function of cvzone by name.")]

__all__ = ["check", "main_without_packages", "print_report", "report_problems"]

_PIPE_COLUMNS = 140
_COLOURS = {"ok": "green", "outdated": "yellow", "missing": "yellow", "failed": "red", "unknown": "dim"}


def check(*, config: ConfigOption = None, verbose: VerboseOption = False, as_json: JsonOption = False) -> None:
    """Look at Python, packages, cvzone, models, settings, cameras, gallery, Sheets, disk; say how to mend each."""
    report = run_checks(config)
    if as_json:
        _print_json(report)
    else:
        _print_table(report, verbose=verbose)
    if report.exit_code:
        raise SystemExit(report.exit_code)


def print_report(config: Path | None) -> None:
    """Print the whole check for people, and go on whatever it says."""
    _print_table(run_checks(config), verbose=False)


def report_problems(config: Path | None, *, gallery: Path | None = None, data: Path | None = None) -> None:
    """At the start of the loop: look at what can be looked at in an instant, and say what needs attention.

    Prints to standard error; never stops the loop, which says by itself what it cannot do without.
    """
    report = run_checks(config, quick=True, gallery=gallery, data=data)
    print(f"check: {len(report.items)} parts looked at. {report.sentence()}", file=sys.stderr)
    for line in _mends(report):
        print(f"  {line}", file=sys.stderr)


def main_without_packages(argv: Sequence[str]) -> int:
    """The command where packages are missing: ``argv`` is what stands after `check`. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="optimind check", description="Say what is installed and what is missing.")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--verbose", action="store_true", help="list every function of cvzone")
    parser.add_argument("--config", type=Path, help="the settings file (default: config.yaml, if any)")
    given = parser.parse_args(argv)
    report = run_checks(given.config)
    if given.json:
        _print_json(report)
        return report.exit_code
    for line in _plain_table(_rows(report, verbose=given.verbose)):
        print(line)
    for line in _mends(report, but="missing"):
        print(line)
    print(report.sentence())
    if any(item.group == "package" and not item.healthy for item in report.items):
        print(f"\nTo install all of it:\n  {install_command()}")
        print("or, in an environment of your own:", INSTALL, sep="\n  ")
    return report.exit_code


def _print_json(report: Report) -> None:
    print(json.dumps(report.as_dict(), indent=1))


def _print_table(report: Report, *, verbose: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  this module is also used where rich is missing
    from rich.table import Table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    # A pipe has no width of its own; a table squeezed into 80 columns is hard to read.
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if known else _PIPE_COLUMNS)
    table = Table(box=None, pad_edge=False, show_header=False)
    for no_wrap in (True, True, False, False):
        table.add_column(no_wrap=no_wrap)
    group = ""
    for row in _rows(report, verbose=verbose):
        if row.group != group:
            group = row.group
            table.add_row("", Text(group, style="bold"))
        colour = "dim" if row.state == "missing" and row.healthy else _COLOURS[row.state]
        table.add_row(Text(row.state, style=colour), row.name, Text(row.found), Text(_wanted(row), style="dim"))
    console.print(table)
    for line in _mends(report):
        console.print(line, markup=False, soft_wrap=True)
    console.print(Text(report.sentence(), style="bold yellow" if report.attention else "bold green"), soft_wrap=True)


def _mends(report: Report, *, but: str = "") -> Iterable[str]:
    """How to mend each unhealthy part, except for those in the state ``but``."""
    for item in report.attention:
        if item.state == but:
            continue
        mend = f"\n    mend: {item.mend}" if item.mend else ""
        yield f"{item.state}: {item.group} {item.name}: {item.found or 'wanted ' + item.wanted}{mend}"


def _wanted(row: Item) -> str:
    """What is wanted, where that says more than that it is there."""
    worth = row.wanted and (row.state != "ok" or row.group in ("python", "package"))
    return "" if not worth else row.wanted if row.wanted.startswith("optional") else f"wanted: {row.wanted}"


def _rows(report: Report, *, verbose: bool) -> list[Item]:
    """The items as they are shown: cvzone's functions as one row a module, unless ``verbose``."""
    rows: list[Item] = []
    folded: dict[tuple[str, str, str], list[Item]] = {}
    for item in report.items:
        if verbose or "." not in item.name or item.group != "cvzone":
            rows.append(item)
            continue
        module = _module(item.name)
        key = (module, item.state, item.found)
        if key not in folded:
            rows.append(Item(item.group, module, item.state, item.found, item.wanted, item.mend, item.required))
        folded.setdefault(key, []).append(item)
    counts = {key: len(items) for key, items in folded.items()}
    return [_counted(row, counts.get((row.name, row.state, row.found))) for row in rows]


def _module(name: str) -> str:
    """The module of ``cvzone.Utils.cornerRect``; what the package itself hands on stands under ``cvzone``."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else parts[0]


def _counted(row: Item, count: int | None) -> Item:
    if count is None or row.group != "cvzone":
        return row
    words = f"{count} function{'' if count == 1 else 's'}: {row.found}"
    return Item(row.group, row.name, row.state, words, row.wanted, row.mend, row.required)


def _plain_table(rows: Sequence[Item]) -> Iterable[str]:
    width = max(len(row.name) for row in rows)
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            yield group
        wanted = f"   {_wanted(row)}".rstrip()
        yield f"  {row.state:<9} {row.name:<{width}}  {textwrap.shorten(row.found or '-', 100)}{wanted}"
    yield ""
