"""Which records do not stand in the log once and whole, as after it was emptied, sorted in halves, or lost a column."""

from collections.abc import Sequence

from optimind.plugin_api import RecordRow
from optimind.sinks._sheets_api import SheetsApi
from optimind.sinks._sheets_table import COLUMNS, View, cells_of, column_letters, range_of

__all__ = ["lacking"]

_AT_EACH_END = 25
"""So many of the oldest and of the newest are read cell by cell."""


def lacking(
    api: SheetsApi, title: str, view: View, records: Sequence[RecordRow], earlier: Sequence[RecordRow]
) -> set[str]:
    """Return the ids of those that do not stand in just one row of the log ``title``, which ``view`` shows.

    Of a few it is also looked whether a cell is blank that they fill, as in a column put back: of all ``earlier``, and
    of the oldest and newest of ``records``, which are in the order in which they were written, so that a column that
    went meanwhile is noticed. One request, two where such a one is found. Raises DeliveryDelayed or DeliveryRefused.
    """
    stands = view.rows_of()
    found = {each.record_id for each in (*records, *earlier) if len(stands.get(each.record_id, ())) != 1}
    recent, before = ([each for each in some if each.record_id not in found] for some in (records, earlier))
    there = [*recent, *before]
    ours = [view.columns[name] for name in COLUMNS]
    first, last = min(ours), max(ours)
    ends = recent if len(recent) <= 2 * _AT_EACH_END else [*recent[:_AT_EACH_END], *recent[-_AT_EACH_END:]]
    looked_at = [*ends, *before]
    ranges = [(title, range_of(stands[record.record_id][0], first, 1, last - first + 1)) for record in looked_at]
    lines = [rows[0] if rows else [] for rows in api.read(ranges)] if ranges else []
    blank = _blank(looked_at, lines, view, first)
    if blank and len(there) > len(looked_at):
        # Somebody took a column away: now it is worth reading everything.
        (table,) = api.read([(title, f"{column_letters(first)}1:{column_letters(last)}")])
        table += [[] for _ in range(len(view.ids) - len(table))]
        blank = _blank(there, [table[stands[record.record_id][0] - 1] for record in there], view, first)
    return found | blank


def _blank(records: Sequence[RecordRow], lines: Sequence[Sequence[str]], view: View, first: int) -> set[str]:
    """The records of which a cell that they fill is blank; their ``lines`` begin in the column ``first``."""
    found = set()
    for record, line in zip(records, lines, strict=True):
        shown = dict(enumerate(line, first))
        cells = cells_of(record)
        if any(cells[name] != "" and not shown.get(view.columns[name]) for name in COLUMNS):
            found.add(record.record_id)
    return found
