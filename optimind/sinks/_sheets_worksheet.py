"""Brings records into one worksheet: read where everything is, write in one request, read back.

Nothing about rows is remembered between deliveries, for people sort and insert at any time. They may also do it between
the read and the write, and another machine may choose the same free row; Google has no condition for a write, so what
was written is read back. When it is not where it should be, the delivery is asked for again, together with the records
that were overwritten.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from optimind.plugin_api import DeliveryDelayed, DeliveryRefused, RecordRow
from optimind.sinks._sheets_api import BadRequestError, SheetsApi, Tab
from optimind.sinks._sheets_table import (
    COLUMNS,
    KEY,
    Plan,
    View,
    cells_of,
    column_letters,
    find_columns,
    place,
    range_of,
)

__all__ = ["Worksheet"]

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 500
"""How many rows are added when the grid is full."""
_FIRST_ROWS = 1000
_LOOKS = 5
_LOOKED_AT = 50
"""How many rows at most are read cell by cell."""
_SETTLE_S = 2.0
"""How long after new rows were added they are read back: longer than others take between their read and their write."""


class Worksheet:
    """The worksheet ``title``, made with its header where it is missing. Used by one thread."""

    def __init__(self, api: SheetsApi, title: str) -> None:
        self._api = api
        self._title = title
        self._tab: Tab | None = None
        # Where the id column and the end of the table were last time: a guess that saves a request, checked each time.
        self._key_column = 0
        self._tail: int | None = None
        self._torn: frozenset[int] = frozenset()
        self._lost: frozenset[str] = frozenset()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def prepare(self) -> None:
        """Make sure that the worksheet and its header are there."""
        self._look(self._opened())

    def deliver(self, records: Sequence[RecordRow]) -> None:
        """Write ``records``, each to the row with its id or to a new one."""
        try:
            self._deliver(records)
        except BadRequestError:
            # Somebody may have deleted, renamed or shrunk the worksheet since it was opened, or made it meanwhile.
            self._tab = None
            self._deliver(records)

    def lacking(self, records: Sequence[RecordRow]) -> set[str]:
        """Return the ids of ``records`` that do not stand in just one row.

        Of the last few it is also looked whether a cell is blank that they fill, as in a column put back.
        """
        try:
            return self._lacking(records)
        except BadRequestError:
            self._tab = None
            return self._lacking(records)

    def _lacking(self, records: Sequence[RecordRow]) -> set[str]:
        if self._tab is None and self._title.casefold() not in {title.casefold() for title in self._api.tabs()}:
            return {record.record_id for record in records}
        view = self._look(self._opened())
        stands = view.rows_of()
        found = {record.record_id for record in records if len(stands.get(record.record_id, ())) != 1}
        there = [record for record in records if record.record_id not in found]
        first, last = min(view.columns.values()), max(view.columns.values())
        looked_at = there[-_LOOKED_AT:]
        ranges = [range_of(stands[record.record_id][0], first, 1, last - first + 1) for record in looked_at]
        lines = [rows[0] if rows else [] for rows in self._api.read(self._title, ranges)] if ranges else []
        blank = {
            record.record_id
            for record, line in zip(looked_at, lines, strict=True)
            if _is_blank(record, line, view, first)
        }
        if blank and len(there) > len(looked_at):
            # Somebody took a column away: now it is worth reading everything.
            whole = f"{column_letters(first)}1:{column_letters(last)}"
            (table,) = self._api.read(self._title, [whole])
            table += [[] for _ in range(len(view.ids) - len(table))]
            lines = [table[stands[record.record_id][0] - 1] for record in there]
            blank = {r.record_id for r, line in zip(there, lines, strict=True) if _is_blank(r, line, view, first)}
        return found | blank

    def _deliver(self, records: Sequence[RecordRow]) -> None:
        tab = self._opened()
        # Waited for here, since whoever waits between the look and the write writes to where somebody else may be.
        self._api.reserve()
        before = self._look(tab)
        plan = place(records, before, self._torn, self._lost)
        last = max(plan.rows)
        if last > tab.rows:
            tab = self._grown(last)
        self._api.write(self._title, plan.blocks(before.columns))
        self._tail = max(len(before.ids), last) + 1
        if last >= len(before.ids):
            # Another machine that looked for a free row before this write may still write to the same one.
            time.sleep(_SETTLE_S)
        self._verify(tab, before, plan)

    def _opened(self) -> Tab:
        if self._tab is None:
            self._tail = None
            tabs = self._api.tabs()
            # Google knows no two worksheets whose titles differ in case alone.
            self._title = next((title for title in tabs if title.casefold() == self._title.casefold()), self._title)
            if self._title not in tabs:
                grid = {"rowCount": _FIRST_ROWS, "columnCount": len(COLUMNS), "frozenRowCount": 1}
                self._api.change({"addSheet": {"properties": {"title": self._title, "gridProperties": grid}}})
                log.info("made the worksheet %r in the spreadsheet %s", self._title, self._api.spreadsheet)
                tabs = self._api.tabs()
            self._tab = tabs[self._title]
        return self._tab

    def _look(self, tab: Tab) -> View:
        """Read header, record ids and what stands below them: one request, more when something has moved."""
        for _ in range(_LOOKS):
            key, tail = column_letters(self._key_column), self._tail
            ranges = ["A1:1", f"{key}1:{key}"]
            if tail is not None and tail <= tab.rows:
                ranges.append(f"A{tail}:{column_letters(max(tab.columns, 1) - 1)}")
            header, ids, *below = self._api.read(self._title, ranges)
            columns = find_columns(header[0] if header else [])
            if len(columns) < len(COLUMNS):
                self._write_header(tab, columns)
                tab = self._opened()
            elif columns[KEY] != self._key_column:
                self._key_column = columns[KEY]
            elif tail is None or tail > _end_of(ids) + 1:
                self._tail = _end_of(ids) + 1
            else:
                used = max(_end_of(ids), tail - 1 + _end_of(below[0] if below else []))
                return View(columns, [row[0].strip() if row else "" for row in ids], used)
        raise DeliveryDelayed(
            f"the worksheet {self._title!r} changed while it was read", mend="the rows wait and are sent later"
        )

    def _write_header(self, tab: Tab, columns: dict[str, int]) -> None:
        """Write what is missing of the header, right of all that stands there. Refuses somebody else's worksheet."""
        everything = self._api.read(self._title, [f"A1:{column_letters(max(tab.columns, 1) - 1)}"])[0]
        if KEY not in columns and any(any(row) for row in everything):
            raise DeliveryRefused(
                f"the first row of the worksheet {self._title!r} of the spreadsheet {self._api.spreadsheet} has no "
                f"column {KEY!r}, so nothing was written",
                mend=f"put the first row back ({', '.join(COLUMNS)}), or name another worksheet in sheets: worksheet:",
            )
        missing = [name for name in COLUMNS if name not in columns]
        start = max((len(row) for row in everything), default=0)
        if start + len(missing) > tab.columns:
            self._append(tab, "COLUMNS", start + len(missing) - tab.columns)
        self._api.write(self._title, [(range_of(1, start, 1, len(missing)), [missing])])
        self._tab = None

    def _grown(self, last: int) -> Tab:
        # The size may have changed since it was read: rows are added to what is there now.
        self._tab = None
        tail = self._tail
        tab = self._opened()
        self._tail = tail
        if last > tab.rows:
            self._append(tab, "ROWS", last - tab.rows + _ROWS_AT_ONCE)
            self._tab = None
            tab = self._opened()
        return tab

    def _append(self, tab: Tab, dimension: str, length: int) -> None:
        self._api.change({"appendDimension": {"sheetId": tab.sheet_id, "dimension": dimension, "length": length}})

    def _verify(self, tab: Tab, before: View, plan: Plan) -> None:
        """Read back. Raises DeliveryDelayed where the sheet was rearranged meanwhile, naming what was overwritten."""
        after = self._look(tab)
        counts = Counter(text for text in after.ids[1:] if text)
        written = {record.record_id for record in plan.rows.values()}
        missing = (set(before.rows_of()) | written) - set(counts)
        if not missing and all(counts[key] == 1 for key in written):
            self._torn, self._lost = frozenset(), frozenset()
            return
        self._torn, self._lost = frozenset(plan.rows), frozenset(missing)
        raise DeliveryDelayed(
            f"the worksheet {self._title!r} was rearranged while {len(written)} rows were written",
            mend="they are written again, with what was overwritten",
            missing=tuple(sorted(missing)),
        )


def _end_of(rows: Sequence[Sequence[str]]) -> int:
    """The number (from 1) of the last row in which something stands; 0 where nothing does."""
    return max((number for number, row in enumerate(rows, 1) if any(row)), default=0)


def _is_blank(record: RecordRow, line: Sequence[str], view: View, first: int) -> bool:
    """Whether a cell that ``record`` fills is blank; ``line`` is what its row shows from the column ``first`` on."""
    shown = dict(enumerate(line, first))
    cells = cells_of(record)
    return any(cells[name] != "" and not shown.get(index) for name, index in view.columns.items())
