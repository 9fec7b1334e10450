"""The values that travel between the parts: frames, detections, templates.

Conventions everywhere in OptiMind: images are BGR ``uint8`` of shape (height, width, 3); boxes are ``xyxy`` in pixels
of the original picture; times are aware UTC ``datetime`` and end in ``_at``; other units are part of the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Detections", "Frame", "Gallery", "Image", "Template", "Vectors", "require_aware"]

Image = NDArray[np.uint8]
"""A picture: (height, width, 3), BGR, 0-255."""
Vectors = NDArray[np.float64]
"""Embeddings, a row each: (n, dimension) float64."""


def require_aware(moment: datetime, what: str) -> datetime:
    """Return ``moment``; a naive one, whose instant nobody can know, raises ``ValueError``."""
    if moment.tzinfo is None:
        raise ValueError(f"{what} must carry a time zone, got the naive {moment.isoformat()}")
    return moment


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from one camera.

    ``index`` counts from 0 the frames the source delivered. ``position_s`` is the time since the start of a recording
    in seconds, None for a camera. ``captured_at`` is when it was taken: the wall clock for a camera, the recording's
    own time for a recording.
    """

    camera: str
    index: int
    captured_at: datetime
    image: Image
    position_s: float | None = None

    def __post_init__(self) -> None:
        require_aware(self.captured_at, "Frame.captured_at")


@dataclass(frozen=True, slots=True)
class Detections:
    """The faces of one picture as parallel arrays, checked at birth.

    ``xyxy`` (n, 4) float64 pixels, may reach beyond the picture; ``confidence`` (n,) float64, higher is surer, its
    scale is the detector's; ``landmarks`` (n, 5, 2) float64 pixels (eyes, nose, corners of the mouth; of a pair, the
    one further left in the picture comes first) or None where the detector gives none; ``frontality`` (n,) float64, 1
    for a face that looks straight into the camera, 0 for a profile (see :mod:`optimind.core.pose`), or None where the
    detector cannot tell. Raises ``ValueError`` where shapes disagree, a box is empty or a frontality is not 0 to 1.
    """

    xyxy: NDArray[np.float64]
    confidence: NDArray[np.float64]
    landmarks: NDArray[np.float64] | None = None
    frontality: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4):
            raise ValueError(f"xyxy must be (n, 4), got {self.xyxy.shape}")
        if self.confidence.shape != (n,):
            raise ValueError(f"confidence must be ({n},), got {self.confidence.shape}")
        if self.landmarks is not None and self.landmarks.shape != (n, 5, 2):
            raise ValueError(f"landmarks must be ({n}, 5, 2), got {self.landmarks.shape}")
        if self.frontality is not None and self.frontality.shape != (n,):
            raise ValueError(f"frontality must be ({n},), got {self.frontality.shape}")
        if self.frontality is not None and not ((self.frontality >= 0) & (self.frontality <= 1)).all():
            raise ValueError("every frontality must be from 0 to 1")
        if n and not (np.isfinite(self.xyxy).all() and (self.xyxy[:, 2:] > self.xyxy[:, :2]).all()):
            raise ValueError("every box must be finite with x2 > x1 and y2 > y1")

    @classmethod
    def empty(cls) -> Self:
        """No face."""
        return cls(np.empty((0, 4)), np.empty(0))

    @classmethod
    def joined(cls, parts: Sequence[Detections]) -> Detections:
        """All faces of ``parts``, in their order; landmarks and frontality only where all parts have them."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.empty()
        landmarks = [part.landmarks for part in parts if part.landmarks is not None]
        frontality = [part.frontality for part in parts if part.frontality is not None]
        return cls(
            np.concatenate([part.xyxy for part in parts]),
            np.concatenate([part.confidence for part in parts]),
            np.concatenate(landmarks) if len(landmarks) == len(parts) else None,
            np.concatenate(frontality) if len(frontality) == len(parts) else None,
        )

    def moved(self, by: ArrayLike, scale: ArrayLike = 1.0) -> Detections:
        """The same faces where they are in another picture: at ``scale`` times their pixels plus ``by``.

        ``by`` is (2,) or (n, 2), x and y in pixels of that picture; ``scale`` one number or of such a shape too.
        """
        shape = (len(self), 2)
        factor, offset = np.broadcast_to(scale, shape), np.broadcast_to(by, shape)
        landmarks = None if self.landmarks is None else self.landmarks * factor[:, None] + offset[:, None]
        xyxy = self.xyxy * np.tile(factor, 2) + np.tile(offset, 2)
        return Detections(xyxy, self.confidence, landmarks, self.frontality)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        """The detections at ``rows`` (a slice, mask or index array; never a single integer)."""
        landmarks = None if self.landmarks is None else self.landmarks[rows]
        frontality = None if self.frontality is None else self.frontality[rows]
        return Detections(self.xyxy[rows], self.confidence[rows], landmarks, frontality)


@dataclass(frozen=True, slots=True)
class Template:
    """What is stored of one enrolled person: embeddings (n >= 1, dimension) float64."""

    person_id: str
    name: str
    embeddings: Vectors

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or not len(self.embeddings):
            raise ValueError(f"a template needs (n >= 1, dimension) embeddings, got {self.embeddings.shape}")


@dataclass(frozen=True, slots=True)
class Gallery:
    """All templates, and the embedder that made them (only its embeddings can be compared with them)."""

    embedder: str
    templates: tuple[Template, ...] = field(default=())

    def __post_init__(self) -> None:
        ids = [t.person_id for t in self.templates]
        if len(set(ids)) != len(ids):
            raise ValueError("a person may have one template only")

    @property
    def people(self) -> int:
        """N: how many people are enrolled."""
        return len(self.templates)

    @property
    def samples(self) -> int:
        """How many embeddings there are over all people."""
        return sum(len(t.embeddings) for t in self.templates)
