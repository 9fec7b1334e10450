"""What the sinks still have to get and what they do not take, told from the ledger alone: no sink is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optimind.errors import UsageError
from optimind.storage import DeadRow, Ledger, Waiting

__all__ = ["OutboxStanding", "document", "retry", "standing"]


@dataclass(frozen=True, slots=True)
class OutboxStanding:
    """How each sink is doing at ``now``, and the records that one of them does not take."""

    now: datetime
    sinks: Sequence[Waiting]
    dead: Sequence[DeadRow]

    def waits_s(self, sink: Waiting) -> float:
        """For how many seconds the longest waiting row does; 0 where none waits."""
        return 0.0 if sink.oldest is None else max(0.0, (self.now - sink.oldest).total_seconds())


def standing(ledger: Ledger, sink: str | None, now: datetime) -> OutboxStanding:
    """Look at all sinks, or one. Raises :class:`UsageError` where nothing was ever meant for that one."""
    known = ledger.outbox.waiting()
    _require(sink, known)
    return OutboxStanding(
        now, [each for each in known if sink in (None, each.sink)], ledger.outbox.dead_letter.rows(sink)
    )


def retry(ledger: Ledger, sink: str | None, record_ids: Sequence[str] | None) -> int:
    """Have records of the dead letter (None: all) sent again, to each sink or one; return how many rows that are.

    Raises :class:`UsageError` where there is no such sink, or one of the records is in no dead letter.
    """
    _require(sink, ledger.outbox.waiting())
    dead = {each.row.record_id for each in ledger.outbox.dead_letter.rows(sink)}
    if unknown := [each for each in record_ids or () if each not in dead]:
        raise UsageError(
            f"{', '.join(unknown)} is not in the dead letter", mend="optimind outbox list shows what is, by record_id"
        )
    return ledger.outbox.dead_letter.retry(sink, record_ids)


def document(found: OutboxStanding) -> dict[str, Any]:
    """What `outbox list --json` prints; times in UTC."""
    return {
        "sinks": [
            {
                "sink": each.sink,
                "pending": each.pending,
                "oldest": None if each.oldest is None else each.oldest.isoformat(timespec="seconds"),
                "oldest_s": round(found.waits_s(each), 1),
                "dead": each.dead,
                "last_error": each.last_error,
            }
            for each in found.sinks
        ],
        "dead": [
            {
                "sink": each.sink,
                "record_id": each.row.record_id,
                "date": each.row.date.isoformat(),
                "session": each.row.session,
                "person_id": each.row.person_id,
                "name": each.row.name,
                "version": each.row.version,
                "attempts": each.attempts,
                "dead_at": None if each.dead_at is None else each.dead_at.isoformat(timespec="seconds"),
                "reason": each.reason,
            }
            for each in found.dead
        ],
    }


def _require(sink: str | None, known: Sequence[Waiting]) -> None:
    names = [each.sink for each in known]
    if sink is not None and sink not in names:
        raise UsageError(
            f"nothing was ever meant for a sink {sink!r} from this ledger",
            mend=f"the sinks here are: {', '.join(names) or 'none yet'}",
        )
