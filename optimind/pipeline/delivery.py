"""Takes records from the outbox to a sink, in the background, until the sink has them all."""

import logging
import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypedDict

from optimind.errors import DeliveryDelayed, DeliveryRefused, OptiMindError
from optimind.pipeline.batches import BatchSize, Suspects
from optimind.pipeline.peoples_changes import PeoplesChanges
from optimind.pipeline.rechecking import Recheck
from optimind.plugin_api import RecordRow, Sink
from optimind.storage import Ledger

__all__ = ["DeliveryStatus", "DeliveryWorker"]

log = logging.getLogger(__name__)

_IDLE_S = 1.0
_STOP_S = 5.0
_LAG_S = 5.0
_SMALLEST = 50
"""A batch that failed twice is made smaller, down to so many rows."""


class DeliveryStatus(TypedDict):
    """How a sink is doing.

    Rows that it lacks, since when (ISO 8601, and in seconds), rows that it does not take at all, its last error, and
    rows and failures of this run.
    """

    pending: int
    oldest: str | None
    oldest_s: float
    dead: int
    last_error: str | None
    delivered: int
    failures: int


class DeliveryWorker:
    """One background thread that delivers to one sink. Nothing that the sink or the ledger does stops it.

    Rows leave in batches as large as the sink takes, with ``interval_s`` between them so that marks share one; only a
    backlog leaves without a pause. A sink that says "later" is tried again after a random pause that grows up to
    ``longest_pause_s``, or after the time it asked for where that is longer; one that refuses is tried every
    ``longest_pause_s``. A row that it does not take though it takes others goes to the dead letter. ``zone`` is the
    time zone of the times that the sink is given.
    """

    def __init__(
        self,
        ledger: Ledger,
        sink: Sink,
        *,
        zone: tzinfo = UTC,
        interval_s: float = 1.0,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 300.0,
    ) -> None:
        self.sink = sink
        self._ledger = ledger
        self._people = PeoplesChanges(ledger, sink)
        self._zone = zone
        self._interval_s = interval_s
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._random = random.SystemRandom()
        self._thread = threading.Thread(target=self._work, name=f"deliver-{sink.name}", daemon=True)
        self._changed = threading.Condition()
        self._stopping = False
        self._backfilled = False
        # Guarded by _changed: when the next turn may begin, and whether the sink itself asked to wait until then.
        self._next_turn = 0.0
        self._asked_to_wait = False
        self._turns_begun = 0
        self._turns_ended = 0
        # Whether rows that wait for their next attempt are tried as well: at the start and at a flush.
        self._everything = True
        self._refused = False
        self._failures_in_a_row = 0
        self._size = BatchSize(sink)
        self._suspects = Suspects()
        self._recheck = Recheck(ledger, sink, self._local)
        self._last_error: str | None = None
        self._delivered = 0
        self._failures = 0
        self._lag: tuple[int, datetime | None] = (0, None)
        self._dead = 0
        self._lag_until = 0.0

    def start(self) -> None:
        """Begin. Records made before the sink was switched on are delivered too."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, waiting a few seconds for a delivery under way. What is not delivered stays in the outbox."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        try:
            self.sink.interrupt()
        except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin, and the run is over anyway
            log.warning("sink %s could not be interrupted: %s", self.sink.name, error)
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def flush(self, timeout_s: float) -> bool:
        """Wait until the sink has all it takes; False after ``timeout_s``, or when it refuses and waiting is no use."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            # A turn under way may have begun before the person acted, so it is the next one that tells.
            begun = self._turns_begun
            self._everything = True
            if not self._asked_to_wait:
                self._next_turn, self._failures_in_a_row = 0.0, 0
            self._changed.notify_all()
        while not self._backfilled or self._pending():
            with self._changed:
                refused = self._refused and self._turns_ended > begun
                left = deadline - time.monotonic()
                if refused or left <= 0 or not self._thread.is_alive():
                    return False
                self._changed.wait(min(left, _IDLE_S))
        return True

    def status(self) -> DeliveryStatus:
        """Return how delivery is doing; while the ledger cannot be read, with the rows last known to wait."""
        self._pending()
        return self._told()

    def _told(self) -> DeliveryStatus:
        pending, oldest = self._lag
        waits_s = 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())
        return DeliveryStatus(
            pending=pending,
            oldest=None if oldest is None else oldest.astimezone(self._zone).isoformat(timespec="seconds"),
            oldest_s=round(waits_s, 1),
            dead=self._dead,
            last_error=self._last_error,
            delivered=self._delivered,
            failures=self._failures,
        )

    def lag(self) -> DeliveryStatus:
        """As :meth:`status`, with what was true a few seconds ago: for whoever asks many times a minute."""
        if time.monotonic() >= self._lag_until:
            self._lag_until = time.monotonic() + _LAG_S
            self._pending()
        return self._told()

    def _pending(self) -> int:
        try:
            self._lag = self._ledger.outbox.lag(self.sink.name)
            self._dead = self._ledger.outbox.dead_letter.count(self.sink.name)
        except OptiMindError as error:
            self._last_error = str(error)
        return self._lag[0]

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (wait_s := self._next_turn - time.monotonic()) > 0:
                    self._changed.wait(wait_s)
                if self._stopping:
                    break
                everything, self._everything = self._everything, False
                self._asked_to_wait = False
                self._turns_begun += 1
            try:
                if not self._backfilled:
                    self._ledger.backfill(self.sink.name)
                    self._backfilled = True
                pause_s = self._turn(everything=everything)
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
                pause_s = self._failed(error)
            with self._changed:
                self._turns_ended += 1
                # A flush that came during the turn wants the next one at once.
                if not self._everything or self._asked_to_wait:
                    self._next_turn = time.monotonic() + pause_s
                self._changed.notify_all()
        self._close()

    def _turn(self, *, everything: bool) -> float:
        """Deliver one batch; return how long to pause, in seconds."""
        idle_s = min(_IDLE_S, self._interval_s)
        outbox, name = self._ledger.outbox, self.sink.name
        with self._ledger.delivery_lock(name) as is_mine:
            if not is_mine:
                return idle_s
            self._recheck.look()
            batch, is_full = self._batch(everything=everything)
            if self._people.look([row for row, _ in batch]):
                batch, is_full = self._batch(everything=everything)
            if not batch:
                return idle_s
            versions = [(row.record_id, version) for row, version in batch]
            if self._recheck.is_wanted:
                outbox.second_look.begin(name, [row.record_id for row, _ in batch])
            self._people.sending([row for row, _ in batch])
            try:
                self.sink.deliver([self._local(row) for row, _ in batch])
            except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin: what it raises is judged there
                return self._not_taken(versions, error)
            self._people.sent([row for row, _ in batch])
            outbox.delivered(name, versions, final=not self._recheck.is_wanted)
        self._succeeded(versions)
        return 0.0 if is_full else self._interval_s

    def _batch(self, *, everything: bool) -> tuple[list[tuple[RecordRow, int]], bool]:
        """Return what leaves next, each row with its version, and whether more may wait."""
        due = self._ledger.outbox.due(self.sink.name, self._size.rows, None if everything else datetime.now(UTC))
        batch = self._size.cut(due)
        return batch, len(batch) < len(due) or len(batch) >= self._size.rows

    def _not_taken(self, versions: Sequence[tuple[str, int]], error: Exception) -> float:
        pause_s = self._failed(error)
        outbox, ids = self._ledger.outbox, [record_id for record_id, _ in versions]
        if isinstance(error, DeliveryDelayed):
            if error.missing:
                outbox.redeliver(self.sink.name, error.missing)
            if error.retry_after_s is None and self._failures_in_a_row > 1 and len(ids) > _SMALLEST:
                # Perhaps so many rows take longer than anybody waits for the answer.
                self._size.halve(len(ids))
        if self._recheck.is_wanted and _is_over(error):
            outbox.second_look.is_over(self.sink.name, ids)
        elif self._recheck.is_wanted:
            self._recheck.warn()
        if isinstance(error, DeliveryDelayed) or (isinstance(error, DeliveryRefused) and not error.perhaps_rows):
            outbox.delayed(self.sink.name, ids, str(error), datetime.now(UTC) + timedelta(seconds=pause_s))
            return pause_s
        # Perhaps one record is too much for it: smaller batches, down to that one, which then waits alone.
        self._size.halve(len(ids))
        if len(ids) > 1:
            self._refused = False
            return self._interval_s
        return self._failed_alone(versions[0], error, pause_s)

    def _failed_alone(self, row: tuple[str, int], error: Exception, pause_s: float) -> float:
        """Put one row off, or give it up; return how long to pause, in seconds."""
        name, text = self.sink.name, _words(error)
        times = self._suspects.failed(row, is_refusal=isinstance(error, DeliveryRefused))
        if times is None:
            self._refused = False
            self._ledger.outbox.dead_letter.put(name, [row], text)
            log.warning("sink %s does not take the record %s: optimind outbox list says more", name, row[0])
            return self._interval_s
        # The longer the more often it failed, so that others come before it.
        later = datetime.now(UTC) + timedelta(seconds=self._longest_pause_s * (1 + times))
        self._ledger.outbox.delayed(name, [row[0]], text, later)
        if self._suspects.is_the_sink:
            return pause_s
        self._refused = False
        return self._interval_s

    def _failed(self, error: Exception) -> float:
        """Note and log a failure; return how long to pause, in seconds."""
        self._failures += 1
        self._failures_in_a_row += 1
        self._refused = isinstance(error, DeliveryRefused)
        text = _words(error)
        if text != self._last_error:
            log.warning("sink %s: %s", self.sink.name, text)
            log.debug("sink %s failed here", self.sink.name, exc_info=error)
        self._last_error = text
        if self._refused:
            return self._longest_pause_s
        doublings = min(self._failures_in_a_row, 30)
        # Full jitter: many that failed together do not come back together.
        most_s = min(self._longest_pause_s, self._first_pause_s * 2**doublings)
        pause_s = max(self._interval_s, self._random.uniform(0, most_s))
        if isinstance(error, DeliveryDelayed) and error.retry_after_s is not None:
            self._asked_to_wait = True
            # One that always says "at once" is not asked without end.
            return max(error.retry_after_s + self._random.uniform(0, self._first_pause_s), pause_s)
        return pause_s

    def _succeeded(self, versions: Sequence[tuple[str, int]]) -> None:
        if self._last_error is not None:
            log.info("sink %s takes rows again", self.sink.name)
        self._delivered += len(versions)
        self._last_error, self._refused, self._failures_in_a_row = None, False, 0
        self._size.grow()
        self._suspects.taken(versions)
        self._recheck.note()

    def _local(self, row: RecordRow) -> RecordRow:
        return row.in_zone(self._zone)

    def _close(self) -> None:
        try:
            self.sink.close()
        except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin, and the run is over anyway
            log.warning("sink %s did not close: %s", self.sink.name, error)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, OptiMindError) else f"unexpected {type(error).__name__}: {error}"


def _is_over(error: Exception) -> bool:
    """Whether the sink said that nothing of this delivery can come about later."""
    return isinstance(error, DeliveryRefused) or (isinstance(error, DeliveryDelayed) and error.is_over)
