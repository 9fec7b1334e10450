"""Where a face is and where it is going, when it was seen only now and then: a Kalman filter of constant velocity.

Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960, with the white-noise acceleration model of
Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, section 6.2.2. Both
axes have the same noises, so they share one covariance. All noises are in face sizes: who is near moves more pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motion"]

DETECTION_NOISE: Final = 0.08
"""How far a detector's box is off, in face sizes: its middle lies on a grid, and its size jumps by a fifth."""
FIRST_SPEED: Final = 6.0
"""How fast somebody may be who was seen once, in face sizes a second: who walks past makes 5 to 9."""
ACCELERATION: Final = 0.1
"""How much a speed changes, in face sizes a second, in a second, at least: of somebody who sits still."""
OF_SPEED: Final = 1.5
"""Who moves changes their speed by this many times it in a second as well, less what a head at rest sways."""
SWAY: Final = 0.3
"""In face sizes a second."""
OF_SURPRISE: Final = 1.5
"""Who was not where they should have been lately, by a face size, changes their speed by so much more."""
_MEMORY: Final = 0.7
"""How much of an old surprise is left at the next look."""
_CARRIED_S: Final = 0.3
"""After this time a third of a speed is left in a prediction: a head bobs, and its speed of now is not its speed."""
_LONGEST_S: Final = 1.0
"""Further ahead than this its place becomes no less sure: by then it is looked for as somebody new."""


@dataclass(slots=True, eq=False)
class Motion:
    """The middle (x, y) of a face in pixels, its velocity in pixels a second, and how sure both are.

    The velocity is the one that makes :meth:`middle_after` right at the next look: larger than the face's own where
    looks are far apart.

    ``size`` is the face's in pixels; ``place``, ``both`` and ``speed`` are the covariance in face sizes squared (and a
    second, and a second squared); ``surprise`` is by how many face sizes it was elsewhere than predicted, lately.
    """

    middle: NDArray[np.float64]
    size: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    place: float = DETECTION_NOISE**2
    both: float = 0.0
    speed: float = FIRST_SPEED**2
    surprise: float = 0.0

    @property
    def is_at_rest(self) -> bool:
        """Whether it only sways."""
        return float(np.hypot(*self.velocity)) <= SWAY * self.size

    def middle_after(self, seconds: float) -> NDArray[np.float64]:
        """Where the middle should be after ``seconds``; it does not go back in time."""
        carried_s = -_CARRIED_S * math.expm1(-max(seconds, 0.0) / _CARRIED_S)
        return np.asarray(self.middle + self.velocity * carried_s)

    def spread_after(self, seconds: float) -> float:
        """One standard deviation of where the middle will be after ``seconds``, along either axis, in pixels."""
        return self.size * math.sqrt(self._later(seconds)[0])

    def see(self, middle: NDArray[np.float64], size: float, seconds: float) -> None:
        """Take a detection, ``seconds`` after the last one."""
        seconds = max(seconds, 0.0)
        place, both, speed = self._later(seconds)
        predicted = self.middle_after(seconds)
        total = place + DETECTION_NOISE**2
        of_place, of_speed = place / total, both / total
        off = middle - predicted
        self.middle = predicted + of_place * off
        self.velocity = self.velocity + of_speed * off
        self.place, self.both, self.speed = (1 - of_place) * place, (1 - of_place) * both, speed - of_speed * both
        self.surprise = max(_MEMORY * self.surprise, float(np.hypot(*off)) / self.size)
        self.size = size

    def _later(self, seconds: float) -> tuple[float, float, float]:
        """The covariance after ``seconds``."""
        t = min(max(seconds, 0.0), _LONGEST_S)
        moving = OF_SPEED * max(0.0, float(np.hypot(*self.velocity)) / self.size - SWAY)
        noise = (ACCELERATION + moving + OF_SURPRISE * self.surprise) ** 2
        return (
            self.place + 2 * t * self.both + t * t * self.speed + noise * t**3 / 3,
            self.both + t * self.speed + noise * t * t / 2,
            self.speed + noise * t,
        )
