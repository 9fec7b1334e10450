"""Makes up a month of a school: what is held, who belongs to it, what the cameras saw and what people said of it."""

from __future__ import annotations

import random
from datetime import date, time, timedelta
from typing import Literal

from second_register import Away, Glimpse, Held, Lesson, Membership, Minute, Pause, Said, World, held

__all__ = ["make_month"]

# In one room the first is followed by the second without a break; who stays seated is seen in both.
_SLOTS = [
    (time(8, 0), time(8, 45)),
    (time(8, 45), time(9, 30)),
    (time(9, 50), time(11, 20)),
    (time(11, 25), time(12, 10)),
    (time(13, 0), time(14, 30)),
]
_IN_A_ROW = [(time(15, 0), time(15, 45)), (time(15, 45), time(16, 30)), (time(16, 40), time(17, 10))]
_RULES = [
    # opens_before, late_after, absent_after, leave_early: seconds
    (900, 300, None, None),
    (900, 300, 1200, 300),
    (600, 0, 900, None),
    (300, None, 600, 60),
    (900, 600, 600, 0),
    (0, 120, None, 600),
    (3600, None, None, None),
    (900, 300, 86400, 120),
    (900, 0, 0, None),
]
_SUSPICION = "it does not move"
_STATUSES = ("present", "late", "left_early", "absent", "excused", "needs_review")


def make_month(
    seed: int,
    zone: str,
    first: date,
    last: date,
    *,
    classes: int,
    students: int,
    a_day: int,
    change: date,
) -> World:
    """The month from ``first`` to ``last`` with ``a_day`` lessons a class and working day.

    Two of the ``classes`` are held in the night in which the clocks change (from ``change``, a Saturday, to Sunday);
    one of the others has no roster.
    """
    rng = random.Random(seed)  # noqa: S311 - a made-up month
    world = World(zone, first, last, tuple(_lessons(classes, a_day)), tuple(_pauses(first, change)))
    _enrol(world, rng, classes, students)
    _excuse(world, rng, students)
    for meeting in held(world):
        _hold(world, rng, meeting, students)
    rng.shuffle(world.glimpses)
    _correct(world, rng)
    return world


def _lessons(classes: int, a_day: int) -> list[Lesson]:
    lessons = []
    for number in range(classes):
        rules = _RULES[number % len(_RULES)]
        name, room = f"class-{number:02}", f"room-{number // 2:02}"
        if number >= classes - 2:  # night watches
            lessons.append(Lesson(name, "evening", room, (5,), time(22, 30), time(2, 30), *rules))
            lessons.append(Lesson(name, "small hours", room, (6,), time(2, 15), time(4, 0), *rules))
            continue
        for slot in range(a_day):
            start, end = _SLOTS[(2 * slot + number % 2) % len(_SLOTS)]
            days = (0, 1, 2, 3, 4) if slot < 2 else (0, 3)
            lessons.append(Lesson(name, f"lesson {slot}", room, days, start, end, *rules))
        if number % 10 == 4:  # twice in a row, behind a door: whoever stays seated goes through it in neither
            for part, (start, end) in enumerate(_IN_A_ROW, 1):
                lessons.append(Lesson(name, f"double {part}", room, (1,), start, end, *rules))
    return lessons


def _pauses(first: date, change: date) -> list[Pause]:
    return [
        Pause(first + timedelta(days=2), first + timedelta(days=2)),
        Pause(change - timedelta(days=12), change - timedelta(days=10)),
        Pause(first + timedelta(days=7), first + timedelta(days=8), ("class-00", "class-03")),
    ]


def _enrol(world: World, rng: random.Random, classes: int, students: int) -> None:
    days = (world.last - world.first).days
    for number in range(students):
        person = f"p{number:04}"
        mine = {number % classes}
        while rng.random() < 0.15:
            mine.add(rng.randrange(classes))
        for each in sorted(mine - {classes - 3}):  # which has no roster: whoever comes belongs to it
            begin, end = world.first - timedelta(days=30), None
            chance = rng.random()
            if chance < 0.03:
                begin = world.first + timedelta(days=rng.randint(1, days))
            elif chance < 0.06:
                end = world.first + timedelta(days=rng.randint(1, days))
            world.members.append(Membership(f"class-{each:02}", person, begin, end))
            if end is not None and rng.random() < 0.3 and (world.last - end).days > 3:
                world.members.append(Membership(f"class-{each:02}", person, end + timedelta(days=2)))


def _excuse(world: World, rng: random.Random, students: int) -> None:
    days = (world.last - world.first).days
    for number in range(students):
        if rng.random() > 0.12:
            continue
        begin = world.first + timedelta(days=rng.randint(0, days))
        until = begin + timedelta(days=rng.choice([0, 0, 1, 4]))
        class_id = rng.choice(["", f"class-{rng.randrange(number % 40 + 1):02}"])
        world.away.append(Away(f"p{number:04}", class_id, begin, until, rng.random() < 0.15))


# -- one lesson -------------------------------------------------------------------------------------------------------


def _hold(world: World, rng: random.Random, meeting: Held, students: int) -> None:
    _watch(world, rng, meeting)
    lesson = meeting.lesson
    people = [
        each.person
        for each in world.members
        if each.class_id == lesson.class_id and each.first <= meeting.day <= (each.last or meeting.day)
    ]
    if not people:
        people = [f"p{rng.randrange(students):04}" for _ in range(20)]
    if rng.random() < 0.3:
        people.append(f"p{rng.randrange(students):04}")
    uses_door = lesson.class_id.endswith(("4", "7"))
    for person in dict.fromkeys(people):
        excused = any(each.person == person and each.first <= meeting.day <= each.last for each in world.away)
        if rng.random() < (0.7 if excused else 0.06):
            continue
        begin, end = _stay(rng, meeting)
        if uses_door:
            _go(world, rng, meeting, person, (begin, end))
        else:
            _see(world, rng, meeting, person, (begin, end))


def _watch(world: World, rng: random.Random, meeting: Held) -> None:
    how = rng.random()
    first, last = meeting.opens // 60 * 60, meeting.ends
    if how < 0.03:
        return
    middle = first + (last - first) * rng.choice([0.2, 0.45, 0.5, 0.55, 0.8])
    for camera in range(1 + (meeting.lesson.room[-1] == "1")):
        for begin in range(first, last, 60):
            is_off = (how < 0.06 and begin < middle) or (how < 0.09 and how >= 0.06 and begin >= middle)
            if is_off or (how < 0.12 and how >= 0.09 and rng.random() < 0.5):
                continue
            seconds = 60 if rng.random() < 0.95 else rng.randint(1, 59)
            world.minutes.append(Minute(f"{meeting.lesson.room}-{camera}", meeting.lesson.room, begin, seconds))


def _stay(rng: random.Random, meeting: Held) -> tuple[int, int]:
    """From when to when somebody is there, often at the very moments at which a rule changes its mind."""
    lesson = meeting.lesson
    limits = [meeting.opens, meeting.starts, meeting.ends - 1, meeting.ends]
    limits += [meeting.starts + (each or 0) for each in (lesson.late_after, lesson.absent_after) if each != 86400]
    limits.append(meeting.ends - (lesson.leave_early or 0))
    begin = rng.randint(meeting.opens, meeting.starts + 120)
    end = rng.randint(meeting.ends - 90, meeting.ends)
    if rng.random() < 0.07:  # into the lesson of the next, or from the one before
        begin, end = begin - rng.randint(0, 900), end + rng.randint(0, 900)
    how = rng.random()
    if how < 0.1:
        begin = rng.choice(limits) + rng.randint(-1, 1)
    elif how < 0.2:
        begin = rng.randint(meeting.starts, meeting.ends)
    elif how < 0.25:
        end = rng.choice(limits) + rng.randint(-1, 1)
    elif how < 0.32:
        end = rng.randint(meeting.starts, meeting.ends)
    return begin, max(begin, end)


def _see(world: World, rng: random.Random, meeting: Held, person: str, stay: tuple[int, int]) -> None:
    """Cut the stay into sightings, some told of in several states."""
    begin, end = stay
    cuts = sorted(rng.randint(begin, end) for _ in range(rng.choice([0, 0, 1, 2])))
    for number, (first, last) in enumerate(zip([begin, *cuts], [*cuts, end], strict=True)):
        if rng.random() < 0.3:
            first = rng.randint(first, last)  # noqa: PLW2901 - a while in which nobody looked at the camera
        suspicion = _SUSPICION if rng.random() < 0.005 else ""
        name = f"{meeting.lesson.session}/{meeting.day}/{person}/{number}"
        states = [last] if rng.random() < 0.7 else sorted({rng.randint(first, last), last})
        for state in states:
            world.glimpses.append(Glimpse(meeting.lesson.room, person, name, first, state, "seen", suspicion))


def _go(world: World, rng: random.Random, meeting: Held, person: str, stay: tuple[int, int]) -> None:
    """In at the beginning, out at the end, and perhaps out and in again between; a crossing may be missed."""
    begin, end = stay
    if rng.random() < 0.04:  # looked in, and went again
        end = rng.randint(begin, max(begin, meeting.starts))
    moments: list[tuple[int, Literal["in", "out"]]] = [(begin, "in"), (end, "out")]
    if rng.random() < 0.2:
        out, back = sorted(rng.randint(begin, end) for _ in range(2))
        moments += [(out, "out"), (back, "in")]
    part = meeting.lesson.name.removeprefix("double ")
    missed = {"in": 0.5 if part in "23" else 0.08, "out": 0.5 if part in "12" else 0.08}
    for number, (moment, kind) in enumerate(moments):
        if rng.random() < missed[kind]:
            continue
        name = f"{meeting.lesson.session}/{meeting.day}/{person}/door{number}"
        suspicion = _SUSPICION if rng.random() < 0.003 else ""
        world.glimpses.append(Glimpse(meeting.lesson.room, person, name, moment, moment, kind, suspicion))


def _correct(world: World, rng: random.Random) -> None:
    for meeting in held(world):
        if rng.random() > 0.4:
            continue
        people = [each.person for each in world.members if each.class_id == meeting.lesson.class_id]
        person = rng.choice(people) if people and rng.random() < 0.7 else rng.choice(world.members).person
        for _ in range(rng.choice([1, 1, 2])):
            status = rng.choice(_STATUSES)
            world.said.append(Said(meeting.day, meeting.lesson.session, person, status))
        if rng.random() < 0.4:
            # The newest is taken back; the one before it, if any, counts again.
            world.said[-1] = Said(meeting.day, meeting.lesson.session, person, world.said[-1].status, is_withdrawn=True)
