"""Durations by stage."""

from __future__ import annotations

import pytest

from optimind.pipeline.stages import StageFigures, StageTimes


def test_figures_are_of_all_runs_and_newest_of_the_last() -> None:
    times = StageTimes()
    assert (times.newest("search"), times.figures()) == (None, {})
    for duration_s in (0.1, 0.3, 0.2):
        times.add("search", duration_s)
    with times.measure("embed"):
        pass
    assert times.newest("search") == 0.2
    assert list(times.figures()) == ["search", "embed"]
    search = times.figures()["search"]
    assert search.count == 3
    assert [search.total_s, search.p95_s] == pytest.approx([0.6, 0.29])
    assert times.summary()["search"] == {"mean": 200.0, "p95": 290.0}


def test_the_percentile_is_of_the_last_2000() -> None:
    times = StageTimes()
    for duration_s in [9.0] * 500 + [1.0] * 2000:
        times.add("search", duration_s)
    assert times.figures()["search"] == StageFigures(2500, 6500.0, 1.0)
