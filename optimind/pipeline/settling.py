"""Decides, while the loop runs, about those of a class who were not seen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from optimind.core.timetable import Meeting
from optimind.errors import StorageError
from optimind.pipeline.meetings import MeetingBook
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger

__all__ = ["LOOK_BACK", "Settler", "settle_all"]

log = logging.getLogger(__name__)

SETTLE_S: Final = 10.0
LOOK_BACK: Final = timedelta(days=1)
"""A session that ended longer ago is left to the command `attendance`."""


def settle_all(
    ledger: Ledger, meetings: Sequence[Meeting], now: datetime, sinks: Sequence[str], *, only_known: bool = False
) -> list[RecordRow]:
    """Settle those of ``meetings`` that have begun (and with ``only_known`` are known); returns what has changed."""
    changed = []
    for meeting in meetings:
        if meeting.starts_at <= now:
            changed += ledger.settle(meeting, now, sinks, only_known=only_known)
    return changed


class Settler:
    """Settles the meetings of the last day in the rooms that this run watches. Used by one thread; never raises.

    ``clock`` gives the time of the pictures, which in pace ``fast`` is not that of the wall. Of what ended before this
    run began only that is settled which an earlier run has begun: the timetable may have been another one then.
    """

    def __init__(
        self,
        ledger: Ledger,
        book: MeetingBook,
        sinks: Sequence[str],
        clock: Callable[[], datetime | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._sinks = sinks
        self._clock = clock
        self._monotonic = monotonic
        self._settled_s: float | None = None
        self._began_at: datetime | None = None
        self._closed: set[tuple[str, object]] = set()
        self.error = ""

    @property
    def is_due(self) -> bool:
        """Whether it is time again."""
        return self._settled_s is None or self._monotonic() - self._settled_s >= SETTLE_S

    def tick(self, *, now: bool = False) -> None:
        """Settle what is due, if it is time (or ``now``)."""
        at = self._clock()
        if at is None or not (self.is_due or now):
            return
        self._settled_s = self._monotonic()
        began_at = self._began_at = self._began_at or at
        try:
            for meeting in self._book.here(at - LOOK_BACK, at):
                key = (meeting.session, meeting.date)
                if key in self._closed:
                    continue
                is_old = meeting.ends_at < began_at
                settle_all(self._ledger, [meeting], at, self._sinks, only_known=is_old)
                if at >= meeting.ends_at:
                    self._closed.add(key)
        except StorageError as error:
            if str(error) != self.error:
                log.warning("the absent cannot be entered now: %s", error)
            self.error = str(error)
        else:
            self.error = ""
