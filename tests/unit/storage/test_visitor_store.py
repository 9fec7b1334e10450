"""Visitors in the database: the same one again, never another embedder's, and nothing left when they are deleted."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_marks import make_mark, url_of
from visitor_tracks import START, kept_shots, make_seen

from optimind.core.visitors import VisitorIndex
from optimind.errors import StorageError, UsageError
from optimind.plugin_api import VisitorSeen
from optimind.storage import VisitorStore, open_ledger, visitor_rows
from optimind.storage import visitors as module
from optimind.storage.database import Database
from optimind.storage.visitor_rows import NEWEST_SHOTS
from optimind.storage.visitors import MOST_SHOTS, Forgotten, Kept


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Book:
    """A store with its index."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.store = VisitorStore(url_of(path), clock=clock)
        self.index = VisitorIndex()

    def keep(self, seen: VisitorSeen, picture: bytes = b"JPEG") -> Kept:
        return self.store.keep(seen, kept_shots(seen, picture), self.index)

    def ids(self) -> list[int]:
        return sorted(visitor.visitor_id for visitor in self.store.visitors())

    def rows(self) -> list[int]:
        connection = sqlite3.connect(self.path)
        tables = ("visitors", "visits", "visitor_shots")
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608
        connection.close()
        return counts

    def bytes(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.path.parent.glob(f"{self.path.name}*"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[Book]:
    made = Book(tmp_path / "l.db", clock)
    yield made
    made.store.close()


def test_who_comes_again_is_the_same_visitor(book: Book) -> None:
    assert book.keep(make_seen(1, 1)) == Kept(1, is_new=True)
    assert book.keep(make_seen(2, 2, first_s=20, last_s=30)) == Kept(2, is_new=True)
    assert book.keep(make_seen(1, 3, camera="yard", first_s=3600, last_s=3660)) == Kept(1, is_new=False)
    first, second = sorted(book.store.visitors(), key=lambda one: one.visitor_id)
    assert (first.cameras, len(first.visits), first.pictures, first.face_px) == (("door", "yard"), 2, 4, 30.0)
    assert (first.first_seen_at, first.last_seen_at) == (START, START + timedelta(seconds=3660))
    assert (second.visitor_id, second.embedder, len(second.visits)) == (2, "line", 1)


def test_a_track_that_is_told_again_replaces_itself(book: Book) -> None:
    book.keep(make_seen(1, last_s=30, ended=False))
    assert book.keep(make_seen(1, last_s=90, shots=3)) == Kept(1, is_new=False)
    assert book.rows() == [1, 1, 3]
    assert book.store.visitor(1).last_seen_at == START + timedelta(seconds=90)


def test_two_at_one_time_are_two_however_alike(book: Book) -> None:
    book.keep(make_seen(1, 1))
    assert book.keep(make_seen(1, 2, first_s=5)).is_new
    # The same time in another run is a recording that is run again; another camera may see the same person.
    assert not book.keep(make_seen(1, 1, run="other")).is_new
    assert not book.keep(make_seen(1, 4, camera="yard")).is_new


def test_a_recording_that_is_run_again_makes_no_more_of_anything(book: Book) -> None:
    for run in ("first", "second"):
        for person in (1, 2, 3):
            book.keep(make_seen(person, person, run=run))
    assert book.ids() == [1, 2, 3]
    assert [len(visitor.visits) for visitor in book.store.visitors()] == [1, 1, 1]


def test_visitors_of_another_embedder_are_not_compared(book: Book, clock: Clock) -> None:
    book.keep(make_seen(1, 1))
    other = Book(book.path, clock)
    assert other.keep(make_seen(1, 2, embedder="other", first_s=3600, last_s=3660)) == Kept(2, is_new=True)
    other.store.close()
    assert list(book.store.vectors("line")) == [1]
    with pytest.raises(UsageError, match="cannot be one"):
        book.store.merge(1, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(tracks=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["line", "other"])), min_size=1, max_size=8))
def test_no_visitor_is_of_two_embedders_or_two_people(
    tmp_path_factory: pytest.TempPathFactory, tracks: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("book") / "l.db"
    books = {embedder: Book(path, Clock()) for embedder in ("line", "other")}
    found: dict[int, set[tuple[int, str]]] = {}
    for number, (person, embedder) in enumerate(tracks):
        seen = make_seen(person, number, embedder=embedder, first_s=100 * number, last_s=100 * number + 10)
        found.setdefault(books[embedder].keep(seen).visitor_id, set()).add((person, embedder))
    for each in books.values():
        each.store.close()
    assert all(len(who) == 1 for who in found.values())
    assert len(found) == len(set(tracks))


def test_what_another_program_changed_is_known(book: Book, clock: Clock) -> None:
    book.keep(make_seen(1, 1))
    book.keep(make_seen(2, 2))
    other = Book(book.path, clock)
    other.store.forget([1])
    other.keep(make_seen(3, 3))
    other.store.close()
    assert book.keep(make_seen(1, 4, first_s=100, last_s=110)) == Kept(4, is_new=True)
    assert book.keep(make_seen(3, 5, first_s=100, last_s=110)) == Kept(3, is_new=False)


def test_a_number_is_never_given_twice(book: Book) -> None:
    book.keep(make_seen(1, 1))
    book.store.forget()
    assert book.keep(make_seen(2, 2)).visitor_id == 2


def test_a_track_that_links_two_makes_them_one(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.keep(make_seen(1, 1))
    book.keep(make_seen(2, 2, first_s=100, last_s=110))
    monkeypatch.setattr("optimind.core.visitors.PLAIN_LIMIT", 2.0)
    assert book.keep(make_seen(1, 3, first_s=200, last_s=210)) == Kept(1, is_new=False, alike=(2,))
    assert book.ids() == [1]
    assert book.rows() == [1, 3, 6]


def test_no_link_makes_those_one_who_were_there_together(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.keep(make_seen(1, 1))
    book.keep(make_seen(2, 2))
    monkeypatch.setattr("optimind.core.visitors.PLAIN_LIMIT", 2.0)
    assert book.keep(make_seen(1, 3, first_s=200, last_s=210)) == Kept(1, is_new=False)
    assert book.ids() == [1, 2]


def test_only_the_newest_and_the_best_pictures_are_kept(book: Book, clock: Clock) -> None:
    for number in range(10):
        clock.now += timedelta(seconds=100)
        book.keep(make_seen(1, number, first_s=100 * number, last_s=100 * number + 10, shots=4))
    shots = book.store.shots(1)
    assert len(shots) == MOST_SHOTS
    assert [shot.quality for shot in shots] == sorted((shot.quality for shot in shots), reverse=True)
    assert shots[0].quality == 0.9
    # All four of the last track are there, of the others the better ones.
    assert [round(shot.quality, 2) for shot in shots] == [0.9] * 9 + [0.89, 0.88, 0.87]


def test_one_who_was_enrolled_after_all_is_taken_out_again(book: Book) -> None:
    book.keep(make_seen(1, 1))
    book.keep(make_seen(1, 2, first_s=100, last_s=110))
    assert book.store.withdraw("run-door-2") == Forgotten(0, 1, 2)
    assert book.rows() == [1, 1, 2]
    assert book.store.withdraw("run-door-1") == Forgotten(1, 1, 2)
    assert book.rows() == [0, 0, 0]
    assert book.store.withdraw("run-door-1") == Forgotten()


def test_two_can_be_made_one_by_hand(book: Book) -> None:
    book.keep(make_seen(1, 1))
    book.keep(make_seen(2, 2, first_s=1000, last_s=1010, camera="yard"))
    merged = book.store.merge(2, 1)
    assert (merged.visitor_id, merged.cameras, len(merged.visits), merged.pictures) == (2, ("door", "yard"), 2, 4)
    assert book.ids() == [2]
    # The visitor is known by the pictures of both from now on.
    assert len(book.store.vectors("line")[2]) == 4


@pytest.mark.parametrize(("one", "other", "words"), [(1, 1, "cannot be one"), (1, 9, "no visitor 9"), (9, 1, "9")])
def test_what_cannot_be_made_one(book: Book, one: int, other: int, words: str) -> None:
    book.keep(make_seen(1, 1))
    with pytest.raises(UsageError, match=words):
        book.store.merge(one, other)


def test_who_is_wanted(book: Book) -> None:
    book.keep(make_seen(1, 1, last_s=10))
    book.keep(make_seen(2, 2, camera="yard", first_s=1000, last_s=1010))
    assert [one.visitor_id for one in book.store.visitors()] == [2, 1]
    assert [one.visitor_id for one in book.store.visitors(camera="door")] == [1]
    assert [one.visitor_id for one in book.store.visitors(since=START + timedelta(seconds=500))] == [2]


def test_each_visit_has_days_of_its_own(book: Book, clock: Clock) -> None:
    book.keep(make_seen(1, 1))
    book.keep(make_seen(2, 2))
    clock.now += timedelta(days=20)
    book.keep(make_seen(1, 3, first_s=100, last_s=110))
    clock.now += timedelta(days=20)
    assert book.store.sweep(clock.now - timedelta(days=30)) == Forgotten(1, 2, 4)
    assert book.ids() == [1]
    assert book.rows() == [1, 1, 2]
    assert book.store.sweep(clock.now - timedelta(days=20)) == Forgotten()
    assert book.store.sweep(clock.now) == Forgotten(1, 1, 2)


DAY_S = 86_400.0


def daily(book: Book, clock: Clock, days: int, keep_days: int) -> Iterator[int]:
    """The same person every day: well to be seen at first, poorly later. After each day's sweep, its number."""
    for day in range(days):
        seen = make_seen(1, day, first_s=DAY_S * day, last_s=DAY_S * day + 10)
        if day >= MOST_SHOTS:
            seen = replace(seen, shots=tuple(replace(shot, quality=0.6) for shot in seen.shots))
        clock.now = seen.last_seen_at
        assert book.keep(seen).visitor_id == 1
        book.store.sweep(clock.now - timedelta(days=keep_days))
        yield day


def test_of_who_comes_every_day_nothing_is_kept_for_longer(book: Book, clock: Clock) -> None:
    for _ in daily(book, clock, days=120, keep_days=7):
        oldest = clock.now - timedelta(days=7)
        assert all(first >= oldest - timedelta(seconds=10) for first, _ in book.store.visitor(1).visits)
        assert all(shot.taken_at >= oldest for shot in book.store.shots(1))
    visitor, shots = book.store.visitor(1), book.store.shots(1)
    assert len(visitor.visits) == 8
    # It is by the newer ones that they are known.
    assert len(shots) == MOST_SHOTS
    assert shots[0].taken_at > clock.now - timedelta(days=8)


def test_the_newest_pictures_stay_however_poor(book: Book, clock: Clock) -> None:
    for _ in daily(book, clock, days=MOST_SHOTS + 3, keep_days=100):
        pass
    newest = [shot for shot in book.store.shots(1) if shot.quality == 0.6]
    assert len(newest) == NEWEST_SHOTS
    assert min(shot.taken_at for shot in newest) == clock.now - timedelta(days=1)


def test_an_old_picture_of_a_track_that_goes_on_has_the_days_of_its_own_time(book: Book, clock: Clock) -> None:
    seen = make_seen(1, last_s=10 * DAY_S, ended=False)
    old = replace(seen.shots[0], at=START)
    clock.now = seen.last_seen_at
    seen = replace(seen, shots=(old, seen.shots[1]))
    book.keep(seen)
    assert book.store.sweep(clock.now - timedelta(days=7)) == Forgotten(0, 0, 1)
    assert [shot.taken_at for shot in book.store.shots(1)] == [clock.now]
    # Where all pictures are old the track is of the same visitor all the same, and nobody else is known by them.
    book.keep(replace(seen, shots=(old,)))
    assert book.store.sweep(clock.now - timedelta(days=7)) == Forgotten(0, 0, 1)
    assert (book.ids(), book.store.shots(1)) == ([1], [])
    assert book.keep(make_seen(1, 2, first_s=11 * DAY_S, last_s=11 * DAY_S + 9)) == Kept(2, is_new=True)
    assert book.keep(replace(seen, shots=(old,))) == Kept(1, is_new=False)


def test_of_too_many_visits_the_oldest_go(book: Book, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor_rows, "MOST_VISITS", 3)
    for day in range(6):
        clock.now = START + timedelta(days=day)
        book.keep(make_seen(1, day, first_s=DAY_S * day, last_s=DAY_S * day + 10, shots=1))
        book.keep(make_seen(2, day, camera="yard", first_s=DAY_S * day, last_s=DAY_S * day + 10, shots=1))
    assert book.rows() == [2, 6, 6]
    # And not only where they come one by one.
    book.store.merge(1, 2)
    assert book.rows() == [1, 3, 3]
    assert book.store.visitor(1).first_seen_at >= START + timedelta(days=4)


def test_the_days_are_those_of_this_machines_clock(book: Book, clock: Clock) -> None:
    clock.now += timedelta(days=400)
    book.keep(make_seen(1, 1))
    assert book.store.sweep(clock.now - timedelta(days=1)) == Forgotten()


def test_of_too_many_the_oldest_go(book: Book, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VISITORS", 2)
    for person in range(4):
        clock.now += timedelta(minutes=1)
        book.keep(make_seen(person, person))
    assert book.store.sweep(START).visitors == 2
    assert book.ids() == [3, 4]


SECRET = b"the face of somebody who did not agree" * 100


@pytest.mark.parametrize("way", ["forget", "all", "sweep", "withdraw"])
def test_nothing_of_who_is_deleted_is_left_in_any_file(book: Book, clock: Clock, way: str) -> None:
    book.keep(make_seen(1, 1), SECRET)
    vector = make_seen(1).shots[0].vector.tobytes()
    assert SECRET in book.bytes()
    assert vector in book.bytes()
    match way:
        case "forget":
            book.store.forget([1])
        case "all":
            book.store.forget()
        case "sweep":
            book.store.sweep(clock.now + timedelta(days=1))
        case "withdraw":
            book.store.withdraw("run-door-1")
    assert book.rows() == [0, 0, 0]
    assert b"somebody who did not agree" not in book.bytes()
    assert vector not in book.bytes()


def test_the_register_is_another_matter(book: Book) -> None:
    with open_ledger(url_of(book.path)) as ledger:
        row = ledger.record(make_mark())
        book.keep(make_seen(1, 1))
        book.store.forget()
        assert ledger.register() == [row]


def test_a_locked_database_is_waited_for_no_longer_than_told(book: Book) -> None:
    impatient = VisitorStore(url_of(book.path), patience_s=0.05)
    holder = sqlite3.connect(book.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    seen, index = make_seen(1, 1), VisitorIndex()
    with pytest.raises(StorageError, match="kept it locked"):
        impatient.keep(seen, kept_shots(seen), index)
    holder.execute("ROLLBACK")
    holder.close()
    assert impatient.keep(seen, kept_shots(seen), index) == Kept(1, is_new=True)
    impatient.close()


def test_a_failure_changes_nothing_and_is_forgotten(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.keep(make_seen(1, 1))

    def fail(*_: object) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("optimind.storage.visitor_rows.prune", fail)
        with pytest.raises(StorageError, match="disk is full"):
            book.keep(make_seen(2, 2))
    assert book.ids() == [1]
    assert book.keep(make_seen(2, 2)).is_new
    assert not book.keep(make_seen(2, 3, first_s=100, last_s=110)).is_new


@pytest.mark.parametrize("way", ["forget", "sweep", "withdraw", "merge"])
def test_what_is_deleted_is_deleted_though_the_file_beside_cannot_be_emptied(
    book: Book, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    book.keep(make_seen(1, 1), SECRET)
    book.keep(make_seen(2, 2, first_s=100, last_s=110))

    def fail(_: Database) -> bool:
        raise StorageError("the disk failed")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Database, "scrub", fail)
        match way:
            case "forget":
                assert book.store.forget([1]) == Forgotten(1, 1, 2)
            case "sweep":
                assert book.store.sweep(clock.now + timedelta(days=1)) == Forgotten(2, 2, 4)
            case "withdraw":
                assert book.store.withdraw("run-door-1") == Forgotten(1, 1, 2)
            case "merge":
                assert book.store.merge(2, 1).visitor_id == 2
    assert 1 not in book.ids()
    assert "may still be in the file beside the database: the disk failed" in caplog.text


def test_the_file_beside_is_emptied_as_soon_as_it_can_be(book: Book) -> None:
    book.keep(make_seen(1, 1), SECRET)
    reader = sqlite3.connect(book.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM visitors").fetchall()
    impatient = VisitorStore(url_of(book.path), patience_s=0.05)
    impatient.forget()
    assert b"somebody who did not agree" in book.bytes()
    reader.close()
    assert impatient.sweep(START) == Forgotten()
    assert b"somebody who did not agree" not in book.bytes()
    impatient.close()


def test_a_visitor_who_is_not_there(book: Book) -> None:
    with pytest.raises(UsageError, match="no visitor 5"):
        book.store.visitor(5)
    assert book.store.forget([5]) == Forgotten()
    assert book.store.shots(5) == []
