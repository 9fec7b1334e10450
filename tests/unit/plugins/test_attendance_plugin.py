"""From sightings to attendance marks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from school import BERLIN, at, maths, seen, timetable

from optimind.plugin_api import (
    AttendanceMarked,
    CameraRole,
    Event,
    LineCrossed,
    PluginContext,
    Sighting,
    TrackEnded,
)
from optimind.plugins.attendance import AttendancePlugin, AttendanceSettings

START = datetime(2026, 9, 1, 22, 30, tzinfo=UTC)


def sighting(seconds: float, *, identity: str = "r-c-1", person: str = "anna", suspicion: str = "") -> Sighting:
    at = START + timedelta(seconds=seconds)
    return Sighting(
        at=at,
        camera="c",
        sighting_id=identity,
        person_id=person,
        name=person.title(),
        first_seen_at=START,
        last_seen_at=at,
        similarity=0.7,
        margin=0.2,
        samples=3,
        embedder="e",
        box=(0, 0, 1, 1),
        suspicion=suspicion,
    )


def ended(seconds: float) -> TrackEnded:
    at = START + timedelta(seconds=seconds)
    return TrackEnded(at=at, camera="c", track_id="r-c-1", person_id="anna", first_seen_at=START, last_seen_at=at)


def plugin(session: str | None = None, zone: str = "UTC") -> AttendancePlugin:
    context = PluginContext(session=session, timezone=ZoneInfo(zone))
    return AttendancePlugin.create(AttendanceSettings(update_interval_s=30), context)


def marks(subject: AttendancePlugin, *events: Event) -> list[float]:
    """The second of each mark that ``events`` bring about."""
    found = [answer for event in events for answer in subject.handle(event)]
    assert all(isinstance(mark, AttendanceMarked) for mark in found)
    return [(mark.at - START).total_seconds() for mark in found]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([sighting(1)], [1], id="an arrival is marked at once"),
        pytest.param([sighting(s) for s in (1, 6, 11, 31, 36)], [1, 31], id="updates are rare"),
        pytest.param([sighting(1), sighting(6), ended(6)], [1, 6], id="the end is marked"),
        pytest.param([sighting(1), ended(1)], [1], id="the end says nothing new"),
        pytest.param([ended(9)], [], id="a track that was nobody"),
        pytest.param([sighting(1), sighting(2, identity="r-c-2", person="ben")], [1, 2], id="two people"),
    ],
)
def test_when_marks_are_made(events: list[Event], expected: list[float]) -> None:
    assert marks(plugin(), *events) == expected


def test_what_waits_is_marked_at_the_close() -> None:
    subject = plugin()
    assert marks(subject, sighting(1), sighting(6)) == [1]
    assert [(mark.at - START).total_seconds() for mark in subject.close()] == [6]
    assert list(subject.close()) == []


@pytest.mark.parametrize(
    ("session", "zone", "expected"),
    [
        (None, "UTC", ("day", date(2026, 9, 1))),
        ("maths", "UTC", ("maths", date(2026, 9, 1))),
        ("maths", "Asia/Kolkata", ("maths", date(2026, 9, 2))),
        (None, "America/New_York", ("day", date(2026, 9, 1))),
    ],
)
def test_session_and_date_are_those_of_the_place(session: str | None, zone: str, expected: tuple[str, date]) -> None:
    [mark] = plugin(session, zone).handle(sighting(1))
    assert isinstance(mark, AttendanceMarked)
    assert (mark.session, mark.date) == expected
    assert mark.status == "present"


FLAT = "it is flat"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([sighting(1, suspicion=FLAT)], [(1, "needs_review")], id="suspected from the first"),
        pytest.param(
            [sighting(1), sighting(3, suspicion=FLAT)], [(1, "present"), (3, "needs_review")], id="marked at once"
        ),
        pytest.param(
            [sighting(1), *[sighting(s, suspicion=FLAT) for s in (3, 5, 9)], ended(9)],
            [(1, "present"), (3, "needs_review"), (9, "needs_review")],
            id="and then no more often than others",
        ),
        pytest.param(
            [sighting(1, suspicion=FLAT), sighting(2, identity="r-c-2")],
            [(1, "needs_review"), (2, "present")],
            id="another sighting is judged by itself",
        ),
    ],
)
def test_who_may_be_a_picture_needs_review(events: list[Event], expected: list[tuple[float, str]]) -> None:
    subject = plugin()
    found = [answer for event in events for answer in subject.handle(event)]
    assert [((mark.at - START).total_seconds(), mark.status) for mark in found] == expected  # type: ignore[attr-defined]


# -- with a timetable


def scheduled(role: CameraRole = CameraRole.CLASS, session: str | None = None) -> AttendancePlugin:
    """A plugin whose camera hangs in the room of :mod:`school`'s timetable."""
    held = timetable()
    context = PluginContext(
        session=session,
        timezone=BERLIN,
        meetings=held.in_front_of,
        roles={"c1": role},
        has_timetable=True,
    )
    return AttendancePlugin.create(AttendanceSettings(update_interval_s=30), context)


def in_class(first_min: float, last_min: float, identity: str = "t1") -> Sighting:
    return seen(maths(), "anna", first_min, last_min, sighting_id=identity).sighting


def crossed(minutes: float, direction: Literal["in", "out"], identity: str = "t1") -> LineCrossed:
    return LineCrossed(at=at(maths(), minutes), camera="c1", track_id=identity, person_id=None, direction=direction)


def told(subject: AttendancePlugin, *events: Event) -> list[tuple[str, str, float]]:
    """Session, kind and minute of each mark that ``events`` bring about."""
    found = [answer for event in events for answer in subject.handle(event)]
    return [
        (mark.session, mark.kind, (mark.sighting.first_seen_at - maths().starts_at).total_seconds() / 60)
        for mark in found
        if isinstance(mark, AttendanceMarked)
    ]


MATHS, ART = "7B maths 08:00", "7B art 08:45"


@pytest.mark.parametrize(
    ("sighted", "expected"),
    [
        pytest.param(in_class(1, 2), [(MATHS, "seen", 1)], id="in a lesson"),
        pytest.param(in_class(-10, -5), [(MATHS, "seen", -10)], id="before it began"),
        pytest.param(in_class(-60, -30), [], id="when there is none"),
        pytest.param(in_class(40, 50), [(MATHS, "seen", 40), (ART, "seen", 40)], id="over the end of one"),
    ],
)
def test_a_sighting_counts_for_what_is_held_then(sighted: Sighting, expected: list[tuple[str, str, float]]) -> None:
    assert told(scheduled(), sighted) == expected


def test_the_command_lines_session_outweighs_the_timetable() -> None:
    assert told(scheduled(session="fair"), in_class(1, 2)) == [("fair", "seen", 1)]


def test_another_room_has_no_lesson() -> None:
    subject = scheduled()
    assert list(subject.handle(replace(in_class(1, 2), camera="c2"))) == []


@pytest.mark.parametrize(
    ("role", "kind"), [(CameraRole.CHECK_IN, "in"), (CameraRole.CHECK_OUT, "out"), (CameraRole.CLASS, "seen")]
)
def test_what_being_seen_means(role: CameraRole, kind: str) -> None:
    assert told(scheduled(role), in_class(1, 2)) == [(MATHS, kind, 1)]


def test_who_checks_in_comes_to_one_lesson_only() -> None:
    assert told(scheduled(CameraRole.CHECK_IN), in_class(40, 50)) == [(MATHS, "in", 40)]


def test_in_front_of_a_door_only_crossing_its_line_counts() -> None:
    subject = scheduled(CameraRole.DOOR)
    assert told(subject, in_class(1, 2)) == []
    assert told(subject, crossed(3, "in")) == [(MATHS, "in", 3)]
    assert told(subject, crossed(9, "out")) == [(MATHS, "out", 9)]


def test_who_crossed_is_marked_when_they_are_known() -> None:
    subject = scheduled(CameraRole.DOOR)
    assert told(subject, crossed(3, "in"), crossed(5, "out")) == []
    assert told(subject, in_class(2, 6)) == [(MATHS, "in", 3), (MATHS, "out", 5)]
    assert told(subject, in_class(2, 7)) == []


def test_a_stranger_at_the_door_is_forgotten() -> None:
    subject = scheduled(CameraRole.DOOR)
    told(subject, crossed(3, "in"))
    end = at(maths(), 4)
    told(subject, TrackEnded(at=end, camera="c1", track_id="t1", person_id=None, first_seen_at=end, last_seen_at=end))
    assert told(subject, in_class(5, 6)) == []


def test_without_a_timetable_a_session_by_hand_counts_alone() -> None:
    by_hand = replace(maths(), session="extra", by_hand=True)
    context = PluginContext(
        session=None,
        timezone=BERLIN,
        meetings=lambda _camera, first_at, last_at: [by_hand] if by_hand.overlaps(first_at, last_at) else [],
    )
    subject = AttendancePlugin.create(AttendanceSettings(), context)
    assert told(subject, in_class(1, 2)) == [("extra", "seen", 1)]
    assert told(subject, in_class(100, 101, "t2")) == [("day", "seen", 100)]
