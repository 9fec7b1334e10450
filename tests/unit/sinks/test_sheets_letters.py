from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.core.events import AttendanceStatus
from optimind.core.registers import record_id
from optimind.plugin_api import RecordRow
from optimind.sinks._sheets_judging import Judge
from optimind.sinks._sheets_letters import LETTERS, legend, letter_of, status_of
from optimind.sinks._sheets_register import Meeting, RegisterKey, RegisterPlan, RegisterView, serial_of
from optimind.sinks._sheets_table import HEADER, View
from optimind.testing.sinks import make_row

KEY = RegisterKey("7B", date(2026, 9, 1))
START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def record(person: str, meeting: int = 0, **changes: Any) -> RecordRow:
    """A record of the meeting that begins ``meeting`` times five hours after the first."""
    at = START + timedelta(hours=5 * meeting)
    values: dict[str, Any] = {"person_id": person, "name": f"N {person}", "date": at.date(), "session": f"art {at:%H}"}
    values |= {"starts_at": at, "class_id": "7B", **changes}
    return make_row(record_id(values["date"], values["session"], person), **values)


def applied(lines: list[list[Any]], records: list[RecordRow]) -> list[list[Any]]:
    """The cells after ``records`` were written, columns for early meetings included."""
    view = RegisterView.of(KEY, "t", [[str(cell) for cell in line] for line in lines])
    for column, meeting in sorted(view.early(records), reverse=True):
        lines = [[*line[:column], "", *line[column:]] if len(line) > column else line for line in lines]
        lines[2][column] = meeting.key
    view = RegisterView.of(KEY, "t", [[str(cell) for cell in line] for line in lines])
    plan = RegisterPlan.of(view, records)
    height, width = max(len(lines), plan.size[0]), max(view.width, plan.size[1])
    grid = [[*line, *[""] * (width - len(line))] for line in [*lines, *[[] for _ in range(height - len(lines))]]]
    for (row, column), value in plan.cells.items():
        grid[row - 1][column] = value
    return grid


def test_every_status_has_a_letter_of_its_own() -> None:
    assert list(LETTERS) == list(AttendanceStatus)
    assert len(set(LETTERS.values())) == len(LETTERS)
    assert all(f"{letter} {status.replace('_', ' ')}" in legend() for status, letter in LETTERS.items())


@pytest.mark.parametrize("status", list(AttendanceStatus))
def test_letters_and_words_are_understood(status: AttendanceStatus) -> None:
    for text in (letter_of(status), letter_of(status).lower(), status, status.upper(), f" {status.replace('_', ' ')} "):
        assert status_of(text) is status
    assert status_of(str(status).replace("_", "-")) is status


@pytest.mark.parametrize("text", ["", " ", "X", "pp", "present!", "1", "=P"])
def test_other_words_are_no_status(text: str) -> None:
    assert status_of(text) is None


@pytest.mark.parametrize(
    ("class_id", "title"),
    [
        ("7B", "7B 2026-09"),
        ("Klasse Ä 王 🙂", "Klasse Ä 王 🙂 2026-09"),
        ("=1+1", "=1+1 2026-09"),
        ("7/B", "7-B ~"),
        ("[x]'y", "-x-'y ~"),
        ("'7B'", "7B ~"),
        (" 7B", "7B ~"),
        ("a\nb", "a b ~"),
    ],
)
def test_titles(class_id: str, title: str) -> None:
    found = RegisterKey(class_id, date(2026, 9, 1)).title()
    assert found.startswith(title)
    assert found.endswith(" 2026-09")


@given(st.text(max_size=300), st.text(max_size=300))
def test_two_classes_never_share_a_title_and_every_title_is_allowed(one: str, two: str) -> None:
    titles = [RegisterKey(each, date(2026, 9, 1)).title() for each in (one, two)]
    for title in titles:
        assert 0 < len(title.encode("utf-16-le", "surrogatepass")) // 2 <= 100
        assert not set(title) & set("[]*?:/\\\n\r\t\0")
    assert (titles[0] == titles[1]) == (one == two)


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.text(max_size=50))
def test_a_key_is_read_back(day: date, session: str) -> None:
    meeting = Meeting(day, "08:00", session)
    found = Meeting.parse(meeting.key)
    assert found is not None
    assert found.name == meeting.name


@pytest.mark.parametrize("text", ["", "sum", "2026-13-01 08:00 x", "2026-09-01", "1 2026-09-01 08:00 x"])
def test_what_is_no_key(text: str) -> None:
    assert Meeting.parse(text) is None


def test_dates_are_counted_as_spreadsheets_do() -> None:
    assert (serial_of(date(1900, 1, 1)), serial_of(date(2026, 9, 1))) == (2, 46266)


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(["1", "2", "3", "=4", "ש"]),
        st.integers(0, 6),
        status=st.sampled_from(list(AttendanceStatus)),
    ),
    max_size=25,
    unique_by=lambda each: each.record_id,
)


@given(st.lists(RECORDS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_whatever_comes_and_however_people_sort_each_letter_is_where_it_belongs(batches: Any, random: Any) -> None:
    lines: list[list[Any]] = []
    newest: dict[str, RecordRow] = {}
    notes: dict[str, str] = {}
    for batch in batches:
        lines = applied(lines, batch)
        newest |= {each.record_id: each for each in batch}
        for line in lines[3:]:
            notes[line[0]] = line[2] = notes.get(line[0]) or f"note {line[0]}"
        people = lines[3:]
        random.shuffle(people)
        lines = [*lines[:3], *people]
    view = RegisterView.of(KEY, "t", [[str(cell) for cell in line] for line in lines])
    assert all(view.stands(each) == {letter_of(each.status)} for each in newest.values())
    assert {person for person, rows in view.people.items() if len(rows) == 1} == {
        each.person_id for each in newest.values()
    }
    keys = [meeting for _, meeting in sorted(view.meetings.values())]
    assert keys == sorted(keys)
    assert all(line[2] == notes[line[0]] for line in lines[3:])
    assert applied(lines, list(newest.values())) == lines  # and writing it again changes nothing


def test_a_copy_of_a_row_is_emptied_unless_it_has_a_note() -> None:
    lines = applied([], [record("1"), record("2")])
    bare, noted = list(lines[3]), [*lines[3][:2], "a note", *lines[3][3:]]
    assert [line[3] for line in applied([*lines, bare], [record("1", status="late")])[3:]] == ["L", "P", ""]
    noted_lines = applied([*lines[:3], noted, lines[4], noted, bare], [record("1", status="late")])
    assert [line[3] for line in noted_lines[3:]] == ["L", "P", "L", ""]


@pytest.mark.parametrize(
    ("stands", "known", "status"),
    [
        ("present", {"present"}, None),
        ("late", {"present", "late"}, None),
        ("late", {"present"}, AttendanceStatus.LATE),
        ("Present", {"present"}, None),
        ("P", {"present"}, None),
    ],
)
def test_what_is_a_persons_change(stands: str, known: set[str], status: AttendanceStatus | None) -> None:
    columns = {name: index for index, name in enumerate(HEADER)}
    log = View(columns, ["record_id", "r1"], 2, ["status", stands], ["corrected_by", "  Ada   Lovelace "])
    asked: list[str] = []

    def ask(record_ids: Any) -> Any:
        asked.extend(record_ids)
        return {"r1": frozenset(known)}

    judge = Judge()
    changes = judge.changes(log, [], ask)
    assert [each.status for each in changes] == ([] if status is None else [status])
    assert [each.actor for each in changes] == ["Ada Lovelace"] * len(changes)
    # What is no change is not asked about again.
    judge.changes(log, [], ask)
    assert len(asked) == (1 if status is None else 2)


def test_nothing_is_a_change_while_a_write_is_unsure() -> None:
    log = View({}, ["record_id", "r1"], 2, ["status", "late"])
    judge = Judge()
    judge.trusts = False
    assert judge.changes(log, [], lambda _ids: {"r1": frozenset({"present"})}) == []
