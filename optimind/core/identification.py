"""Open-set identification: which enrolled person a track shows, or that it shows none of them.

A template is compared by the mean of its embeddings, outliers left out. Its distance to a sample says little by itself,
because some people are close to everybody. So it is normalised against a cohort (see
:mod:`optimind.core.calibration`): with m, s the mean and deviation of the distances to the nearest 25 of the cohort,
for the template (m_t, s_t) and for the sample (m_p, s_p),

    d' = ((d - m_t) / s_t + (d - m_p) / s_p) / 2

and a track's distance is the mean of d' over its samples. The limit is the one at which a stranger's single sample is
taken for one of the N people enrolled with the configured probability. Samples that differ as pictures of different
days do may lie a little further, by as much as was measured, and that is taken off d'; eight pictures of a still face
are one.
docs/accuracy.md says what this gains.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimind.core.calibration import Calibration, Level
from optimind.core.templates import typical
from optimind.core.types import Gallery, Vectors

__all__ = ["IdentificationLimits", "Identifier", "Match", "Verdict", "similarity_of"]

_FOREIGN = 0.79
"""Times the strangers' distance: a sample further than this from what its track looked like may be another person (two
photographs of one person are rarely, of two people nearly always further apart: 0.65 for ``dlib-resnet-v1``)."""
_STRANGERS_APART = 0.82
"""What stands in for the strangers' distance where it was not measured: that of ``dlib-resnet-v1``."""
_CANDIDATES = 16
"""So many of the nearest are computed again in double precision, far more than rounding can have put out of order."""


class Verdict(enum.StrEnum):
    """What became of a probe."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SURE = "not_sure"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentificationLimits:
    """What it takes to be accepted.

    ``fpir`` (0-1, exclusive) is how many of all strangers may get a name; it decides where there is a calibration, else
    ``max_distance`` (Euclidean) does. Besides: at least this margin (Euclidean) and so many samples.
    """

    fpir: float
    max_distance: float
    min_margin: float
    min_samples: int


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest enrolled person, and whether the probe is taken for them.

    ``distance`` is the mean Euclidean distance of the samples, ``normalised_distance`` the same against the cohort,
    less what differing samples are worth (equal to ``distance`` without a calibration); it is at most the identifier's
    limit for whoever is not rejected, ``similarity`` is 0-1 with higher closer, ``margin`` by how much the runner-up
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

    def __init__(self, gallery: Gallery, limits: IdentificationLimits, calibration: Calibration | None = None) -> None:
        """Prepare ``gallery`` (at least one person, else ``ValueError``).

        ``limit`` is then the distance (normalised where there is a calibration) up to which one sample is accepted, and
        ``foreign_distance`` the Euclidean one beyond which two samples are hardly of one person.
        """
        if not gallery.templates:
            raise ValueError("nobody is enrolled")
        self._people = [(t.person_id, t.name) for t in gallery.templates]
        apart = None if calibration is None else calibration.strangers_apart
        self._templates = np.array([typical(t.embeddings, apart) for t in gallery.templates])
        self._rows = {person_id: row for row, (person_id, _) in enumerate(self._people)}
        self._limits = limits
        self._calibration = calibration
        self._index = _Index.of(self._templates, calibration)
        self.foreign_distance = _FOREIGN * (apart or _STRANGERS_APART)
        self.limit = limits.max_distance if calibration is None else calibration.limit_for(limits.fpir, gallery.people)

    @property
    def people(self) -> int:
        """N: how many people are enrolled."""
        return len(self._people)

    def name_of(self, person_id: str) -> str | None:
        """What a person is called; None for one who is not enrolled."""
        row = self._rows.get(person_id)
        return None if row is None else self._people[row][1]

    def distance_to(self, sample: NDArray[np.float64], person_id: str) -> float:
        """The Euclidean distance of one sample (dimension,) to one enrolled person."""
        return float(np.linalg.norm(sample - self._templates[self._rows[person_id]]))

    def identify(self, samples: Vectors, *, taken: Sequence[str] = (), good: bool = True) -> Match:
        """Say whom ``samples`` (n >= 1, dimension) of one track show.

        Nobody is in two places at once: a person in ``taken`` is not accepted again. ``good`` false: the pictures are
        too poor to accept anybody by. Raises ``ValueError`` where there is no sample.
        """
        if not len(samples):
            raise ValueError("a probe needs at least one sample")
        level = None if self._calibration is None else self._calibration.level(samples)
        rows = self._index.nearest(samples, level)
        plain = np.linalg.norm(samples[:, None] - self._templates[rows], axis=2)
        distance = plain.mean(axis=0)
        normalised = distance
        if level is not None and self._calibration is not None:
            normalised = self._index.normalised(plain, level, rows).mean(axis=0) - self._calibration.gain_of(samples)
        best = int(normalised.argmin())
        others = np.delete(distance, best)
        margin = float(np.clip(others.min() - distance[best], 0, 1)) if len(others) else 1.0
        person_id, name = self._people[rows[best]]
        accepted = good and person_id not in taken and self._is_sure(margin, len(samples))
        return Match(
            verdict=(Verdict.ACCEPTED if accepted else Verdict.NOT_SURE)
            if normalised[best] <= self.limit
            else Verdict.REJECTED,
            person_id=person_id,
            name=name,
            distance=float(distance[best]),
            normalised_distance=float(normalised[best]),
            similarity=similarity_of(float(distance[best])),
            margin=margin,
        )

    def _is_sure(self, margin: float, samples: int) -> bool:
        return margin >= self._limits.min_margin and samples >= self._limits.min_samples


class _Index:
    """All templates, prepared so that a search is one matrix product in single precision and a few passes over rows."""

    def __init__(self, centre: NDArray[np.float64], turned: NDArray[np.float32], level: Level | None) -> None:
        self._centre = centre
        self._turned = turned
        """(dimension, N): the templates about their centre, where single precision is best."""
        self._squares = np.einsum("ij,ij->j", turned, turned)
        self._level = level
        self._inverse = None if level is None else (1 / level.deviation).astype(np.float32)
        self._offset = None if level is None else (level.mean / level.deviation).astype(np.float32)

    @classmethod
    def of(cls, templates: Vectors, calibration: Calibration | None) -> _Index:
        """Prepare (N, dimension) float64."""
        centre = templates.mean(axis=0)
        turned = np.ascontiguousarray((templates - centre).T, dtype=np.float32)
        return cls(centre, turned, None if calibration is None else calibration.level(templates))

    def nearest(self, samples: Vectors, level: Level | None) -> NDArray[np.intp]:
        """The rows of the nearest templates, among them the best one and the runner-up, whatever is rounded."""
        people = self._turned.shape[1]
        if people <= 2 * _CANDIDATES:
            return np.arange(people)
        probe = (samples - self._centre).astype(np.float32)
        apart = probe @ self._turned
        apart *= -2
        apart += self._squares
        apart += np.einsum("ij,ij->i", probe, probe)[:, None]
        np.maximum(apart, 0, out=apart)
        np.sqrt(apart, out=apart)
        plain = apart.mean(axis=0)
        found = np.argpartition(plain, _CANDIDATES)[:_CANDIDATES]
        if level is None or self._inverse is None or self._offset is None:
            return found
        # The mean of d' over the samples, less what is the same for every template.
        by_sample = (1 / level.deviation / len(samples)).astype(np.float32) @ apart
        by_sample += plain * self._inverse
        by_sample -= self._offset
        return np.union1d(found, np.argpartition(by_sample, _CANDIDATES)[:_CANDIDATES])

    def normalised(self, plain: NDArray[np.float64], level: Level, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """d' of ``plain`` (samples, rows), Euclidean distances to the templates at ``rows``."""
        if self._level is None:
            return plain
        by_template = (plain - self._level.mean[rows]) / self._level.deviation[rows]
        by_sample = (plain - level.mean[:, None]) / level.deviation[:, None]
        return np.asarray((by_template + by_sample) / 2)
