"""What a template is made of."""

from __future__ import annotations

import numpy as np
import pytest

from optimind.core.templates import outliers, typical

RIGHT = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [0.1, 0.1]])


@pytest.mark.parametrize(
    ("embeddings", "rows"),
    [
        pytest.param([*RIGHT], [], id="all alike"),
        pytest.param([*RIGHT, (1.0, 1.0)], [4], id="one wrong"),
        pytest.param([(5.0, 5.0), *RIGHT, (1.0, 1.0)], [0, 5], id="two wrong, the worse one first"),
        pytest.param([(0.0, 0.0), (9.0, 9.0)], [], id="which of two is wrong cannot be told"),
        pytest.param([(0.0, 0.0)], [], id="one"),
    ],
)
def test_outliers(embeddings: list[tuple[float, float]], rows: list[int]) -> None:
    found = outliers(np.array(embeddings), 0.5)
    assert [row for row, _ in found] == rows
    assert all(apart > 0.5 for _, apart in found)


def test_the_distance_is_the_root_mean_square_to_each_other_one() -> None:
    embeddings = np.array([*RIGHT, (1.0, 1.0)])
    [(_, apart)] = outliers(embeddings, 0.5)
    assert apart == pytest.approx(np.sqrt((np.linalg.norm(RIGHT - (1.0, 1.0), axis=1) ** 2).mean()))


def test_the_template_is_the_mean_of_the_others() -> None:
    embeddings = np.array([*RIGHT, (1.0, 1.0)])
    assert typical(embeddings, 0.8) == pytest.approx(RIGHT.mean(axis=0))
    assert typical(embeddings, None) == pytest.approx(embeddings.mean(axis=0))
    assert typical(embeddings[3:], 0.8) == pytest.approx(embeddings[3:].mean(axis=0))
