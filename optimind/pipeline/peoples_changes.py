"""What people change where a sink keeps its rows: taken as corrections before anything is written over it."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from optimind.plugin_api import RecordRow, Sink, StatusChange
from optimind.storage import Correction, Ledger

__all__ = ["PeoplesChanges", "PickedUp", "sort_out", "take_up"]

log = logging.getLogger(__name__)

SOMEONE = "someone with access to the sheet"
MOST_NAMELESS = 100
"""More changes than this at once, to which nobody put a name, are no corrections: an old version was restored."""
_ORIGIN = "sheet"
_IDLE_S = 300.0
_LONGEST_NAME = 200


@dataclass(slots=True)
class PickedUp:
    """What was found: ``corrections``, and changes that are ``put_back`` because they are no status, or too many."""

    corrections: list[Correction] = field(default_factory=list)
    put_back: list[StatusChange] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.corrections or self.put_back)


class PeoplesChanges:
    """Looks for changes in one sink, and tells its own writing from them. For a sink without such, it does nothing."""

    def __init__(self, ledger: Ledger, sink: Sink, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._sink = sink
        self._clock = clock
        self._is_on = type(sink).collect is not Sink.collect
        self._next_look = 0.0

    def look(self, rows: Sequence[RecordRow]) -> bool:
        """Take up what people changed, before ``rows`` are delivered; whether anything is to be delivered by that.

        With no rows it looks every five minutes. Raises as :meth:`Sink.deliver` does.
        """
        if not self._is_on or (not rows and self._clock() < self._next_look):
            return False
        self._next_look = self._clock() + _IDLE_S
        name, ledger = self._sink.name, self._ledger
        changes = self._sink.collect(rows, lambda ids: ledger.cells.known(name, ids))
        return bool(take_up(ledger, name, sort_out(changes)))

    def sending(self, rows: Sequence[RecordRow]) -> None:
        """Note what is about to stand there."""
        if self._is_on:
            self._ledger.cells.may_write(self._sink.name, {row.record_id: row.status for row in rows})

    def sent(self, rows: Sequence[RecordRow]) -> None:
        """Note what stands there now: before the delivery is noted in the outbox."""
        if self._is_on:
            # What an earlier delivery says that may still come about is not a person's either.
            doubtful = self._ledger.outbox.second_look.in_doubt(self._sink.name, [row.record_id for row in rows])
            not_all = doubtful | set(self._sink.unsettled())
            settled = {row.record_id: row.status for row in rows if row.record_id not in not_all}
            self._ledger.cells.wrote(self._sink.name, settled)


def sort_out(changes: Sequence[StatusChange], nameless: str = "") -> PickedUp:
    """Make corrections of ``changes``. One that has no name is by ``nameless``, or by someone with access."""
    found = PickedUp()
    too_many = sum(not change.actor for change in changes) > MOST_NAMELESS
    for change in changes:
        if change.status is None or (too_many and not change.actor):
            found.put_back.append(change)
        else:
            actor = change.actor[:_LONGEST_NAME] or nameless or SOMEONE
            found.corrections.append(
                Correction(
                    record_id=change.record_id,
                    status=change.status,
                    actor=actor,
                    why="changed in the sheet",
                    origin=_ORIGIN,
                )
            )
    return found


def take_up(ledger: Ledger, sink: str, found: PickedUp) -> PickedUp:
    """Enter corrections in the ledger, and have all records that people changed delivered once more."""
    if not found:
        return found
    ids = [each.record_id for each in found.corrections] + [each.record_id for each in found.put_back]
    if found.corrections:
        ledger.correct(found.corrections, ledger.cells.sinks_of(ids) or [sink])
        # From here on it is ours: a letter that still says otherwise elsewhere is no new change.
        ledger.cells.may_write(sink, {each.record_id: str(each.status) for each in found.corrections})
        log.info("sink %s: %d statuses were corrected by people", sink, len(found.corrections))
    if found.put_back:
        _tell(sink, found.put_back)
    ledger.outbox.redeliver(sink, ids)
    return found


def _tell(sink: str, changes: Sequence[StatusChange]) -> None:
    unknown = [change for change in changes if change.status is None]
    for change in unknown[:5]:
        log.warning(
            "sink %s: %r is no status, so %s gets back what the ledger says; mend: write present, late, left_early, "
            "absent, excused or needs_review (or its letter)",
            sink,
            change.text[:40],
            change.record_id,
        )
    if len(changes) > len(unknown):
        log.warning(
            "sink %s: %d statuses differ at once and nobody put a name to them, as after an old version of the sheet "
            "was restored; they are put back; mend: where they are meant, write a name into corrected_by",
            sink,
            len(changes) - len(unknown),
        )
