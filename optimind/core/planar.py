"""Whether a face moves as a flat picture does: rigidly, and together with what is around it.

Two small pictures of the same face are compared. The inside of the face is brought into line by the affine map that
fits best (Baker and Matthews, "Lucas-Kanade 20 Years On: A Unifying Framework", 2004, the inverse compositional form,
with a gain and an offset for the light). What is left is told as a displacement: the residual divided by the slope of
the picture, so that it does not depend on contrast. A photograph leaves what noise and rounding leave; a face that
blinks, talks or turns leaves several times as much. Then the same map is tried beside and above the head, where a
photograph goes on (or a telephone has its rim) and behind a person the room stays where it is.

All pictures are grey, float32, 0-255, :data:`PATCH_PX` on each side, with the face in the middle, :data:`FACE_PX` wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FACE_PX", "HEIGHT", "PATCH_PX", "Comparison", "Patch", "PlanarReference", "Vector"]

FACE_PX: Final = 40
"""How wide a face is in a patch. Larger costs more and tells nothing more of faces of 45 to 110 px."""
PATCH_PX: Final = 112
"""The side of a patch: room for what is around the face, and for a box that is a little off."""
HEIGHT: Final = 1.2
"""How many times as high as wide a face is, from the hairline to the chin."""

Patch = NDArray[np.float32]
"""(PATCH_PX, PATCH_PX)."""
Vector = NDArray[np.float64]
"""(2,): x and y in pixels of a patch, unless said otherwise."""

_ITERATIONS: Final = 8
_ENOUGH: Final = 0.02
"""A step of less (pixels) changes nothing any more."""
_INSIDE: Final = 0.9
"""So much of the face must lie in both patches."""
_DIFFERS: Final = 12.0
"""A pixel tells something where one of the two explanations is off by as many grey levels: noise is not."""
_EXPLAINS: Final = 0.5
"""An explanation is the better one where it is off by less than this part of the other one."""
_TOLD: Final = 12
"""On a side so many pixels must tell something."""
_FLAT: Final = 9.0
"""The least mean squared slope, in (grey levels a pixel) squared, of a face with enough contrast to be judged."""

_MIDDLE: Final = (PATCH_PX - 1) / 2
_ROWS, _COLUMNS = np.mgrid[0:PATCH_PX, 0:PATCH_PX].astype(np.float64) - _MIDDLE
# Every second pixel, like the black ones of a chessboard: neighbours tell nearly the same.
_USED = (np.indices((PATCH_PX, PATCH_PX)).sum(axis=0) % 2) == 0
_X, _Y = _COLUMNS / FACE_PX, _ROWS / FACE_PX
_FACE = np.nonzero(((_X / 0.46) ** 2 + (_Y / (0.46 * HEIGHT)) ** 2 < 1) & _USED)
_BESIDE = (_Y > -1.2) & (_Y < 0.45) & (np.abs(_X) > 0.66) & (np.abs(_X) < 0.8)
_ABOVE = (_Y < -0.82) & (_Y > -0.95) & (np.abs(_X) <= 0.66)
_SIDES = np.where(_ABOVE, 3, np.where(_BESIDE, np.where(_X < 0, 1, 2), 0)) * _USED
"""0 nowhere, 1 to the left of the head, 2 to the right, 3 above it: close by, since a telephone is hardly wider."""
_AROUND = np.nonzero(_SIDES)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two pictures of a face differ. Lengths are in face widths.

    ``misfit`` is what the best affine map leaves inside the face. ``moved`` is how far the face went against the room.
    ``along`` says, to the left of the head, to its right and above, which part (0-1) of what changed there went along
    with the face; NaN where nothing changed, as on a bare wall.
    """

    misfit: float
    moved: float
    along: tuple[float, float, float]


class PlanarReference:
    """A picture of a face that later ones are compared with."""

    def __init__(self, patch: Patch) -> None:
        self._patch = patch
        across, down = np.zeros_like(patch), np.zeros_like(patch)
        across[:, 1:-1] = (patch[:, 2:] - patch[:, :-2]) / 2
        down[1:-1] = (patch[2:] - patch[:-2]) / 2
        gx, gy = across[_FACE].astype(np.float64), down[_FACE].astype(np.float64)
        x, y = _X[_FACE], _Y[_FACE]
        self._values = patch[_FACE].astype(np.float64)
        self._around = patch[_AROUND].astype(np.float64)
        self._slope = float(np.mean(gx * gx + gy * gy))
        light = (self._values - self._values.mean()) / FACE_PX
        self._steps = np.stack([gx, gy, x * gx, y * gx, x * gy, y * gy, light, np.ones_like(gx)], axis=1)
        squares = self._steps.T @ self._steps
        # The least bit of damping, so that a face without any detail is no division by zero.
        squares += np.eye(len(squares)) * (1e-9 * np.trace(squares) + 1e-12)
        self._solve = np.linalg.solve(squares, self._steps.T)

    @property
    def is_usable(self) -> bool:
        """Whether the face has enough contrast to be compared."""
        return self._slope >= _FLAT

    def compare(self, patch: Patch, start: Vector, room: Vector) -> Comparison | None:
        """Compare with a later ``patch``; None where the face is not found in it.

        ``start`` is about where the face went inside the patch, ``room`` is where the room went inside it. Both patches
        have one scale.
        """
        linear, shift = np.eye(2), start.astype(np.float64)
        residual = np.empty(0)
        for _ in range(_ITERATIONS):
            values, inside = _sampled(patch, _FACE, linear, shift)
            if inside.mean() < _INSIDE:
                return None
            residual = np.where(inside, values - self._values, 0.0)
            step = self._solve @ residual
            residual = residual - self._steps @ step
            change = np.eye(2) + step[2:6].reshape(2, 2) / FACE_PX
            if abs(np.linalg.det(change)) < 0.1:
                return None
            linear = linear @ np.linalg.inv(change)
            shift = shift - linear @ step[:2]
            if np.abs(step[:2]).max() < _ENOUGH and np.abs(step[2:6]).max() < 2 * _ENOUGH:
                break
        misfit = float(np.sqrt(np.mean(residual**2) / max(self._slope, _FLAT)))
        moved = float(np.hypot(*(shift - room)))
        return Comparison(misfit / FACE_PX, moved / FACE_PX, self._along(patch, linear, shift, room))

    def _along(
        self, patch: Patch, linear: NDArray[np.float64], shift: Vector, room: Vector
    ) -> tuple[float, float, float]:
        moving, there = _sampled(patch, _AROUND, linear, shift)
        staying, here = _sampled(patch, _AROUND, np.eye(2), room)
        off_moving, off_staying = np.abs(moving - self._around), np.abs(staying - self._around)
        told = there & here & (np.maximum(off_moving, off_staying) > _DIFFERS)
        went_along = off_moving < _EXPLAINS * off_staying
        sides = _SIDES[_AROUND]
        left, right, above = (_part(went_along[told & (sides == side)]) for side in (1, 2, 3))
        return left, right, above


def _part(of: NDArray[np.bool_]) -> float:
    """Which part is true; NaN where there are too few to tell."""
    return float(of.mean()) if len(of) >= _TOLD else math.nan


def _sampled(
    patch: Patch, where: tuple[NDArray[np.intp], ...], linear: NDArray[np.float64], shift: Vector
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The values of ``patch`` where the map takes the pixels ``where``, bilinear, and which of them lie inside."""
    x0, y0 = _COLUMNS[where], _ROWS[where]
    x = linear[0, 0] * x0 + linear[0, 1] * y0 + (shift[0] + _MIDDLE)
    y = linear[1, 0] * x0 + linear[1, 1] * y0 + (shift[1] + _MIDDLE)
    last = PATCH_PX - 1.001
    inside = (x >= 0) & (y >= 0) & (x <= last) & (y <= last)
    np.clip(x, 0, last, out=x)
    np.clip(y, 0, last, out=y)
    column, row = x.astype(np.intp), y.astype(np.intp)
    x -= column
    y -= row
    flat, at = patch.reshape(-1), row * PATCH_PX + column
    upper = flat[at] * (1 - x) + flat[at + 1] * x
    lower = flat[at + PATCH_PX] * (1 - x) + flat[at + PATCH_PX + 1] * x
    return upper * (1 - y) + lower * y, inside
