"""What the ledger knows of the school: rosters, excuses, sessions, and when which camera watched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select, delete, insert, or_, select

from optimind.core.timetable import Meeting
from optimind.storage.audit import Said, append
from optimind.storage.database import Database
from optimind.storage.deciding import meeting_of, on_roster
from optimind.storage.recording import enter_session
from optimind.storage.school_tables import StoredExcuse, StoredMember, StoredSession, WatchedMinute
from optimind.storage.tables import Record
from optimind.storage.text import storable
from optimind.storage.watching import Watch, keep_watches

__all__ = ["Excuse", "Member", "RosterChange", "School", "Watch"]

_YESTERDAY = timedelta(days=1)


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


class School:
    """Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    # -- rosters

    def set_roster(self, class_id: str, people: Mapping[str, str], day: date) -> RosterChange:
        """From ``day`` on exactly ``people`` (names by person id) are on the roster of ``class_id``.

        Who is not among them any more left the day before; what was decided before that day stays.
        """
        class_id, wanted = storable(class_id), {storable(key): storable(name) for key, name in people.items()}
        with self._database.writing() as session:
            open_ = select(StoredMember).where(
                StoredMember.class_id == class_id,
                or_(StoredMember.last_day.is_(None), StoredMember.last_day >= day),
            )
            known = {member.person_id: member for member in session.scalars(open_.order_by(StoredMember.first_day))}
            renamed = [key for key, member in known.items() if key in wanted and member.name != wanted[key]]
            for key in renamed:
                known[key].name = wanted[key]
            left = sorted(known.keys() - wanted.keys())
            for key in left:
                if known[key].first_day >= day:
                    session.delete(known[key])
                else:
                    known[key].last_day = day - _YESTERDAY
            joined = sorted(wanted.keys() - known.keys())
            session.flush()
            rows = [
                {"class_id": class_id, "person_id": key, "name": wanted[key], "first_day": day, "last_day": None}
                for key in joined
            ]
            if rows:
                session.execute(insert(StoredMember), rows)
        return RosterChange(joined=tuple(joined), left=tuple(left), renamed=tuple(sorted(renamed)))

    def add_members(self, members: Sequence[Member]) -> None:
        """Put ``members`` on their rosters with their dates, replacing what is known of the same class and person."""
        with self._database.writing() as session:
            for member in members:
                mine = (
                    StoredMember.class_id == storable(member.class_id),
                    StoredMember.person_id == storable(member.person_id),
                )
                session.execute(delete(StoredMember).where(*mine))
            rows = [
                {
                    "class_id": storable(member.class_id),
                    "person_id": storable(member.person_id),
                    "name": storable(member.name),
                    "first_day": member.first_day,
                    "last_day": member.last_day,
                }
                for member in members
            ]
            if rows:
                session.execute(insert(StoredMember), rows)

    def roster(self, class_id: str, day: date) -> dict[str, str]:
        """Return the names of those on the roster of ``class_id`` on ``day``, by person id."""
        with self._database.reading() as session:
            return on_roster(session, storable(class_id), day)

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
        """Keep a meeting, such as one that is started by hand. One that is closed stays what it was."""
        with self._database.writing() as session:
            enter_session(session, meeting)

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

    def forget_watches(self, before: datetime) -> int:
        """Delete the minutes before ``before``; return how many those are."""
        with self._database.writing() as session:
            result = session.execute(delete(WatchedMinute).where(WatchedMinute.minute_at < before))
            return int(result.rowcount)  # type: ignore[attr-defined] # a delete's result has a count


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
