"""The worksheet of one class and month: people down, meetings across, a letter in each cell. Pure: no requests here.

A person is found by the id in their row and a meeting by the key in its column, so people may sort rows, move columns
and add their own. Three rows are the header: the date, the session, and the keys (hidden).
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, Self

from optimind.plugin_api import RecordRow, record_id
from optimind.sinks._sheets_letters import legend, letter_of
from optimind.sinks._sheets_table import fitted, range_of

__all__ = [
    "FIXED",
    "Meeting",
    "RegisterKey",
    "RegisterPlan",
    "RegisterView",
    "serial_of",
]

FIXED = ("person_id", "name", "notes")
HEAD_ROWS = 3
_DAY_ZERO = date(1899, 12, 30).toordinal()
_LONGEST_TITLE = 100
_KEY = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)(?: (.*))?", re.DOTALL)
_FORBIDDEN = re.compile(r"[\[\]*?:/\\]")
_KEY_ROWS = 10


def serial_of(day: date) -> int:
    """Return a date as spreadsheets count it: days since 30 December 1899."""
    return day.toordinal() - _DAY_ZERO


class RegisterKey(NamedTuple):
    """Which worksheet: a class, and the month as its first day."""

    class_id: str
    month: date

    @classmethod
    def of(cls, record: RecordRow) -> Self | None:
        """The one a record belongs to; None for a record of no class."""
        return cls(record.class_id, record.date.replace(day=1)) if record.class_id else None

    @property
    def heading(self) -> str:
        """What stands in its first cell, and tells the class apart from one whose title looks the same."""
        return fitted(f"{self.class_id} {self.month:%Y-%m}")

    def title(self, *, apart: bool = False) -> str:
        """The worksheet's title: class and month. ``apart``: with a mark, where another class has that title."""
        month = f" {self.month:%Y-%m}"
        plain = "".join(" " if unicodedata.category(c) in {"Cc", "Cs"} else c for c in self.class_id)
        plain = " ".join(_FORBIDDEN.sub("-", plain).split()).strip("'")
        if plain != self.class_id or len((plain + month).encode("utf-16-le")) // 2 > _LONGEST_TITLE or apart:
            digest = hashlib.blake2b(self.class_id.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
            month = f" ~{digest}{month}"
            room = 2 * (_LONGEST_TITLE - len(month))
            plain = plain.encode("utf-16-le")[:room].decode("utf-16-le", "ignore").rstrip()
        return plain + month


class Meeting(NamedTuple):
    """One meeting, in the order in which they are held."""

    day: date
    time: str
    session: str

    @classmethod
    def of(cls, record: RecordRow) -> Self:
        """The meeting of a record; its time is the record's own."""
        return cls(record.date, "00:00" if record.starts_at is None else f"{record.starts_at:%H:%M}", record.session)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the key in a column's header; None where it is none."""
        match = _KEY.fullmatch(text.strip())
        try:
            return cls(date.fromisoformat(match[1]), match[2], match[3] or "") if match else None
        except ValueError:
            return None

    @property
    def key(self) -> str:
        """The text in the header by which its column is found."""
        return f"{self.day.isoformat()} {self.time} {self.session.strip()}".strip()

    @property
    def name(self) -> tuple[date, str]:
        """Which meeting it is, also where its time was changed."""
        return self.day, self.session.strip()


@dataclass(slots=True)
class RegisterView:
    """What was read. Rows are counted from 1, columns from 0; ``people`` may stand in several rows (copies)."""

    key: RegisterKey
    title: str
    head: int = HEAD_ROWS
    fixed: dict[str, int] = field(default_factory=lambda: {name: index for index, name in enumerate(FIXED)})
    meetings: dict[tuple[date, str], tuple[int, Meeting]] = field(default_factory=dict)
    people: dict[str, list[int]] = field(default_factory=dict)
    lines: Sequence[Sequence[str]] = ()
    is_blank: bool = True
    is_readable: bool = True

    @classmethod
    def of(cls, key: RegisterKey, title: str, lines: Sequence[Sequence[str]]) -> Self:
        """Find header, meetings and people in the cells of a worksheet."""
        view = cls(key, title, lines=lines, is_blank=not any(any(line) for line in lines))
        if view.is_blank:
            return view
        for number, line in enumerate(lines[:_KEY_ROWS], 1):
            names = [cell.strip().casefold() for cell in line]
            if FIXED[0] in names and number >= HEAD_ROWS:
                view.head = number
                view.fixed = {name: names.index(name) for name in FIXED if name in names}
                for index, cell in enumerate(line):
                    meeting = Meeting.parse(cell)
                    if meeting is not None:
                        view.meetings.setdefault(meeting.name, (index, meeting))
                break
        else:
            view.is_readable = False
            return view
        column = view.fixed[FIXED[0]]
        for number, line in enumerate(lines[view.head :], view.head + 1):
            if column < len(line) and line[column].strip():
                view.people.setdefault(line[column].strip(), []).append(number)
        return view

    @property
    def width(self) -> int:
        """How many columns are in use."""
        return max((len(line) for line in self.lines), default=0)

    def cell(self, row: int, column: int) -> str:
        """The text in ``row`` (from 1) and ``column`` (from 0)."""
        line = self.lines[row - 1] if row <= len(self.lines) else ()
        return line[column] if column < len(line) else ""

    def letters(self) -> Iterable[tuple[str, str]]:
        """Each cell that says something of a person in a meeting: the record's id, and the text."""
        for person, rows in self.people.items():
            for column, meeting in self.meetings.values():
                for row in rows:
                    text = self.cell(row, column).strip()
                    if text:
                        yield record_id(meeting.day, meeting.session, person), text

    def stands(self, record: RecordRow) -> set[str]:
        """The texts that stand for ``record``; empty where it has no cell, more than one where copies differ."""
        found = self.meetings.get(Meeting.of(record).name)
        if found is None:
            return set()
        return {self.cell(row, found[0]).strip() for row in self.people.get(record.person_id.strip(), [])}

    def names_of(self, record: RecordRow) -> set[str]:
        """The names that stand in the rows of the record's person."""
        column = self.fixed.get("name")
        rows = self.people.get(record.person_id.strip(), [])
        return set() if column is None else {self.cell(row, column) for row in rows}

    def wrong(self, records: Iterable[RecordRow]) -> list[RecordRow]:
        """Those of ``records`` whose letter or name is not what stands here. The newest name of a person counts."""
        records = list(records)
        names = {each.person_id: fitted(each.name) for each in sorted(records, key=Meeting.of)}
        return [
            each
            for each in records
            if self.stands(each) != {letter_of(each.status)}
            or (self.fixed.get("name") is not None and self.names_of(each) != {names[each.person_id]})
        ]

    def newest(self, row: int) -> Meeting:
        """The newest meeting of which something stands in ``row``: an older one does not know the person's name."""
        told = [meeting for column, meeting in self.meetings.values() if self.cell(row, column).strip()]
        return max(told, default=Meeting(date.min, "", ""))

    def early(self, records: Iterable[RecordRow]) -> list[tuple[int, Meeting]]:
        """Meetings of ``records`` that have no column and are before one that has: before which column each goes."""
        known = sorted((meeting, column) for column, meeting in self.meetings.values())
        found = []
        for meeting in sorted({Meeting.of(each) for each in records}):
            if meeting.name not in self.meetings:
                later = [column for other, column in known if other > meeting]
                if later:
                    found.append((later[0], meeting))
        return found


@dataclass(slots=True)
class RegisterPlan:
    """The cells to write, by row (from 1) and column (from 0)."""

    view: RegisterView
    cells: dict[tuple[int, int], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, view: RegisterView, records: Sequence[RecordRow]) -> Self:
        """Decide where the letters of ``records`` go. What stands there already is not written again."""
        plan = cls(view)
        if view.is_blank:
            plan._head()
        columns = plan._columns(records)
        rows = plan._rows(records, columns.values())
        for record in sorted(records, key=Meeting.of):
            name, letter = fitted(record.name), letter_of(record.status)
            for row in rows[record.person_id.strip()]:
                plan._put(row, columns[Meeting.of(record).name], letter)
                if "name" in view.fixed and view.newest(row) <= Meeting.of(record):
                    plan._put(row, view.fixed["name"], name)
        return plan

    @property
    def size(self) -> tuple[int, int]:
        """How many rows and columns the grid must have."""
        rows = max((row for row, _ in self.cells), default=0)
        return rows, max((column for _, column in self.cells), default=-1) + 1

    def blocks(self) -> list[tuple[str, list[list[Any]]]]:
        """The cells, those below each other together: the range of each block, and its rows."""
        found: list[tuple[tuple[int, int], list[list[Any]]]] = []
        last = (-1, -1)
        for row, column in sorted(self.cells, key=lambda place: (place[1], place[0])):
            value = self.cells[row, column]
            if last == (row - 1, column):
                found[-1][1].append([value])
            else:
                found.append(((row, column), [[value]]))
            last = (row, column)
        return [(range_of(row, column, len(block), 1), block) for (row, column), block in found]

    def hit(self, after: RegisterView) -> set[str]:
        """The records whose cells were written, as the worksheet stands ``after``: of a sorted one, other people's."""
        meetings = dict(after.meetings.values())
        people = {row: person for person, rows in after.people.items() for row in rows}
        return {
            record_id(meetings[column].day, meetings[column].session, people[row])
            for row, column in self.cells
            if row in people and column in meetings
        }

    def _put(self, row: int, column: int, value: Any) -> None:
        if self.view.cell(row, column) != value:
            self.cells[row, column] = value
        else:
            self.cells.pop((row, column), None)

    def _head(self) -> None:
        labels = {"person_id": ("", "person_id"), "name": (legend(), "name"), "notes": ("", "notes")}
        for name, column in self.view.fixed.items():
            above = self.view.key.heading if column == 0 else labels[name][0]
            for row, text in enumerate((above, labels[name][1], name), 1):
                if text:
                    self.cells[row, column] = text

    def _columns(self, records: Sequence[RecordRow]) -> dict[tuple[date, str], int]:
        found = {name: column for name, (column, _) in self.view.meetings.items()}
        free = max(self.view.width, len(FIXED))
        for meeting in sorted({Meeting.of(each) for each in records}):
            if meeting.name not in found:
                found[meeting.name] = free
                self.cells |= heading_cells(meeting, self.view.head, free)
                # Another machine may have begun a column of its own here a moment ago: its letters are not ours.
                self.cells |= {(row, free): "" for rows in self.view.people.values() for row in rows}
                free += 1
        return found

    def _rows(self, records: Sequence[RecordRow], columns: Iterable[int]) -> dict[str, list[int]]:
        found = {person: self._kept(rows, columns) for person, rows in self.view.people.items()}
        free = max(len(self.view.lines), self.view.head) + 1
        people = {each.person_id.strip(): each.name for each in records}
        for person in sorted(people, key=lambda key: (people[key].casefold(), key)):
            if person not in found:
                found[person] = [free]
                self.cells[free, self.view.fixed[FIXED[0]]] = person
                # As with a new column: somebody else's letters may stand here by now.
                self.cells |= {(free, column): "" for column in columns}
                free += 1
        return found

    def _kept(self, rows: list[int], columns: Iterable[int]) -> list[int]:
        """Which of a person's rows stay: one, as a write that came late may have made another; and those with notes.

        The others are emptied; what stands in them alone goes into the one that stays.
        """
        if len(rows) == 1:
            return rows
        notes = self.view.fixed.get("notes")
        noted = [] if notes is None else [row for row in rows if self.view.cell(row, notes).strip()]
        kept = noted or rows[:1]
        for row in set(rows) - set(kept):
            for column in {*columns, *self.view.fixed.values()} - {notes}:
                text = self.view.cell(row, column)
                if text and not self.view.cell(kept[0], column):
                    self._put(kept[0], column, text)
                self._put(row, column, "")
        return kept


def heading_cells(meeting: Meeting, head: int, column: int) -> dict[tuple[int, int], Any]:
    """The header of a meeting's column: its date as a spreadsheet counts dates, its session, its key."""
    texts = (serial_of(meeting.day), fitted(meeting.session), meeting.key)
    return {(head - 2 + index, column): text for index, text in enumerate(texts)}
