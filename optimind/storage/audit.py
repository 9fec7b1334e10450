"""The audit log: every decision about a record and every correction, in lines that nobody can change unnoticed.

Each line carries the SHA-256 of itself and of the hash before it, so that changing, removing or inserting one breaks
all that follow. What a line says of a person stands in the chain only as a digest with a random salt: it can be taken
out when the person is forgotten, and the chain still holds. How many are emptied so is said in a line of its own, in
the same transaction: more empty ones than that were emptied by somebody else. Cutting off the end is noticed by whoever
wrote down an earlier ``head``.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from optimind.storage.chunks import chunks
from optimind.storage.database import Database
from optimind.storage.school_tables import AuditEntry

__all__ = [
    "FIRST_PREVIOUS",
    "AuditLine",
    "AuditLog",
    "AuditReport",
    "Said",
    "append",
    "erase",
    "erase_lines",
    "erase_records",
    "last_said",
]

FIRST_PREVIOUS: Final = "0" * 64
"""What stands before the first line."""
_AT_ONCE = 1000
_EMPTYING: Final = ("forgotten", "redacted", "swept")
"""The actions of lines that say how many others were emptied."""
_PLAINLY: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a new line is to say: who did what, to which record and person, and the particulars as plain values."""

    actor: str
    action: str
    record_id: str | None = None
    person_id: str | None = None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line as it stands in the log; ``is_erased``: what it said of a person was taken out."""

    number: int
    at: datetime
    actor: str
    action: str
    record_id: str | None
    person_id: str | None
    detail: dict[str, Any]
    is_erased: bool
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What verifying found: how many lines there are, how many were erased, the newest hash, and what is wrong.

    ``fault`` is None where the log is as it was written; then nothing before ``head`` was ever changed.
    """

    lines: int
    erased: int
    head: str
    fault: str | None


def append(session: Session, now: datetime, said: Sequence[Said]) -> None:
    """Add lines at the end, in the transaction of what they tell of."""
    if not said:
        return
    newest = select(AuditEntry.number, AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1)
    number, previous = session.execute(newest).one_or_none() or (0, FIRST_PREVIOUS)
    at = now.isoformat()
    rows = []
    for number, each in enumerate(said, number + 1):  # noqa: B020 - the count goes on from the newest line
        salt, detail = secrets.token_hex(16), _canonical(each.detail)
        digest = _sha256(salt, each.record_id, each.person_id, detail)
        line = _sha256(number, at, each.actor, each.action, digest, previous)
        rows.append(
            {
                "number": number,
                "at": at,
                "actor": each.actor,
                "action": each.action,
                "record_id": each.record_id,
                "person_id": each.person_id,
                "detail": detail,
                "salt": salt,
                "digest": digest,
                "previous": previous,
                "hash": line,
            }
        )
        previous = line
    # Past the unit of work, which would look at each of many lines.
    session.connection().execute(insert(AuditEntry), rows)


def erase(session: Session, person_id: str, record_ids: Sequence[str] = ()) -> int:
    """Take out what the log says of ``person_id`` and these records; return of how many lines. The chain holds."""
    return _erase(session, AuditEntry.person_id == person_id) + erase_records(session, record_ids)


def erase_records(session: Session, record_ids: Sequence[str]) -> int:
    """Take out what the log says of these records; return of how many lines. The chain still holds."""
    return sum(_erase(session, AuditEntry.record_id.in_(ids)) for ids in chunks(record_ids))


def erase_lines(session: Session, numbers: Sequence[int]) -> int:
    """Take out what these lines say; return how many those were. The chain still holds."""
    return sum(_erase(session, AuditEntry.number.in_(some)) for some in chunks(numbers))


def _erase(session: Session, where: ColumnElement[bool]) -> int:
    gone = update(AuditEntry).where(where).values(record_id=None, person_id=None, detail=None, salt=None)
    result = session.execute(gone.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined] # an update's result has a count


def last_said(session: Session, record_id: str, action: str) -> AuditLine | None:
    """The newest line of that ``action`` about a record; None where there is none."""
    query = select(AuditEntry).where(AuditEntry.record_id == record_id, AuditEntry.action == action)
    entry = session.scalars(query.order_by(AuditEntry.number.desc()).limit(1)).one_or_none()
    return None if entry is None else _as_line(entry)


class AuditLog:
    """Reads and verifies the log. Raises :class:`StorageError` where the database fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def append(self, said: Sequence[Said]) -> None:
        """Add lines of something that is in no other table."""
        with self._database.writing() as session:
            append(session, self._clock(), said)

    def lines(self, *, record_id: str | None = None, person_id: str | None = None) -> list[AuditLine]:
        """Return the lines about a record or person (None: about all), oldest first."""
        query = select(AuditEntry).order_by(AuditEntry.number)
        if record_id is not None:
            query = query.where(AuditEntry.record_id == record_id)
        if person_id is not None:
            query = query.where(AuditEntry.person_id == person_id)
        with self._database.reading() as session:
            return [_as_line(entry) for entry in session.scalars(query)]

    def verify(self) -> AuditReport:
        """Compute every hash again."""
        count, erased, told, previous = 0, 0, 0, FIRST_PREVIOUS
        with self._database.reading() as session:
            for entry in _all(session):
                fault = _fault_of(entry, count + 1, previous)
                if fault is not None:
                    return AuditReport(lines=count, erased=erased, head=previous, fault=fault)
                count, previous = entry.number, entry.hash
                erased += entry.salt is None
                told += _emptied_by(entry)
        fault = None if erased <= told else f"{erased} lines say nothing any more, and only {told} were taken out"
        return AuditReport(lines=count, erased=erased, head=previous, fault=fault)


def _all(session: Session) -> Iterator[AuditEntry]:
    query = select(AuditEntry).order_by(AuditEntry.number).execution_options(yield_per=_AT_ONCE)
    yield from session.scalars(query)


def _fault_of(entry: AuditEntry, number: int, previous: str) -> str | None:
    if entry.number != number:
        return f"line {number} is missing: after line {number - 1} comes line {entry.number}"
    if entry.previous != previous:
        return f"line {number} does not follow line {number - 1}: one of them was replaced"
    if entry.hash != _sha256(number, entry.at, entry.actor, entry.action, entry.digest, previous):
        return f"line {number} was changed after it was written"
    if entry.salt is None and entry.detail is None:
        return None
    if entry.digest != _sha256(entry.salt, entry.record_id, entry.person_id, entry.detail):
        return f"what line {number} says was changed after it was written"
    return None


def _emptied_by(entry: AuditEntry) -> int:
    """How many lines were emptied when this one was written."""
    if entry.action not in _EMPTYING or entry.detail is None:
        return 0
    detail = json.loads(entry.detail)
    return int(detail.get("audit_lines") or detail.get("audit lines") or 0)  # the second as it was written at first


def _as_line(entry: AuditEntry) -> AuditLine:
    return AuditLine(
        number=entry.number,
        at=datetime.fromisoformat(entry.at),
        actor=entry.actor,
        action=entry.action,
        record_id=entry.record_id,
        person_id=entry.person_id,
        detail=json.loads(entry.detail) if entry.detail is not None else {},
        is_erased=entry.salt is None,
        hash=entry.hash,
    )


def _canonical(value: Any) -> str:
    """One text for one value, whatever the order of its keys."""
    return _PLAINLY.encode(value)


def _sha256(*parts: object) -> str:
    return hashlib.sha256(_canonical(parts).encode("ascii")).hexdigest()
