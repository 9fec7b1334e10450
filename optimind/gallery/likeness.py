"""Does the gallery hang together: photographs unlike the person's others, and people who look like each other.

Distances mean something only next to how far strangers are apart, which differs between embedders. That is taken from
the gallery itself where it has :data:`ENOUGH_PEOPLE`, else from the embedder's calibration, else nothing is said.

Measured with ``dlib-resnet-v1`` on Labeled Faces in the Wild, where strangers are 0.82 apart. Two means of three
photographs each are closer than 0.40 for 99.4 % of those who are the same person and for 1 in 14,196 pairs who are not
(people with one photograph: 37 %, and 2 in 100,000 pairs). The distance of a photograph to two or four others of the
same person (root mean square) is above 0.60 for 0.7 % of the right photographs and for every wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimind.core.templates import UNLIKE, outliers
from optimind.errors import EngineError
from optimind.gallery.format import Sample
from optimind.gallery.report import EncodeWarning
from optimind.weights.calibrations import calibration_of

__all__ = ["likeness_warnings"]

ENOUGH_PEOPLE = 20
ALIKE = 0.49
"""Times the strangers' distance: two people's mean embeddings that are closer look alike."""
MOST_PAIRS = 50
"""More pairs than this are counted only: somebody who enrolled everyone twice needs no list."""
BLOCK = 256

Matrix = NDArray[np.float64]


def likeness_warnings(samples: Sequence[Sample], embedder: str) -> list[EncodeWarning]:
    """Return ``outlier`` and ``looks_like_another_person`` warnings. Work grows with people squared, as one product."""
    people: dict[str, list[Sample]] = {}
    for sample in samples:
        people.setdefault(sample.person_id, []).append(sample)
    vectors = [np.array([s.embedding for s in own]) for own in people.values()]
    apart = _strangers_apart(vectors, embedder)
    if apart is None or not people:
        return []
    rows = list(people.values())
    warnings = [w for own, matrix in zip(rows, vectors, strict=True) for w in _outliers(own, matrix, UNLIKE * apart)]
    return warnings + _alike(rows, np.array([m.mean(axis=0) for m in vectors]), ALIKE * apart)


def _strangers_apart(vectors: list[Matrix], embedder: str) -> float | None:
    """Return the median distance of two different people's photographs."""
    if len(vectors) < ENOUGH_PEOPLE:
        return _as_calibrated(embedder)
    firsts = np.array([m[0] for m in vectors[:: max(1, len(vectors) // 500)]])
    squared = _squared(firsts, firsts)
    return float(np.sqrt(np.median(squared[np.triu_indices(len(firsts), 1)])))


def _as_calibrated(embedder: str) -> float | None:
    try:
        calibration = calibration_of(embedder)
    except EngineError:
        # Whoever identifies by it is told; a gallery can be made without.
        return None
    return None if calibration is None else calibration.strangers_apart


def _outliers(own: list[Sample], matrix: Matrix, limit: float) -> list[EncodeWarning]:
    warnings = []
    for row, apart in outliers(matrix, limit):
        sample = own[row]
        detail = f"unlike the other photographs of {sample.name} (distance {apart:.2f}); is it someone else?"
        warnings.append(EncodeWarning("outlier", (sample.file,) if sample.file else (), detail))
    return warnings


def _alike(people: list[list[Sample]], means: Matrix, limit: float) -> list[EncodeWarning]:
    pairs: list[tuple[float, int, int]] = []
    # Half the precision in half the time, about the centre where it is best; what is found is measured again.
    about = (means - means.mean(axis=0)).astype(np.float32)
    lengths = np.einsum("ij,ij->i", about, about) / 2
    for start in range(0, len(about), BLOCK):
        block = slice(start, start + BLOCK)
        near = about[block] @ about[start:].T > lengths[block, None] + lengths[None, start:] - limit * limit / 2
        first, second = np.divmod(np.flatnonzero(near), near.shape[1])
        for i, j in zip(start + first[second > first], start + second[second > first], strict=True):
            pairs.append((float(np.linalg.norm(means[i] - means[j])), int(i), int(j)))
    pairs.sort()
    warnings = []
    for distance, i, j in pairs[:MOST_PAIRS]:
        one, other = people[i][0], people[j][0]
        detail = (
            f"{one.name} ({one.person_id}) and {other.name} ({other.person_id}) are hard to tell apart "
            f"(distance {distance:.2f}); is it the same person?"
        )
        files = tuple(s.file for s in (*people[i], *people[j]) if s.file)
        warnings.append(EncodeWarning("looks_like_another_person", files, detail))
    if len(pairs) > MOST_PAIRS:
        more = f"{len(pairs) - MOST_PAIRS} more pairs of people are hard to tell apart"
        warnings.append(EncodeWarning("looks_like_another_person", (), more))
    return warnings


def _squared(one: Matrix, other: Matrix) -> Matrix:
    """Return the squared distances (len(one), len(other)), never below zero."""
    lengths = np.einsum("ij,ij->i", one, one)[:, None] + np.einsum("ij,ij->i", other, other)[None]
    return np.asarray(np.maximum(lengths - 2 * one @ other.T, 0))
