"""Enters evidence and decisions in the ledger: each function works inside one transaction of the caller."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from optimind.core.decisions import Rule
from optimind.core.events import AttendanceMarked, AttendanceStatus
from optimind.core.registers import record_id, session_id
from optimind.core.timetable import Meeting
from optimind.plugin_api import RecordRow
from optimind.storage.audit import Said, append
from optimind.storage.carrying import carry_into, carry_on
from optimind.storage.chunks import chunks
from optimind.storage.deciding import decide_records, meeting_of, on_roster
from optimind.storage.evidence import EvidenceKeeper
from optimind.storage.new_records import make_record, record_of
from optimind.storage.outbox_entries import enter_in_outbox
from optimind.storage.rows import as_row
from optimind.storage.school_tables import StoredSession, WatchedMinute
from optimind.storage.tables import Record
from optimind.storage.text import storable

__all__ = ["enter_session", "enter_sessions", "finish", "keep", "records_by_id", "redecide", "settle"]

_SEEN = "seen"
_DECIDED = (
    "name",
    "status",
    "first_seen_at",
    "last_seen_at",
    "seconds_seen",
    "camera",
    "similarity",
    "margin",
    "source",
    "version",
    "updated_at",
    "rule",
    "reason",
    "embedder",
)


def keep(
    session: Session, marks: Sequence[AttendanceMarked], sinks: Sequence[str], now: datetime
) -> dict[str, RecordRow]:
    """Keep ``marks`` and what they say of their records; return these, by their id."""
    keys = {id(mark): record_id(mark.date, mark.session, mark.sighting.person_id) for mark in marks}
    records = records_by_id(session, sorted(set(keys.values())), for_update=True)
    before = {key: as_row(record) for key, record in records.items()}
    said: dict[str, AttendanceStatus] = {}
    changed: set[str] = set()
    enter_sessions(session, [mark.meeting for mark in marks if mark.meeting is not None])
    for mark in marks:
        key = keys[id(mark)]
        if key not in records:
            records[key] = record_of(key, mark, now)
            session.add(records[key])
    # Evidence refers to its record, which must be there first.
    session.flush()
    evidence = EvidenceKeeper(session, [(keys[id(mark)], mark) for mark in marks])
    for mark in marks:
        key = keys[id(mark)]
        if evidence.take(key, mark):
            changed.add(key)
            said[key] = mark.status
            records[key].name = storable(mark.sighting.name)
    evidence.write()
    moved = {records[keys[id(mark)]].session_id for mark in marks if mark.kind != _SEEN and keys[id(mark)] in changed}
    carried = carry_on(session, sorted(moved), now)
    if carried:
        changed |= carried
        more = records_by_id(session, sorted(carried - records.keys()))
        before |= _decided(more)
        records |= more
    if changed:
        at = max((mark.at for mark in marks), default=now)
        decide_records(session, [records[key] for key in sorted(changed)], at, said)
    return finish(session, records.values(), before, sinks, now)


def settle(
    session: Session,
    meeting: Meeting,
    now: datetime,
    sinks: Sequence[str],
    clock: datetime,
    *,
    only_known: bool = False,
) -> list[RecordRow]:
    """Decide about the whole class of ``meeting`` at ``now``; ``clock`` is this machine's time. Returns changes.

    Nobody is called absent before the moment from which on they may be. With ``only_known`` one of which nothing was
    ever kept is left alone.
    """
    known = session.get(StoredSession, session_id(meeting.date, meeting.session))
    if known is None and (only_known or not _was_watched(session, meeting)):
        return []
    stored = known or enter_session(session, meeting)
    if stored.closed_at is not None:
        return []
    meeting = meeting_of(stored)
    if not carry_into(session, stored, clock) and now < meeting.decided_at:
        return []  # what each mark says was decided when it came
    mine = {
        record.record_id: record
        for record in session.scalars(select(Record).where(Record.session_id == stored.session_id))
    }
    before = _decided(mine)
    for person_id, name in on_roster(session, meeting.class_id, meeting.date).items():
        key = record_id(meeting.date, meeting.session, person_id)
        if key not in mine:
            mine[key] = make_record(meeting, person_id, name, clock)
    decided = decide_records(session, list(mine.values()), now, {})
    session.add_all(record for record in decided if record.record_id not in before)
    if now >= meeting.ends_at:
        stored.closed_at = now
    session.flush()
    rows = finish(session, decided, before, sinks, clock)
    return [row for key, row in rows.items() if row != before.get(key)]


def redecide(session: Session, ids: Sequence[str], sinks: Sequence[str], now: datetime) -> list[RecordRow]:
    """Decide about these records again; returns those that have changed."""
    records = records_by_id(session, ids, for_update=True)
    before = {key: as_row(record) for key, record in records.items()}
    decide_records(session, list(records.values()), now, {})
    rows = finish(session, records.values(), before, sinks, now)
    return [row for key, row in rows.items() if row != before[key]]


def finish(
    session: Session,
    records: Iterable[Record],
    before: Mapping[str, RecordRow],
    sinks: Sequence[str],
    now: datetime,
) -> dict[str, RecordRow]:
    """Give each record that is not what it was ``before`` a new version, a line in the audit log, and to the sinks."""
    said = []
    rows: dict[str, RecordRow] = {}
    records = list(records)
    for record in records:
        old, new = before.get(record.record_id), as_row(record)
        if new != old:
            record.version += 1
            record.updated_at = now
            _write_alike(record)
            said += _decision_of(old, new)
            new = replace(new, version=record.version)
        rows[record.record_id] = new
    append(session, now, said)
    session.flush()
    enter_in_outbox(session, records, list(dict.fromkeys(sinks)), now)
    return rows


def _decided(records: Mapping[str, Record]) -> dict[str, RecordRow]:
    """What those of ``records`` say about which something was decided before."""
    return {key: as_row(record) for key, record in records.items() if record.version}


def _write_alike(record: Record) -> None:
    """Have all that a decision may change be written, so that all records that have changed are one statement."""
    if inspect(record).persistent:
        for name in _DECIDED:
            flag_modified(record, name)


def records_by_id(session: Session, ids: Sequence[str], *, for_update: bool = False) -> dict[str, Record]:
    """The records with these ids, as far as there are any."""
    found = {}
    for some in chunks(ids):
        query = select(Record).where(Record.record_id.in_(some))
        for record in session.scalars(query.with_for_update() if for_update else query):
            found[record.record_id] = record
    return found


def enter_sessions(session: Session, meetings: Iterable[Meeting]) -> None:
    """Keep each of ``meetings`` as :func:`enter_session` does; of one that comes again, the last counts."""
    latest = {session_id(meeting.date, meeting.session): meeting for meeting in meetings}
    for some in chunks(list(latest)):
        # Loaded in one go; held on to, for the session itself forgets what nobody holds.
        stored = session.scalars(select(StoredSession).where(StoredSession.session_id.in_(some))).all()
        for key in some:
            enter_session(session, latest[key])
        del stored


def enter_session(session: Session, meeting: Meeting, *, is_told: bool = False) -> StoredSession:
    """Keep ``meeting`` as it is held. Until it is closed the newest timetable counts, after that the one of then.

    One that is held by hand changes only where somebody starts or stops it (``is_told``): a run that has not noticed
    yet that it was stopped would prolong it with its next mark.
    """
    key = session_id(meeting.date, meeting.session)
    values = {
        "date": meeting.date,
        "session": storable(meeting.session),
        "class_id": storable(meeting.class_id),
        "room": storable(meeting.room),
        "opens_at": meeting.opens_at,
        "starts_at": meeting.starts_at,
        "ends_at": meeting.ends_at,
        "late_after_s": _seconds(meeting.rules.late_after),
        "absent_after_s": _seconds(meeting.rules.absent_after),
        "leave_early_s": _seconds(meeting.rules.leave_early),
        "by_hand": meeting.by_hand,
    }
    stored = session.get(StoredSession, key)
    if stored is None:
        stored = StoredSession(session_id=key, **values)
        session.add(stored)
        session.flush()
    elif stored.closed_at is None and (is_told or not stored.by_hand):
        for name, value in values.items():
            if getattr(stored, name) != value:
                setattr(stored, name, value)
    return stored


def _decision_of(old: RecordRow | None, new: RecordRow) -> list[Said]:
    """The line for the audit log; none where only times or similarity have changed, or a person said it."""
    if old is not None and (old.status, old.rule, old.name) == (new.status, new.rule, new.name):
        return []
    if new.rule == Rule.CORRECTED:  # which has a line of its own
        return []
    detail = {
        "date": new.date.isoformat(),
        "session": new.session,
        "name": new.name,
        "was": None if old is None else old.status,
        "status": new.status,
        "rule": new.rule,
        "reason": new.reason,
    }
    return [Said(actor=new.source, action="decided", record_id=new.record_id, person_id=new.person_id, detail=detail)]


def _was_watched(session: Session, meeting: Meeting) -> bool:
    """Whether a camera of the room gave pictures while the meeting was on."""
    query = select(WatchedMinute.minute_at).where(
        WatchedMinute.room == storable(meeting.room),
        WatchedMinute.minute_at >= meeting.starts_at,
        WatchedMinute.minute_at < meeting.ends_at,
    )
    return session.execute(query.limit(1)).first() is not None


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
