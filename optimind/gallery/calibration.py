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

__all__ = ["LEAST_PEOPLE", "calibrate", "require_people"]

CENTRES = 256
FOLDS = 12
DRAWS = 2
ENROLLED = 3
FUSED = 3
LEAST_FUSED = 50
"""So many people with several photographs are needed to say how much several tell."""
LEAST_PEOPLE = 200
"""Fewer say too little about one stranger in a hundred."""
_RATES = np.logspace(-5, -1, 9)
_GAIN_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
_TOGETHER = 5.0
"""Comparisons of the same two people: other photographs of them, and both ways round."""
_SEED = 1

People = Sequence[Vectors]
Progress = Callable[[int, int], None]


def calibrate(people: People, progress: Progress = lambda _done, _all: None) -> Calibration:
    """Calibrate the embedder that made ``people``: for each their embeddings (n >= 1, dimension).

    Raises :class:`DatasetError` where there are fewer than :data:`LEAST_PEOPLE`, or they give no clusters.
    """
    require_people(len(people))
    rng = np.random.default_rng(_SEED)
    dealt = rng.permutation(len(people)) % FOLDS
    pairs = list(itertools.combinations(range(FOLDS), 2))
    found: dict[int, list[NDArray[np.float64]]] = {1: [], FUSED: []}
    for number, (one, other) in enumerate(pairs):
        progress(number, len(pairs))
        cohort = _cohort([own for own, fold in zip(people, dealt, strict=True) if fold not in (one, other)])
        trial = Calibration(cohort, np.array([0.1, 1.0]), np.array([0.0, 1.0]), 1.0)
        folds = [[own for own, fold in zip(people, dealt, strict=True) if fold == which] for which in (one, other)]
        for templates, strangers in (folds, folds[::-1]):
            for samples, scores in found.items():
                scores += [_strangers(trial, templates, strangers, samples, rng) for _ in range(DRAWS)]
    progress(len(pairs), len(pairs))
    single, fused = (np.sort(np.concatenate(scores)) for scores in found.values())
    rates, limits = _tail(single)
    firsts = np.array([own[0] for own in people[:: max(1, len(people) // 1000)]])
    apart = distances(firsts, firsts)[np.triu_indices(len(firsts), 1)]
    return Calibration(
        cohort=_cohort(people),
        rates=rates,
        limits=limits,
        strangers_apart=float(np.median(apart)),
        own_spread=_own_spread(people),
        fused_gain=_fused_gain(single, fused),
    )


def require_people(count: int) -> None:
    """Raise :class:`DatasetError` where ``count`` people are too few."""
    if count < LEAST_PEOPLE:
        raise DatasetError(
            f"{count} people are too few to calibrate by, {LEAST_PEOPLE} are needed",
            mend="take a folder with photographs of more people, none of them of your own",
        )


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
    if len(shared) < 2:
        raise DatasetError(
            "the photographs cannot be calibrated by: hardly two people in them look like each other",
            mend="take photographs of more people; one picture of a person several times counts once",
        )
    return np.asarray(means[shared], dtype=np.float64)


def _strangers(
    trial: Calibration, templates: People, strangers: People, samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Normalised distances of strangers who have so many ``samples`` to each template; photographs are drawn."""
    means = np.array([own[rng.permutation(len(own))[:ENROLLED]].mean(axis=0) for own in templates])
    enough = [own for own in strangers if len(own) >= samples]
    probes = np.array([own[rng.permutation(len(own))[:samples]] for own in enough]).reshape(-1, means.shape[1])
    (mean_t, deviation_t), (mean_p, deviation_p) = trial.level(means), trial.level(probes)
    apart = distances(probes, means)
    scores = ((apart - mean_t) / deviation_t + (apart - mean_p[:, None]) / deviation_p[:, None]) / 2
    return np.asarray(scores.reshape(len(enough), samples, len(means)).mean(axis=1).ravel())


def _own_spread(people: People) -> float:
    """How far pictures of one person lie from their mean, as root mean square: the median over who has enough."""
    enough = [own for own in people if len(own) >= FUSED]
    if len(enough) < LEAST_FUSED:
        return 0.0
    return float(np.sqrt(np.median([((own - own.mean(axis=0)) ** 2).sum() / (len(own) - 1) for own in enough])))


def _fused_gain(single: NDArray[np.float64], fused: NDArray[np.float64]) -> float:
    """By how much the same share of strangers lies further when the mean of several pictures is taken."""
    shares = [rate for rate in _GAIN_RATES if rate * len(fused) >= 20]
    gains = [fused[int(rate * len(fused))] - single[int(rate * len(single))] for rate in shares]
    return max(0.0, float(np.median(gains))) if gains else 0.0


def _tail(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates and limits of sorted ``scores``: a smooth curve through the quantiles that enough comparisons stand behind.

    The further out, the fewer comparisons, and those of two look-alikes come together: a rate is taken for one standard
    error more than was counted, so that the limit errs on the side of fewer strangers.
    """
    rates = _RATES[_RATES * len(scores) >= 20]
    quantiles = scores[(rates * len(scores)).astype(int)]
    surely = np.minimum(rates * (1 + np.sqrt(_TOGETHER / (rates * len(scores)))), 1.0)
    curve = np.polynomial.Polynomial.fit(np.log10(surely), quantiles, 2)(np.log10(surely))
    # A curve that bends back would say that a closer stranger is a more frequent one.
    return surely, curve if (np.diff(curve) > 0).all() else quantiles + np.arange(len(rates)) * 1e-9
