"""How many strangers get a name, and how many enrolled people do not get theirs: OptiMind's rule and the usual one.

People are split in two halves by a checksum of their name. The limit in config.yaml was chosen on half A; what is
reported comes from half B alone. In each trial N people are enrolled by three photographs; probes are further
photographs of them (mated) and of people who are not enrolled (non-mated).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.split import People, embeddings
from optimind.config import Config
from optimind.core.identification import IdentificationLimits, Identifier, Verdict
from optimind.core.types import Gallery, Template, Vectors
from optimind.vision.face_recognition_engine import FaceRecognitionEmbedder

ENROL = 3
STRANGERS = 500
TRIALS = 20
USUAL = 0.6
"""The limit that the tutorials take from the library's documentation."""


def trial(
    people: People, cohort: Vectors | None, n: int, samples: int, rng: np.random.Generator
) -> dict[str, list[bool]]:
    """Enrol ``n`` people and try everyone else; for each probe, whether it went wrong, by rule and kind of probe."""
    able = [name for name, vectors in people.items() if len(vectors) >= ENROL + 1]
    enrolled = [able[i] for i in rng.permutation(len(able))[:n]]
    others = [name for name in people if name not in set(enrolled)]
    gallery = Gallery("b", tuple(Template(name, name, people[name][:ENROL]) for name in enrolled))
    settings = Config().recognition
    limits = IdentificationLimits(
        max_distance=settings.max_distance,
        max_normalised_distance=settings.max_normalised_distance,
        min_margin=settings.min_margin,
        min_samples=1,
    )
    identifier = Identifier(gallery, limits, cohort)
    photographs = np.concatenate([people[name][:ENROL] for name in enrolled])
    wrong: dict[str, list[bool]] = {"ours fnir": [], "ours fpir": [], "usual fnir": [], "usual fpir": []}
    for name in enrolled:
        probes = people[name][ENROL:]
        probe = probes[rng.permutation(len(probes))[:samples]]
        match = identifier.identify(probe)
        wrong["ours fnir"].append(match.verdict is not Verdict.ACCEPTED or match.person_id != name)
        distances = np.linalg.norm(photographs - probe[0], axis=1)
        wrong["usual fnir"].append(distances.min() > USUAL or enrolled[int(distances.argmin()) // ENROL] != name)
    for name in (others[i] for i in rng.permutation(len(others))[:STRANGERS]):
        probe = people[name][rng.permutation(len(people[name]))[:samples]]
        wrong["ours fpir"].append(identifier.identify(probe).verdict is Verdict.ACCEPTED)
        wrong["usual fpir"].append(bool(np.linalg.norm(photographs - probe[0], axis=1).min() <= USUAL))
    return wrong


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Measure on ``shared/data/faces``; returns the figures and a table of them."""
    people = embeddings(shared / "data" / "faces", half_b=True, at_least=2)
    cohort = FaceRecognitionEmbedder.create().cohort()
    rows: list[dict[str, Any]] = []
    for n, samples in ((10, 3), (28, 3), (60, 1), (60, 3)):
        rng = np.random.default_rng(n)
        totals: dict[str, list[bool]] = {}
        for _ in range(TRIALS):
            for key, outcomes in trial(people, cohort, n, samples, rng).items():
                totals.setdefault(key, []).extend(outcomes)
        rows.append({"n": n, "samples": samples, **{key: float(np.mean(v)) for key, v in totals.items()}})
    lines = [
        "| N | samples a track | strangers named: usual rule | OptiMind | students missed: usual rule | OptiMind |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['n']} | {row['samples']} | {row['usual fpir']:.1%} | {row['ours fpir']:.1%} "
        f"| {row['usual fnir']:.1%} | {row['ours fnir']:.1%} |"
        for row in rows
    ]
    return {"people": len(people), "rows": rows}, "\n".join(lines)
