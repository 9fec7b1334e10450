"""How many photographs a process is handed at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.gallery.batches import LARGEST, LONGEST_S, Batches


@pytest.mark.parametrize(
    ("count", "workers", "each_s", "sizes"),
    [
        (1, 1, 0.01, [1]),
        (5, 1, 0.01, [1, 2, 1, 1]),
        (20, 2, 0.01, [1, 4, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1]),
        (60, 2, 0.01, [1, 8, 8, 8, 8, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1]),
        (60, 2, 0.0, [1, 8, 8, 8, 8, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1]),
        (12, 1, 0.07, [1, 2, 2, 2, 2, 1, 1, 1]),
        (6, 1, 5.0, [1] * 6),
    ],
)
def test_the_first_is_alone_and_the_last_ones_are_shared(
    count: int, workers: int, each_s: float, sizes: list[int]
) -> None:
    batches, dealt = Batches(count, workers), []
    while numbers := batches.deal():
        dealt.append(len(numbers))
        batches.took(len(numbers), len(numbers) * each_s)
    assert dealt == sizes


@given(count=st.integers(0, 300), workers=st.integers(1, 8), each_s=st.lists(st.floats(0, 2), min_size=1))
def test_every_photograph_is_dealt_once_in_order_and_in_time(count: int, workers: int, each_s: list[float]) -> None:
    batches, dealt, last_s = Batches(count, workers), list[int](), LONGEST_S
    while numbers := batches.deal():
        left = count - len(dealt)
        assert 1 <= len(numbers) <= min(LARGEST, max(1, left // (2 * workers)))
        assert len(numbers) == 1 or len(numbers) * last_s <= LONGEST_S * 1.001
        dealt += numbers
        last_s = each_s[len(dealt) % len(each_s)]
        batches.took(len(numbers), len(numbers) * last_s)
    assert dealt == list(range(count))
    assert not batches.deal()
