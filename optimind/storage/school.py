"""What the ledger knows of the school: rosters, excuses, sessions, and when which camera watched."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from optimind.core.events import AttendanceMarked
from optimind.core.timetable import Meeting
from optimind.storage.audit import Said, append
from optimind.storage.database import Database
from optimind.storage.deciding import meeting_of, on_roster
from optimind.storage.recording import enter_session
from optimind.storage.school_tables import StoredExcuse, StoredMember, StoredSession, WatchedMinute
from optimind.storage.tables import Record
from optimind.storage.text import storable
from optimind.storage.watching import Watch, keep_watches

__all__ = ["Excuse", "Member", "RosterChange", "RosterEntry", "School", "Watch"]

_YESTERDAY = timedelta(days=1)
_BEGINNING = date(1970, 1, 1)
"""Since when those belong to a class who are on the first roster that is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody on the roster of a class from ``first_day`` to ``last_day`` (None: no end is known)."""

    class_id: str
    person_id: str
    name: str
    first_day: date
    last_day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChange:
    """Whom a new roster added, took off and renamed: person ids, sorted."""

    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """Why somebody may be away from ``first_day`` to ``last_day``; ``class_id`` empty: from all classes."""

    excuse_id: int
    person_id: str
    class_id: str
    first_day: date
    last_day: date
    why: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """One line of a roster. Dates that are None are those at which the line appeared and went away."""

    person_id: str
    name: str
    first_day: date | None = None
    last_day: date | None = None


class School:
    """Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    # -- rosters

    def set_roster(self, class_id: str, people: Sequence[RosterEntry], day: date) -> RosterChange:
        """Bring the roster of ``class_id`` to ``people``, as it stands on ``day``; what was decided before stays.

        Who is not among them any more left the day before. Who is new belongs to the class from ``day`` on, or from
        the beginning where the class had no roster so far. An entry with dates of its own is kept with these; somebody
        may stand there several times where each has a first day of its own.
        """
        class_id = storable(class_id)
        with self._database.writing() as session:
            mine = select(StoredMember).where(StoredMember.class_id == class_id).order_by(StoredMember.first_day)
            rows: dict[str, list[StoredMember]] = {}
            for row in session.scalars(mine):
                rows.setdefault(row.person_id, []).append(row)
            # Of somebody who left and came back, the latest time.
            known = {person_id: own[-1] for person_id, own in rows.items()}
            times = Counter(storable(entry.person_id) for entry in people)
            since = day if known else _BEGINNING
            joined, renamed = set(), set()
            for entry in people:
                person_id, name = storable(entry.person_id), storable(entry.name)
                is_only = times[person_id] == 1
                member = known.get(person_id) if is_only else _since(rows.get(person_id, ()), entry.first_day)
                if member is None or (is_only and _has_left(member, entry, day)):
                    first_day = entry.first_day or (since if member is None else day)
                    session.add(
                        StoredMember(
                            class_id=class_id,
                            person_id=person_id,
                            name=name,
                            first_day=first_day,
                            last_day=entry.last_day,
                        )
                    )
                    joined.add(person_id)
                    continue
                if member.name != name:
                    renamed.add(person_id)
                member.name, member.last_day = name, entry.last_day
                member.first_day = entry.first_day or member.first_day
            _drop_others(session, rows, people, times)
            left = _taken_off(session, known, {storable(entry.person_id) for entry in people}, day)
        return RosterChange(joined=tuple(sorted(joined)), left=left, renamed=tuple(sorted(renamed)))

    def roster(self, class_id: str, day: date) -> dict[str, str]:
        """Return the names of those on the roster of ``class_id`` on ``day``, by person id."""
        with self._database.reading() as session:
            return on_roster(session, storable(class_id), day)

    def is_passing(self, mark: AttendanceMarked) -> bool:
        """Whether ``mark`` is of somebody of another class who was still in the room, or left it, before the start."""
        meeting, sighting = mark.meeting, mark.sighting
        until = sighting.last_seen_at if mark.kind == "seen" else sighting.first_seen_at
        if meeting is None or mark.kind == "in" or until > meeting.starts_at:
            return False
        roster = self.roster(meeting.class_id, meeting.date)
        return bool(roster) and storable(sighting.person_id) not in roster

    def members(self, class_id: str | None = None) -> list[Member]:
        """Return everybody who is or was on a roster (None: of any class), by class, name and person."""
        query = select(StoredMember)
        if class_id is not None:
            query = query.where(StoredMember.class_id == storable(class_id))
        with self._database.reading() as session:
            found = [
                Member(
                    class_id=each.class_id,
                    person_id=each.person_id,
                    name=each.name,
                    first_day=each.first_day,
                    last_day=each.last_day,
                )
                for each in session.scalars(query)
            ]
        return sorted(found, key=lambda each: (each.class_id, each.name.casefold(), each.person_id, each.first_day))

    # -- excuses

    def excuse(
        self, person_id: str, first_day: date, last_day: date, *, why: str, actor: str, class_id: str = ""
    ) -> tuple[Excuse, list[str]]:
        """Note that ``person_id`` may be away; return the excuse, and the ids of the records that it may change."""
        if last_day < first_day:
            raise ValueError("an excuse cannot end before it begins")
        now = self._clock()
        with self._database.writing() as session:
            stored = StoredExcuse(
                person_id=storable(person_id),
                class_id=storable(class_id),
                first_day=first_day,
                last_day=last_day,
                why=storable(why),
                actor=storable(actor),
                at=now,
            )
            session.add(stored)
            session.flush()
            append(session, now, [_said_of(stored, "excused", actor)])
            return _as_excuse(stored), list(session.scalars(_touched(stored)))

    def withdraw_excuse(self, excuse_id: int, *, actor: str) -> list[str]:
        """Take an excuse back; return the ids of the records that this may change, none where there is no such."""
        now = self._clock()
        with self._database.writing() as session:
            stored = session.get(StoredExcuse, excuse_id)
            if stored is None or stored.withdrawn_at is not None:
                return []
            stored.withdrawn_at = now
            append(session, now, [_said_of(stored, "excuse withdrawn", actor)])
            return list(session.scalars(_touched(stored)))

    def excuses(self, person_id: str | None = None) -> list[Excuse]:
        """Return the excuses that count, of one person or of all, by their first day."""
        query = select(StoredExcuse).where(StoredExcuse.withdrawn_at.is_(None))
        if person_id is not None:
            query = query.where(StoredExcuse.person_id == storable(person_id))
        with self._database.reading() as session:
            found = session.scalars(query.order_by(StoredExcuse.first_day, StoredExcuse.excuse_id))
            return [_as_excuse(each) for each in found]

    # -- sessions

    def enter(self, meeting: Meeting) -> None:
        """Keep a meeting, such as one that is started or stopped by hand. One that is closed stays what it was."""
        with self._database.writing() as session:
            enter_session(session, meeting, is_told=True)

    def meetings(self, first_at: datetime, last_at: datetime, *, only_open: bool = False) -> list[Meeting]:
        """Return the meetings that are known and were, in part, between these moments, by their start."""
        query = select(StoredSession).where(StoredSession.opens_at <= last_at, StoredSession.ends_at >= first_at)
        if only_open:
            query = query.where(StoredSession.closed_at.is_(None))
        with self._database.reading() as session:
            found = session.scalars(query.order_by(StoredSession.starts_at, StoredSession.session))
            return [meeting_of(stored) for stored in found]

    # -- what was watched

    def watched(self, watches: Sequence[Watch]) -> None:
        """Note that cameras gave pictures; of a minute that is known the larger figures stay."""
        with self._database.writing() as session:
            keep_watches(session, watches)

    def watches(self, room: str, first_at: datetime, last_at: datetime) -> list[Watch]:
        """Return the minutes in which a camera in ``room`` gave pictures between these moments, in order."""
        query = (
            select(WatchedMinute)
            .where(
                WatchedMinute.room == storable(room),
                WatchedMinute.minute_at > first_at - timedelta(minutes=1),
                WatchedMinute.minute_at < last_at,
            )
            .order_by(WatchedMinute.minute_at, WatchedMinute.camera)
        )
        with self._database.reading() as session:
            return [
                Watch(
                    camera=each.camera,
                    room=each.room,
                    minute_at=each.minute_at,
                    seconds=each.seconds,
                    faces=each.faces,
                    named=each.named,
                )
                for each in session.scalars(query)
            ]

    def watched_days(self, since: datetime) -> set[tuple[str, date]]:
        """Return in which rooms, and on which days in UTC, a camera gave pictures from ``since`` on."""
        day = func.date(WatchedMinute.minute_at)
        query = select(WatchedMinute.room, day).where(WatchedMinute.minute_at >= since).distinct()
        with self._database.reading() as session:
            return {(room, date.fromisoformat(str(text))) for room, text in session.execute(query)}

    def closed(self, since: datetime) -> set[str]:
        """Return the ids of the sessions that ended from ``since`` on and are closed."""
        query = select(StoredSession.session_id).where(
            StoredSession.ends_at >= since, StoredSession.closed_at.is_not(None)
        )
        with self._database.reading() as session:
            return set(session.scalars(query))

    def settled_until(self, since: datetime) -> dict[str, datetime]:
        """Return, by room, when the latest session ended that was not by hand and is closed; none before ``since``."""
        query = select(StoredSession.room, func.max(StoredSession.ends_at).label("until")).where(
            StoredSession.ends_at >= since, StoredSession.closed_at.is_not(None), StoredSession.by_hand.is_(False)
        )
        with self._database.reading() as session:
            found = session.execute(query.group_by(StoredSession.room))
            return {row.room: row.until for row in found}

    def forget_watches(self, before: datetime) -> int:
        """Delete the minutes before ``before``; return how many those are."""
        with self._database.writing() as session:
            result = session.execute(delete(WatchedMinute).where(WatchedMinute.minute_at < before))
            return int(result.rowcount)  # type: ignore[attr-defined] # a delete's result has a count


def _has_left(member: StoredMember, entry: RosterEntry, day: date) -> bool:
    """Whether ``member`` left before ``day`` and the entry says that they belong to the class again."""
    if member.last_day is None or member.last_day >= day:
        return False
    return entry.last_day != member.last_day and (entry.last_day is None or entry.last_day >= day)


def _since(rows: Sequence[StoredMember], first_day: date | None) -> StoredMember | None:
    """The row of a person that begins on ``first_day``."""
    return next((row for row in rows if row.first_day == first_day), None)


def _drop_others(
    session: Session, rows: Mapping[str, list[StoredMember]], people: Sequence[RosterEntry], times: Mapping[str, int]
) -> None:
    """Of who stands there several times, each with dates of its own, no other time counts."""
    wanted = {(storable(entry.person_id), entry.first_day) for entry in people}
    for person_id, own in rows.items():
        for row in own if times.get(person_id, 0) > 1 else ():
            if (person_id, row.first_day) not in wanted:
                session.delete(row)


def _taken_off(session: Session, known: Mapping[str, StoredMember], wanted: set[str], day: date) -> tuple[str, ...]:
    left = []
    for person_id, member in known.items():
        if person_id in wanted or (member.last_day is not None and member.last_day < day):
            continue
        left.append(person_id)
        if member.first_day >= day:
            session.delete(member)
        else:
            member.last_day = day - _YESTERDAY
    return tuple(sorted(left))


def _touched(excuse: StoredExcuse) -> Select[str]:
    """The records that the excuse may change."""
    query = select(Record.record_id).where(
        Record.person_id == excuse.person_id,
        Record.session_id != "",
        Record.date >= excuse.first_day,
        Record.date <= excuse.last_day,
    )
    return query.where(Record.class_id == excuse.class_id) if excuse.class_id else query


def _said_of(excuse: StoredExcuse, action: str, actor: str) -> Said:
    detail = {
        "class": excuse.class_id,
        "first_day": excuse.first_day.isoformat(),
        "last_day": excuse.last_day.isoformat(),
        "why": excuse.why,
    }
    return Said(actor=storable(actor), action=action, person_id=excuse.person_id, detail=detail)


def _as_excuse(stored: StoredExcuse) -> Excuse:
    return Excuse(
        excuse_id=stored.excuse_id,
        person_id=stored.person_id,
        class_id=stored.class_id,
        first_day=stored.first_day,
        last_day=stored.last_day,
        why=stored.why,
        actor=stored.actor,
    )
