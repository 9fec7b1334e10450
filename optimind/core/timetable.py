"""The timetable: which session of which class is held when, and where the clocks stand at that moment.

A weekly session is written in local time ("Mondays 08:00 to 08:45"); a :class:`Meeting` is one on its date, in moments
that everyone agrees on. Pure: no clock is read here.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from optimind.core.types import require_aware

__all__ = ["AttendanceRules", "CameraRole", "Holiday", "Meeting", "Timetable", "WeeklySession", "instant"]

_DAY = timedelta(days=1)
_DAYS_KEPT = 64
_GLANCE = timedelta(seconds=0.5)
_A_LOOK = timedelta(minutes=1)
"""Before so long a time has passed no camera can have seen that somebody is not there."""


class CameraRole(enum.StrEnum):
    """What being seen by a camera means: being there, coming, going, or (``door``) either, by the camera's line."""

    CLASS = "class"
    CHECK_IN = "check_in"
    CHECK_OUT = "check_out"
    DOOR = "door"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendanceRules:
    """When somebody is late, absent or gone too early; None: that rule does not hold.

    ``opens_before``: who is seen at most so long before the start has come to this session. ``late_after`` and
    ``absent_after`` count from the start, ``leave_early`` back from the end: who was not seen in that time before the
    end has left early. Raises ``ValueError`` for a negative one and where nobody could ever be late.
    """

    opens_before: timedelta = timedelta(minutes=15)
    late_after: timedelta | None = timedelta(minutes=5)
    absent_after: timedelta | None = None
    leave_early: timedelta | None = None

    def __post_init__(self) -> None:
        times = (self.opens_before, self.late_after, self.absent_after, self.leave_early)
        if any(each is not None and each < timedelta(0) for each in times):
            raise ValueError("a rule's time cannot be negative")
        if self.late_after is not None and self.absent_after is not None and self.absent_after < self.late_after:
            raise ValueError(
                f"absent after {_minutes(self.absent_after)} min is before late after {_minutes(self.late_after)} min, "
                "so nobody could be late"
            )


def _minutes(length: timedelta) -> str:
    return f"{length.total_seconds() / 60:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklySession:
    """What a class does in every week: ``weekdays`` (0 is Monday), from ``start`` to ``end`` as the clocks show it.

    An ``end`` that is not after ``start`` is on the next day. ``first_day`` and ``last_day`` are the first and last
    dates on which it may begin. ``name`` may be empty.
    """

    class_id: str
    name: str
    room: str
    weekdays: frozenset[int]
    start: time
    end: time
    rules: AttendanceRules = AttendanceRules()
    first_day: date | None = None
    last_day: date | None = None

    @property
    def session(self) -> str:
        """What the register calls it: class, name and start, since a class may do the same twice a day."""
        return " ".join(part for part in (self.class_id, self.name, f"{self.start:%H:%M}") if part)

    def is_held_on(self, day: date) -> bool:
        """Whether it begins on ``day``, holidays apart."""
        return (
            day.weekday() in self.weekdays
            and (self.first_day is None or self.first_day <= day)
            and (self.last_day is None or day <= self.last_day)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """The days from ``first`` to ``last`` on which no session begins; ``class_ids`` empty: of no class."""

    first: date
    last: date
    name: str = ""
    class_ids: frozenset[str] = frozenset()

    def frees(self, class_id: str, day: date) -> bool:
        """Whether the class has no session on ``day``."""
        return self.first <= day <= self.last and (not self.class_ids or class_id in self.class_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One session on its date. Together with ``date``, ``session`` says which: no two are called the same.

    Who is seen in ``room`` from ``opens_at`` to ``ends_at`` has come. ``date`` is where the clocks were when it began.
    Raises ``ValueError`` for naive times and for ones that are out of order.
    """

    session: str
    date: date
    class_id: str
    room: str
    opens_at: datetime
    starts_at: datetime
    ends_at: datetime
    rules: AttendanceRules = AttendanceRules()
    by_hand: bool = False

    def __post_init__(self) -> None:
        for name in ("opens_at", "starts_at", "ends_at"):
            require_aware(getattr(self, name), f"Meeting.{name}")
        if not self.opens_at <= self.starts_at < self.ends_at:
            raise ValueError("a meeting must open, start and end in this order")

    def overlaps(self, first_at: datetime, last_at: datetime) -> bool:
        """Whether something that lasted from ``first_at`` to ``last_at`` was, in part, during it.

        What ended in the moment in which it opens, or began in the one in which it ends, was not.
        """
        return first_at < self.ends_at and (last_at > self.opens_at or first_at >= self.opens_at)

    @property
    def decided_at(self) -> datetime:
        """When somebody who was not seen so far counts as absent."""
        limit = self.rules.absent_after
        return self.ends_at if limit is None else min(self.ends_at, self.starts_at + max(limit, _A_LOOK))


def instant(day: date, wall: time, zone: tzinfo) -> datetime:
    """The moment, in UTC, at which the clocks of ``zone`` show ``wall`` on ``day``.

    A time that is skipped when clocks are put forward is the moment at which they are; of one that comes twice when
    they are put back, the first counts.
    """
    local = datetime.combine(day, wall, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # PEP 495: in a gap, fold 0 counts with the offset from before it, which lies after the change, and fold 1 before.
    before, after = local.replace(fold=1).astimezone(UTC), moment
    offset = after.astimezone(zone).utcoffset()
    while after - before > _GLANCE:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


class Timetable:
    """All weekly sessions, the holidays, and in which room each camera hangs. Not changed once it is made.

    ``rooms`` gives the room of a camera id. Safe to use from several threads.
    """

    def __init__(
        self,
        sessions: Sequence[WeeklySession] = (),
        holidays: Sequence[Holiday] = (),
        *,
        zone: tzinfo = UTC,
        rooms: Mapping[str, str] | None = None,
    ) -> None:
        self.sessions = tuple(sessions)
        self.holidays = tuple(holidays)
        self.zone = zone
        self.rooms = dict(rooms or {})
        self._by_weekday: dict[int, list[WeeklySession]] = {}
        for session in self.sessions:
            for weekday in session.weekdays:
                self._by_weekday.setdefault(weekday, []).append(session)
        self._days: OrderedDict[date, tuple[Meeting, ...]] = OrderedDict()

    def cameras_in(self, room: str) -> list[str]:
        """The cameras that hang in ``room``, sorted."""
        return sorted(camera for camera, where in self.rooms.items() if where == room)

    def on(self, day: date) -> tuple[Meeting, ...]:
        """The meetings that begin on ``day``, in the order of their start."""
        known = self._days.get(day)
        if known is None:
            known = self._opened(day)
            self._days[day] = known
            while len(self._days) > _DAYS_KEPT:
                self._days.popitem(last=False)
        return known

    def between(self, first_at: datetime, last_at: datetime) -> list[Meeting]:
        """The meetings that something from ``first_at`` to ``last_at`` was, in part, during; by their start."""
        first = require_aware(first_at, "first_at").astimezone(self.zone).date() - _DAY
        last = require_aware(last_at, "last_at").astimezone(self.zone).date() + _DAY
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [meeting for day in days for meeting in self.on(day) if meeting.overlaps(first_at, last_at)]

    def in_front_of(self, camera: str, first_at: datetime, last_at: datetime) -> list[Meeting]:
        """The meetings in the room of ``camera`` during that time; none where it hangs in no room."""
        room = self.rooms.get(camera)
        return [meeting for meeting in self.between(first_at, last_at) if meeting.room == room]

    def _opened(self, day: date) -> tuple[Meeting, ...]:
        """A session opens when the one before it in the same room has ended: until then the room is the other's."""
        near = [*self._plain(day - _DAY), *self._plain(day)]
        found = []
        for meeting in self._plain(day):
            others = [other for other in near if other.room == meeting.room and other.ends_at <= meeting.starts_at]
            free_at = max((other.ends_at for other in others), default=meeting.opens_at)
            found.append(replace(meeting, opens_at=max(meeting.opens_at, free_at)))
        return tuple(sorted(found, key=lambda meeting: (meeting.starts_at, meeting.session)))

    def _plain(self, day: date) -> Iterable[Meeting]:
        for session in self._by_weekday.get(day.weekday(), ()):
            if not session.is_held_on(day) or any(each.frees(session.class_id, day) for each in self.holidays):
                continue
            starts_at = instant(day, session.start, self.zone)
            ends_at = instant(day + _DAY if session.end <= session.start else day, session.end, self.zone)
            if ends_at <= starts_at:  # it lies in the hour that is skipped
                continue
            yield Meeting(
                session=session.session,
                date=day,
                class_id=session.class_id,
                room=session.room,
                opens_at=starts_at - session.rules.opens_before,
                starts_at=starts_at,
                ends_at=ends_at,
                rules=session.rules,
            )
