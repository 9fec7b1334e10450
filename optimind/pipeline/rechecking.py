"""Looks once more, a while after a delivery, whether all of it is still there, and has sent again what is not."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from optimind.errors import DeliveryError
from optimind.plugin_api import RecordRow, Sink
from optimind.storage import Ledger

__all__ = ["Recheck"]

log = logging.getLogger(__name__)

_MOST = 10_000
_SAMPLE = 25
"""Of what was found before, the first and the last so many are looked at again: where none is there, nothing is."""


class Recheck:
    """The second looks at one sink that asks for them (``Sink.recheck_s``). Used by its delivery thread.

    ``local`` gives a row the times of the school. The first look comes at once, for what earlier runs delivered and
    for what happened meanwhile.
    """

    def __init__(self, ledger: Ledger, sink: Sink, local: Callable[[RecordRow], RecordRow]) -> None:
        self._ledger = ledger
        self._sink = sink
        self._local = local
        self._next: float | None = None if sink.recheck_s is None else 0.0
        self._is_first = True

    @property
    def is_wanted(self) -> bool:
        """Whether the sink is looked at at all."""
        return self._sink.recheck_s is not None

    def warn(self) -> None:
        """A delivery ended nobody knows how."""
        if self._sink.recheck_s is not None:
            self._sink.may_come_late(self._sink.recheck_s)

    def note(self) -> None:
        """Something was delivered."""
        if self._sink.recheck_s is not None and self._next is None:
            self._next = time.monotonic() + self._sink.recheck_s

    def look(self) -> None:
        """Look, where it is time to. Raises DeliveryDelayed or DeliveryRefused, as a delivery does."""
        if self._next is None or self._sink.recheck_s is None or time.monotonic() < self._next:
            return
        # Set before anything can fail: a sink that cannot be looked at is not asked again and again.
        self._next = time.monotonic() + self._sink.recheck_s
        outbox, name = self._ledger.outbox.second_look, self._sink.name
        if self._is_first and outbox.is_any_open(name):
            self.warn()
        rows = outbox.due(name, datetime.now(UTC) - timedelta(seconds=self._sink.recheck_s), _MOST)
        since = outbox.target_since(name, self._sink.target)
        known = outbox.sample(name, _SAMPLE, since)
        if rows or (self._is_first and known):
            lacking = self._lacking([row.row for row in rows], known)
            if lacking is None:
                return
            self._is_first = False
            if known and lacking.issuperset(row.record_id for row in known):
                self._send_all(since)
                return
            again = lacking | {row.row.record_id for row in rows if row.in_doubt}
            again &= {row.row.record_id for row in rows}
            outbox.confirm(name, [(row.row.record_id, row.version) for row in rows if row.row.record_id not in again])
            if again:
                log.info("sink %s: %d rows are sent once more (%d were not found)", name, len(again), len(lacking))
                # In this order, so that a kill between the two loses neither.
                self._ledger.outbox.redeliver(name, sorted(again))
                outbox.had_its_time(name, sorted(again))
        if not outbox.due(name, datetime.now(UTC) + timedelta(seconds=self._sink.recheck_s), 1):
            self._next = None

    def _lacking(self, rows: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> set[str] | None:
        try:
            return set(self._sink.lacking([self._local(row) for row in rows], [self._local(row) for row in earlier]))
        except DeliveryError:
            raise
        except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin: this must not stop deliveries
            log.warning("sink %s could not be looked at: %s: %s", self._sink.name, type(error).__name__, error)
            return None

    def _send_all(self, since: datetime) -> None:
        count = self._ledger.outbox.redeliver_all(self._sink.name, since)
        log.warning(
            "sink %s: nothing that it was given is there whole any more (emptied, deleted, or a column is gone), "
            "so all %d rows are sent again",
            self._sink.name,
            count,
        )
