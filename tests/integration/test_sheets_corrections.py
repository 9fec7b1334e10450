"""A status that somebody changes in the sheet becomes a correction with their name, and nothing else does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_marks import START, make_mark, url_of
from school import entries
from sheets_server import Fault, SheetsServer

from optimind.core.events import AttendanceStatus
from optimind.core.timetable import AttendanceRules, Meeting
from optimind.errors import DeliveryDelayed, DeliveryRefused
from optimind.pipeline.delivery import DeliveryWorker
from optimind.pipeline.peoples_changes import MOST_NAMELESS, SOMEONE, PeoplesChanges
from optimind.sinks._sheets_letters import LETTERS
from optimind.sinks._sheets_setup import Comparison
from optimind.sinks.sheets import SheetsSink
from optimind.storage import Correction, Ledger, open_ledger

pytest_plugins = ("sheets_fixtures",)

SOON_S = 15.0
MEETING = Meeting(
    session="7B maths 08:00",
    date=START.date(),
    class_id="7B",
    room="1",
    opens_at=START - timedelta(minutes=15),
    starts_at=START,
    ends_at=START + timedelta(minutes=45),
    rules=AttendanceRules(late_after=timedelta(minutes=5)),
)
TITLE = f"7B {START:%Y-%m}"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(url_of(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def turn(ledger: Ledger, sink: SheetsSink) -> Callable[[], None]:
    """One turn of a worker: what people changed is taken up, and then what is due is delivered."""
    worker = DeliveryWorker(ledger, sink, interval_s=0.0)

    def go() -> None:
        worker._people._next_look = 0.0
        for _ in range(3):
            worker._turn(everything=True)

    return go


def say(ledger: Ledger, person: str, status: str, **changes: Any) -> str:
    """Have a camera say something of ``person``; return the record's id."""
    mark = make_mark(person, session=MEETING.session, status=AttendanceStatus(status), **changes)
    return ledger.record(mark, ["sheets"]).record_id


def write(server: SheetsServer, key: str, **cells: str) -> None:
    """What a person types into the log's row of a record."""
    sheet = server.sheet
    header, *lines = sheet.lines()
    names = [str(name) for name in header]
    row = next(number for number, line in enumerate(lines, 2) if line[names.index("record_id")] == key)
    for name, text in cells.items():
        sheet.cells[row, names.index(name) + 1] = text


def status_of(ledger: Ledger, key: str) -> str:
    return next(row.status for row in ledger.register() if row.record_id == key)


def in_sheet(server: SheetsServer, key: str) -> dict[str, Any]:
    return next(record for record in server.sheet.records() if record["record_id"] == key)


def corrections(ledger: Ledger) -> list[tuple[str, str]]:
    return [(line.actor, line.detail["status"]) for line in ledger.audit.lines() if line.action == "corrected"]


@pytest.mark.parametrize("text", ["excused", " Excused ", "E", "e"])
def test_a_changed_status_is_a_correction_with_the_name(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None], text: str
) -> None:
    key = say(ledger, "1", "present")
    turn()
    write(server, key, status=text, corrected_by="Ms. Lovelace", notes="dentist")
    turn()
    assert corrections(ledger) == [("Ms. Lovelace", "excused")]
    assert status_of(ledger, key) == "excused"
    row = in_sheet(server, key)
    assert (row["status"], row["corrected_by"], row["notes"]) == ("excused", "Ms. Lovelace", "dentist")
    assert row["source"] == "sheet"
    say(ledger, "1", "present", last_s=500)
    turn()
    turn()
    assert (in_sheet(server, key)["status"], len(corrections(ledger))) == ("excused", 1)


def test_without_a_name_it_was_someone(server: SheetsServer, ledger: Ledger, turn: Callable[[], None]) -> None:
    key = say(ledger, "1", "present")
    turn()
    write(server, key, status="late")
    turn()
    assert corrections(ledger) == [(SOMEONE, "late")]


def test_an_unknown_word_is_put_back(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    keys = [say(ledger, "1", "present"), say(ledger, "2", "present")]
    turn()
    write(server, keys[0], status="was here, I saw him")
    write(server, keys[1], status="")
    server.sheet.cells = {place: value for place, value in server.sheet.cells.items() if value != ""}
    turn()
    assert corrections(ledger) == []
    assert [in_sheet(server, key)["status"] for key in keys] == ["present", "present"]
    assert "'was here, I saw him' is no status" in caplog.text


def test_an_update_that_waits_is_no_persons_change(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None]
) -> None:
    key = say(ledger, "1", "present")
    turn()
    with server.down():
        ledger.correct([Correction(record_id=key, status=AttendanceStatus.LATE, actor="a", why="")], ["sheets"])
        with pytest.raises(Exception, match="cannot be reached"):
            turn()
    turn()
    assert corrections(ledger) == [("a", "late")]
    assert in_sheet(server, key)["status"] == "late"


def test_a_persons_change_is_not_overwritten_by_an_update_that_waits(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None]
) -> None:
    key = say(ledger, "1", "present")
    turn()
    ledger.correct([Correction(record_id=key, status=AttendanceStatus.LATE, actor="a", why="")], ["sheets"])
    write(server, key, status="excused", corrected_by="Ms. Lovelace")
    turn()
    assert corrections(ledger) == [("a", "late"), ("Ms. Lovelace", "excused")]
    assert in_sheet(server, key)["status"] == "excused"


def test_a_change_between_read_and_write_is_found_next_time(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None]
) -> None:
    key = say(ledger, "1", "present")
    turn()
    say(ledger, "1", "present", last_s=600)
    server.faults.append(Fault("values:batchUpdate", action=lambda: write(server, key, status="excused")))
    turn()
    turn()
    assert in_sheet(server, key)["status"] == "excused" == status_of(ledger, key)


@pytest.mark.parametrize("after", [False, True], ids=["not written", "written"])
def test_a_process_that_is_killed_while_it_writes_leaves_no_correction(
    server: SheetsServer,
    ledger: Ledger,
    make_sink: Callable[..., SheetsSink],
    monkeypatch: pytest.MonkeyPatch,
    *,
    after: bool,
) -> None:
    key = say(ledger, "1", "present")
    DeliveryWorker(ledger, make_sink(), interval_s=0.0)._turn(everything=True)
    ledger.correct([Correction(record_id=key, status=AttendanceStatus.LATE, actor="a", why="")], ["sheets"])
    server.faults.append(Fault("values:batchUpdate", reset=True, after=after))
    DeliveryWorker(ledger, make_sink(), interval_s=0.0)._turn(everything=True)
    assert in_sheet(server, key)["status"] == ("late" if after else "present")
    worker = DeliveryWorker(ledger, make_sink(), interval_s=0.0)
    worker._turn(everything=True)
    worker._people._next_look = 0.0
    worker._turn(everything=True)
    assert corrections(ledger) == [("a", "late")]
    # What was under way when the process died may still come about: it is no person's word then.
    assert ledger.cells.known("sheets", [key]) == {key: frozenset({"present", "late"})}
    write(server, key, status="present")
    worker._people._next_look = 0.0
    worker._turn(everything=True)
    assert corrections(ledger) == [("a", "late")]
    monkeypatch.setattr(SheetsSink, "recheck_s", 0.0)
    DeliveryWorker(ledger, make_sink(), interval_s=0.0)._turn(everything=True)
    assert in_sheet(server, key)["status"] == "late"
    assert corrections(ledger) == [("a", "late")]
    assert ledger.cells.known("sheets", [key]) == {key: frozenset({"late"})}


def test_other_machines_rows_are_left_alone(
    server: SheetsServer, ledger: Ledger, tmp_path: Path, make_sink: Callable[..., SheetsSink]
) -> None:
    with open_ledger(url_of(tmp_path / "other.db")) as other:
        key = say(other, "9", "present")
        DeliveryWorker(other, make_sink(), interval_s=0.0)._turn(everything=True)
        write(server, key, status="excused")
        say(ledger, "1", "present")
        DeliveryWorker(ledger, make_sink(), interval_s=0.0)._turn(everything=True)
        assert corrections(ledger) == []
        worker = DeliveryWorker(other, make_sink(), interval_s=0.0)
        worker._turn(everything=True)
        assert status_of(other, key) == "excused"


def test_an_old_version_that_was_restored_is_no_flood_of_corrections(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    people = [str(number) for number in range(MOST_NAMELESS + 5)]
    keys = [say(ledger, person, "present") for person in people]
    turn()
    for key in keys:
        write(server, key, status="absent")
    write(server, keys[0], corrected_by="Ms. Lovelace")
    turn()
    assert corrections(ledger) == [("Ms. Lovelace", "absent")]
    assert [in_sheet(server, key)["status"] for key in keys] == ["absent"] + ["present"] * (len(keys) - 1)
    assert "an old version of the sheet was restored" in caplog.text


# registers


def settle(ledger: Ledger, people: dict[str, str]) -> dict[str, str]:
    """A lesson of 7B to which nobody came; the ids of its records by person."""
    ledger.school.set_roster("7B", entries(people), date(2026, 1, 1))
    ledger.school.enter(MEETING)
    rows = ledger.settle(MEETING, MEETING.ends_at + timedelta(minutes=1), ["sheets"])
    return {row.person_id: row.record_id for row in rows}


def letter(server: SheetsServer, person: str, text: str | None = None) -> Any:
    """What stands in the register for ``person``, and with ``text`` what is typed there."""
    sheet = server.sheets[TITLE]
    head, lines = sheet.lines()[2], sheet.lines()
    column = next(number for number, cell in enumerate(head) if str(cell).startswith(f"{START:%Y-%m-%d}"))
    row = next(number for number, line in enumerate(lines) if line[0] == person)
    if text is not None:
        sheet.cells[row + 1, column + 1] = text
    return sheet.lines()[row][column]


@pytest.mark.parametrize("text", ["E", "e", "excused"])
def test_a_letter_in_the_register_is_a_correction(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None], text: str
) -> None:
    keys = settle(ledger, {"1": "Ada", "2": "Bob"})
    turn()
    assert letter(server, "1") in {"A", "?"}
    letter(server, "1", text)
    write(server, keys["1"], corrected_by="Mr. Babbage")
    turn()
    assert corrections(ledger) == [("Mr. Babbage", "excused")]
    assert (in_sheet(server, keys["1"])["status"], letter(server, "1")) == ("excused", "E")
    assert letter(server, "2") in {"A", "?"}


def test_a_letter_may_be_changed_back(server: SheetsServer, ledger: Ledger, turn: Callable[[], None]) -> None:
    settle(ledger, {"1": "Ada"})
    turn()
    before = letter(server, "1")
    letter(server, "1", "E")
    turn()
    letter(server, "1", before)
    turn()
    assert letter(server, "1") == before
    assert len(corrections(ledger)) == 2


def test_what_stands_in_the_log_counts_more(server: SheetsServer, ledger: Ledger, turn: Callable[[], None]) -> None:
    keys = settle(ledger, {"1": "Ada"})
    turn()
    letter(server, "1", "L")
    write(server, keys["1"], status="excused", corrected_by="Ms. Lovelace")
    turn()
    turn()
    assert corrections(ledger) == [("Ms. Lovelace", "excused")]
    assert letter(server, "1") == "E"


def test_a_letter_that_was_deleted_is_no_correction(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None]
) -> None:
    keys = settle(ledger, {"1": "Ada"})
    turn()
    letter(server, "1", "")
    turn()
    assert corrections(ledger) == []
    ledger.outbox.redeliver("sheets", list(keys.values()))
    turn()
    assert letter(server, "1") in {"A", "?"}


def test_a_register_that_was_unreadable_for_a_while_is_no_correction(
    server: SheetsServer, ledger: Ledger, turn: Callable[[], None], make_sink: Callable[..., SheetsSink]
) -> None:
    keys = settle(ledger, {"1": "Ada"})
    turn()
    old = dict(server.sheets[TITLE].cells)
    server.sheets[TITLE].fill(server.sheets[TITLE].lines()[3:])
    ledger.correct([Correction(record_id=keys["1"], status=AttendanceStatus.LATE, actor="a", why="")], ["sheets"])
    turn()
    server.sheets[TITLE].cells = old
    # Whoever looks, also another process.
    assert not PeoplesChanges(ledger, make_sink()).look(ledger.register())
    turn()
    assert corrections(ledger) == [("a", "late")]
    assert status_of(ledger, keys["1"]) == "late"


def test_a_letter_of_another_class_is_found_now_and_then(
    server: SheetsServer, ledger: Ledger, sink: SheetsSink, turn: Callable[[], None]
) -> None:
    settle(ledger, {"1": "Ada"})
    turn()
    turn()
    letter(server, "1", "E")
    say(ledger, "9", "present")  # of no class
    people = PeoplesChanges(ledger, sink)
    rows = [row for row in ledger.register() if row.person_id == "9"]
    assert not people.look(rows)
    assert sink._book is not None
    sink._book._next_wide_look = 0.0
    assert people.look(rows)
    assert corrections(ledger) == [(SOMEONE, "excused")]


def test_it_is_looked_for_now_and_then_when_nothing_is_delivered(
    server: SheetsServer, ledger: Ledger, sink: SheetsSink, turn: Callable[[], None]
) -> None:
    key = say(ledger, "1", "present")
    turn()
    now = [1000.0]
    people = PeoplesChanges(ledger, sink, clock=lambda: now[0])
    assert not people.look([])
    write(server, key, status="late")
    server.requests.clear()
    now[0] += 299.0
    assert not people.look([])
    assert server.requests == []
    now[0] += 2.0
    assert people.look([])
    assert status_of(ledger, key) == "late"
    assert len(server.requests) == 1


STATUSES = ["present", "late", "left_early", "absent", "excused", "needs_review"]


class School:
    """A ledger, a sheet, cameras and people, and what the people said last of each record."""

    def __init__(self, server: SheetsServer, ledger: Ledger, sink: SheetsSink, seed: int) -> None:
        self.server, self.ledger, self.random = server, ledger, random.Random(seed)  # noqa: S311 - a test's choices
        self.worker = DeliveryWorker(ledger, sink, interval_s=0.0, first_pause_s=0.0, longest_pause_s=0.0)
        self.said: dict[str, str] = {}
        self.changes = 0
        self.keys = settle(ledger, {str(number): f"Name {number}" for number in range(8)})

    def turn(self) -> None:
        self.worker._people._next_look = 0.0
        # Looking may be in vain; what a delivery raises, the worker keeps to itself.
        with suppress(DeliveryDelayed, DeliveryRefused):
            self.worker._turn(everything=True)

    def camera(self) -> None:
        number = self.random.randrange(10_000)
        person = self.random.choice(list(self.keys))
        say(self.ledger, person, "present", sighting=f"s{number}", first_s=number / 9, last_s=number / 9 + 60)

    def teacher(self) -> None:
        """A correction by the command line."""
        key = self.random.choice(list(self.keys.values()))
        status = self.random.choice(STATUSES)
        correction = Correction(record_id=key, status=AttendanceStatus(status), actor="cli", why="")
        self.ledger.correct([correction], ["sheets"])
        self.said[key] = status

    def manager(self) -> None:
        """A status is changed in the sheet, in the log or in the register, while nothing else is going on."""
        person, key = self.random.choice(list(self.keys.items()))
        status = self.random.choice([each for each in STATUSES if each != status_of(self.ledger, key)])
        with self.server.lock:
            there = {str(record["record_id"]) for record in self.server.sheet.records()}
            if key not in there or self.ledger.outbox.lag("sheets")[0] or not self.worker._people._sink._book:  # type: ignore[attr-defined] # the test looks inside
                return
            if self.random.random() < 0.5:
                write(self.server, key, status=status, corrected_by="Ms. Lovelace")
            else:
                letter(self.server, person, LETTERS[status])
        self.said[key] = status
        self.changes += 1

    def sort(self) -> None:
        with self.server.lock:
            for title, head in (("Log", 1), (TITLE, 3)):
                if title in self.server.sheets:
                    lines = self.server.sheets[title].lines()
                    people = lines[head:]
                    self.random.shuffle(people)
                    self.server.sheets[title].fill([*lines[:head], *people])

    def fault(self) -> None:
        path = self.random.choice(["batchGet", "values:batchUpdate", ":batchUpdate"])
        kind: Any = self.random.choice(
            [{"status": 429}, {"status": 500, "after": True}, {"reset": True, "after": True}]
        )
        self.server.faults.append(Fault(path, **kind))

    def moved_while_written(self) -> None:
        self.server.faults.append(Fault("values:batchUpdate", action=self.sort))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_sheet_ends_equal_to_the_ledger_and_nobodys_word_is_lost(
    server: SheetsServer, ledger: Ledger, sink: SheetsSink, seed: int
) -> None:
    school = School(server, ledger, sink, seed)
    school.turn()
    for _ in range(40):
        do = school.random.choice(
            [school.camera, school.camera, school.teacher, school.manager, school.manager, school.sort, school.fault,
             school.moved_while_written, school.turn]
        )  # fmt: skip
        do()
        if do == school.manager:
            server.faults.clear()
        school.turn()
    server.faults.clear()
    for _ in range(6):
        school.turn()
    rows = [row.in_zone(UTC) for row in ledger.register()]
    assert sink.compare(rows, frozenset()) == Comparison()
    assert {key: status_of(ledger, key) for key in school.said} == school.said
    # And nobody is said to have corrected what nobody touched.
    lines = [line for line in ledger.audit.lines() if line.action == "corrected"]
    assert {line.record_id for line in lines} <= set(school.said)
    assert sum(line.actor != "cli" for line in lines) == school.changes
