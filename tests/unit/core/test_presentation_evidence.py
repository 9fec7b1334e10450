"""From comparisons to a verdict: it takes many, and where they disagree nobody is suspected."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.planar import Comparison
from optimind.core.presentation import Evidence, PadState, PadVerdict

NAN = math.nan
HELD = Comparison(0.003, 0.1, (1.0, 0.95, 1.0))
TELEPHONE = Comparison(0.004, 0.1, (0.9, 0.9, NAN))
TALKING = Comparison(0.02, 0.1, (0.1, 0.0, 0.4))
LEANING = Comparison(0.004, 0.1, (0.1, 0.0, 0.6))
AT_A_WALL = Comparison(0.004, 0.1, (NAN, NAN, 0.9))
AT_REST = Comparison(0.003, 0.01, (NAN, NAN, NAN))
STILL = Comparison(0.003, 0.002, (NAN, NAN, NAN))
ELSEWHERE = Comparison(0.3, 0.5, (0.0, 0.0, 0.0))


def after(*comparisons: Comparison, every_s: float = 0.4, still_s: float = 20.0) -> Evidence:
    evidence = Evidence(still_s=still_s)
    for number, comparison in enumerate(comparisons):
        evidence.add(comparison, number * every_s, (number + 1) * every_s)
    return evidence


@pytest.mark.parametrize(
    ("comparisons", "state"),
    [
        pytest.param([], PadState.UNDECIDED, id="nothing"),
        pytest.param([HELD] * 3, PadState.UNDECIDED, id="too little"),
        pytest.param([HELD] * 4, PadState.SUSPECTED, id="a photograph"),
        pytest.param([TELEPHONE] * 4, PadState.SUSPECTED, id="a telephone before a bare wall above"),
        pytest.param([HELD] * 4 + [TALKING], PadState.SUSPECTED, id="one of five may disagree"),
        pytest.param([TALKING, TALKING, *[HELD] * 5], PadState.UNDECIDED, id="two of seven disagree"),
        pytest.param([TALKING] * 4, PadState.BONA_FIDE, id="somebody talks"),
        pytest.param([TALKING] * 4 + [LEANING] * 9, PadState.BONA_FIDE, id="somebody talks now and then"),
        pytest.param([TALKING] * 4 + [HELD] * 2, PadState.UNDECIDED, id="a video on a screen, perhaps"),
        pytest.param([LEANING] * 50, PadState.UNDECIDED, id="a stiff face before a room that stays"),
        pytest.param([HELD] * 4 + [LEANING] * 2, PadState.UNDECIDED, id="the room stayed twice"),
        pytest.param([AT_A_WALL] * 50, PadState.UNDECIDED, id="one side tells too little"),
        pytest.param([AT_REST] * 50, PadState.UNDECIDED, id="hardly moved, but moved"),
        pytest.param([ELSEWHERE] * 50, PadState.UNDECIDED, id="not the same face"),
    ],
)
def test_verdicts(comparisons: list[Comparison], state: PadState) -> None:
    verdict = after(*comparisons).verdict
    assert verdict.state is state
    assert verdict.is_final is (state is not PadState.UNDECIDED)
    assert bool(verdict.reason) is (state is PadState.SUSPECTED)


def test_a_moment_is_not_enough() -> None:
    assert after(*[HELD] * 6, every_s=0.1).verdict.state is PadState.UNDECIDED
    assert after(*[HELD] * 6, every_s=0.3).verdict.state is PadState.SUSPECTED


@pytest.mark.parametrize(
    ("moments", "looks", "state"),
    [(25.0, 30, PadState.SUSPECTED), (19.0, 30, PadState.UNDECIDED), (25.0, 10, PadState.UNDECIDED)],
)
def test_nobody_keeps_still_for_so_long(moments: float, looks: int, state: PadState) -> None:
    evidence = Evidence(still_s=20)
    for look in range(1, looks + 1):
        assert evidence.add(STILL, 0.0, look * moments / looks)
    assert evidence.verdict.state is state
    if state is PadState.SUSPECTED:
        assert evidence.verdict.reason == "the face did not move or blink for 20 seconds"


def test_a_blink_ends_the_stillness() -> None:
    evidence = Evidence(still_s=20)
    for look in range(1, 60):
        is_still = evidence.add(TALKING if look == 30 else STILL, 0.0 if look <= 30 else 15.0, look / 2)
        assert is_still is (look != 30)
    assert evidence.verdict.state is PadState.UNDECIDED


@given(st.lists(st.sampled_from([HELD, TALKING, LEANING, AT_A_WALL, AT_REST, ELSEWHERE]), max_size=30))
def test_liveness_is_a_part_and_falls_with_what_is_flat(comparisons: list[Comparison]) -> None:
    liveness = after(*comparisons).verdict.liveness
    assert 0 < liveness < 1
    assert after(*comparisons, HELD).verdict.liveness <= liveness
    assert after(*comparisons, TALKING).verdict.liveness >= liveness


@pytest.mark.parametrize(
    "wrong", [{"liveness": 1.1}, {"liveness": -0.1}, {"liveness": math.nan}, {"state": PadState.SUSPECTED}]
)
def test_a_verdict_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"liveness must be|needs its reason"):
        PadVerdict(**wrong)  # type: ignore[arg-type]  # that is the point
