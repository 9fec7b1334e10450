"""Measure an embedder on people who are in nobody's class: the cohort, and how close strangers come to a template.

The cohort is made of cluster centres. How close strangers come must be measured on people who are not in it, so the
people are dealt into folds: for each two folds a cohort is made of all others, and everyone of the one fold is compared
with the templates of the other. The limits that ship with the cohort of all people are those of the folds together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.calibration import Calibration, distances
from optimind.core.types import Vectors
from optimind.errors import DatasetError

__all__ = ["LEAST_PEOPLE", "calibrate"]

CENTRES = 256
FOLDS = 12
DRAWS = 2
ENROLLED = 3
LEAST_PEOPLE = 200
"""Fewer say too little about one stranger in a hundred."""
_RATES = np.logspace(-5, -1, 9)
_TOGETHER = 5.0
"""Comparisons of the same two people: other photographs of them, and both ways round."""
_SEED = 1

People = Sequence[Vectors]
Progress = Callable[[int, int], None]


def calibrate(people: People, progress: Progress = lambda _done, _all: None) -> Calibration:
    """Calibrate the embedder that made ``people``: for each their embeddings (n >= 1, dimension).

    Raises :class:`DatasetError` where there are fewer than :data:`LEAST_PEOPLE`.
    """
    if len(people) < LEAST_PEOPLE:
        raise DatasetError(
            f"{len(people)} people are too few to calibrate by, {LEAST_PEOPLE} are needed",
            mend="take a folder with photographs of more people, none of them of your own",
        )
    rng = np.random.default_rng(_SEED)
    dealt = rng.permutation(len(people)) % FOLDS
    pairs = list(itertools.combinations(range(FOLDS), 2))
    found = []
    for number, (one, other) in enumerate(pairs):
        progress(number, len(pairs))
        cohort = _cohort([own for own, fold in zip(people, dealt, strict=True) if fold not in (one, other)])
        trial = Calibration(cohort, np.array([0.1, 1.0]), np.array([0.0, 1.0]), 1.0)
        folds = [[own for own, fold in zip(people, dealt, strict=True) if fold == which] for which in (one, other)]
        for templates, strangers in (folds, folds[::-1]):
            found += [_strangers(trial, templates, strangers, rng) for _ in range(DRAWS)]
    progress(len(pairs), len(pairs))
    rates, limits = _tail(np.concatenate(found))
    firsts = np.array([own[0] for own in people[:: max(1, len(people) // 1000)]])
    apart = distances(firsts, firsts)[np.triu_indices(len(firsts), 1)]
    return Calibration(_cohort(people), rates, limits, float(np.median(apart)))


def _cohort(people: People) -> Vectors:
    """Cluster centres of all embeddings; clusters of a single person are left out, as they would be their face."""
    samples = np.concatenate(list(people)).astype(np.float32)
    centres = min(CENTRES, len(samples) // 4)
    cv2.setRNGSeed(_SEED)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-4)
    _, labels, means = cv2.kmeans(samples, centres, np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)
    owners = np.repeat(np.arange(len(people)), [len(own) for own in people])
    belongs = labels.ravel()
    shared = [centre for centre in range(centres) if len(np.unique(owners[belongs == centre])) >= 2]
    return np.asarray(means[shared], dtype=np.float64)


def _strangers(
    trial: Calibration, templates: People, strangers: People, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Normalised distances of one sample of each stranger to each template, of which the photographs are drawn."""
    means = np.array([own[rng.permutation(len(own))[:ENROLLED]].mean(axis=0) for own in templates])
    samples = np.array([own[rng.integers(len(own))] for own in strangers])
    apart, (mean_t, deviation_t), (mean_p, deviation_p) = (
        distances(samples, means),
        trial.level(means),
        trial.level(samples),
    )
    return ((apart - mean_t) / deviation_t + (apart - mean_p[:, None]) / deviation_p[:, None]).ravel() / 2


def _tail(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates and limits: a smooth curve through the quantiles that enough comparisons stand behind.

    The further out, the fewer comparisons, and those of two look-alikes come together: a rate is taken for one standard
    error more than was counted, so that the limit errs on the side of fewer strangers.
    """
    rates = _RATES[_RATES * len(scores) >= 20]
    quantiles = np.sort(scores)[(rates * len(scores)).astype(int)]
    surely = np.minimum(rates * (1 + np.sqrt(_TOGETHER / (rates * len(scores)))), 1.0)
    curve = np.polynomial.Polynomial.fit(np.log10(surely), quantiles, 2)(np.log10(surely))
    # A curve that bends back would say that a closer stranger is a more frequent one.
    return surely, curve if (np.diff(curve) > 0).all() else quantiles + np.arange(len(rates)) * 1e-9
