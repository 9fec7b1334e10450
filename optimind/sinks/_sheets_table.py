"""Where each record's row is, or goes, in a worksheet that people sort, extend and edit. Pure: no requests here."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from gspread.utils import rowcol_to_a1

from optimind.plugin_api import RecordRow

__all__ = [
    "COLUMNS",
    "HEADER",
    "Plan",
    "View",
    "cells_of",
    "column_letters",
    "find_columns",
    "fitted",
    "have_moved",
    "homes_of",
    "place",
    "range_of",
    "strayed",
    "text_of",
]

COLUMNS = (*RecordRow.COLUMNS, "class", "reason")
"""The columns that are written: those of the register, record_id first, then the class and why the status is so."""
KEY = "record_id"
STATUS = "status"
CORRECTED_BY = "corrected_by"
HEADER = (*COLUMNS, CORRECTED_BY, "notes")
"""The header that is written; what stands below its last two titles is people's own."""
_FIELDS = {"class": "class_id"}
_LONGEST_CELL = 50_000


@dataclass(frozen=True, slots=True)
class View:
    """What was read: ``columns`` gives for each of HEADER its index (from 0); ``ids`` the record_id in each row.

    ``ids[0]`` is row 1, the header. ``used`` is the last row in which anything stands. ``statuses`` and ``correctors``
    are the texts in these two columns, and may be shorter than ``ids``.
    """

    columns: dict[str, int]
    ids: list[str]
    used: int
    statuses: list[str] = field(default_factory=list)
    correctors: list[str] = field(default_factory=list)

    def rows_of(self) -> dict[str, list[int]]:
        """The row numbers (from 1) of each record_id."""
        found: dict[str, list[int]] = {}
        for number, text in enumerate(self.ids[1:], 2):
            if text:
                found.setdefault(text, []).append(number)
        return found

    def status_in(self, row: int) -> str:
        """The status that stands in ``row`` (from 1)."""
        return self.statuses[row - 1] if row <= len(self.statuses) else ""

    def corrector_in(self, row: int) -> str:
        """Who is named as having corrected ``row`` (from 1)."""
        return self.correctors[row - 1] if row <= len(self.correctors) else ""

    def told(self) -> Iterator[tuple[str, int]]:
        """Each record_id with the first row (from 1) in which it stands."""
        seen: set[str] = set()
        for number, text in enumerate(self.ids[1:], 2):
            if text and text not in seen:
                seen.add(text)
                yield text, number


@dataclass(slots=True)
class Plan:
    """What to write: a record for each row number, and the rows whose record stands elsewhere as well."""

    rows: dict[int, RecordRow] = field(default_factory=dict)
    cleared: set[int] = field(default_factory=set)

    def blocks(self, view: View) -> list[tuple[str, list[list[Any]]]]:
        """The cells to write, neighbouring rows together: the range of each block, and None for foreign cells.

        A status that stands there already is not written again: who changes it in this moment is not overwritten.
        """
        names = {index: name for name, index in view.columns.items() if name in COLUMNS}
        first, last = min(names), max(names)
        lines: dict[int, list[Any]] = {}
        for number in sorted([*self.rows, *self.cleared]):
            record = self.rows.get(number)
            cells: dict[str, Any] = dict.fromkeys(COLUMNS, "") if record is None else {**cells_of(record)}
            if record is not None and self.leaves_status(number, view):
                cells[STATUS] = None
            lines[number] = [cells[names[index]] if index in names else None for index in range(first, last + 1)]
        found: list[tuple[int, list[list[Any]]]] = []
        for number, line in lines.items():
            if number - 1 in lines:
                found[-1][1].append(line)
            else:
                found.append((number, [line]))
        return [(range_of(start, first, len(block), last - first + 1), block) for start, block in found]

    def leaves_status(self, row: int, view: View) -> bool:
        """Whether the status of the record that is written to ``row`` is there already."""
        record = self.rows[row]
        is_there = row <= len(view.ids) and view.ids[row - 1] == record.record_id
        return is_there and view.status_in(row) == record.status


def find_columns(header: Sequence[str]) -> dict[str, int]:
    """Return where each of HEADER stands in ``header``, by name whatever the case; of two, the first."""
    found: dict[str, int] = {}
    for index, title in enumerate(header):
        name = title.strip().casefold()
        if name in HEADER:
            found.setdefault(name, index)
    return found


def place(records: Sequence[RecordRow], view: View, torn: frozenset[int], homes: Mapping[str, tuple[int, str]]) -> Plan:
    """Decide which row each record is written to: the one that has its id, else the first free one below everything.

    A record that stands in several rows keeps the first and the others are emptied. ``torn`` are rows that an earlier
    write put into the wrong place, and ``homes`` says which record stood there and which does now
    (:func:`homes_of`): it gets its row back, and so what people wrote beside it.
    """
    plan = Plan()
    stands = view.rows_of()
    wanted = {record.record_id: record for record in records}
    back = {
        key: row
        for key, (row, now) in homes.items()
        if key in wanted and key not in stands and row <= len(view.ids) and view.ids[row - 1] == now
    }
    taken = set(back.values())
    free = view.used + 1
    for key, record in wanted.items():
        rows = sorted(set(stands.get(key, [])) - taken, key=lambda row: (row in torn, row))
        if rows:
            plan.rows[rows[0]] = record
            plan.cleared.update(rows[1:])
        elif key in back:
            plan.rows[back[key]] = record
        else:
            plan.rows[free] = record
            free += 1
    return plan


def homes_of(before: View, after: View, written: Collection[int], lost: Collection[str]) -> dict[str, tuple[int, str]]:
    """Say in which of the rows ``written`` each ``lost`` record stood when a person moved rows before the write.

    It stood between the same neighbours as before. Left out is what cannot be told. Gives the row, and the record_id
    that stands in it now.
    """
    was = dict(before.told())
    missing = {was[key]: key for key in lost if key in was}
    found: dict[str, tuple[int, str]] = {}
    for row in sorted(written):
        if row > len(after.ids) or not after.ids[row - 1]:
            continue
        above = _neighbour(range(row - 1, 1, -1), after, written, was) or 1
        below = _neighbour(range(row + 1, len(after.ids) + 1), after, written, was) or before.used + 1
        between = [key for number, key in missing.items() if min(above, below) < number < max(above, below)]
        if len(between) == 1:
            found.setdefault(between[0], (row, after.ids[row - 1]))
    return found


def strayed(before: View, after: View, plan: Plan) -> dict[str, tuple[int, str]]:
    """Say in which rows records stand whose ids went into another column, as somebody moved columns before the write.

    The column that holds the ids now has what was meant for another one. Gives the row, and the text in that column.
    """
    meant = {index: name for name, index in before.columns.items() if name in COLUMNS}.get(after.columns[KEY], KEY)
    if meant == KEY:
        return {}
    found: dict[str, tuple[int, str]] = {}
    for row, record in plan.rows.items():
        text = text_of(cells_of(record)[meant]).strip()
        if text and row <= len(after.ids) and after.ids[row - 1] == text:
            found[record.record_id] = (row, text)
    return found


def have_moved(before: View, after: View) -> bool:
    """Whether one of the columns that are written stands elsewhere now."""
    return any(before.columns[name] != after.columns[name] for name in COLUMNS)


def _neighbour(rows: Iterable[int], after: View, written: Collection[int], was: Mapping[str, int]) -> int | None:
    """Where the first of ``rows`` that is a record, and was not written, was before."""
    for row in rows:
        key = after.ids[row - 1]
        if row not in written and key in was:
            return was[key]
    return None


def cells_of(record: RecordRow) -> dict[str, str | float]:
    """Return the record's cells by column: texts and numbers; times as ISO 8601 with their offset, to the second."""
    return {name: _cell(getattr(record, _FIELDS.get(name, name))) for name in COLUMNS}


def range_of(row: int, column: int, height: int, width: int) -> str:
    """Return the A1 name of the block whose first cell is in ``row`` (from 1) and ``column`` (from 0)."""
    return f"{rowcol_to_a1(row, column + 1)}:{rowcol_to_a1(row + height - 1, column + width)}"


def column_letters(index: int) -> str:
    """Return the letters of the column ``index`` (from 0): A, B, ... AA."""
    return rowcol_to_a1(1, index + 1)[:-1]


def text_of(value: object) -> str:
    """Return a cell's value as a text that does not depend on the spreadsheet's locale: 17, 0.5, TRUE."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def fitted(text: str) -> str:
    """Shorten a text to what a cell holds; Google counts UTF-16 units."""
    data = text.encode("utf-16-le", "surrogatepass")
    if len(data) <= 2 * _LONGEST_CELL:
        return text
    return data[: 2 * (_LONGEST_CELL - 1)].decode("utf-16-le", "ignore") + "…"


def _cell(value: object) -> str | float:
    if value is None:
        return ""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return fitted(str(value))
