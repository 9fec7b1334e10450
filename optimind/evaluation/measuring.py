"""Measure on the user's own photographs: who is enrolled, who is a stranger, and what comes of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from optimind.core.calibration import Calibration
from optimind.core.evaluation import Plan, run_trials
from optimind.core.identification import Identifier
from optimind.core.types import Gallery, Template
from optimind.errors import UsageError
from optimind.evaluation.photographs import check_impostors, look_at_photographs
from optimind.evaluation.report import Evaluation, summed_up
from optimind.gallery.dataset import scan_dataset
from optimind.gallery.encoder import EngineFactory, Progress

__all__ = ["Folders", "Rule", "evaluate"]

_ENOUGH_STRANGERS = 30
"""Fewer of the dataset's own people who cannot be enrolled, and the enrolled ones are tried as strangers too."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How it is decided: the ``identifier`` for a gallery, by what is known of the embedder.

    ``fpir`` (0-1) is the share of strangers that may get a name, which holds where something is known of the embedder.
    """

    identifier: Callable[[Gallery, Calibration | None], Identifier]
    fpir: float


@dataclass(frozen=True, slots=True)
class Folders:
    """The photographs of the people to enrol, and of people who are to stay unknown (None: there are none)."""

    dataset: Path
    impostors: Path | None = None


def evaluate(
    folders: Folders,
    engine: EngineFactory,
    rule: Rule,
    *,
    enrol: int = 3,
    probes: int = 3,
    workers: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Evaluation:
    """Try ``rule`` on the photographs in ``folders``; the same photographs give the same figures.

    ``engine`` must find faces from :data:`~optimind.gallery.quality.MIN_FACE_PX`. Raises :class:`UsageError` where
    fewer than two people have more than ``enrol`` photographs, and what
    :func:`~optimind.evaluation.photographs.check_impostors`,
    :func:`~optimind.evaluation.photographs.look_at_photographs` and the engine with its calibration raise.
    """
    started = time.monotonic()
    # Whoever has too few files has too few photographs that can be used: no need to look at them.
    files = Counter(photograph.person_id for photograph in scan_dataset(folders.dataset).photographs)
    _check_enough(folders.dataset, files.values(), enrol)
    if folders.impostors is not None:
        check_impostors(folders.dataset, folders.impostors)
    # Before the long work too: a calibration may be damaged.
    name, calibration = _engine(engine)
    found = look_at_photographs(folders.dataset, folders.impostors, engine, workers, progress)
    usable = [found.most_enrolled(p) + 1 for p in found.people]
    _check_enough(folders.dataset, usable, enrol, refused=sum(found.left_out.values()))
    students = [p for p in found.people if found.most_enrolled(p) >= enrol]
    rest = [p for p in found.people if found.most_enrolled(p) < enrol]
    strangers = [*rest, *found.impostors]
    plan = Plan(enrol=enrol, probes=probes, leave_one_out=not found.impostors and len(rest) < _ENOUGH_STRANGERS)

    def identifier(templates: tuple[Template, ...]) -> Identifier:
        return rule.identifier(Gallery(found.embedder, templates), calibration)

    trials = run_trials(students, strangers, plan, identifier, found.reserve)
    return summed_up(
        found,
        trials,
        plan,
        people=len(students),
        wanted=None if calibration is None else rule.fpir,
        engine=name,
        seconds=time.monotonic() - started,
    )


def _engine(engine: EngineFactory) -> tuple[str, Calibration | None]:
    """The engine's name and what is known of its distances; the networks themselves are let go again."""
    detector, embedder = engine()
    name = detector.name if detector.name == embedder.name else f"{detector.name}+{embedder.name}"
    return name, embedder.calibration()


def _check_enough(dataset: Path, photographs: Iterable[int], enrol: int, *, refused: int = 0) -> None:
    """Raise :class:`UsageError` where fewer than two of the people have more than ``enrol`` photographs."""
    most, second, *_ = [*sorted(photographs, reverse=True), 0, 0]
    if second > enrol:
        return
    number = "1 photograph" if refused == 1 else f"{refused} photographs"
    left_out = f" ({number} cannot be enrolled; `encode` says why)" if refused else ""
    raise UsageError(
        f"two people with {enrol + 1} usable photographs each are needed, {enrol} to enrol and 1 to try; "
        f"{dataset} has {'one' if most > enrol else 'none'}{left_out}",
        mend=f"--enrol {second - 1} would do, or add photographs"
        if second >= 2
        else "add photographs of different days",
    )
