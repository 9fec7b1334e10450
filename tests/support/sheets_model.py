"""What a spreadsheet is for the tests: worksheets, cells, and what Google makes of what is entered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Cell = str | float | bool


class ApiError(Exception):
    def __init__(self, code: int, status: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.body = {"error": {"code": code, "message": message, "status": status, **more}}


@dataclass(frozen=True)
class Formula:
    """What a cell holds after a text starting with = was entered by hand, or by USER_ENTERED."""

    text: str


@dataclass
class Sheet:
    """One worksheet: cells by (row, column), both from 1."""

    title: str
    sheet_id: int
    rows: int = 1000
    columns: int = 26
    cells: dict[tuple[int, int], Cell | Formula] = field(default_factory=dict)
    frozen_rows: int = 0
    frozen_columns: int = 0
    protected: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    pivots: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    formats: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    validations: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    dimensions: dict[tuple[str, int, str], Any] = field(default_factory=dict)

    def described(self, index: int) -> dict[str, Any]:
        """What spreadsheets.get says of it."""
        grid: dict[str, Any] = {"rowCount": self.rows, "columnCount": self.columns}
        if self.frozen_rows:
            grid["frozenRowCount"] = self.frozen_rows
        if self.frozen_columns:
            grid["frozenColumnCount"] = self.frozen_columns
        properties = {"sheetId": self.sheet_id, "title": self.title, "index": index, "sheetType": "GRID"}
        found: dict[str, Any] = {"properties": {**properties, "gridProperties": grid}}
        more = {"protectedRanges": self.protected, "conditionalFormats": self.rules, "charts": self.charts}
        return found | {name: value for name, value in more.items() if value}

    def lines(self) -> list[list[Cell | Formula]]:
        """All rows down to the last that holds something, padded with ""."""
        height = max((row for row, _ in self.cells), default=0)
        width = max((column for _, column in self.cells), default=0)
        return [[self.cells.get((row, column), "") for column in range(1, width + 1)] for row in range(1, height + 1)]

    def fill(self, lines: list[list[Any]]) -> None:
        """Replace everything, as a person who sorts or pastes does."""
        self.cells = {
            (row, column): value
            for row, line in enumerate(lines, 1)
            for column, value in enumerate(line, 1)
            if value != ""
        }

    def records(self) -> list[dict[str, Cell | Formula]]:
        """The rows below the header that have a record_id, by header name."""
        header, *rest = self.lines() or [[]]
        found = [dict(zip(map(str, header), line, strict=True)) for line in rest]
        return [record for record in found if record.get("record_id")]


def number_of(letters: str | None) -> int:
    number = 0
    for letter in letters or "":
        number = number * 26 + ord(letter) - 64
    return number


def as_entered(value: Any) -> Cell | Formula:
    """What a person's typing would become."""
    if isinstance(value, str):
        if value.startswith(("=", "+")):
            return Formula(value)
        if re.fullmatch(r"-?\d+(\.\d+)?", value):
            return float(value)
        return value.removeprefix("'")
    return value  # type: ignore[no-any-return] # JSON numbers and booleans stay what they are


def as_shown(value: Cell | Formula, locale: str = "en_US") -> str:
    """What is seen in a cell without a format of its own: numbers as the spreadsheet's locale writes them."""
    if isinstance(value, Formula):
        return "#EVALUATED"
    if isinstance(value, float) and not locale.startswith(("en", "zh", "ja")):
        return str(value).replace(".", ",")
    return str(value).upper() if isinstance(value, bool) else str(value)


def as_value(value: Cell | Formula) -> Cell:
    """What a cell holds, whatever it is shown as."""
    return "#EVALUATED" if isinstance(value, Formula) else value
