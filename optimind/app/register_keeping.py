"""What a run does for the register besides marking: rosters, when cameras watched, and those who did not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from optimind.app.rosters import RosterWatch
from optimind.config import Config
from optimind.pipeline.meetings import MeetingBook
from optimind.pipeline.settling import Settler
from optimind.pipeline.watches import WatchKeeper
from optimind.plugin_api import Event
from optimind.storage import Ledger

__all__ = ["RegisterKeeper"]


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
        self._zone = config.zone()
        self._newest_at: datetime | None = None
        self._rosters = RosterWatch(config, ledger, monotonic=monotonic)
        self._watches = WatchKeeper(ledger.school, book.timetable.rooms, monotonic=monotonic)
        self._settler = Settler(ledger, book, sinks, lambda: self._newest_at, monotonic)

    def take(self, events: Sequence[Event]) -> None:
        """Take in what happened."""
        newest = max((event.at for event in events), default=None)
        if newest is not None and (self._newest_at is None or newest > self._newest_at):
            self._newest_at = newest
        self._watches.take(events)

    def tick(self) -> None:
        """Do what it is time for."""
        if self._newest_at is not None:
            self._rosters.tick(self._newest_at.astimezone(self._zone).date())
        if self._settler.is_due:
            # Whoever is called absent must have been watched for as long as the ledger says.
            self._watches.write()
            self._settler.tick()

    def finish(self) -> None:
        """The run ends: write down what is still in memory."""
        self._watches.write()
        if self._newest_at is not None:
            self._rosters.finish(self._newest_at.astimezone(self._zone).date())
        self._settler.tick(now=True)
