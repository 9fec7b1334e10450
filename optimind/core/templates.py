"""A person's template: the mean of their embeddings, without those that look like somebody else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Vectors

__all__ = ["UNLIKE", "outliers", "typical"]

UNLIKE = 0.73
"""Times the strangers' distance: a photograph that is further from the person's others, on average, is an outlier.

Measured with ``dlib-resnet-v1`` on Labeled Faces in the Wild, where strangers are 0.82 apart: the distance of a
photograph to two or four others of the same person (root mean square) is above 0.60 for 0.7 % of the right photographs
and for every wrong one.
"""


def typical(embeddings: Vectors, strangers_apart: float | None) -> NDArray[np.float64]:
    """The mean (dimension,) of ``embeddings`` (n >= 1, dimension), outliers left out where it is known what one is."""
    if strangers_apart is None or len(embeddings) < 3:
        return np.asarray(embeddings.mean(axis=0))
    left_out = [row for row, _ in outliers(embeddings, UNLIKE * strangers_apart)]
    return np.asarray(np.delete(embeddings, left_out, axis=0).mean(axis=0))


def outliers(embeddings: Vectors, limit: float) -> list[tuple[int, float]]:
    """Rows of ``embeddings`` (n, dimension) that are further than ``limit`` from the others, with their distance.

    The distance is the root mean square of that to each other one. The worst is taken out first, for as long as there
    is one and more than two are left: one wrong photograph makes the right ones look bad.
    """
    found = []
    rows = np.arange(len(embeddings))
    while len(rows) >= 3:
        own = embeddings[rows]
        from_mean = ((own - own.mean(axis=0)) ** 2).sum(axis=1)
        # The sum of squared distances to all others, without computing any of them.
        apart = np.sqrt((len(rows) * from_mean + from_mean.sum()) / (len(rows) - 1))
        worst = int(np.argmax(apart))
        if apart[worst] <= limit:
            break
        found.append((int(rows[worst]), float(apart[worst])))
        rows = np.delete(rows, worst)
    return found
