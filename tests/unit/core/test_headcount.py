"""Faces, names and roster, and what explains the difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from optimind.core.headcount import Counted, Listed, reconcile

START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
ROSTER = {"1": "Ana", "2": "Ben", "3": "Cem"}


def listed(person: str, status: str = "present", rule: str = "on_time", *, seen: bool = True) -> Listed:
    return Listed(person, ROSTER.get(person, f"Guest {person}"), status, rule, seen)


def minutes(*faces: tuple[int, int], seconds: float = 60.0, camera: str = "c1") -> list[Counted]:
    return [Counted(camera, START + timedelta(minutes=number), *each, seconds) for number, each in enumerate(faces)]


ALL = [listed("1"), listed("2"), listed("3")]
AWAY = [listed("1"), listed("2", "absent", "never_seen", seen=False), listed("3", "excused", "excused", seen=False)]


@pytest.mark.parametrize(
    ("rows", "counted", "numbers", "words"),
    [
        pytest.param(ALL, minutes((3, 3), (3, 3)), (3, 0, 3, 3, 3), [], id="everything agrees"),
        pytest.param(AWAY, minutes((1, 1), (1, 1)), (1, 0, 1, 3, 2), ["1 absent: Ben", "1 excused: Cem"], id="away"),
        pytest.param(ALL, minutes((5, 3), (4, 4)), (5, 2, 3, 3, 3), ["2 faces had no name"], id="faces without a name"),
        pytest.param(
            [*ALL, listed("9", "needs_review", "not_on_roster")],
            minutes((4, 4), (4, 4)),
            (4, 0, 4, 3, 3),
            ["1 from outside the class: Guest 9"],
            id="a guest",
        ),
        pytest.param(
            [*ALL[:2], listed("3", "needs_review", "suspected")],
            minutes((3, 3), (3, 3)),
            (3, 0, 3, 3, 3),
            ["1 to be looked at: Cem"],
            id="a suspicion",
        ),
        pytest.param(ALL, minutes((3, 3)), (3, 0, 3, 3, 3), ["watched 1 of 2 minutes"], id="the camera was off"),
        pytest.param(ALL, minutes((2, 2), (2, 2)), (2, 0, 3, 3, 3), ["at most 2 faces"], id="one hides another"),
        pytest.param([], [], (0, 0, 0, 3, 3), ["watched 0 of 2 minutes"], id="nothing at all"),
        pytest.param(ALL, minutes((4, 3), (4, 4)), (4, 1, 3, 3, 3), ["1 face had"], id="of equals the less named"),
    ],
)
def test_what_lies_between(
    rows: list[Listed], counted: list[Counted], numbers: tuple[int, ...], words: list[str]
) -> None:
    count = reconcile(ROSTER, rows, counted, 2.0)
    assert (count.faces, count.unnamed, count.named, count.roster, count.expected) == numbers
    assert len(count.explanations) == len(words)
    assert all(word in said for word, said in zip(words, count.explanations, strict=True))


def test_two_cameras_in_one_room_see_the_same_people() -> None:
    counted = [*minutes((3, 3), (3, 3)), *minutes((2, 2), (2, 2), camera="c2")]
    count = reconcile(ROSTER, ALL, counted, 2.0)
    assert (count.faces, count.minutes_watched, count.explanations) == (3, 2.0, ())


def test_without_a_roster_nobody_is_from_outside() -> None:
    assert reconcile({}, ALL, minutes((3, 3), (3, 3)), 2.0).guests == ()
