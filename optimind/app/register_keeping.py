"""What a run does for the register besides marking: rosters, when cameras watched, and those who did not come."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from optimind.app.timetables import sync_rosters
from optimind.config import Config
from optimind.errors import OptiMindError
from optimind.pipeline.meetings import MeetingBook
from optimind.pipeline.settling import Settler
from optimind.pipeline.watches import WatchKeeper
from optimind.plugin_api import Event
from optimind.storage import Ledger

__all__ = ["RegisterKeeper"]

log = logging.getLogger(__name__)

ROSTER_S: Final = 60.0
"""How long it may take until a run notices that a roster was edited."""


class RegisterKeeper:
    """Keeps rosters, watched minutes and the absent up to date. Used by the loop's thread; never raises.

    Time is that of the newest event: in pace ``fast`` it is the recording's.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        book: MeetingBook,
        sinks: Sequence[str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._monotonic = monotonic
        self._newest_at: datetime | None = None
        self._rosters_s: float | None = None
        self._watches = WatchKeeper(ledger.school, book.timetable.rooms, monotonic=monotonic)
        self._settler = Settler(ledger, book, sinks, lambda: self._newest_at, monotonic)
        self.error = ""

    def take(self, events: Sequence[Event]) -> None:
        """Take in what happened."""
        newest = max((event.at for event in events), default=None)
        if newest is not None and (self._newest_at is None or newest > self._newest_at):
            self._newest_at = newest
        self._watches.take(events)

    def tick(self) -> None:
        """Do what it is time for."""
        if self._rosters_s is None or self._monotonic() - self._rosters_s >= ROSTER_S:
            self._sync_rosters()
        self._settler.tick()

    def finish(self) -> None:
        """The run ends: write down what is still in memory."""
        self._watches.write()
        self._settler.tick(now=True)

    def _sync_rosters(self) -> None:
        if self._newest_at is None:
            return
        self._rosters_s = self._monotonic()
        try:
            day = self._newest_at.astimezone(self._config.zone()).date()
            for class_id, change in sync_rosters(self._config, self._ledger, day).items():
                log.info(
                    "roster of %s: %d joined, %d left, %d renamed",
                    class_id,
                    len(change.joined),
                    len(change.left),
                    len(change.renamed),
                )
        except OptiMindError as error:
            if str(error) != self.error:
                log.warning("the rosters cannot be read now; those of before go on counting: %s", error)
            self.error = str(error)
        else:
            self.error = ""
