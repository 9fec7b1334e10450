"""Somebody is taken out of the ledger, and the proof that they are gone can fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from ledger_marks import START
from school_person import ANNA, BO, NAMES, NAMESAKE, School, make_school, picture

from optimind.core.events import AttendanceStatus
from optimind.core.registers import record_id
from optimind.core.timetable import Meeting
from optimind.storage import Correction, Ledger, Unseen, Wanted

WANTED = Wanted(person_id=ANNA, names=("Anna Berg",), pieces=(picture("shot of 1042771190")[1500:1548],))


@pytest.fixture
def school(tmp_path: Path) -> School:
    return make_school(tmp_path)


@pytest.fixture
def ledger(school: School) -> Iterator[Ledger]:
    with school.ledger() as opened:
        yield opened


def forget(ledger: Ledger, person: str = ANNA, **how: bool) -> dict[str, int]:
    erased = ledger.personal.forget(person, sinks=["sheets"], keep_counts=how.get("keep_counts", False), actor="head")
    ledger.personal.scrub()
    return erased.rows


def execute(school: School, statement: str, *values: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(school.folder / "data" / "optimind.db")
    with connection:
        found = connection.execute(statement, values).fetchall()
    connection.close()
    return found


def test_everything_of_one_person_goes_and_nothing_of_another(ledger: Ledger) -> None:
    others = {person: ledger.personal.rows(person) for person in (BO, NAMESAKE)}
    assert forget(ledger) == {
        "records": 2,
        "sightings": 2,
        "outbox": 2,
        "corrections": 1,
        "excuses": 1,
        "members": 1,
        "consents": 1,
        "shots": 1,
    }
    assert ledger.personal.counts(ANNA) == {}
    assert {person: ledger.personal.rows(person) for person in (BO, NAMESAKE)} == others
    report = ledger.audit.verify()
    assert (report.fault, report.erased) == (None, 5)
    (line,) = [line for line in ledger.audit.lines() if line.action == "forgotten"]
    assert (line.actor, line.person_id, line.record_id) == ("head", None, None)
    assert "1042771190" not in str(line.detail)
    # And again, where nothing is left: no line, no wish.
    assert forget(ledger) == {}
    assert len([line for line in ledger.audit.lines() if line.action == "forgotten"]) == 1


def test_the_search_finds_it_before_and_nothing_afterwards(ledger: Ledger) -> None:
    before = ledger.personal.search_tables(WANTED)
    tables = {place.partition(".")[0] for place in before.left}
    assert tables == {"records", "members", "excuses", "consents", "audit", "corrections"}
    in_bytes = ledger.personal.search_files(WANTED)
    assert in_bytes is not None
    # A word that stands in a table is nothing that bytes could prove; id and name side by side are.
    found = {place.split(": ")[1].partition(" at ")[0] for place in in_bytes.left}
    assert found == {"'1042771190Anna Berg'", "a piece of a picture or template"}
    assert in_bytes.unsure
    forget(ledger)
    after = ledger.personal.search_tables(WANTED)
    assert after.left == []
    # Those of the other Anna Berg are said and are no trace.
    assert {place.partition(".")[0] for place in after.other} == {"records", "members", "audit"}
    in_bytes = ledger.personal.search_files(WANTED)
    assert in_bytes is not None
    assert (in_bytes.left, in_bytes.unsure) == ([], ["'Anna Berg'"])


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE records SET reason = 'swapped with Zoe  QUIST' WHERE person_id = '7'", "records.reason"),
        ("UPDATE records SET reason = 'swapped with Zoe Quistmann' WHERE person_id = '7'", None),
        ("UPDATE corrections SET why = 'as Zoe Quist said'", "corrections.why"),
        ("UPDATE members SET person_id = 'zoe-17' WHERE person_id = '7'", "members.person_id"),
        ("UPDATE members SET name = 'zoe quist' WHERE person_id = 'zoe-17'", None),
        ("UPDATE records SET session = 'Zoe Quist' WHERE person_id = '7'", None),
        ("UPDATE excuses SET why = 'with zoe-17' WHERE person_id = '7'", "excuses.why"),
        ("UPDATE excuses SET actor = 'Zoe Quist' WHERE person_id = '7'", None),
    ],
)
def test_what_counts_as_a_trace(school: School, ledger: Ledger, statement: str, place: str | None) -> None:
    wanted = Wanted(person_id="zoe-17", names=("Zoe Quist",))
    assert ledger.personal.search_tables(wanted).left == []
    execute(school, statement)
    left = ledger.personal.search_tables(wanted).left
    assert [each.partition(" ")[0] for each in left] == ([] if place is None else [place])


def test_a_name_in_json_is_found_whatever_its_letters(school: School, ledger: Ledger) -> None:
    execute(school, "UPDATE audit SET detail = ? WHERE number = 1", '{"name": "J\\u00fcrgen Gr\\u00f6\\u00df"}')
    found = ledger.personal.search_tables(Wanted(person_id="88", names=("Jürgen Größ",)))
    assert [each.partition(" ")[0] for each in found.left] == ["audit.detail"]


def test_a_number_that_is_also_something_else_is_no_trace(school: School, ledger: Ledger) -> None:
    execute(school, "UPDATE records SET reason = 'came 88 seconds late', session = '88' WHERE person_id = '7'")
    found = ledger.personal.search_tables(Wanted(person_id="88"))
    assert found.left == []
    assert len(found.other) == 2


def test_an_id_that_is_made_of_the_name_is_no_trace_of_a_namesake(school: School, ledger: Ledger) -> None:
    execute(school, "UPDATE records SET person_id = 'Anna_Berg' WHERE person_id = '1042771190'")
    wanted = Wanted(person_id="Anna_Berg", names=("Anna Berg",))
    assert any(place.startswith("records.person_id") for place in ledger.personal.search_tables(wanted).left)
    ledger.personal.forget("1042771190", sinks=[], keep_counts=False, actor="x")
    ledger.personal.forget("Anna_Berg", sinks=[], keep_counts=False, actor="x")
    execute(school, "UPDATE audit SET detail = '{\"name\": \"Anna Berg\"}' WHERE person_id = '2001'")
    found = ledger.personal.search_tables(wanted)
    assert found.left == []
    assert found.other


@pytest.mark.parametrize(
    ("word", "is_searched"), [("1042", False), ("deadbeef", False), ("Bo Ek", True), ("7b-x9z", True)]
)
def test_what_comes_about_by_chance_is_no_trace(word: str, is_searched: bool, school: School, ledger: Ledger) -> None:
    path = school.folder / "data" / "optimind.db"
    ledger.personal.forget(BO, sinks=[], keep_counts=False, actor="x")
    ledger.personal.scrub()
    with path.open("ab") as file:
        file.write(word.encode())
    found = ledger.personal.search_files(Wanted(person_id=word))
    assert found is not None
    assert (bool(found.left), found.unsure) == (is_searched, [] if is_searched else [repr(word)])


def test_bytes_that_sqlite_left_are_found(school: School, ledger: Ledger) -> None:
    forget(ledger)
    path = school.folder / "data" / "optimind.db"
    with path.open("ab") as file:
        file.write(b"\0" * 100 + WANTED.pieces[0] + b"1042771190Anna Berg")
    found = ledger.personal.search_files(WANTED)
    assert found is not None
    assert len(found.left) == 3
    assert all("optimind.db: " in place for place in found.left)


def test_nothing_of_it_is_in_the_bytes_of_the_files(school: School, ledger: Ledger) -> None:
    pieces = (
        b"1042771190Anna Berg",
        b"Anna Berg came by bus",
        b"Anna Berg is ill",
        b"parent of 1042771190",
        *WANTED.pieces,
    )
    data = school.everything()
    assert all(piece in data for piece in pieces)
    forget(ledger)
    data = b"".join(path.read_bytes() for path in (school.folder / "data").iterdir())
    assert [piece for piece in pieces if piece in data] == []


def test_a_table_that_a_later_version_added_is_not_forgotten(school: School, ledger: Ledger) -> None:
    execute(school, "CREATE TABLE payloads (number INTEGER PRIMARY KEY, record_id TEXT, body TEXT)")
    mine = record_id(START.date(), "maths", ANNA)
    execute(school, "INSERT INTO payloads VALUES (1, ?, 'x'), (2, 'another', 'y')", mine)
    execute(school, "CREATE TABLE badges (person_id TEXT PRIMARY KEY)")
    execute(school, "INSERT INTO badges VALUES ('1042771190'), ('7')")
    gone = forget(ledger)
    assert (gone["payloads"], gone["badges"]) == (1, 1)
    assert execute(school, "SELECT number FROM payloads") == [(2,)]
    assert execute(school, "SELECT person_id FROM badges") == [("7",)]


def test_wishes_are_kept_until_the_sink_has_forgotten(ledger: Ledger) -> None:
    mine = sorted(record_id(START.date(), session, ANNA) for session in ("maths", "art"))
    ledger.personal.forget(ANNA, sinks=["webhook"], keep_counts=False, actor="head")
    assert ledger.personal.pending() == {"sheets": 2, "webhook": 2}
    assert ledger.personal.wishes("sheets") == mine
    ledger.personal.fulfilled("sheets", mine[:1])
    assert ledger.personal.wishes("sheets") == mine[1:]
    ledger.personal.fulfilled("webhook", mine)
    assert ledger.personal.pending() == {"sheets": 1}
    # The wish says nothing of the person.
    assert ledger.personal.search_tables(WANTED).left == []


def test_with_keep_counts_the_register_keeps_its_numbers_and_nobody_their_name(ledger: Ledger) -> None:
    before = [(row.date, row.session, row.status) for row in ledger.register()]
    old = {row.record_id for row in ledger.register() if row.person_id == ANNA}
    erased = ledger.personal.forget(ANNA, sinks=[], keep_counts=True, actor="head")
    ledger.personal.scrub()
    rows = ledger.register()
    assert sorted((row.date, row.session, row.status) for row in rows) == sorted(before)
    mine = [row for row in rows if row.person_id not in (BO, NAMESAKE)]
    assert {(row.person_id, row.name) for row in mine} == {(erased.pseudonym, erased.pseudonym)}
    assert erased.kept_counts == 2
    assert erased.pseudonym.startswith("forgotten-")
    assert not old & {row.record_id for row in mine}
    assert all((row.first_seen_at, row.similarity, row.camera, row.reason) == (None, None, "", "") for row in mine)
    assert ledger.personal.search_tables(WANTED).left == []
    assert ledger.audit.verify().fault is None
    # The sheet gets them as new rows, and loses the old ones.
    assert ledger.backfill("sheets") == 2
    assert set(ledger.personal.wishes("sheets")) == old


def test_what_may_still_be_decided_about_is_deleted_with_keep_counts_too(ledger: Ledger) -> None:
    day = date(2026, 9, 2)
    starts_at = datetime(2026, 9, 2, 8, tzinfo=UTC)
    meeting = Meeting(
        session="physics",
        date=day,
        class_id="7b",
        room="room-101",
        opens_at=starts_at - timedelta(minutes=15),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
    )
    ledger.school.enter(meeting)
    people = [Unseen(meeting=meeting, person_id=person, name=name) for person, name in NAMES.items()]
    said = [
        Correction(record_id=each.record_id, status=AttendanceStatus.LATE, actor="Ms Hill", why="") for each in people
    ]
    ledger.correct(said, unseen=people)
    assert len(ledger.register(session="physics")) == 3
    assert ledger.personal.forget(ANNA, sinks=[], keep_counts=True, actor="head").rows["records"] == 1
    assert {row.person_id for row in ledger.register(session="physics")} == {BO, NAMESAKE}
