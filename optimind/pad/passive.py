"""The check ``passive``: how a face moves tells a held photograph from a person. Nothing is fetched, nobody is asked.

docs/pad.md says what it catches, what it does not, and how that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from optimind.core.planar import FACE_PX, HEIGHT, PATCH_PX, Patch, PlanarReference, Vector
from optimind.core.presentation import Evidence
from optimind.plugin_api import Image, PadCheck, PadVerdict, Settings

__all__ = ["PassiveCheck", "PassiveSettings"]

INTERVAL_S: Final = 0.3
"""So often a face is looked at. Faster, and two pictures differ too little; slower, and a visit gives too few."""
REFERENCE_S: Final = 1.2
"""An earlier picture serves for so long; later the light and the pose differ too much."""
LARGEST_FACE_PX: Final = 400
"""Beyond this a face fills the picture, and there is nothing around it to compare it with."""
_BLUR_PX: Final = 0.8
"""Takes away what rounding to whole pixels leaves."""
_STRIDE: Final = 8
_THUMBNAIL: Final = (120, 68)
"""The picture as a whole, to know how the camera moved; width and height."""
_CLEAR: Final = 0.15
"""The least response of a phase correlation that is believed."""
_SHAKE_PX: Final = 0.8
"""A camera that seems to have moved by less than this has not: that is how exact the thumbnails are."""
_FOUND: Final = 0.5
"""The least correlation of a face with itself a moment later."""


class PassiveSettings(Settings):
    """``still_s``: a face that keeps completely still for so long is suspected, in seconds."""

    still_s: float = Field(default=20.0, ge=5, le=600)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One frame as a whole: what it looks like from afar, and its size (width, height) in pixels."""

    thumbnail: NDArray[np.float32]
    size: tuple[int, int]

    @classmethod
    def of(cls, image: Image) -> _View:
        few = cv2.cvtColor(image[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE], cv2.COLOR_BGR2GRAY)
        small = cv2.resize(few, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        return cls(small.astype(np.float32), (image.shape[1], image.shape[0]))

    def moved_to(self, later: _View) -> Vector | None:
        """How far the room went in the picture until ``later``, in its pixels; None where that cannot be told."""
        if self.size != later.size:
            return None
        (x, y), response = cv2.phaseCorrelate(self.thumbnail, later.thumbnail)
        if response < _CLEAR:
            return None
        moved = np.array([x, y]) * np.array(self.size) / _THUMBNAIL
        return moved if np.hypot(*moved) >= _SHAKE_PX else np.zeros(2)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One look at a face: its patch, and where in the frame that was cut out: the corner and the side of the square."""

    patch: Patch
    corner: tuple[int, int]
    side: int
    view: _View
    at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """An earlier look that later ones are compared with; ``small`` is half of its patch."""

    look: _Look
    planar: PlanarReference
    small: NDArray[np.float32]

    def serves(self, width: float, at: datetime) -> bool:
        """Whether a face of that width can still be compared with it."""
        return 0.75 < width * PATCH_PX / FACE_PX / self.look.side < 1.33 and at > self.look.at


@dataclass(slots=True, eq=False)
class _Track:
    evidence: Evidence
    reference: _Reference | None = None


class PassiveCheck(PadCheck):
    """Compares looks at a face over a second: did it move as a flat picture moves? Memory: some 250 kB a track."""

    name: ClassVar[str] = "passive"
    settings_type: ClassVar[type[Settings]] = PassiveSettings
    interval_s = INTERVAL_S

    def __init__(self, settings: PassiveSettings) -> None:
        self._still_s = settings.still_s
        self._tracks: dict[str, _Track] = {}
        self._view: tuple[datetime, _View] | None = None
        self._shifts: dict[datetime, Vector | None] = {}

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Nothing is loaded."""
        return cls(settings)

    def observe(self, track: str, image: Image, box: tuple[float, float, float, float], at: datetime) -> PadVerdict:
        """Compare the face with how it was a moment ago."""
        known = self._tracks.setdefault(track, _Track(Evidence(still_s=self._still_s)))
        width = float(np.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]) / HEIGHT))
        if not 0 < width <= LARGEST_FACE_PX:
            return known.evidence.verdict
        before = known.reference
        if before is not None and not before.serves(width, at):
            before = None
        side = before.look.side if before is not None else max(1, round(width * PATCH_PX / FACE_PX))
        corner = (round((box[0] + box[2] - side) / 2), round((box[1] + box[3] - side) / 2))
        look = _Look(_cut(image, corner, side), corner, side, self._view_of(image, at), at)
        if before is None or not self._serves_on(known.evidence, before, look):
            planar = PlanarReference(look.patch)
            known.reference = _Reference(look, planar, _halved(look.patch)) if planar.is_usable else None
        return known.evidence.verdict

    def forget(self, track: str) -> None:
        """Drop what is known of ``track``."""
        self._tracks.pop(track, None)

    def _serves_on(self, evidence: Evidence, before: _Reference, look: _Look) -> bool:
        """Compare ``look`` with ``before``, and say whether that serves for the next one too."""
        is_young = look.at - before.look.at < timedelta(seconds=REFERENCE_S)
        shift = self._shift(before.look, look)
        start = _found(before.small, look.patch)
        if shift is None or start is None:
            return is_young
        room = (np.array(before.look.corner) - np.array(look.corner) + shift) * (PATCH_PX / look.side)
        comparison = before.planar.compare(look.patch, start, room)
        if comparison is None:
            return is_young
        return evidence.add(comparison, before.look.at.timestamp(), look.at.timestamp()) or is_young

    def _view_of(self, image: Image, at: datetime) -> _View:
        # Of one frame all faces are looked at, one after the other.
        if self._view is None or self._view[0] != at:
            self._view = (at, _View.of(image))
            self._shifts.clear()
        return self._view[1]

    def _shift(self, before: _Look, now: _Look) -> Vector | None:
        """How far the room went since ``before``; many faces have their reference in the same frame."""
        if before.at not in self._shifts:
            self._shifts[before.at] = before.view.moved_to(now.view)
        return self._shifts[before.at]


def _cut(image: Image, corner: tuple[int, int], side: int) -> Patch:
    """The square of the picture there, grey and of a patch's size; black where it reaches beyond the picture."""
    left, top = corner
    height, width = image.shape[:2]
    rows, columns = np.clip((top, top + side), 0, height), np.clip((left, left + side), 0, width)
    part = image[rows[0] : rows[1], columns[0] : columns[1]]
    if part.shape[:2] != (side, side):
        whole = np.zeros((side, side, 3), dtype=np.uint8)
        whole[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left] = part
        part = whole
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    how = cv2.INTER_AREA if side >= PATCH_PX else cv2.INTER_LINEAR
    small = cv2.resize(grey, (PATCH_PX, PATCH_PX), interpolation=how).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR_PX), dtype=np.float32)


def _halved(patch: Patch) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(patch, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


_HALF_FACE: Final = (FACE_PX // 4 - 1, FACE_PX // 4 + 1)
"""Half the width and height of what is looked for, in pixels of a halved patch."""


def _found(before: NDArray[np.float32], patch: Patch) -> Vector | None:
    """About where the face of the halved patch ``before`` is in ``patch``, in its pixels; None: it is not there."""
    middle = PATCH_PX // 4
    across, down = _HALF_FACE
    face = before[middle - down : middle + down, middle - across : middle + across]
    _, best, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(_halved(patch), face, cv2.TM_CCOEFF_NORMED))
    if best < _FOUND:
        return None
    return 2.0 * np.array([x - (middle - across), y - (middle - down)])
