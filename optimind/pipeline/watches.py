"""Writes down when cameras watched and how many faces they saw: without that, nobody could be called absent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from optimind.errors import StorageError
from optimind.plugin_api import Event, FacesCounted
from optimind.storage import School, Watch

__all__ = ["WatchKeeper"]

log = logging.getLogger(__name__)

WRITE_S: Final = 20.0
MOST_WAITING: Final = 24 * 60
"""So many minutes wait in memory while nothing can be written."""
_LONGEST_GAP_S: Final = 30.0
"""Between two counts further apart than this, nobody knows whether the camera gave pictures."""


class WatchKeeper:
    """Adds up what :class:`FacesCounted` tells by camera and minute. Used by one thread; never raises.

    ``rooms`` gives the room of each camera; the others are left out.
    """

    def __init__(
        self, school: School, rooms: Mapping[str, str], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._school = school
        self._rooms = rooms
        self._monotonic = monotonic
        self._counted_at: dict[str, datetime] = {}
        self._minutes: dict[tuple[str, datetime], Watch] = {}
        self._written_s = monotonic()
        self.error = ""

    def take(self, events: Sequence[Event]) -> None:
        """Take in the counts among ``events``."""
        for event in events:
            if isinstance(event, FacesCounted) and event.camera in self._rooms:
                self._count(event)
        if self._minutes and self._monotonic() - self._written_s >= WRITE_S:
            self.write()

    def write(self) -> bool:
        """Write what is new; returns whether nothing waits any more."""
        self._written_s = self._monotonic()
        if not self._minutes:
            return True
        try:
            self._school.watched(list(self._minutes.values()))
        except StorageError as error:
            if str(error) != self.error:
                log.warning("when cameras watched cannot be written now: %s", error)
            self.error = str(error)
            while len(self._minutes) > MOST_WAITING:
                del self._minutes[next(iter(self._minutes))]
            return False
        self.error = ""
        # The minute that goes on is needed to go on adding.
        newest = {(camera, _minute(at)) for camera, at in self._counted_at.items()}
        self._minutes = {key: watch for key, watch in self._minutes.items() if key in newest}
        return True

    def _count(self, event: FacesCounted) -> None:
        before = self._counted_at.get(event.camera)
        self._counted_at[event.camera] = event.at
        gap_s = 0.0 if before is None else (event.at - before).total_seconds()
        key = (event.camera, _minute(event.at))
        known = self._minutes.get(key) or Watch(
            camera=event.camera, room=self._rooms[event.camera], minute_at=key[1], seconds=0.0, faces=0, named=0
        )
        inside_s = (event.at - key[1]).total_seconds()
        # What of the gap lies in this minute; the rest, in the minute before, was that one's.
        seconds = known.seconds + min(gap_s, inside_s) if 0 < gap_s <= _LONGEST_GAP_S else known.seconds
        more = event.faces > known.faces
        self._minutes[key] = replace(
            known,
            seconds=seconds,
            faces=max(known.faces, event.faces),
            named=event.named if more else known.named,
        )
        if 0 < gap_s <= _LONGEST_GAP_S and gap_s > inside_s and before is not None:
            earlier = (event.camera, _minute(before))
            if earlier in self._minutes:
                old = self._minutes[earlier]
                self._minutes[earlier] = replace(old, seconds=min(60.0, old.seconds + gap_s - inside_s))


def _minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)
