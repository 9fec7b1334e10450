from __future__ import annotations

import datetime as dt
import itertools
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_marks import START, make_mark, url_of
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError

from optimind.core.registers import record_id, seconds_seen
from optimind.errors import StorageError
from optimind.plugin_api import AttendanceMarked, AttendanceStatus
from optimind.storage import Ledger, open_ledger
from optimind.storage.tables import StoredSighting

DAY = START.date()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "ledger.db")) as opened:
        yield opened


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def test_a_mark_becomes_a_record(ledger: Ledger) -> None:
    row = ledger.record(make_mark("17", last_s=90, name="Grace Hopper", similarity=0.83, margin=0.21))
    assert row.record_id == record_id(DAY, "maths", "17")
    assert (row.date, row.session, row.person_id, row.name) == (DAY, "maths", "17", "Grace Hopper")
    assert (row.status, row.source, row.camera) == ("present", "camera", "room-101")
    assert (row.first_seen_at, row.last_seen_at, row.seconds_seen) == (START, at(90), 90.0)
    assert (row.similarity, row.margin) == (0.83, 0.21)
    assert ledger.register() == [row]


def test_a_record_is_the_union_of_its_sightings(ledger: Ledger) -> None:
    ledger.record(make_mark(sighting="a", first_s=100, last_s=200, similarity=0.7, margin=0.3, camera="door"))
    ledger.record(make_mark(sighting="b", first_s=150, last_s=260, similarity=0.9, margin=0.1, camera="board"))
    row = ledger.record(make_mark(sighting="c", first_s=0, last_s=20, similarity=0.8, margin=0.2, camera="window"))
    assert (row.first_seen_at, row.last_seen_at, row.seconds_seen) == (START, at(260), 180.0)
    assert (row.camera, row.similarity, row.margin) == ("board", 0.9, 0.1)
    assert len(ledger.register()) == 1


def test_a_sighting_sent_again_replaces_itself(ledger: Ledger) -> None:
    for last_s in (10, 20, 30):
        row = ledger.record(make_mark(last_s=last_s))
    assert row.seconds_seen == 30.0


def test_an_older_state_of_a_sighting_changes_nothing(ledger: Ledger) -> None:
    new = ledger.record(make_mark(last_s=30, name="Ana", similarity=0.9), ["sheets"])
    ledger.outbox.delivered("sheets", [(new.record_id, 1)])
    assert ledger.record(make_mark(last_s=20, name="Old", similarity=0.5), ["sheets"]) == new
    assert ledger.outbox.lag("sheets") == (0, None)


def test_one_sighting_may_be_evidence_for_two_sessions(ledger: Ledger) -> None:
    first = ledger.record(make_mark(session="maths", last_s=60))
    second = ledger.record(make_mark(session="music", last_s=90))
    assert [row.seconds_seen for row in ledger.register()] == [first.seconds_seen, second.seconds_seen] == [60, 90]


def test_status_and_name_are_those_of_the_latest_mark(ledger: Ledger) -> None:
    ledger.record(make_mark(sighting="a", status=AttendanceStatus.PRESENT, name="Ana"))
    row = ledger.record(make_mark(sighting="b", status=AttendanceStatus.LEFT_EARLY, name="Ana B", first_s=5))
    assert (row.status, row.name) == ("left_early", "Ana B")


FLAT = "it is flat"


def test_one_suspected_sighting_makes_the_record_need_review(ledger: Ledger) -> None:
    review = AttendanceStatus.NEEDS_REVIEW
    assert ledger.record(make_mark(sighting="a", last_s=30)).status == "present"
    ledger.record(make_mark(sighting="b", last_s=20, status=review, suspicion=FLAT))
    assert ledger.record(make_mark(sighting="a", last_s=60)).status == "needs_review"
    assert ledger.record(make_mark("other")).status == "present"
    assert ledger.record(make_mark(session="music", sighting="c")).status == "present"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_suspicion_counts_in_whatever_order_it_comes(ledger: Ledger, order: tuple[int, ...]) -> None:
    states = [
        make_mark(last_s=10),
        make_mark(last_s=20, status=AttendanceStatus.NEEDS_REVIEW, suspicion=FLAT),
        make_mark(last_s=30),
    ]
    for index in order:
        row = ledger.record(states[index], ["sheets"])
    assert (row.status, row.seconds_seen, row.last_seen_at) == ("needs_review", 30.0, at(30))
    with ledger._database.reading() as session:
        assert [stored.suspicion for stored in session.query(StoredSighting)] == [FLAT]


marks = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 50), st.integers(0, 100), st.sampled_from(["", FLAT])
    ).map(
        lambda t: make_mark(
            sighting=f"{t[0]}{t[1]}",
            first_s=t[1],
            last_s=t[1] + t[2],
            similarity=t[3] / 100,
            name="same",
            status=AttendanceStatus.NEEDS_REVIEW if t[4] else AttendanceStatus.PRESENT,
            suspicion=t[4],
        )
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(marks, st.randoms(use_true_random=False))
def test_the_order_of_marks_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, some: list[AttendanceMarked], random: object
) -> None:
    # Two states of one sighting with the same end are a tie that only their order could decide.
    unique = list({(mark.sighting.sighting_id, mark.sighting.last_seen_at): mark for mark in some}.values())
    shuffled = [*unique, *unique]
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis types its Random as object
    found = []
    for order in (unique, shuffled):
        with open_ledger(url_of(tmp_path_factory.mktemp("order") / "l.db")) as ledger:
            ledger.record_many(order)
            found.append(ledger.register())
    assert found[0] == found[1]
    assert found[0][0].status == ("needs_review" if any(mark.sighting.suspicion for mark in unique) else "present")
    newest = {
        mark.sighting.sighting_id: mark.sighting for mark in sorted(unique, key=lambda m: m.sighting.last_seen_at)
    }
    spans = [(sighting.first_seen_at, sighting.last_seen_at) for sighting in newest.values()]
    assert found[0][0].seconds_seen == seconds_seen(spans)


def test_record_many_is_all_or_nothing(ledger: Ledger) -> None:
    good, bad = make_mark("1"), make_mark("2")
    object.__setattr__(bad.sighting, "samples", None)  # what the database refuses, which no mark can hold
    with pytest.raises(StorageError, match="cannot be written"):
        ledger.record_many([good, bad], ["sheets"])
    assert ledger.register() == []
    assert ledger.outbox.lag("sheets") == (0, None)


def test_record_many_keeps_the_order(ledger: Ledger) -> None:
    rows = ledger.record_many([make_mark(person) for person in "cab"])
    assert [row.person_id for row in rows] == ["c", "a", "b"]
    assert ledger.record_many([]) == []


def test_register_is_filtered_and_ordered(ledger: Ledger) -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    ledger.record(replace(make_mark("1", name="zoe"), date=tomorrow))
    for person, name, session in [
        ("2", "Zoe", "maths"),
        ("3", "ana", "maths"),
        ("4", "Ben", "art"),
        ("5", "Ana", "maths"),
    ]:
        ledger.record(make_mark(person, name=name, session=session))
    assert [row.person_id for row in ledger.register()] == ["4", "3", "5", "2", "1"]
    assert [row.person_id for row in ledger.register(session="maths", date=DAY)] == ["3", "5", "2"]
    assert [row.person_id for row in ledger.register(date=tomorrow)] == ["1"]
    assert ledger.register(session="none") == []


TEXTS = ["=1+1", "Łukasz 王小明 🙂", "a'; DROP TABLE records; --", "", " ", "x" * 70_000, "a\nb\tc\0d"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_kept(ledger: Ledger, text: str) -> None:
    ledger.record(make_mark(text, name=text, session=text, camera=text, sighting="s"))
    row = ledger.register(session=text)[0]
    assert (row.person_id, row.name, row.camera) == (text, text, text)


def test_thousands_of_sightings_of_one_person_are_no_burden(ledger: Ledger) -> None:
    first = ledger.record(make_mark(sighting="s0", last_s=3))
    values = make_mark().sighting
    rows = [
        {
            "sighting_id": f"s{number}",
            "record_id": first.record_id,
            **{name: getattr(values, name) for name in ("camera", "similarity", "margin", "samples", "embedder")},
            "first_seen_at": at(number * 5),
            "last_seen_at": at(number * 5 + 3),
        }
        for number in range(1, 2000)
    ]
    with ledger._database.writing() as session:
        session.execute(insert(StoredSighting), rows)
    statements = []
    event.listen(ledger._database._engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    for more_s in range(1, 4):
        row = ledger.record(make_mark(sighting="s7", first_s=35, last_s=38 + more_s))
        # The fifth second is the next one's first.
        assert row.seconds_seen == 2000 * 3 + min(more_s, 2)
    fetched = [statement for statement in statements if "SELECT" in statement and "FROM sightings" in statement]
    # The state of this one, the best one, and all the times.
    assert len(fetched) == 3 * 3


def test_an_undecodable_name_is_written_out(ledger: Ledger) -> None:
    rows = ledger.record_many([make_mark("a\udcff", name="\udcff"), make_mark("a\udcfe")])
    assert (rows[0].person_id, rows[0].name) == ("a\\udcff", "\\udcff")
    assert len(ledger.register()) == 2


def test_a_session_of_an_undecodable_name_is_found_by_it(ledger: Ledger) -> None:
    row = ledger.record(make_mark(session="a\udcffb"))
    assert ledger.register(session="a\udcffb") == [row]


@pytest.mark.parametrize("field", ["similarity", "margin"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused(ledger: Ledger, field: str, value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        ledger.record(make_mark(**dict[str, Any]({field: value})))


def test_times_come_back_aware_and_the_same(ledger: Ledger) -> None:
    tokyo = dt.timezone(dt.timedelta(hours=9))
    mark = make_mark(last_s=10.123456)
    seen = replace(
        mark.sighting,
        first_seen_at=mark.sighting.first_seen_at.astimezone(tokyo),
        last_seen_at=mark.sighting.last_seen_at.astimezone(tokyo),
    )
    row = ledger.record(replace(mark, sighting=seen))
    assert (row.first_seen_at, row.last_seen_at) == (START, at(10.123456))
    assert row.last_seen_at is not None
    assert row.last_seen_at.tzinfo == dt.UTC
    assert ledger.register()[0] == row


def test_a_naive_time_is_refused(ledger: Ledger) -> None:
    with (
        pytest.raises(StorageError, match="a stored time must carry a time zone"),
        ledger._database.writing() as session,
    ):
        session.add(StoredSighting(sighting_id="s", record_id="r", first_seen_at=START.replace(tzinfo=None)))


def test_a_row_entered_by_another_process_meanwhile_is_found_at_the_next_attempt(ledger: Ledger) -> None:
    engine = ledger._database._engine
    failures = itertools.count()

    @event.listens_for(engine, "before_cursor_execute")
    def collide(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO records") and next(failures) == 0:
            raise IntegrityError(statement, None, Exception("duplicate key"))

    assert ledger.record(make_mark()) == ledger.register()[0]


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    def work(number: int) -> None:
        for last_s in range(1, 6):
            ledger.record(make_mark("shared", sighting=f"s{number}", first_s=number * 10, last_s=number * 10 + last_s))
            ledger.record(make_mark(f"own-{number}", last_s=last_s), ["sheets"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = {row.person_id: row for row in ledger.register()}
    assert rows["shared"].seconds_seen == 20.0
    assert len(rows) == 5
    assert ledger.outbox.lag("sheets")[0] == 4
