"""The command `evaluate`: how many strangers get a name and how many students are missed, on your own photographs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from optimind.app.evaluating import evaluate_configured
from optimind.cli.options import ConfigOption, JsonOption, printable
from optimind.cli.progress import one_interrupt, photograph_progress
from optimind.config import load_config
from optimind.core.evaluation import Rate
from optimind.evaluation import Evaluation, Folders, can_draw, draw_det

__all__ = ["evaluate"]

NEEDS_A_PERSON = 3


def evaluate(
    *,
    dataset: Annotated[
        Path, typer.Option(help="The photographs of the people to enrol: <person>/*.jpg or <id>_<name>.jpg.")
    ] = Path("datasets"),
    impostors: Annotated[
        Path | None, typer.Option(help="Photographs of people outside the class, who must stay strangers.")
    ] = None,
    enrol: Annotated[int, typer.Option(min=1, help="How many photographs of each person are enrolled.")] = 3,
    probes: Annotated[int, typer.Option(min=1, help="How many pictures of a track are decided on together.")] = 3,
    det: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the DET curve into this file, such as det.png.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many processes (default: one a core).")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many strangers will get a name and how many students will be missed, on your own photographs."""
    settings = load_config(config)
    drawing = det is not None and can_draw(det)
    if det is not None and not drawing:
        told = "no DET curve will be drawn: matplotlib is not here\n  mend: pip install 'optimind[plots]'"
        print(f"warning: {told}", file=sys.stderr)
    with one_interrupt(), photograph_progress() as on_progress:
        outcome = evaluate_configured(
            settings, Folders(dataset, impostors), enrol=enrol, probes=probes, workers=workers, progress=on_progress
        )
    if as_json:
        print(json.dumps(outcome.as_json(), indent=2, allow_nan=False))
    else:
        _print(outcome, Console(highlight=False, markup=False))
    # After the figures, which a full disk must not cost.
    if det is not None and drawing:
        draw_det(outcome, det)
        print(f"the DET curve: {printable(str(det))}", file=sys.stderr)
    if outcome.concerns or (det is not None and not drawing):
        raise typer.Exit(NEEDS_A_PERSON)


def _print(outcome: Evaluation, console: Console) -> None:
    for line in (*_what_was_done(outcome), "", *_as_configured(outcome), ""):
        console.print(line, soft_wrap=True)
    console.print(_table(outcome))
    lines = [*_limits(outcome), *_worst(outcome), *_not_tried(outcome)]
    lines += [f"{concern.kind}: {concern.detail}\n  mend: {concern.mend}" for concern in outcome.concerns]
    for line in lines:
        console.print("\n".join(map(printable, line.splitlines())), soft_wrap=True)


def _what_was_done(outcome: Evaluation) -> Iterator[str]:
    plan, trials = outcome.plan, outcome.trials
    yield (
        f"{outcome.people} people enrolled with {_photographs(plan.enrol)} each, tried with "
        f"{_photographs(plan.probes)} at a time: {outcome.students} students in {len(trials.mated)} trials, "
        f"{_strangers(outcome.strangers)} in {len(trials.non_mated)}. "
        f"Engine {outcome.engine} ({outcome.photographs.embedder}), {outcome.seconds:.0f} s."
    )
    if plan.leave_one_out:
        yield (
            "There are too few strangers to try (name some with --impostors), so each enrolled person in turn was "
            f"taken out and tried as one, with {_people(outcome.people - 1)} enrolled."
        )


def _as_configured(outcome: Evaluation) -> Iterator[str]:
    now = outcome.configured
    asked = "" if now.wanted is None else f" (fpir: {now.wanted:g})"
    yield f"With the settings as they are{asked}:"
    yield f"  Of 1000 strangers, {_of(1000, now.fpir)} would get a student's name."
    yield f"  Of 100 students, {_of(100, now.fnir)} would be missed."
    yield (
        f"  Left undecided: {_about(1000 * now.strangers_not_sure.share)} of the 1000 strangers, "
        f"{_about(100 * now.not_sure.share)} of the 100 students (who count as missed). "
        f"Under another student's name: {_about(100 * now.misnamed.share)} of the 100."
    )


def _table(outcome: Evaluation) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("", "strangers named (FPIR)", "students missed (FNIR)", "distance"):
        table.add_column(heading)
    for at in outcome.at:
        mark = "" if at.fpir >= outcome.finest else " *"
        missed = f"{_with_interval(at.fnir)}{mark}"
        table.add_row(f"1 in {1 / at.fpir:.0f}", f"{at.fpir:.1%}", missed, f"{at.threshold:.3f}")
    now = outcome.configured
    table.add_row("as set", _with_interval(now.fpir), _with_interval(now.fnir), f"{now.threshold:.3f}")
    return table


def _limits(outcome: Evaluation) -> Iterator[str]:
    yield f"The nearest person is the right one in {outcome.rank1.share:.1%} of the students' trials (rank-1)."
    yield "In brackets: 95 % intervals over people. Distance: up to which a name is given (docs/evaluate.md)."
    finer = [at.fpir for at in outcome.at if at.fpir < outcome.finest]
    if finer:
        yield (
            f"* {_strangers(outcome.strangers)} cannot show an FPIR below {outcome.finest:.1%} (3 in "
            f"{outcome.strangers}): this distance lets next to none of them through, but it may let others through. "
            f"{3 / finer[-1]:.0f} strangers would show {finer[-1]:.1%}."
        )


def _worst(outcome: Evaluation) -> Iterator[str]:
    if outcome.named:
        pairs = (f"{stranger} as {student} ({share:.0%})" for stranger, student, share in outcome.named)
        yield f"Strangers who got a name most often, of their own trials: {', '.join(pairs)}."
    if outcome.often_missed:
        students = (f"{person} ({share:.0%})" for person, share in outcome.often_missed)
        yield f"Students missed most often, of their own trials: {', '.join(students)}."


def _not_tried(outcome: Evaluation) -> Iterator[str]:
    """Who and what was tried otherwise than one might think; a concern names what of the dataset was left out."""
    photographs, plan = outcome.photographs, outcome.plan
    if reasons := photographs.impostors_left_out:
        counts = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        yield f"{_photographs(sum(reasons.values()))} of --impostors left out: {counts}."
    if held := photographs.held_in_reserve((*photographs.people, *photographs.impostors)):
        yield f"{_photographs(held)} turned away or badly lit: tried, but not enrolled, as `encode` would not use them."
    if outcome.too_few:
        yield f"{_people(outcome.too_few)} with too few photographs to enrol {plan.enrol} and try 1: strangers."
    enough = "were not tried, as enough others have so many"
    if untried := outcome.people - outcome.students:
        needed = _photographs(plan.enrol + plan.probes)
        yield f"Students who are enrolled but have fewer than {needed} {enough}: {untried}."
    if outcome.strangers_not_tried:
        yield f"Strangers who have fewer than {_photographs(plan.probes)} {enough}: {outcome.strangers_not_tried}."


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _strangers(number: int) -> str:
    return "1 stranger" if number == 1 else f"{number} strangers"


def _photographs(number: int) -> str:
    return "1 photograph" if number == 1 else f"{number} photographs"


def _of(number: int, given: Rate) -> str:
    low, high = math.floor(number * given.low), math.ceil(number * given.high)
    return f"{_about(number * given.share)} (between {low} and {high})"


def _about(number: float) -> str:
    if number == 0:
        return "none"
    return "fewer than one" if number < 0.5 else f"about {number:.0f}"


def _with_interval(given: Rate) -> str:
    return f"{given.share:.1%} ({given.low:.1%} to {given.high:.1%})"
