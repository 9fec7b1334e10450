"""When cameras watched, by the minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.errors import StorageError
from optimind.pipeline.watches import MOST_WAITING, WRITE_S, WatchKeeper
from optimind.plugin_api import FacesCounted
from optimind.storage import School, Watch

START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


class Book:
    """Stands in for the school at its one method that the keeper calls: the larger figures stay."""

    def __init__(self) -> None:
        self.full = False
        self.kept: dict[datetime, Watch] = {}

    def watched(self, watches: Sequence[Watch]) -> None:
        if self.full:
            raise StorageError("the disk is full", mend="make room")
        for watch in watches:
            known = self.kept.get(watch.minute_at, watch)
            self.kept[watch.minute_at] = watch if watch.seconds >= known.seconds else known


def counted(seconds: float, faces: int = 0, named: int = 0, camera: str = "c1") -> FacesCounted:
    return FacesCounted(at=START + timedelta(seconds=seconds), camera=camera, faces=faces, named=named)


def keeper(book: Book, seconds: list[float]) -> WatchKeeper:
    return WatchKeeper(cast("School", book), {"c1": "101"}, monotonic=lambda: seconds[0])


@pytest.mark.parametrize(
    ("times", "minutes"),
    [
        pytest.param(range(0, 61, 10), [60.0, 0.0], id="a whole minute"),
        pytest.param([0, 10, 20], [20.0], id="part of one"),
        pytest.param([55, 65, 75], [5.0, 15.0], id="over the end of one"),
        pytest.param([0, 10, 50, 60], [20.0, 0.0], id="a gap in which nobody watched"),
        pytest.param([0, 10, 5, 15], [20.0], id="a clock that is put back counts no negative time"),
        pytest.param([7], [0.0], id="one picture is no time"),
    ],
)
def test_how_long_was_watched(times: Sequence[float], minutes: list[float]) -> None:
    book = Book()
    subject = keeper(book, [0.0])
    for time in times:
        subject.take([counted(time)])
    assert subject.write()
    assert [watch.seconds for _, watch in sorted(book.kept.items())] == pytest.approx(minutes)


@given(st.lists(st.floats(0.1, 29), min_size=1, max_size=60))
def test_no_second_is_lost_or_counted_twice(gaps: list[float]) -> None:
    book = Book()
    subject = keeper(book, [0.0])
    time = 0.0
    subject.take([counted(time)])
    for number, gap in enumerate(gaps):
        time += gap
        subject.take([counted(time)])
        if number % 7 == 3:
            subject.write()
    subject.write()
    assert sum(watch.seconds for watch in book.kept.values()) == pytest.approx(sum(gaps), abs=1e-3 * len(gaps))
    assert all(0 <= watch.seconds <= 60 for watch in book.kept.values())


def test_the_minute_with_the_most_faces_counts() -> None:
    book = Book()
    subject = keeper(book, [0.0])
    subject.take([counted(0, 3, 3), counted(10, 5, 2), counted(20, 4, 4), counted(25, 9, 9, camera="elsewhere")])
    subject.write()
    assert [(watch.faces, watch.named, watch.room) for watch in book.kept.values()] == [(5, 2, "101")]


def test_it_is_written_now_and_then_and_waits_for_the_disk() -> None:
    book, seconds = Book(), [0.0]
    subject = keeper(book, seconds)
    subject.take([counted(0)])
    assert not book.kept
    book.full, seconds[0] = True, WRITE_S
    subject.take([counted(10)])
    assert "the disk is full" in subject.error
    assert not subject.write()
    book.full = False
    assert subject.write()
    assert subject.error == ""
    assert [watch.seconds for watch in book.kept.values()] == [10.0]
    assert subject.write(), "the minute that goes on is no fault"


def test_what_waits_is_bounded() -> None:
    book = Book()
    book.full = True
    subject = keeper(book, [0.0])
    for minute in range(MOST_WAITING + 50):
        subject.take([counted(60.0 * minute)])
    subject.write()
    waiting: dict[Any, Any] = subject._minutes
    assert len(waiting) == MOST_WAITING
