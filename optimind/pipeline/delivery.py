"""Takes records from the outbox to a sink, in the background, until the sink has them all."""

import logging
import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypedDict

from optimind.errors import DeliveryDelayed, DeliveryRefused, OptiMindError
from optimind.pipeline.peoples_changes import PeoplesChanges
from optimind.plugin_api import RecordRow, Sink
from optimind.storage import Ledger

__all__ = ["DeliveryStatus", "DeliveryWorker"]

log = logging.getLogger(__name__)

_BATCH = 500
_IDLE_S = 1.0
_STOP_S = 5.0


class DeliveryStatus(TypedDict):
    """How a sink is doing: rows it lacks, since when (ISO 8601), its last error, and rows and failures of this run."""

    pending: int
    oldest: str | None
    last_error: str | None
    delivered: int
    failures: int


class DeliveryWorker:
    """One background thread that delivers to one sink. Nothing that the sink or the ledger does stops it.

    Rows leave in batches of up to 500 with at least ``interval_s`` between them, so that many marks share a request and
    a quota of 60 writes (and as many reads) a minute is kept. A sink that says "later" is tried again after a random
    pause that grows up to ``longest_pause_s``, or after the time it asked for; one that refuses is tried every
    ``longest_pause_s``. ``zone`` is the time zone of the times that the sink is given.
    """

    def __init__(
        self,
        ledger: Ledger,
        sink: Sink,
        *,
        zone: tzinfo = UTC,
        interval_s: float = 2.5,
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
        self._batch = _BATCH
        self._last_error: str | None = None
        self._delivered = 0
        self._failures = 0
        self._lag: tuple[int, datetime | None] = (0, None)

    def start(self) -> None:
        """Begin. Records made before the sink was switched on are delivered too."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, waiting a few seconds for a delivery under way. What is not delivered stays in the outbox."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def flush(self, timeout_s: float) -> bool:
        """Wait until the sink has everything; False after ``timeout_s``, or when it refuses and waiting is no use."""
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
        pending = self._pending()
        oldest = self._lag[1]
        return DeliveryStatus(
            pending=pending,
            oldest=None if oldest is None else oldest.astimezone(self._zone).isoformat(timespec="seconds"),
            last_error=self._last_error,
            delivered=self._delivered,
            failures=self._failures,
        )

    def _pending(self) -> int:
        try:
            self._lag = self._ledger.outbox.lag(self.sink.name)
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
        with self._ledger.delivery_lock(self.sink.name) as is_mine:
            if not is_mine:
                return min(_IDLE_S, self._interval_s)
            due = self._ledger.outbox.due(self.sink.name, self._batch, None if everything else datetime.now(UTC))
            if self._people.look([row for row, _ in due]):
                due = self._ledger.outbox.due(self.sink.name, self._batch, None if everything else datetime.now(UTC))
            if not due:
                return min(_IDLE_S, self._interval_s)
            began = time.monotonic()
            self._people.sending([row for row, _ in due])
            try:
                self.sink.deliver([self._local(row) for row, _ in due])
            except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin: what it raises is judged there
                return self._not_taken([row.record_id for row, _ in due], error)
            self._people.sent([row for row, _ in due])
            self._ledger.outbox.delivered(self.sink.name, [(row.record_id, version) for row, version in due])
        self._succeeded(len(due))
        # A slow sink gets as much time to rest as it took.
        return max(self._interval_s, time.monotonic() - began)

    def _not_taken(self, record_ids: Sequence[str], error: Exception) -> float:
        pause_s = self._failed(error)
        if isinstance(error, DeliveryDelayed) and error.missing:
            self._ledger.outbox.redeliver(self.sink.name, error.missing)
        if not isinstance(error, DeliveryDelayed | DeliveryRefused):
            # Perhaps one record is too much for it: smaller batches, down to that one, which then waits alone.
            self._batch = max(1, len(record_ids) // 2)
            pause_s = min(pause_s, self._interval_s)
            if len(record_ids) > 1:
                return pause_s
            next_attempt_at = datetime.now(UTC) + timedelta(seconds=self._longest_pause_s)
        else:
            next_attempt_at = datetime.now(UTC) + timedelta(seconds=pause_s)
        self._ledger.outbox.delayed(self.sink.name, record_ids, str(error), next_attempt_at)
        return pause_s

    def _failed(self, error: Exception) -> float:
        """Note and log a failure; return how long to pause, in seconds."""
        self._failures += 1
        self._failures_in_a_row += 1
        self._refused = isinstance(error, DeliveryRefused)
        text = str(error) if isinstance(error, OptiMindError) else f"unexpected {type(error).__name__}: {error}"
        if text != self._last_error:
            log.warning("sink %s: %s", self.sink.name, text)
            log.debug("sink %s failed here", self.sink.name, exc_info=error)
        self._last_error = text
        if self._refused:
            return self._longest_pause_s
        if isinstance(error, DeliveryDelayed) and error.retry_after_s is not None:
            self._asked_to_wait = True
            return error.retry_after_s + self._random.uniform(0, self._first_pause_s)
        doublings = min(self._failures_in_a_row, 30)
        # Full jitter: many that failed together do not come back together.
        most_s = min(self._longest_pause_s, self._first_pause_s * 2**doublings)
        return max(self._interval_s, self._random.uniform(0, most_s))

    def _succeeded(self, rows: int) -> None:
        if self._last_error is not None:
            log.info("sink %s takes rows again", self.sink.name)
        self._delivered += rows
        self._last_error, self._refused, self._failures_in_a_row = None, False, 0
        self._batch = min(_BATCH, self._batch * 2)

    def _local(self, row: RecordRow) -> RecordRow:
        return row.in_zone(self._zone)

    def _close(self) -> None:
        try:
            self.sink.close()
        except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin, and the run is over anyway
            log.warning("sink %s did not close: %s", self.sink.name, error)
