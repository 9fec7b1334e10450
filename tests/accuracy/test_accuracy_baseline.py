"""A change that recognises worse than the last one is noticed. `make bench` measures more, and longer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.baseline import BASELINE, ENGINES, TOLERANCE, fallen, quick_figures
from benchmarks.engines_here import engines_here

GOOD = {"rank1": 0.99, "fnir": 0.02, "named": 0.01}


@pytest.mark.shared
@pytest.mark.parametrize("engine", ENGINES)
def test_accuracy_does_not_fall_below_the_baseline(engine: str, shared: Path) -> None:
    baseline = json.loads(BASELINE.read_text())["quick"][engine]
    with engines_here(shared, (engine,)) as engines:
        found = quick_figures(shared, engines[engine])
    assert fallen(found, baseline) == []


@pytest.mark.parametrize(
    ("name", "value", "is_worse"),
    [
        ("rank1", 0.99, False),
        ("rank1", 0.98, True),
        ("rank1", 1.0, False),
        ("fnir", 0.029, False),
        ("fnir", 0.031, True),
        ("fnir", 0.0, False),
        ("named", 0.014, False),
        ("named", 0.016, True),
    ],
)
def test_what_counts_as_worse(name: str, value: float, is_worse: bool) -> None:
    assert set(TOLERANCE) == set(GOOD)
    assert bool(fallen({**GOOD, name: value}, GOOD)) is is_worse
