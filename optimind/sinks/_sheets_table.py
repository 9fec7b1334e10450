"""Where each record's row is, or goes, in a worksheet that people sort, extend and edit. Pure: no requests here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from gspread.utils import rowcol_to_a1

from optimind.plugin_api import RecordRow

__all__ = ["COLUMNS", "Plan", "View", "cells_of", "column_letters", "find_columns", "place", "range_of"]

COLUMNS = RecordRow.COLUMNS
"""The header that is written: the columns of the register, record_id first."""
KEY = "record_id"
_LONGEST_CELL = 50_000


@dataclass(frozen=True, slots=True)
class View:
    """What was read: ``columns`` gives for each of COLUMNS its index (from 0); ``ids`` the record_id in each row.

    ``ids[0]`` is row 1, the header. ``used`` is the last row in which anything stands.
    """

    columns: dict[str, int]
    ids: list[str]
    used: int

    def rows_of(self) -> dict[str, list[int]]:
        """The row numbers (from 1) of each record_id."""
        found: dict[str, list[int]] = {}
        for number, text in enumerate(self.ids[1:], 2):
            if text:
                found.setdefault(text, []).append(number)
        return found


@dataclass(slots=True)
class Plan:
    """What to write: a record for each row number, and the rows whose record stands elsewhere as well."""

    rows: dict[int, RecordRow] = field(default_factory=dict)
    cleared: set[int] = field(default_factory=set)

    def blocks(self, columns: dict[str, int]) -> list[tuple[str, list[list[Any]]]]:
        """The cells to write, neighbouring rows together: the range of each block, and None for foreign cells."""
        names = {index: name for name, index in columns.items()}
        first, last = min(names), max(names)
        lines: dict[int, list[Any]] = {}
        for number in sorted([*self.rows, *self.cleared]):
            record = self.rows.get(number)
            cells = dict.fromkeys(COLUMNS, "") if record is None else cells_of(record)
            lines[number] = [cells[names[index]] if index in names else None for index in range(first, last + 1)]
        found: list[tuple[int, list[list[Any]]]] = []
        for number, line in lines.items():
            if number - 1 in lines:
                found[-1][1].append(line)
            else:
                found.append((number, [line]))
        return [(range_of(start, first, len(block), last - first + 1), block) for start, block in found]


def find_columns(header: Sequence[str]) -> dict[str, int]:
    """Return where each of COLUMNS stands in ``header``, by name whatever the case; of two, the first."""
    found: dict[str, int] = {}
    for index, title in enumerate(header):
        name = title.strip().casefold()
        if name in COLUMNS:
            found.setdefault(name, index)
    return found


def place(records: Sequence[RecordRow], view: View, torn: frozenset[int], lost: frozenset[str]) -> Plan:
    """Decide which row each record is written to: the one that has its id, else the first free one below everything.

    A record that stands in several rows keeps the first and the others are emptied. ``torn`` are rows that an earlier
    write put into the wrong place and ``lost`` the records that stood there: they get their rows back.
    """
    plan = Plan()
    stands = view.rows_of()
    spare: list[int] = []
    new: list[RecordRow] = []
    for record in {record.record_id: record for record in records}.values():
        rows = sorted(stands.get(record.record_id, []), key=lambda row: (row in torn, row))
        if rows:
            plan.rows[rows[0]] = record
            spare += [row for row in rows[1:] if row in torn]
            plan.cleared.update(rows[1:])
        else:
            new.append(record)
    free = view.used + 1
    for record in new:
        if record.record_id in lost and spare:
            row = spare.pop(0)
            plan.cleared.discard(row)
        else:
            row, free = free, free + 1
        plan.rows[row] = record
    return plan


def cells_of(record: RecordRow) -> dict[str, str | float]:
    """Return the record's cells by column: texts and numbers; times as ISO 8601 with their offset, to the second."""
    return {name: _cell(getattr(record, name)) for name in COLUMNS}


def range_of(row: int, column: int, height: int, width: int) -> str:
    """Return the A1 name of the block whose first cell is in ``row`` (from 1) and ``column`` (from 0)."""
    return f"{rowcol_to_a1(row, column + 1)}:{rowcol_to_a1(row + height - 1, column + width)}"


def column_letters(index: int) -> str:
    """Return the letters of the column ``index`` (from 0): A, B, ... AA."""
    return rowcol_to_a1(1, index + 1)[:-1]


def _cell(value: object) -> str | float:
    if value is None:
        return ""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return _fitted(str(value))


def _fitted(text: str) -> str:
    """Shorten a text to what a cell holds; Google counts UTF-16 units."""
    data = text.encode("utf-16-le")
    if len(data) <= 2 * _LONGEST_CELL:
        return text
    return data[: 2 * (_LONGEST_CELL - 1)].decode("utf-16-le", "ignore") + "…"
