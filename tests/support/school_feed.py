"""Tells a real ledger of a made-up month in the order of time: some marks late, some twice, some decided early."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from school import entries
from second_register import Away, Glimpse, Lesson, Membership, Said, World

from optimind.core.events import AttendanceMarked, AttendanceStatus, Sighting
from optimind.core.registers import record_id
from optimind.core.timetable import AttendanceRules, Holiday, Meeting, Timetable, WeeklySession
from optimind.storage import Ledger
from optimind.storage.correcting import Correction, Unseen
from optimind.storage.school import Watch

__all__ = ["Feed", "timetable_of"]

_MARKS_AT_ONCE = 500
_WATCHES_EVERY_S = 1800
_CLOSED_AFTER_S = 2400


def timetable_of(world: World) -> Timetable:
    """The month's timetable; each room has one camera, of the room's name."""
    sessions = [
        WeeklySession(
            class_id=lesson.class_id,
            name=lesson.name,
            room=lesson.room,
            weekdays=frozenset(lesson.weekdays),
            start=lesson.start,
            end=lesson.end,
            rules=_rules_of(lesson),
            first_day=world.first,
            last_day=world.last,
        )
        for lesson in world.lessons
    ]
    holidays = [Holiday(first=each.first, last=each.last, class_ids=frozenset(each.classes)) for each in world.pauses]
    rooms = {lesson.room: lesson.room for lesson in world.lessons}
    return Timetable(sessions, holidays, zone=ZoneInfo(world.zone), rooms=rooms)


class Feed:
    """Feeds ``world`` to a ledger whose clock is :meth:`clock`; ``marks`` counts what was recorded."""

    def __init__(self, world: World, timetable: Timetable, *, seed: int, sinks: Sequence[str] = ()) -> None:
        self.marks = 0
        self._world = world
        self._timetable = timetable
        self._sinks = sinks
        self._random = random.Random(seed)  # noqa: S311 - a made-up month
        self._now = datetime(1970, 1, 1, tzinfo=UTC)
        self._meetings = {(each.date, each.session): each for each in self._all_meetings()}

    def clock(self) -> datetime:
        """What time it is in the made-up month."""
        return self._now

    def run(self, ledger: Ledger) -> None:
        """Live through the month."""
        plan: list[tuple[float, int, Callable[[], object]]] = []

        def at(moment: float, action: Callable[[], object]) -> None:
            plan.append((moment, len(plan), action))

        self._plan_rosters(ledger, at)
        self._plan_excuses(ledger, at)
        self._plan_watches(ledger, at)
        self._plan_marks(ledger, at)
        self._plan_settling(ledger, at)
        self._plan_corrections(ledger, at)
        for moment, _, action in sorted(plan, key=lambda each: each[:2]):
            self._now = _moment(moment)
            action()

    def _all_meetings(self) -> list[Meeting]:
        days = (self._world.last - self._world.first).days + 1
        return [each for n in range(days) for each in self._timetable.on(self._world.first + timedelta(days=n))]

    def _plan_rosters(self, ledger: Ledger, at: Callable[[float, Callable[[], object]], None]) -> None:
        """Whenever somebody joins or leaves, the class's whole list is handed in anew."""
        by_class: dict[str, list[Membership]] = defaultdict(list)
        for member in self._world.members:
            by_class[member.class_id].append(member)
        for class_id, members in by_class.items():
            days = {each.first for each in members} | {each.last + timedelta(days=1) for each in members if each.last}
            for day in days:
                people = {
                    each.person: f"Name {each.person}"
                    for each in members
                    if each.first <= day and (each.last is None or day <= each.last)
                }
                at(self._midnight(day), partial(ledger.school.set_roster, class_id, entries(people), day))

    def _plan_excuses(self, ledger: Ledger, at: Callable[[float, Callable[[], object]], None]) -> None:
        for away in self._world.away:
            moment = self._midnight(away.first) + self._random.choice([-86_400, 36_000, 3 * 86_400])
            at(moment, partial(self._excuse, ledger, away))

    def _excuse(self, ledger: Ledger, away: Away) -> None:
        excuse, touched = ledger.school.excuse(
            away.person, away.first, away.last, why="ill", actor="office", class_id=away.class_id
        )
        if away.is_withdrawn:
            touched = [*touched, *ledger.school.withdraw_excuse(excuse.excuse_id, actor="office")]
        if touched:
            ledger.redecide(touched, self._sinks)

    def _plan_watches(self, ledger: Ledger, at: Callable[[float, Callable[[], object]], None]) -> None:
        batches: dict[int, list[Watch]] = defaultdict(list)
        for each in self._world.minutes:
            watch = Watch(
                camera=each.camera,
                room=each.room,
                minute_at=_moment(each.begin),
                seconds=each.seconds,
                faces=20,
                named=18,
            )
            batches[each.begin // _WATCHES_EVERY_S].append(watch)
        for number, batch in batches.items():
            at((number + 1) * _WATCHES_EVERY_S, partial(ledger.school.watched, batch))

    def _plan_marks(self, ledger: Ledger, at: Callable[[float, Callable[[], object]], None]) -> None:
        arrivals: list[tuple[float, Glimpse]] = []
        for glimpse in self._world.glimpses:
            arrivals.append((glimpse.last + self._random.expovariate(1 / 60), glimpse))
            if self._random.random() < 0.03:  # once more
                arrivals.append((glimpse.last + self._random.expovariate(1 / 3600), glimpse))
            if self._random.random() < 0.04:  # a machine without a network hands its marks in later
                arrivals[-1] = (glimpse.last + 86_400, glimpse)
        arrivals.sort(key=lambda each: each[0])
        for start in range(0, len(arrivals), _MARKS_AT_ONCE):
            some = arrivals[start : start + _MARKS_AT_ONCE]
            at(some[-1][0], partial(self._keep, ledger, [glimpse for _, glimpse in some]))

    def _keep(self, ledger: Ledger, glimpses: Sequence[Glimpse]) -> None:
        marks = [mark for glimpse in glimpses for mark in self._marks_of(glimpse)]
        marks = [mark for mark in marks if not ledger.school.is_passing(mark)]
        self.marks += len(marks)
        ledger.record_many(marks, self._sinks)

    def _marks_of(self, glimpse: Glimpse) -> list[AttendanceMarked]:
        first_at, last_at = _moment(glimpse.first), _moment(glimpse.last)
        sighting = Sighting(
            at=last_at,
            camera=glimpse.room,
            sighting_id=glimpse.sighting,
            person_id=glimpse.person,
            name=f"Name {glimpse.person}",
            first_seen_at=first_at,
            last_seen_at=last_at,
            similarity=0.8,
            margin=0.2,
            samples=3,
            embedder="dlib",
            box=(0.0, 0.0, 100.0, 100.0),
            suspicion=glimpse.suspicion,
        )
        return [
            AttendanceMarked(
                at=last_at,
                camera=glimpse.room,
                date=meeting.date,
                session=meeting.session,
                status=AttendanceStatus.PRESENT,
                sighting=sighting,
                kind=glimpse.kind,
                meeting=meeting,
            )
            for meeting in self._timetable.in_front_of(glimpse.room, first_at, last_at)
        ]

    def _plan_settling(self, ledger: Ledger, at: Callable[[float, Callable[[], object]], None]) -> None:
        for meeting in self._meetings.values():
            moments = [meeting.ends_at.timestamp() + _CLOSED_AFTER_S]
            if self._random.random() < 0.25 and meeting.decided_at < meeting.ends_at:
                moments.append(meeting.decided_at.timestamp())
            for moment in moments:
                at(moment, partial(self._settle, ledger, meeting))
        # One of which nothing was known at its end may be known by marks that came late.
        for number in range((self._world.last - self._world.first).days + 5):
            at(self._midnight(self._world.first + timedelta(days=number)) + 1, partial(self._settle_open, ledger))

    def _settle(self, ledger: Ledger, meeting: Meeting) -> None:
        ledger.settle(meeting, self._now, self._sinks)

    def _settle_open(self, ledger: Ledger) -> None:
        since = datetime(1970, 1, 1, tzinfo=UTC)
        for meeting in ledger.school.meetings(since, self._now, only_open=True):
            if meeting.ends_at <= self._now:
                ledger.settle(meeting, self._now, self._sinks)

    def _plan_corrections(self, ledger: Ledger, at: Callable[[float, Callable[[], object]], None]) -> None:
        for number, said in enumerate(self._world.said):
            meeting = self._meetings[said.day, said.session]
            # Before, during and long after it; in the order of the list, where two are about the same person.
            hours = hash((said.session, said.person)) % 50
            moment = meeting.starts_at.timestamp() + 3600 * hours - 1800 + number / 1000
            at(moment, partial(self._correct, ledger, said, meeting))

    def _correct(self, ledger: Ledger, said: Said, meeting: Meeting) -> None:
        key = record_id(said.day, said.session, said.person)
        correction = Correction(record_id=key, status=AttendanceStatus(said.status), actor="Ms Lang", why="was there")
        unseen = Unseen(meeting=meeting, person_id=said.person, name=f"Name {said.person}")
        ledger.correct([correction], self._sinks, unseen=[unseen])
        if said.is_withdrawn:
            ledger.withdraw(key, actor="Ms Lang", why="was not", sinks=self._sinks)

    def _midnight(self, day: date) -> float:
        return datetime.combine(day, time(), ZoneInfo(self._world.zone)).timestamp()


def _rules_of(lesson: Lesson) -> AttendanceRules:
    return AttendanceRules(
        opens_before=timedelta(seconds=lesson.opens_before),
        late_after=_length(lesson.late_after),
        absent_after=_length(lesson.absent_after),
        leave_early=_length(lesson.leave_early),
    )


def _length(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
