"""Open-set identification: which enrolled person a track shows, or that it shows none of them.

A template is compared by the mean of its embeddings. Its distance to a sample says little by itself, because some
people are close to everybody. So it is normalised against a *cohort* of people who are in nobody's class (symmetric and
adaptive: S-norm of Kenny 2010 over the closest few, as Matejka et al. 2017 do for speakers): with m, s the mean and
deviation of the distances to the nearest 25 of the cohort, for the template (m_t, s_t) and for the sample (m_p, s_p),

    d' = ((d - m_t) / s_t + (d - m_p) / s_p) / 2

and a track's distance is the mean of d' over its samples. docs/accuracy.md says what this gains.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Gallery, Vectors

__all__ = ["IdentificationLimits", "Identifier", "Match", "Verdict", "similarity_of"]

_NEAREST_OF_COHORT = 25


class Verdict(enum.StrEnum):
    """What became of a probe."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SURE = "not_sure"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentificationLimits:
    """What it takes to be accepted: at most this distance, at least this margin and so many samples.

    ``max_normalised_distance`` (deviations of the cohort) decides where there is a cohort, else ``max_distance``
    (Euclidean). ``min_margin`` is Euclidean.
    """

    max_distance: float
    max_normalised_distance: float
    min_margin: float
    min_samples: int


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest enrolled person, and whether the probe is taken for them.

    ``distance`` is the mean Euclidean distance of the samples, ``normalised_distance`` the same against the cohort
    (equal to ``distance`` without one), ``similarity`` is 0-1 with higher closer, ``margin`` by how much the runner-up
    is further away, in units of similarity (1 when nobody else is enrolled; never negative).
    """

    verdict: Verdict
    person_id: str
    name: str
    distance: float
    normalised_distance: float
    similarity: float
    margin: float


def similarity_of(distance: float) -> float:
    """Turn a Euclidean distance of dlib's embedding (0 to about 1.4) into a similarity, 0-1, higher is closer."""
    return max(0.0, 1.0 - distance)


class Identifier:
    """Compares tracks with a gallery. Immutable; safe to share between threads."""

    def __init__(self, gallery: Gallery, limits: IdentificationLimits, cohort: Vectors | None = None) -> None:
        """Prepare ``gallery`` (at least one person, else ``ValueError``) and ``cohort`` (n, dimension)."""
        if not gallery.templates:
            raise ValueError("nobody is enrolled")
        self._people = [(t.person_id, t.name) for t in gallery.templates]
        self._templates = np.array([t.embeddings.mean(axis=0) for t in gallery.templates])
        self._rows = {person_id: row for row, (person_id, _) in enumerate(self._people)}
        self._limits = limits
        self._cohort = cohort if cohort is not None and len(cohort) >= 2 else None
        self._template_level = None if self._cohort is None else _level(self._templates, self._cohort)

    def distance_to(self, sample: NDArray[np.float64], person_id: str) -> float:
        """The Euclidean distance of one sample (dimension,) to one enrolled person."""
        return float(np.linalg.norm(sample - self._templates[self._rows[person_id]]))

    def identify(self, samples: Vectors, *, taken: Sequence[str] = ()) -> Match:
        """Say whom ``samples`` (n >= 1, dimension) of one track show.

        Nobody is in two places at once: a person in ``taken`` is not accepted again. Raises ``ValueError`` where there
        is no sample.
        """
        if not len(samples):
            raise ValueError("a probe needs at least one sample")
        plain = _distances(samples, self._templates)
        normalised = self._normalised(plain, samples).mean(axis=0)
        distance = plain.mean(axis=0)
        best = int(normalised.argmin())
        others = np.delete(distance, best)
        margin = float(np.clip(others.min() - distance[best], 0, 1)) if len(others) else 1.0
        person_id, name = self._people[best]
        return Match(
            verdict=self._decide(float(normalised[best]), margin, len(samples), is_taken=person_id in taken),
            person_id=person_id,
            name=name,
            distance=float(distance[best]),
            normalised_distance=float(normalised[best]),
            similarity=similarity_of(float(distance[best])),
            margin=margin,
        )

    def _normalised(self, plain: NDArray[np.float64], samples: Vectors) -> NDArray[np.float64]:
        if self._cohort is None or self._template_level is None:
            return plain
        mean_t, deviation_t = self._template_level
        mean_p, deviation_p = _level(samples, self._cohort)
        by_template = (plain - mean_t) / deviation_t
        by_sample = (plain - mean_p[:, None]) / deviation_p[:, None]
        return np.asarray((by_template + by_sample) / 2)

    def _decide(self, distance: float, margin: float, samples: int, *, is_taken: bool) -> Verdict:
        limits = self._limits
        if distance > (limits.max_distance if self._cohort is None else limits.max_normalised_distance):
            return Verdict.REJECTED
        if margin < limits.min_margin or samples < limits.min_samples or is_taken:
            return Verdict.NOT_SURE
        return Verdict.ACCEPTED


def _distances(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """Euclidean distances of the rows of ``a`` and ``b`` by one matrix product: (len(a), len(b))."""
    squared = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.clip(squared, 0, None)))


def _level(vectors: Vectors, cohort: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each vector's distances to its nearest of the cohort: two (n,) arrays."""
    nearest = np.sort(_distances(vectors, cohort), axis=1)[:, :_NEAREST_OF_COHORT]
    # A vector in the cohort itself would have no deviation if the cohort were tiny; never divide by nothing.
    return nearest.mean(axis=1), np.maximum(nearest.std(axis=1), 1e-6)
