"""What is said of a face: a person, a picture of one, or not known. The words are those of ISO/IEC 30107-3."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from optimind.core.planar import Comparison

__all__ = ["Evidence", "PadState", "PadVerdict"]


class PadState(enum.StrEnum):
    """What a presentation-attack check makes of a face."""

    BONA_FIDE = "bona_fide"
    SUSPECTED = "suspected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class PadVerdict:
    """What a check says of a track so far.

    ``liveness`` is 0-1: 1 is surely a person, 0 surely a picture of one. ``reason`` says why in a sentence that a
    teacher can read, without a name; a suspicion must have one. ``is_final``: more looks change nothing, so none need
    be made. Raises ``ValueError`` where that is not so.
    """

    state: PadState = PadState.UNDECIDED
    liveness: float = 0.5
    reason: str = ""
    is_final: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.liveness <= 1:
            raise ValueError(f"liveness must be 0 to 1, got {self.liveness}")
        if self.state is PadState.SUSPECTED and not self.reason:
            raise ValueError("a suspicion needs its reason")


_RIGID: Final = 0.005
"""Less misfit (face widths) is left by a photograph that moves; of people who moved, by no pair of 293."""
_ALIVE: Final = 0.009
"""More is left by a face that blinks, talks or turns ..."""
_LOST: Final = 0.06
"""... and more than this by two pictures that do not show the same."""
_MOVED: Final = 0.04
"""A face that went less far (face widths) says nothing of what is around it."""
_ALONG: Final = 0.85
_STAYS: Final = 0.35
_PAIRS: Final = 4
_SPAN_S: Final = 1.2
_OF_ALL: Final = 0.8
"""So many pairs, over so long, and such a part of all that told anything, make a verdict."""
_STILL: Final = 0.006
"""A face that in ``still_s`` went no further than this, a millimetre, and changed no more, is no living one."""
_STILL_LOOKS: Final = 20


class Evidence:
    """Collects comparisons of one track and says what they come to.

    Who blinks, talks or turns several times is bona fide. A suspicion needs all of it: the face moved, was rigid, and
    whatever could be told on at least two sides of the head moved along; again and again, with hardly any pair that
    says otherwise. Or it was as still as no living face is for ``still_s`` seconds.
    """

    def __init__(self, *, still_s: float) -> None:
        self._still_s = still_s
        self._flat = 0
        self._alive = 0
        self._against = 0
        self._flat_s: list[float] = []
        self._still_looks = 0
        self._was_still = False

    def add(self, comparison: Comparison, since_s: float, at_s: float) -> bool:
        """Take a comparison of a picture taken at ``since_s`` with one at ``at_s``; return whether the face is still.

        As long as it is, the next picture should be compared with the same earlier one.
        """
        if comparison.misfit > _LOST:
            return False
        is_still = comparison.misfit <= _STILL and comparison.moved <= _STILL
        self._still_looks = self._still_looks + 1 if is_still else 0
        self._was_still |= self._still_looks >= _STILL_LOOKS and at_s - since_s >= self._still_s
        told = [part for part in comparison.along if not math.isnan(part)]
        has_moved = comparison.moved >= _MOVED and bool(told)
        if comparison.misfit >= _ALIVE:
            self._alive += 1
        elif has_moved and min(told) <= _STAYS:
            self._against += 1
        elif has_moved and comparison.misfit <= _RIGID and len(told) >= 2 and min(told) >= _ALONG:
            self._flat += 1
            self._flat_s = [min([since_s, *self._flat_s]), max([at_s, *self._flat_s])]
        return is_still

    @property
    def verdict(self) -> PadVerdict:
        """What all of it comes to so far."""
        if self._was_still:
            reason = f"the face did not move or blink for {self._still_s:g} seconds"
            return PadVerdict(state=PadState.SUSPECTED, liveness=0.1, reason=reason, is_final=True)
        pairs = self._flat + self._alive + self._against
        liveness = (self._alive + self._against + 1) / (pairs + 2)
        if self._flat >= max(_PAIRS, _OF_ALL * pairs) and self._flat_s[1] - self._flat_s[0] >= _SPAN_S:
            reason = "the face moved stiffly and together with what is around it, as a picture that is held does"
            return PadVerdict(state=PadState.SUSPECTED, liveness=liveness, reason=reason, is_final=True)
        if self._alive >= _PAIRS and self._alive + self._against >= _OF_ALL * pairs:
            return PadVerdict(state=PadState.BONA_FIDE, liveness=liveness, is_final=True)
        return PadVerdict(liveness=liveness)
