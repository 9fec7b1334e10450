"""Who came in through a door and stayed seated is also there in the session that follows in the same room.

They are evidence of their own in it: having come in, in the moment in which it opens.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.orm import Session

from optimind.core.decisions import EvidenceKind
from optimind.core.registers import record_id
from optimind.storage.chunks import chunks
from optimind.storage.known import meeting_of, on_roster
from optimind.storage.new_records import make_record
from optimind.storage.school_tables import StoredSession
from optimind.storage.tables import Record, StoredSighting

__all__ = ["CARRIED", "carry_into", "carry_on"]

CARRIED = "carried"
"""What the id of such evidence is; of one record there is one at most."""
_MOVES = (str(EvidenceKind.IN), str(EvidenceKind.OUT))
_COPIED = ("camera", "similarity", "margin", "samples", "embedder", "suspicion")


def carry_on(session: Session, session_ids: Sequence[str], now: datetime) -> set[str]:
    """Bring the sessions after these in line with who came and went in them; return the records that it touches.

    Of sessions that are not held yet nothing is known, and :func:`carry_into` is told when they are.
    """
    touched: set[str] = set()
    waiting = list(dict.fromkeys(session_ids))
    while waiting:
        stored = session.get(StoredSession, waiting.pop(0))
        for follower in [] if stored is None else _followers(session, stored):
            some = carry_into(session, follower, now)
            touched |= some
            # Each follower starts later, so that this comes to an end.
            waiting += [follower.session_id] if some else []
    return touched


def carry_into(session: Session, stored: StoredSession, now: datetime) -> set[str]:
    """Enter who was inside when the sessions before ``stored`` ended; return the records that it touches.

    Only those who belong to its class: of anybody else it is likelier that the door did not see them go. A class
    without a roster is whoever was in its own session before.
    """
    inside = _inside(session, _before(session, stored), stored.class_id)
    roster = on_roster(session, stored.class_id, stored.date)
    wanted = {
        record_id(stored.date, stored.session, person): row
        for person, row in inside.items()
        if (person in roster if roster else row.class_id == stored.class_id)
    }
    known = _carried(session, stored)
    gone, fresh = sorted(known - wanted.keys()), sorted(wanted.keys() - known)
    _take_out(session, gone)
    if fresh:
        _enter(session, stored, {key: wanted[key] for key in fresh}, roster, now)
    return {*gone, *fresh}


def _before(session: Session, stored: StoredSession) -> list[str]:
    """The sessions whose end is the beginning of ``stored``: from then on the room is its own."""
    query = select(StoredSession.session_id).where(
        StoredSession.room == stored.room,
        StoredSession.ends_at >= stored.opens_at,
        StoredSession.ends_at <= stored.starts_at,
    )
    return list(session.scalars(query))


def _followers(session: Session, stored: StoredSession) -> list[StoredSession]:
    query = select(StoredSession).where(
        StoredSession.room == stored.room,
        StoredSession.ends_at > stored.ends_at,
        StoredSession.opens_at <= stored.ends_at,
        StoredSession.starts_at >= stored.ends_at,
    )
    return list(session.scalars(query))


def _inside(session: Session, session_ids: Sequence[str], class_id: str) -> dict[str, Row[Any]]:
    """By person the newest coming of those who did not go after it; of two sessions at once, that of the class."""
    if not session_ids:
        return {}
    query = (
        select(
            Record.person_id,
            Record.name,
            Record.class_id,
            StoredSighting.kind,
            *(getattr(StoredSighting, name) for name in _COPIED),
        )
        .join(StoredSighting, StoredSighting.record_id == Record.record_id)
        .where(Record.session_id.in_(session_ids), StoredSighting.kind.in_(_MOVES))
        # Of coming and going in one moment, the going is the older stay's.
        .order_by(StoredSighting.first_seen_at, StoredSighting.kind.desc(), Record.class_id == class_id)
    )
    newest = {row.person_id: row for row in session.execute(query)}
    return {person: row for person, row in newest.items() if row.kind == EvidenceKind.IN}


def _carried(session: Session, stored: StoredSession) -> set[str]:
    """The records of ``stored`` that have such evidence."""
    query = (
        select(StoredSighting.record_id)
        .join(Record, Record.record_id == StoredSighting.record_id)
        .where(Record.session_id == stored.session_id, StoredSighting.sighting_id == CARRIED)
    )
    return set(session.scalars(query))


def _take_out(session: Session, records: Sequence[str]) -> None:
    for some in chunks(records):
        session.execute(
            delete(StoredSighting).where(StoredSighting.record_id.in_(some), StoredSighting.sighting_id == CARRIED)
        )
        for record in session.scalars(select(Record).where(Record.record_id.in_(some))):
            # Else it would look like one whose evidence was not kept for so long, and stay as it is.
            record.first_seen_at = record.last_seen_at = None


def _enter(
    session: Session, stored: StoredSession, carried: dict[str, Row[Any]], roster: dict[str, str], now: datetime
) -> None:
    there: set[str] = set()
    for some in chunks(sorted(carried)):
        there.update(session.scalars(select(Record.record_id).where(Record.record_id.in_(some))))
    meeting = meeting_of(stored)
    for key, row in carried.items():
        if key not in there:
            session.add(make_record(meeting, row.person_id, roster.get(row.person_id, row.name), now))
    session.flush()
    table: Any = StoredSighting.__table__
    session.connection().execute(
        table.insert(),
        [
            {
                "sighting_id": CARRIED,
                "record_id": key,
                "first_seen_at": stored.opens_at,
                "last_seen_at": stored.opens_at,
                "kind": str(EvidenceKind.IN),
                **{name: getattr(row, name) for name in _COPIED},
            }
            for key, row in carried.items()
        ],
    )
