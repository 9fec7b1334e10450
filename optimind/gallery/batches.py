"""How many photographs a process is handed at a time: many are quicker together, few lose less."""

from __future__ import annotations

from typing import Final

__all__ = ["Batches"]

LARGEST: Final = 8
"""Beyond this nothing is gained: faces found together take 0.3 of the time that the landmarks of each alone take."""
LONGEST_S: Final = 0.2
"""A batch takes no longer: what is on its way is lost when the run is killed, and the bar stands still meanwhile."""


class Batches:
    """Deals ``count`` photographs out to ``workers`` processes, in order.

    The first ones one by one, as it is not known yet how long they take; the last ones in ever smaller batches, so that
    no process works long when the others have nothing left.
    """

    def __init__(self, count: int, workers: int) -> None:
        self._count, self._workers = count, workers
        self._dealt = 0
        self._each_s = LONGEST_S

    def deal(self) -> range:
        """Return the numbers of the next photographs; empty when there are no more."""
        left = self._count - self._dealt
        size = min(LARGEST, int(LONGEST_S / self._each_s), left // (2 * self._workers))
        start = self._dealt
        self._dealt += min(left, max(1, size))
        return range(start, self._dealt)

    def took(self, count: int, seconds: float) -> None:
        """A process has looked at ``count`` photographs in so many ``seconds``."""
        self._each_s = max(seconds / count, LONGEST_S / LARGEST)
