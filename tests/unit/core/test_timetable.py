from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.timetable import AttendanceRules, Holiday, Meeting, Timetable, WeeklySession, instant

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = date(2026, 9, 7)
MINUTE = timedelta(minutes=1)
# Changes at midnight, of half an hour and of two hours, of a whole day, twice a year around Ramadan, of odd seconds.
ODD_ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Caracas",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
]
zones = st.sampled_from(ODD_ZONES).map(ZoneInfo)
days = st.dates(date(1970, 1, 2), date(2037, 12, 1))
walls = st.times().map(lambda wall: wall.replace(microsecond=0))


def weekly(start: time = time(8, 0), end: time = time(8, 45), **changes: object) -> WeeklySession:
    values = {"class_id": "7b", "name": "maths", "room": "101", "weekdays": frozenset(range(7)), **changes}
    return WeeklySession(start=start, end=end, **values)  # type: ignore[arg-type] # a test's own words


def only(timetable: Timetable, day: date) -> Meeting:
    (meeting,) = timetable.on(day)
    return meeting


# -- the moment at which clocks show a time ---------------------------------------------------------------------------


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def assert_is_the_moment(day: date, wall: time, zone: ZoneInfo) -> None:
    moment, wanted = instant(day, wall, zone), datetime.combine(day, wall)
    if shown(moment, zone) == wanted:
        # Of a time that comes twice it is the first: an hour or so before, the clocks do not show it.
        for minutes in (20, 30, 40, 60, 120):
            earlier = moment - timedelta(minutes=minutes)
            assert shown(earlier, zone) != wanted
        return
    # Skipped: a second before, the clocks are not there yet, and then they are past it.
    assert shown(moment - timedelta(seconds=1), zone) < wanted < shown(moment, zone)


@given(days, walls, zones)
def test_it_shows_the_wall_time_unless_that_is_skipped(day: date, wall: time, zone: ZoneInfo) -> None:
    assert_is_the_moment(day, wall, zone)


@given(days, walls, walls, zones)
def test_it_is_monotone_in_the_wall_time(day: date, one: time, other: time, zone: ZoneInfo) -> None:
    early, late = sorted((one, other))
    assert instant(day, early, zone) <= instant(day, late, zone)
    assert instant(day, late, zone) <= instant(day + timedelta(days=1), early, zone)


@pytest.mark.parametrize("name", ODD_ZONES)
def test_every_quarter_of_an_hour_around_every_change(name: str) -> None:
    zone = ZoneInfo(name)
    day, last, before = date(2005, 1, 1), date(2030, 1, 1), None
    while day < last:
        offset = datetime.combine(day, time(12), zone).utcoffset()
        if before is not None and offset != before:
            for which in (day - timedelta(days=1), day):
                for quarter in range(96):
                    assert_is_the_moment(which, time(quarter // 4, quarter % 4 * 15), zone)
        day, before = day + timedelta(days=1), offset


@pytest.mark.parametrize(
    ("zone", "day", "wall", "wanted"),
    [
        ("Europe/Berlin", date(2026, 3, 29), time(1, 59), "2026-03-29T00:59"),
        ("Europe/Berlin", date(2026, 3, 29), time(2, 0), "2026-03-29T01:00"),
        ("Europe/Berlin", date(2026, 3, 29), time(2, 59), "2026-03-29T01:00"),
        ("Europe/Berlin", date(2026, 3, 29), time(3, 0), "2026-03-29T01:00"),
        ("Europe/Berlin", date(2026, 10, 25), time(2, 30), "2026-10-25T00:30"),
        ("Europe/Berlin", date(2026, 10, 25), time(3, 0), "2026-10-25T02:00"),
        # Half an hour only.
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03T15:30"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 30), "2026-10-03T15:30"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(1, 45), "2026-04-04T14:45"),
        # A day that never was: the one before ends when the one after begins.
        ("Pacific/Apia", date(2011, 12, 29), time(23, 59), "2011-12-30T09:59"),
        ("Pacific/Apia", date(2011, 12, 30), time(0, 0), "2011-12-30T10:00"),
        ("Pacific/Apia", date(2011, 12, 30), time(14, 30), "2011-12-30T10:00"),
        ("Pacific/Apia", date(2011, 12, 31), time(0, 0), "2011-12-30T10:00"),
        # Midnight itself is skipped.
        ("America/Sao_Paulo", date(2018, 11, 4), time(0, 0), "2018-11-04T03:00"),
        ("Africa/Casablanca", date(2025, 2, 23), time(2, 30), "2025-02-23T01:30"),
        ("Africa/Monrovia", date(1972, 1, 7), time(0, 30), "1972-01-07T00:44:30"),
    ],
)
def test_changes_that_are_known(zone: str, day: date, wall: time, wanted: str) -> None:
    assert instant(day, wall, ZoneInfo(zone)) == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


# -- meetings ---------------------------------------------------------------------------------------------------------


def test_a_session_becomes_a_meeting() -> None:
    rules = AttendanceRules(opens_before=timedelta(minutes=10), absent_after=timedelta(minutes=20))
    meeting = only(Timetable([weekly(rules=rules)], zone=BERLIN), MONDAY)
    assert (meeting.session, meeting.date, meeting.class_id, meeting.room) == ("7b maths 08:00", MONDAY, "7b", "101")
    assert meeting.opens_at == datetime(2026, 9, 7, 5, 50, tzinfo=UTC)
    assert meeting.starts_at == datetime(2026, 9, 7, 6, 0, tzinfo=UTC)
    assert meeting.ends_at == datetime(2026, 9, 7, 6, 45, tzinfo=UTC)
    assert meeting.decided_at == datetime(2026, 9, 7, 6, 20, tzinfo=UTC)


@pytest.mark.parametrize(("absent_after", "wanted"), [(None, 45), (30, 30), (45, 45), (600, 45)])
def test_when_who_was_not_seen_is_absent(absent_after: int | None, wanted: int) -> None:
    limit = None if absent_after is None else absent_after * MINUTE
    meeting = only(Timetable([weekly(rules=AttendanceRules(absent_after=limit))], zone=BERLIN), MONDAY)
    assert meeting.decided_at - meeting.starts_at == wanted * MINUTE


@given(days, walls, walls, zones)
def test_a_meeting_is_as_long_as_the_clocks_say_except_where_they_change(
    day: date, start: time, end: time, zone: ZoneInfo
) -> None:
    found = Timetable([weekly(start, end)], zone=zone).on(day)
    wall_length = datetime.combine(day, end) - datetime.combine(day, start)
    if wall_length <= timedelta(0):
        wall_length += timedelta(days=1)
    assert len(found) <= 1
    for meeting in found:
        assert meeting.date == day
        change = meeting.ends_at.astimezone(zone).utcoffset() - meeting.starts_at.astimezone(zone).utcoffset()  # type: ignore[operator] # a zone has one
        is_skipped = (
            shown(meeting.starts_at, zone) != datetime.combine(day, start) or shown(meeting.ends_at, zone).time() != end
        )
        if not is_skipped:
            assert meeting.ends_at - meeting.starts_at == wall_length - change
            assert change or meeting.ends_at - meeting.starts_at == wall_length


def test_a_lesson_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    timetable = Timetable([weekly(time(23, 0), time(0, 30), weekdays=frozenset({0}))], zone=BERLIN)
    meeting = only(timetable, MONDAY)
    assert meeting.ends_at - meeting.starts_at == 90 * MINUTE
    assert timetable.on(MONDAY + timedelta(days=1)) == ()
    after_midnight = datetime(2026, 9, 7, 22, 10, tzinfo=UTC)
    assert timetable.between(after_midnight, after_midnight) == [meeting]


@pytest.mark.parametrize(
    ("saturday", "start", "end", "minutes"),
    [
        (date(2026, 10, 24), time(23, 0), time(3, 0), 300),  # put back: an hour more
        (date(2026, 10, 24), time(23, 0), time(2, 30), 210),  # it ends when the clocks show it first
        (date(2026, 3, 28), time(23, 0), time(3, 0), 180),  # put forward: an hour less
        (date(2026, 3, 28), time(23, 0), time(2, 30), 180),  # a time that is skipped: when clocks are put forward
    ],
)
def test_an_evening_class_in_the_night_of_the_change(saturday: date, start: time, end: time, minutes: int) -> None:
    meeting = only(Timetable([weekly(start, end)], zone=BERLIN), saturday)
    assert meeting.ends_at - meeting.starts_at == minutes * MINUTE


def test_what_lies_in_the_skipped_hour_is_not_held() -> None:
    timetable = Timetable([weekly(time(2, 0), time(2, 45))], zone=BERLIN)
    assert timetable.on(date(2026, 3, 29)) == ()
    assert len(timetable.on(date(2026, 3, 28))) == 1


def test_a_session_opens_when_the_one_before_it_in_the_room_has_ended() -> None:
    first, second = weekly(), weekly(time(8, 50), time(9, 35), class_id="8a")
    elsewhere = weekly(time(7, 0), time(8, 48), class_id="9c", room="102")
    opened = {each.class_id: each for each in Timetable([second, first, elsewhere], zone=UTC).on(MONDAY)}
    assert opened["8a"].opens_at == opened["7b"].ends_at
    assert opened["7b"].opens_at == opened["7b"].starts_at - 15 * MINUTE
    assert opened["9c"].opens_at == opened["9c"].starts_at - 15 * MINUTE


def test_also_when_that_one_began_the_day_before() -> None:
    night = weekly(time(22, 0), time(0, 5), class_id="night")
    early = weekly(time(0, 10), time(1, 0), class_id="early")
    (meeting,) = (each for each in Timetable([night, early], zone=UTC).on(MONDAY) if each.class_id == "early")
    assert meeting.opens_at == meeting.starts_at - 5 * MINUTE


@pytest.mark.parametrize(
    ("holiday", "free"),
    [
        (Holiday(first=MONDAY, last=MONDAY), True),
        (Holiday(first=MONDAY - timedelta(days=9), last=MONDAY + timedelta(days=9)), True),
        (Holiday(first=MONDAY + timedelta(days=1), last=MONDAY + timedelta(days=1)), False),
        (Holiday(first=MONDAY, last=MONDAY, class_ids=frozenset({"7b"})), True),
        (Holiday(first=MONDAY, last=MONDAY, class_ids=frozenset({"8a"})), False),
    ],
)
def test_holidays(holiday: Holiday, free: bool) -> None:
    assert (Timetable([weekly()], [holiday], zone=UTC).on(MONDAY) == ()) is free


@pytest.mark.parametrize(
    ("changes", "is_held"),
    [
        ({"weekdays": frozenset({0})}, True),
        ({"weekdays": frozenset({1, 2, 3, 4, 5, 6})}, False),
        ({"first_day": MONDAY, "last_day": MONDAY}, True),
        ({"first_day": MONDAY + timedelta(days=1)}, False),
        ({"last_day": MONDAY - timedelta(days=1)}, False),
    ],
)
def test_on_which_days_it_is_held(changes: dict[str, Any], is_held: bool) -> None:
    assert bool(Timetable([weekly(**changes)], zone=UTC).on(MONDAY)) is is_held


@pytest.mark.parametrize(
    ("first_s", "last_s", "inside"),
    [
        (-901, -900, False),  # it ended when the room opened
        (-900, -900, True),
        (-1000, -899, True),
        (2699, 2700, True),
        (2700, 2700, False),  # it began when the lesson ended
        (2700, 9000, False),
        (-9999, 9999, True),
    ],
)
def test_what_was_during_a_meeting(first_s: int, last_s: int, inside: bool) -> None:
    meeting = only(Timetable([weekly()], zone=UTC), MONDAY)
    first_at, last_at = (meeting.starts_at + timedelta(seconds=s) for s in (first_s, last_s))
    assert meeting.overlaps(first_at, last_at) is inside


moments = st.integers(0, 3 * 86_400).map(lambda s: datetime(2026, 10, 24, tzinfo=UTC) + timedelta(seconds=s))
sessions = st.lists(
    st.builds(weekly, walls, walls, class_id=st.sampled_from("abc"), room=st.sampled_from(["1", "2"])), max_size=6
)


@given(sessions, moments, moments)
def test_between_finds_what_looking_at_every_day_finds(
    weeks: Sequence[WeeklySession], one: datetime, other: datetime
) -> None:
    first_at, last_at = sorted((one, other))
    timetable = Timetable(weeks, zone=BERLIN, rooms={"camera": "1"})
    every = [meeting for n in range(-2, 7) for meeting in timetable.on(date(2026, 10, 24) + timedelta(days=n))]
    wanted = [meeting for meeting in every if meeting.overlaps(first_at, last_at)]
    assert timetable.between(first_at, last_at) == wanted
    found = timetable.in_front_of("camera", first_at, last_at)
    assert found == [meeting for meeting in wanted if meeting.room == "1"]
    assert timetable.in_front_of("unknown", first_at, last_at) == []


@given(sessions, days)
def test_meetings_are_in_order_and_open_before_they_start(weeks: Sequence[WeeklySession], day: date) -> None:
    found = Timetable(weeks, zone=BERLIN).on(day)
    assert list(found) == sorted(found, key=lambda each: (each.starts_at, each.session))
    for meeting in found:
        assert meeting.opens_at <= meeting.starts_at < meeting.ends_at
        before = [each for each in found if each.room == meeting.room and each.ends_at <= meeting.starts_at]
        assert all(each.ends_at <= meeting.opens_at for each in before)


def test_a_year_of_days_is_not_kept_in_memory() -> None:
    timetable = Timetable([weekly()], zone=BERLIN)
    for n in range(400):
        assert len(timetable.on(MONDAY + timedelta(days=n))) == 1
    assert len(timetable._days) <= 64


@pytest.mark.parametrize(
    "rules",
    [
        {"opens_before": -MINUTE},
        {"late_after": -MINUTE},
        {"leave_early": -MINUTE},
        {"late_after": 10 * MINUTE, "absent_after": 5 * MINUTE},
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match=r"negative|nobody could be late"):
        AttendanceRules(**rules)


def test_cameras_in_a_room() -> None:
    timetable = Timetable(rooms={"b": "101", "a": "101", "c": "102"})
    assert timetable.cameras_in("101") == ["a", "b"]
    assert timetable.cameras_in("nowhere") == []
