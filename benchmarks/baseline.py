"""The accuracy that was reached: a change that falls below it is a step back, and has to say so by changing the file.

    python -m benchmarks.baseline ../shared          compute the quick figures and compare
    python -m benchmarks.baseline ../shared --write  ... and write them, and the last `make bench`'s, as the baseline

The quick figures come from a part of half B that is embedded in seconds (tests/accuracy); the full ones from all of it
(`make bench`).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.engines_here import engines_here
from benchmarks.identification import trials
from benchmarks.split import People, embeddings, in_half_b
from optimind.core.evaluation import missed, threshold_at
from optimind.core.identification import Verdict
from optimind.engines import EngineFactory

__all__ = ["BASELINE", "ENGINES", "below_full_baseline", "fallen", "quick_figures"]

BASELINE = Path(__file__).parent / "baseline.json"
ENGINES = ("dlib", "arcface")
STUDENTS, STRANGERS = 40, 120
FPIR = 0.01
DRAWS = 10
TOLERANCE = {"rank1": -0.005, "fnir": 0.01, "named": 0.005}
"""How much worse a figure may be: another processor rounds otherwise. For ``rank1`` more is better."""


def quick_figures(shared: Path, factory: EngineFactory) -> dict[str, float]:
    """Rank-1, FNIR at FPIR 1 %, and strangers named where 1 % is set, of 40 people enrolled by three photographs."""
    engine = factory()
    people = embeddings(shared / "data" / "faces", engine, _quick(shared / "data" / "faces").__contains__)
    return figures(people, engine[1].calibration(), STUDENTS)


def figures(people: People, calibration: Any, n: int) -> dict[str, float]:
    """The figures of ``n`` people enrolled by three photographs and probed with one each."""
    mated, non_mated = trials(people, calibration, n, 1, fpir=FPIR, draws=DRAWS)
    at = threshold_at(non_mated, FPIR)
    return {
        "rank1": sum(trial.nearest_id == trial.person_id for trial in mated) / len(mated),
        "fnir": sum(missed(trial, at) for trial in mated) / len(mated),
        "named": sum(trial.verdict is Verdict.ACCEPTED for trial in non_mated) / len(non_mated),
    }


def below_full_baseline(found: dict[str, Any]) -> list[str]:
    """What of the benchmark ``identification`` is worse than it was, in words."""
    known = json.loads(BASELINE.read_text()).get("full", {})
    worse = []
    for engine, rows in known.items():
        for row in rows:
            now = next(r for r in found[engine]["rows"] if (r["n"], r["samples"]) == (row["n"], row["samples"]))
            where = f"{engine}, N = {row['n']}, {row['samples']} samples"
            worse += [
                f"{where}: {key} is {now[key]:.4f}, the baseline {row[key]:.4f}"
                for key in row
                if key not in ("n", "samples") and now[key] > row[key] + TOLERANCE["fnir"]
            ]
    return worse


def full_baseline(found: dict[str, Any]) -> dict[str, Any]:
    """What of the benchmark ``identification`` is kept as the baseline."""
    kept = ("n", "samples", "fnir at fpir 0.01", "fnir at fpir 0.001", "configured 0.01: fpir")
    return {
        engine: [{key: row[key] for key in kept} for row in found[engine]["rows"]]
        for engine in ENGINES
        if engine in found
    }


def fallen(found: dict[str, float], baseline: dict[str, float]) -> list[str]:
    """What is worse than the baseline by more than the tolerance, in words."""
    return [
        f"{name} is {found[name]:.4f}, the baseline {baseline[name]:.4f}"
        for name, tolerance in TOLERANCE.items()
        if (found[name] - baseline[name] - tolerance) * (1 if tolerance > 0 else -1) > 0
    ]


def _quick(faces: Path) -> set[str]:
    """People of half B: those with the photographs to be enrolled, and as many others, always the same."""
    names = sorted(folder.name for folder in faces.iterdir() if in_half_b(folder.name))
    counts = {name: sum(1 for _ in (faces / name).glob("*.jpg")) for name in names}
    able = [name for name in names if 4 <= counts[name] <= 8]
    others = [name for name in names if counts[name] == 1]
    return {*able[:STUDENTS], *others[:STRANGERS]}


def main() -> int:
    """Compare, or write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with engines_here(options.shared, ENGINES) as engines:
        found = {name: quick_figures(options.shared, factory) for name, factory in engines.items()}
    print(json.dumps(found, indent=1))
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if options.write:
        results = Path(__file__).parent / "results.json"
        measured = json.loads(results.read_text()).get("identification") if results.exists() else None
        full = full_baseline(measured) if measured else known.get("full", {})
        BASELINE.write_text(json.dumps({**known, "quick": found, "full": full}, indent=1) + "\n")
        return 0
    worse = [f"{name}: {line}" for name in ENGINES for line in fallen(found[name], known["quick"][name])]
    print("\n".join(worse), file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
