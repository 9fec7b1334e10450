"""Empties the rows of one person in all worksheets of a spreadsheet.

A row is theirs whose ``record_id`` is one of their records', or whose ``person_id`` is theirs. Where the id is not
known any more it is read from the rows of their records, which are emptied after all others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from optimind.sinks._sheets_api import SheetsApi, Tab
from optimind.sinks._sheets_table import column_letters, range_of

__all__ = ["forget_rows"]

_HEADER_ROWS = 5
"""The header of a worksheet is looked for in so many rows."""
_AT_ONCE = 100
"""So many ranges go into one request."""
_COLUMNS = ("record_id", "person_id")


@dataclass(slots=True)
class _Table:
    """A worksheet with one of the columns: where they are (from 0), and the texts in them by row (from 1)."""

    title: str
    tab: Tab
    columns: dict[str, int]
    cells: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, column: str, wanted: set[str]) -> Iterator[int]:
        """The rows in whose ``column`` one of ``wanted`` stands."""
        return (number for number, text in enumerate(self.cells.get(column, []), 1) if text and text in wanted)


def forget_rows(api: SheetsApi, record_ids: Sequence[str], person_id: str) -> int:
    """Empty the rows of these records and of the person; return how many those were.

    Raises DeliveryDelayed or DeliveryRefused; then nothing or everything of a request was done, and doing it again
    completes it.
    """
    tables = _tables(api)
    records, people = set(record_ids), {person_id} - {""}
    for table in tables:
        theirs = table.cells.get("person_id", [])
        people.update(theirs[row - 1].strip() for row in table.rows("record_id", records) if row <= len(theirs))
    people.discard("")
    found = {
        table.title: sorted({*table.rows("record_id", records), *table.rows("person_id", people)}) for table in tables
    }
    # What tells whose the records are goes last: where a request fails the id can still be read from it.
    ordered = sorted(tables, key=lambda table: "record_id" in table.columns)
    places = [
        (table.title, range_of(row, 0, 1, table.tab.columns), [[""] * table.tab.columns])
        for table in ordered
        for row in found[table.title]
    ]
    for start in range(0, len(places), _AT_ONCE):
        api.write(places[start : start + _AT_ONCE])
    return len(places)


def _tables(api: SheetsApi) -> list[_Table]:
    """The worksheets that have one of the columns, with what stands in these."""
    tabs = {title: tab for title, tab in api.overview().tabs.items() if tab.rows and tab.columns}
    headers = _read(
        api,
        [(title, f"A1:{column_letters(tab.columns - 1)}{min(_HEADER_ROWS, tab.rows)}") for title, tab in tabs.items()],
    )
    tables = []
    for (title, tab), header in zip(tabs.items(), headers, strict=True):
        columns = {
            name: number
            for row in reversed(header)
            for number, text in enumerate(row)
            if (name := text.strip().casefold()) in _COLUMNS
        }
        if columns:
            tables.append(_Table(title, tab, columns))
    wanted = [(table, name) for table in tables for name in table.columns]
    letters = [(table.title, column_letters(table.columns[name])) for table, name in wanted]
    contents = _read(api, [(title, f"{letter}1:{letter}") for title, letter in letters])
    for (table, name), rows in zip(wanted, contents, strict=True):
        table.cells[name] = [row[0].strip() if row else "" for row in rows]
    return tables


def _read(api: SheetsApi, places: Sequence[tuple[str, str]]) -> list[list[list[str]]]:
    found = []
    for start in range(0, len(places), _AT_ONCE):
        found += api.read(places[start : start + _AT_ONCE])
    return found
