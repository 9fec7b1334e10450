"""From sightings to attendance marks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from optimind.plugin_api import AttendanceMarked, Event, PluginContext, Sighting, TrackEnded
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
