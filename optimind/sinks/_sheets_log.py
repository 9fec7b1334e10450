"""The log worksheet: what of it is read, and what that says. Its columns are guessed, and the guess is checked."""

from collections.abc import Sequence

from optimind.plugin_api import DeliveryRefused
from optimind.sinks._sheets_api import SheetsApi, Tab
from optimind.sinks._sheets_table import (
    CORRECTED_BY,
    HEADER,
    KEY,
    STATUS,
    View,
    column_letters,
    find_columns,
    range_of,
)

__all__ = ["LogReader", "end_of"]

_READ = (KEY, STATUS, CORRECTED_BY)


class LogReader:
    """Where the log's columns and its end were last time: a guess that saves a request, checked each time."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._guess = {name: index for index, name in enumerate(HEADER)}
        self._tail: int | None = None

    def ranges(self, tab: Tab) -> list[tuple[str, str]]:
        """What to read of the worksheet: its header, three columns, and what stands below them."""
        letters = [column_letters(min(self._guess[name], tab.columns - 1)) for name in _READ]
        found = ["A1:1", *(f"{letter}1:{letter}" for letter in letters)]
        if self._tail is not None and self._tail <= tab.rows:
            found.append(f"A{self._tail}:{column_letters(tab.columns - 1)}")
        return [(self.title, cells) for cells in found]

    def view(self, parts: Sequence[Sequence[Sequence[str]]]) -> View | dict[str, int] | None:
        """What was read; the columns that there are, where some are missing; None where the guess was wrong."""
        header, ids, statuses, correctors, *below = parts
        columns = find_columns(header[0] if header else [])
        if len(columns) < len(HEADER):
            return columns
        if any(columns[name] != self._guess[name] for name in _READ):
            self._guess = columns
            return None
        end = end_of(ids)
        if self._tail is None or not below or self._tail > end + 1:
            if self._tail == end + 1:  # below it the grid has no row
                return View(columns, _column(ids), end, _column(statuses), _column(correctors))
            self._tail = end + 1
            return None
        used = max(end, self._tail - 1 + end_of(below[0]))
        return View(columns, _column(ids), used, _column(statuses), _column(correctors))

    def expect(self, tail: int | None) -> None:
        """Say from which row on nothing is expected next time; None: not known."""
        self._tail = tail

    def header_for(self, api: SheetsApi, tab: Tab, columns: dict[str, int]) -> tuple[int, list[str]]:
        """Return what is missing of the header, and in which column (from 0) it goes: right of all that stands there.

        Refuses somebody else's worksheet.
        """
        everything = api.read([(self.title, f"A1:{column_letters(tab.columns - 1)}")])[0]
        if KEY not in columns and any(any(row) for row in everything):
            raise DeliveryRefused(
                f"the first row of the worksheet {self.title!r} of the spreadsheet {api.spreadsheet} has no "
                f"column {KEY!r}, so nothing was written",
                mend=f"put the first row back ({', '.join(HEADER)}), or name another worksheet in sheets: worksheet:",
            )
        missing = [name for name in HEADER if name not in columns]
        return max((len(row) for row in everything), default=0), missing

    def heading(self, start: int, missing: list[str]) -> tuple[str, str, list[list[str]]]:
        """The block that writes ``missing`` from column ``start`` on."""
        return self.title, range_of(1, start, 1, len(missing)), [missing]


def end_of(rows: Sequence[Sequence[str]]) -> int:
    """The number (from 1) of the last row in which something stands; 0 where nothing does."""
    return max((number for number, row in enumerate(rows, 1) if any(row)), default=0)


def _column(rows: Sequence[Sequence[str]]) -> list[str]:
    return [row[0].strip() if row else "" for row in rows]
