"""What makes a register: which record a sighting belongs to, how long a person was there, and which day it was.

Pure functions; the ledger and the sinks build on them.
"""

import hashlib
from collections.abc import Iterable
from datetime import date, datetime, tzinfo

from optimind.core.types import require_aware

__all__ = ["covered", "record_id", "seconds_seen", "session_date", "session_id"]


def record_id(day: date, session: str, person_id: str) -> str:
    """Return the id of the one record of this person in this session on this date, the same for ever.

    33 ASCII characters: ``r`` and 32 hexadecimal digits, so that no spreadsheet takes it for a number or a formula, and
    it needs no escaping in a URL. Two different triples share one with a probability of 2^-128; texts that look alike
    (composed and decomposed accents) stay different. Lone surrogates, as undecodable file names give them, are fine.
    """
    return f"r{_digest(b'optimind.record', day.isoformat(), session, person_id)}"


def session_id(day: date, session: str) -> str:
    """Return the id of this session on this date, the same for ever: ``s`` and 32 hexadecimal digits."""
    return f"s{_digest(b'optimind.session', day.isoformat(), session)}"


def _digest(purpose: bytes, *parts: str) -> str:
    digest = hashlib.blake2b(digest_size=16, person=purpose)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def seconds_seen(intervals: Iterable[tuple[datetime, datetime]]) -> float:
    """Return how long, in seconds, at least one of the ``(first_seen_at, last_seen_at)`` intervals lasted.

    Overlapping sightings, as two cameras or two tracks give them, count once. Raises ``ValueError`` for a naive time
    and for an interval that ends before it begins.
    """
    return sum(((last - first).total_seconds() for first, last in covered(intervals)), 0.0)


def covered(intervals: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the times that at least one interval lasted: in order, and none touches the next. Raises as above."""
    spans: list[tuple[datetime, datetime]] = []
    for first, last in sorted(_checked(first, last) for first, last in intervals):
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], last))
        else:
            spans.append((first, last))
    return spans


def _checked(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    require_aware(first, "first_seen_at")
    require_aware(last, "last_seen_at")
    if last < first:
        raise ValueError(f"an interval cannot end ({last.isoformat()}) before it begins ({first.isoformat()})")
    return first, last


def session_date(at: datetime, zone: tzinfo) -> date:
    """Return the date at the moment ``at`` where the clocks show ``zone``; a naive ``at`` raises ``ValueError``."""
    return require_aware(at, "at").astimezone(zone).date()
