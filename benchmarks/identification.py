"""How many strangers get a name, and how many enrolled people do not get theirs: OptiMind's rule and the usual one.

People are split in two halves by a checksum of their name. Cohort and limits come from half A; what is reported comes
from half B alone. In each draw N people are enrolled by three photographs; probes are further photographs of them
(mated), and of everybody else (non-mated).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines_here import MIN_FACE_PX, engines_here
from benchmarks.split import People, embeddings, in_half_b
from optimind.config import Config
from optimind.core.calibration import Calibration
from optimind.core.evaluation import Trial, missed, threshold_at
from optimind.core.identification import IdentificationLimits, Identifier, Verdict
from optimind.core.types import Gallery, Template
from optimind.engines import EngineFactory

ENROL = 3
DRAWS = 20
ROWS = ((10, 1), (10, 3), (60, 1), (60, 3), (140, 1), (140, 3))
"""N, and samples a track."""
CONFIGURED = (0.01, 0.001)
USUAL = 0.6
"""The limit that the tutorials take from the library's documentation."""


def trials(
    people: People, calibration: Calibration | None, n: int, samples: int, *, fpir: float, draws: int = DRAWS
) -> tuple[list[Trial], list[Trial]]:
    """Enrol ``n`` people and try everyone, again and again with others; every probe has ``samples`` photographs."""
    rng = np.random.default_rng(n)
    settings = Config().recognition
    limits = IdentificationLimits(
        fpir=fpir, max_distance=settings.max_distance, min_margin=settings.min_margin, min_samples=1
    )
    able = [name for name, own in people.items() if len(own) > ENROL]
    mated: list[Trial] = []
    non_mated: list[Trial] = []
    for _ in range(draws):
        order = {name: rng.permutation(len(own)) for name, own in people.items()}
        students = [able[i] for i in rng.permutation(len(able))[:n]]
        templates = tuple(Template(name, name, people[name][order[name][:ENROL]]) for name in students)
        identifier = Identifier(Gallery("b", templates), limits, calibration)
        enrolled = set(students)
        for name, own in people.items():
            probe = own[order[name][ENROL * (name in enrolled) :][:samples]]
            if len(probe) == samples:
                match = identifier.identify(probe)
                trial = Trial(name, match.person_id, match.normalised_distance, match.verdict)
                (mated if name in enrolled else non_mated).append(trial)
    return mated, non_mated


def usual_rule(people: People, n: int, seed: int = 1) -> tuple[float, float]:
    """What the tutorials' rule does with one picture: FPIR and FNIR of the nearest photograph within 0.6."""
    rng = np.random.default_rng(seed)
    able = [name for name, own in people.items() if len(own) > ENROL]
    wrong: dict[str, list[bool]] = {"fpir": [], "fnir": []}
    for _ in range(DRAWS):
        students = [able[i] for i in rng.permutation(len(able))[:n]]
        taken = set(students)
        enrolled = np.concatenate([people[name][:ENROL] for name in students])
        for name, own in people.items():
            probe = own[rng.integers(ENROL, len(own))] if name in taken else own[rng.integers(len(own))]
            apart = np.linalg.norm(enrolled - probe, axis=1)
            if name in taken:
                wrong["fnir"].append(apart.min() > USUAL or students[int(apart.argmin()) // ENROL] != name)
            else:
                wrong["fpir"].append(bool(apart.min() <= USUAL))
    return float(np.mean(wrong["fpir"])), float(np.mean(wrong["fnir"]))


def figures(people: People, calibration: Calibration | None) -> Iterator[dict[str, Any]]:
    """A row for each N and number of samples."""
    for n, samples in ROWS:
        row: dict[str, Any] = {"n": n, "samples": samples}
        for fpir in CONFIGURED:
            mated, non_mated = trials(people, calibration, n, samples, fpir=fpir)
            at = threshold_at(non_mated, fpir)
            accepted = sum(trial.verdict is Verdict.ACCEPTED for trial in non_mated)
            row[f"fnir at fpir {fpir}"] = sum(missed(trial, at) for trial in mated) / len(mated)
            row[f"configured {fpir}: fpir"] = accepted / len(non_mated)
            row[f"configured {fpir}: fnir"] = sum(trial.missed for trial in mated) / len(mated)
        yield {**row, "mated": len(mated), "non_mated": len(non_mated)}


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Measure on ``shared/data/faces``; returns the figures and a table of them."""
    result: dict[str, Any] = {}
    lines = [
        "| engine | N | samples a track | FNIR at FPIR 1 % / 0.1 % | set to 1 %: strangers named, students missed "
        "| set to 0.1 % |",
        "|---|---|---|---|---|---|",
    ]
    with engines_here(shared, ("dlib", "arcface")) as engines:
        for name, factory in engines.items():
            engine = factory()
            people = embeddings(shared / "data" / "faces", engine, in_half_b)
            rows = list(figures(people, engine[1].calibration()))
            result[name] = {"people": len(people), "rows": rows}
            lines += [_line(name, row) for row in rows]
    # As the library embeds: not mirrored.
    plain = EngineFactory("dlib", MIN_FACE_PX, settings={"dlib": {"mirror": False}})()
    people = embeddings(shared / "data" / "faces", plain, in_half_b)
    result["usual rule"] = {n: usual_rule(people, n) for n in (10, 60, 140)}
    for n, (fpir, fnir) in result["usual rule"].items():
        lines.append(f"| the usual rule (dlib, nearest, 0.6) | {n} | 1 | | {fpir:.1%}, {fnir:.1%} | |")
    return result, "\n".join(lines)


def _line(engine: str, row: dict[str, Any]) -> str:
    exact = " / ".join(f"{row[f'fnir at fpir {fpir}']:.1%}" for fpir in CONFIGURED)
    configured = [f"{row[f'configured {f}: fpir']:.2%}, {row[f'configured {f}: fnir']:.1%}" for f in CONFIGURED]
    return f"| {engine} | {row['n']} | {row['samples']} | {exact} | {' | '.join(configured)} |"
