"""Which sessions are held in front of a camera: those of the timetable, and those that were started by hand."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from optimind.core.timetable import Meeting, Timetable
from optimind.errors import StorageError
from optimind.storage import School

__all__ = ["MeetingBook"]

log = logging.getLogger(__name__)

REFRESH_S: Final = 5.0
"""How long it may take until a run notices that a session was started or stopped by hand."""
_AROUND: Final = timedelta(days=1)


class MeetingBook:
    """Answers for the loop, from memory; what was started by hand is read from the ledger now and then.

    Used by one thread. While the ledger cannot be read, what is known goes on counting.
    """

    def __init__(
        self, timetable: Timetable, school: School, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.timetable = timetable
        self._school = school
        self._monotonic = monotonic
        self._by_hand: list[Meeting] = []
        self._read_s: float | None = None
        self._read_for: datetime | None = None

    def __call__(self, camera: str, first_at: datetime, last_at: datetime) -> Sequence[Meeting]:
        """The meetings in the room of ``camera`` between these moments, by their start."""
        room = self.timetable.rooms.get(camera)
        by_hand = [each for each in self._started_by_hand(last_at) if each.room == room]
        return [
            *self.timetable.in_front_of(camera, first_at, last_at),
            *(each for each in by_hand if each.overlaps(first_at, last_at)),
        ]

    def here(self, first_at: datetime, last_at: datetime) -> list[Meeting]:
        """All meetings between these moments in rooms in which a camera of this timetable hangs."""
        rooms = set(self.timetable.rooms.values())
        by_hand = [each for each in self._started_by_hand(last_at) if each.overlaps(first_at, last_at)]
        return [each for each in (*self.timetable.between(first_at, last_at), *by_hand) if each.room in rooms]

    def _started_by_hand(self, at: datetime) -> list[Meeting]:
        now_s = self._monotonic()
        is_near = self._read_for is not None and abs(at - self._read_for) < _AROUND / 2
        if self._read_s is not None and now_s - self._read_s < REFRESH_S and is_near:
            return self._by_hand
        self._read_s, self._read_for = now_s, at
        try:
            known = self._school.meetings(at - _AROUND, at + _AROUND)
        except StorageError as error:
            log.warning("sessions that were started by hand cannot be read now: %s", error)
            return self._by_hand
        self._by_hand = [each for each in known if each.by_hand]
        return self._by_hand
