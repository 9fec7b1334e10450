"""What looking at one photograph gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entry", "Outcome"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What looking at one picture gave: an embedding (dimension,) float64, or the reason why not.

    ``embedding`` is also None, without a reason, for a duplicate remembered from an earlier run: its embedding was not
    kept. The other fields are those of :class:`optimind.gallery.format.Sample`.
    """

    sha256: str
    picture: str
    reason: str = ""
    detail: str = ""
    embedding: NDArray[np.float64] | None = None
    face_px: float = 0.0
    sharpness: float = 0.0
    smaller_faces: int = 0
    frontality: float = 1.0
    light: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An outcome and the state of the file that it was computed from."""

    file: str
    size: int
    mtime_ns: int
    outcome: Outcome
