"""A second way to compute a register, written from the rules in words and from nothing else of the project.

It is slow and plain on purpose. Moments are whole seconds since 1970 in UTC. Where the clocks stand is looked up in a
list of every minute of the month; where a person was is an array with two places a second, one for the moment itself
and one for the time until the next: what lasts from ``first`` to ``last`` fills the places from ``2 * first`` up to,
not including, ``2 * last``, and a moment fills its own place alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = ["Away", "Glimpse", "Held", "Lesson", "Membership", "Minute", "Pause", "Said", "World", "cells", "held"]

Flags = NDArray[np.bool_]
Cell = tuple[date, str, str]
"""Date, session, person."""


@dataclass(frozen=True)
class Lesson:
    """What a class does each week; the rules' times are seconds, None where there is no such rule."""

    class_id: str
    name: str
    room: str
    weekdays: tuple[int, ...]
    start: time
    end: time
    opens_before: int
    late_after: int | None
    absent_after: int | None
    leave_early: int | None

    @property
    def session(self) -> str:
        return f"{self.class_id} {self.name} {self.start.hour:02}:{self.start.minute:02}"


@dataclass(frozen=True)
class Pause:
    """Holidays; of all classes where none is named."""

    first: date
    last: date
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Membership:
    class_id: str
    person: str
    first: date
    last: date | None = None


@dataclass(frozen=True)
class Away:
    """An excuse; of all classes where ``class_id`` is empty."""

    person: str
    class_id: str
    first: date
    last: date
    is_withdrawn: bool = False


@dataclass(frozen=True)
class Glimpse:
    """What a camera saw of a person: a state of a sighting, or (``kind`` in, out) that they came or went."""

    room: str
    person: str
    sighting: str
    first: int
    last: int
    kind: Literal["seen", "in", "out"] = "seen"
    suspicion: str = ""


@dataclass(frozen=True)
class Minute:
    """A minute of a camera, and in how many seconds from its beginning it gave pictures."""

    camera: str
    room: str
    begin: int
    seconds: int


@dataclass(frozen=True)
class Said:
    """What a person said of a record, in the order of saying it. ``is_withdrawn``: they took it back."""

    day: date
    session: str
    person: str
    status: str
    is_withdrawn: bool = False


@dataclass(frozen=True)
class World:
    """All that happened in one month."""

    zone: str
    first: date
    last: date
    lessons: tuple[Lesson, ...]
    pauses: tuple[Pause, ...]
    members: list[Membership] = field(default_factory=list)
    away: list[Away] = field(default_factory=list)
    glimpses: list[Glimpse] = field(default_factory=list)
    minutes: list[Minute] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)


@dataclass(frozen=True)
class Held:
    """A lesson on its day, in seconds since 1970."""

    day: date
    lesson: Lesson
    opens: int
    starts: int
    ends: int


# -- when -------------------------------------------------------------------------------------------------------------


def held(world: World) -> list[Held]:
    """The lessons of the month, by their start."""
    clock = _clock(world)
    plain = [each for each in _plain(world, clock, world.first - timedelta(days=1)) if each.ends > each.starts]
    found = []
    for each in plain:
        if each.day < world.first:
            continue
        ended = [other.ends for other in plain if other.lesson.room == each.lesson.room and other.ends <= each.starts]
        opens = max([each.opens, *ended])
        found.append(Held(each.day, each.lesson, opens, each.starts, each.ends))
    return sorted(found, key=lambda each: (each.starts, each.lesson.session))


def _plain(world: World, clock: dict[datetime, int], first: date) -> Iterator[Held]:
    for number in range((world.last - first).days + 1):
        day = first + timedelta(days=number)
        for lesson in world.lessons:
            free = any(
                pause.first <= day <= pause.last and (not pause.classes or lesson.class_id in pause.classes)
                for pause in world.pauses
            )
            if day.weekday() not in lesson.weekdays or free:
                continue
            starts = _look_up(clock, datetime.combine(day, lesson.start))
            next_day = lesson.end <= lesson.start
            ends = _look_up(clock, datetime.combine(day + timedelta(days=int(next_day)), lesson.end))
            yield Held(day, lesson, starts - lesson.opens_before, starts, ends)


def _clock(world: World) -> dict[datetime, int]:
    """The second at which the clocks on the wall first show each minute."""
    zone = ZoneInfo(world.zone)
    begin = datetime.combine(world.first - timedelta(days=3), time(), UTC)
    shown: dict[datetime, int] = {}
    for number in range(((world.last - world.first).days + 7) * 1440):
        moment = begin + timedelta(minutes=number)
        shown.setdefault(moment.astimezone(zone).replace(tzinfo=None, fold=0), int(moment.timestamp()))
    return shown


def _look_up(clock: dict[datetime, int], wall: datetime) -> int:
    while wall not in clock:  # skipped: the first minute that they show after it
        wall += timedelta(minutes=1)
    return clock[wall]


# -- who and what -----------------------------------------------------------------------------------------------------


def cells(world: World) -> dict[Cell, tuple[str, str]]:
    """Status and rule of each person and session of whom there is something to say, at the end of the month."""
    glimpses: dict[str, list[Glimpse]] = defaultdict(list)
    for glimpse in world.glimpses:
        glimpses[glimpse.room].append(glimpse)
    for each in glimpses.values():
        each.sort(key=lambda glimpse: glimpse.first)
    minutes: dict[str, dict[int, int]] = defaultdict(dict)
    for minute in world.minutes:
        known = minutes[minute.room]
        known[minute.begin] = max(known.get(minute.begin, 0), minute.seconds)
    said: dict[tuple[date, str], dict[str, list[Said]]] = defaultdict(lambda: defaultdict(list))
    for each_said in world.said:
        said[each_said.day, each_said.session][each_said.person].append(each_said)
    found = {}
    moves: dict[str, list[tuple[Held, Glimpse]]] = defaultdict(list)
    for meeting in held(world):
        room = meeting.lesson.room
        sayings = said.get((meeting.day, meeting.lesson.session), {})
        near = _without_passers(world, meeting, _near(glimpses[room], meeting))
        if not _was_held(meeting, near, minutes[room], sayings):
            continue
        for last in _seated(world, meeting, moves[room]):
            near[last.person].append(Glimpse(room, last.person, "", meeting.opens, meeting.opens, "in", last.suspicion))
        for person, cell in _meeting(world, meeting, near, minutes[room], sayings).items():
            found[meeting.day, meeting.lesson.session, person] = cell
        moves[room] += [
            (meeting, each)
            for mine in near.values()
            for each in mine
            if each.kind != "seen" and meeting.opens <= each.first < meeting.ends
        ]
    return found


def _members(world: World, meeting: Held) -> set[str]:
    return {
        each.person
        for each in world.members
        if each.class_id == meeting.lesson.class_id
        and each.first <= meeting.day
        and (each.last is None or meeting.day <= each.last)
    }


def _without_passers(world: World, meeting: Held, near: dict[str, list[Glimpse]]) -> dict[str, list[Glimpse]]:
    """Whoever is not of the class and was seen, or left, before the start only, has not been there."""
    members = _members(world, meeting)
    found: dict[str, list[Glimpse]] = defaultdict(list)
    for person, glimpses in near.items():
        until: dict[str, int] = {}
        for each in glimpses:
            until[each.sighting] = max(until.get(each.sighting, 0), each.last)
        for each in glimpses:
            passes = each.kind != "in" and until[each.sighting] <= meeting.starts
            if not members or person in members or not passes:
                found[person].append(each)
    return found


def _was_held(
    meeting: Held, near: dict[str, list[Glimpse]], minutes: dict[int, int], said: dict[str, list[Said]]
) -> bool:
    """Whether anybody knows: a camera watched it, somebody was seen in it, or somebody said something of it."""
    there = any(_places(meeting, each).any() for glimpses in near.values() for each in glimpses)
    return bool(said) or there or bool(_watched(meeting, minutes)[meeting.starts - meeting.opens :].any())


def _seated(world: World, meeting: Held, moves: Sequence[tuple[Held, Glimpse]]) -> list[Glimpse]:
    """The last coming, followed by no going, of whoever was inside when the room became this lesson's."""
    members = _members(world, meeting)
    last: dict[str, tuple[Held, Glimpse]] = {}
    for other, each in moves:
        if not meeting.opens <= other.ends <= meeting.starts:
            continue
        known = last.get(each.person)
        if known is None or _order(meeting, other, each) >= _order(meeting, *known):
            last[each.person] = (other, each)
    return [
        each
        for other, each in last.values()
        if each.kind == "in"
        and (each.person in members if members else other.lesson.class_id == meeting.lesson.class_id)
    ]


def _order(meeting: Held, other: Held, each: Glimpse) -> tuple[int, bool, bool]:
    return each.first, each.kind == "in", other.lesson.class_id == meeting.lesson.class_id


def _near(glimpses: Sequence[Glimpse], meeting: Held) -> dict[str, list[Glimpse]]:
    found: dict[str, list[Glimpse]] = defaultdict(list)
    for glimpse in glimpses:
        if glimpse.first >= meeting.ends:
            break
        if glimpse.last >= meeting.opens:
            found[glimpse.person].append(glimpse)
    return found


def _meeting(
    world: World,
    meeting: Held,
    glimpses: dict[str, list[Glimpse]],
    minutes: dict[int, int],
    said: dict[str, list[Said]],
) -> dict[str, tuple[str, str]]:
    watched = _watched(meeting, minutes)
    there = {
        person: _there(meeting, mine)
        for person, mine in glimpses.items()
        if any(_places(meeting, each).any() for each in mine)
    }
    members = _members(world, meeting)
    excused = {
        each.person
        for each in world.away
        if not each.is_withdrawn
        and each.first <= meeting.day <= each.last
        and each.class_id in ("", meeting.lesson.class_id)
    }
    found = {}
    for person in members | there.keys() | said.keys():
        belongs = person in members or not members
        if person in there:
            suspected = any(each.suspicion and _places(meeting, each).any() for each in glimpses[person])
            cell: tuple[str, str] | None = _of_seen(
                meeting,
                there[person],
                watched,
                belongs=belongs,
                is_excused=person in excused,
                is_suspected=suspected,
            )
        else:
            cell = _of_unseen(meeting, watched, belongs, person in excused)
        if person in said:
            # Of somebody of whom nothing is known but what was taken back, that stays to be looked at.
            cell = cell or ("needs_review", "taken_back")
            counting = [each for each in said[person] if not each.is_withdrawn]
            if counting:
                cell = (counting[-1].status, "corrected")
        if cell is not None:
            found[person] = cell
    return found


def _watched(meeting: Held, minutes: dict[int, int]) -> Flags:
    """For each second from the opening to the end, whether there were pictures."""
    seconds = np.zeros(meeting.ends - meeting.opens, bool)
    for begin in range(meeting.opens // 60 * 60, meeting.ends, 60):
        first = max(0, begin - meeting.opens)
        seconds[first : max(first, begin + minutes.get(begin, 0) - meeting.opens)] = True
    return seconds


def _places(meeting: Held, glimpse: Glimpse) -> Flags:
    """The places of the meeting that one glimpse fills by itself."""
    places = np.zeros(2 * (meeting.ends - meeting.opens), bool)
    last = glimpse.first if glimpse.kind != "seen" else glimpse.last
    begin, end = 2 * (glimpse.first - meeting.opens), 2 * (last - meeting.opens)
    places[max(0, begin) : max(0, end, begin + 1)] = True
    return places


def _there(meeting: Held, glimpses: Sequence[Glimpse]) -> Flags:
    seen = np.zeros(2 * (meeting.ends - meeting.opens), bool)
    passing = seen.copy()
    moves = np.zeros(meeting.ends - meeting.opens, np.int8)
    for glimpse in glimpses:
        if glimpse.kind != "seen" and not meeting.opens <= glimpse.first < meeting.ends:
            continue
        (seen if glimpse.kind == "seen" else passing)[:] |= _places(meeting, glimpse)
        if glimpse.kind == "in":
            moves[glimpse.first - meeting.opens] = 2
        elif glimpse.kind == "out":
            moves[glimpse.first - meeting.opens] = max(1, moves[glimpse.first - meeting.opens])
    # In each second the last move tells whether they are inside.
    newest = np.maximum.accumulate(np.where(moves > 0, np.arange(len(moves)), 0))
    inside: Flags = np.repeat(moves[newest] == 2, 2)
    passing |= inside
    until = meeting.starts - meeting.opens
    if not inside[2 * until]:  # whoever came through the door went again before it began
        passing[: 2 * until + 1] = False
    return seen | passing


def _of_unseen(meeting: Held, watched: Flags, belongs: bool, is_excused: bool) -> tuple[str, str] | None:
    if not belongs:
        return None
    if is_excused:
        return ("excused", "excused")
    limit = meeting.lesson.absent_after
    decided = meeting.ends if limit is None else min(meeting.ends, meeting.starts + max(limit, 60))
    if _too_little(watched[meeting.starts - meeting.opens : decided - meeting.opens]):
        return ("needs_review", "not_watched")
    return ("absent", "never_seen")


def _of_seen(  # noqa: PLR0911 - one return a rule, as in words
    meeting: Held, places: Flags, watched: Flags, *, belongs: bool, is_excused: bool, is_suspected: bool
) -> tuple[str, str]:
    if is_suspected:
        return ("needs_review", "suspected")
    if not belongs:
        return ("needs_review", "not_on_roster")
    if not places.any():
        cell = _of_unseen(meeting, watched, belongs, is_excused)
        return ("absent", "went_out") if cell is None or cell[1] == "never_seen" else cell
    filled = np.flatnonzero(places)
    arrived = meeting.opens + int(filled[0]) // 2
    left = meeting.opens + (int(filled[-1]) + 1) // 2
    rules, late_by = meeting.lesson, arrived - meeting.starts
    is_late = rules.late_after is not None and late_by > rules.late_after
    is_too_late = rules.absent_after is not None and late_by > rules.absent_after
    if (is_late or is_too_late) and _too_little(watched[meeting.starts - meeting.opens : arrived - meeting.opens]):
        return ("present", "lateness_unknown")
    if is_too_late:
        return ("excused", "excused") if is_excused else ("absent", "too_late")
    is_gone = rules.leave_early is not None and meeting.ends - left > rules.leave_early
    if is_gone and not _too_little(watched[left - meeting.opens :]):
        return ("left_early", "left_early")
    return ("late", "late") if is_late else ("present", "on_time")


def _too_little(watched: Flags) -> bool:
    return len(watched) > 0 and 2 * int(watched.sum()) < len(watched)
