"""How well the tracks of unknown people are brought together to visitors, and what goes wrong.

People come from half B of ``benchmarks/split.py`` alone; nothing was tuned on them. In each draw N people come k times,
in any order, each time as a track of three samples: three photographs of different days, or one photograph three times
with a little noise, which is a still face. Real tracks lie between.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines_here import engines_here
from benchmarks.split import People, embeddings, in_half_b
from optimind.core.calibration import Calibration
from optimind.core.types import Vectors
from optimind.core.visitors import VisitorIndex

SAMPLES = 3
DRAWS = 10
NOISE = 0.1
"""How far the samples of a still face are from its photograph: what two frames of one differ by."""
AT_MOST = 12
ROWS = ((40, 2, False), (40, 3, False), (40, 2, True), (40, 4, True), (300, 2, True))
"""N, k, and whether a track is one photograph three times."""


def tracks(people: People, n: int, k: int, still: bool, seed: int) -> list[tuple[str, Vectors]]:
    """``k`` tracks each of ``n`` people (fewer where there are not enough), in any order."""
    rng = np.random.default_rng(seed)
    needed = k if still else k * SAMPLES
    able = [name for name, own in people.items() if len(own) >= needed]
    found = []
    for name in (able[i] for i in rng.permutation(len(able))[:n]):
        own = people[name][rng.permutation(len(people[name]))]
        for number in range(k):
            if still:
                noise = rng.normal(0, NOISE / np.sqrt(own.shape[1]), (SAMPLES, own.shape[1]))
                found.append((name, own[number] + noise))
            else:
                found.append((name, own[number * SAMPLES : (number + 1) * SAMPLES]))
    return [found[i] for i in rng.permutation(len(found))]


def visitors_of(seen: list[tuple[str, Vectors]], calibration: Calibration | None) -> list[list[str]]:
    """Who is in each visitor that comes out, by name, a name for each track."""
    index = VisitorIndex(calibration)
    members: dict[int, list[str]] = {}
    vectors: dict[int, Vectors] = {}
    for number, (name, samples) in enumerate(seen):
        placed = index.place(samples)
        visitor = number if placed.visitor is None else placed.visitor
        members.setdefault(visitor, []).append(name)
        vectors[visitor] = np.concatenate([*([vectors[visitor]] if visitor in vectors else []), samples])
        for other in placed.alike:
            members[visitor] += members.pop(other)
            vectors[visitor] = np.concatenate([vectors[visitor], vectors.pop(other)])
            index.remove(other)
        index.put(visitor, vectors[visitor])
    return list(members.values())


def figures(people: People, calibration: Calibration | None) -> Iterator[dict[str, Any]]:
    """A row for each N, k and kind of track."""
    for n, k, still in ROWS:
        visitors, persons, right, pairs = 0, 0, 0, 0
        seen = 0
        for seed in range(DRAWS):
            found = tracks(people, n, k, still, seed)
            came_out = visitors_of(found, calibration)
            visitors += len(came_out)
            persons += len({name for name, _ in found})
            seen += len(found)
            right += sum(max(map(names.count, names)) for names in came_out)
            # Two people in one visitor are one wrong pair, three are two: what somebody would have to take apart.
            pairs += sum(one != other for names in came_out for one, other in pairwise(sorted(names)))
        yield {
            "n": persons // DRAWS,
            "k": k,
            "still": still,
            "purity": right / seen,
            "visitors_a_person": visitors / persons,
            "merged": pairs,
            "persons": persons,
        }


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Measure on ``shared/data/faces``; returns the figures and a table of them."""
    result: dict[str, Any] = {}
    lines = [
        "| engine | people | tracks each | samples of a track | purity | visitors a person | people wrongly merged |",
        "|---|---|---|---|---|---|---|",
    ]
    with engines_here(shared, ("dlib", "arcface")) as engines:
        for name, factory in engines.items():
            engine = factory()
            people = embeddings(shared / "data" / "faces", engine, in_half_b, at_least=2, at_most=AT_MOST)
            rows = list(figures(people, engine[1].calibration()))
            result[name] = rows
            lines += [_line(name, row) for row in rows]
    return result, "\n".join(lines)


def _line(engine: str, row: dict[str, Any]) -> str:
    samples = "one moment" if row["still"] else "different days"
    return (
        f"| {engine} | {row['n']} | {row['k']} | {samples} | {row['purity']:.2%} | {row['visitors_a_person']:.2f} "
        f"| {row['merged']} of {row['persons']} |"
    )
