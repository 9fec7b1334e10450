"""The register as a table for people, CSV, JSON or an Excel workbook.

The columns are those of a record, ``record_id`` first. CSV is UTF-8 without a byte order mark, for programs; a text
that a spreadsheet would take for a formula gets a ``'`` in front there. For Excel the workbook is better: its cells are
typed, and a text in it is never a formula.
"""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from optimind.errors import UsageError
from optimind.exports.files import print_bytes, replace_file
from optimind.exports.texts import guarded, shortened, visible
from optimind.plugin_api import RecordRow

__all__ = ["COLUMNS", "RegisterFormat", "write_register"]

RegisterFormat = Literal["table", "csv", "json", "xlsx"]
COLUMNS = RecordRow.COLUMNS

_WIDTHS = {"record_id": 36, "date": 12, "first_seen_at": 20, "last_seen_at": 20, "name": 28, "person_id": 20}
_LONGEST_CELL = 32_767
_PLAIN_RULES = ("", "seen", "on_time")
_FILE_TABLE_WIDTH = 120


def write_register(
    rows: Sequence[RecordRow], form: RegisterFormat, output: Path | None = None, zone: tzinfo | None = None
) -> None:
    """Write ``rows`` in the form ``form`` to the file ``output``, or to standard output.

    Times are shown in ``zone`` (None: as they come). A file is replaced as a whole or not at all. Raises
    :class:`UsageError` for a workbook without a file and for an ``output`` that cannot be one, :class:`OptiMindError`
    where the disk fails.
    """
    if zone is not None:
        rows = [_in_zone(row, zone) for row in rows]
    if output is None:
        if form == "xlsx":
            raise UsageError("a workbook cannot be printed", mend="name a file: --format xlsx --output register.xlsx")
        if form == "table":
            if isinstance(sys.stdout, io.TextIOWrapper):
                # A name that the terminal's encoding lacks shows as ?, and the others show.
                sys.stdout.reconfigure(errors="replace")
            _print_table(rows, Console())
        else:
            print_bytes(_WRITERS[form](rows))
        return
    replace_file(output, _WRITERS[form](rows))


def _in_zone(row: RecordRow, zone: tzinfo) -> RecordRow:
    return replace(
        row,
        first_seen_at=row.first_seen_at and row.first_seen_at.astimezone(zone),
        last_seen_at=row.last_seen_at and row.last_seen_at.astimezone(zone),
    )


def _as_json(rows: Sequence[RecordRow]) -> bytes:
    document = [{name: _plain(getattr(row, name), "milliseconds") for name in COLUMNS} for row in rows]
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def _as_csv(rows: Sequence[RecordRow]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([guarded(_plain(getattr(row, name), "seconds")) for name in COLUMNS])
    return text.getvalue().encode("utf-8")


def _plain(value: Any, precision: str) -> str | float | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat(timespec=precision)
    if isinstance(value, date):
        return value.isoformat()
    return round(value, 4) if isinstance(value, float) else str(value)


def _as_xlsx(rows: Sequence[RecordRow]) -> bytes:
    # Imported here: openpyxl takes a while to load and is wanted rarely.
    from openpyxl import Workbook  # noqa: PLC0415 - see above
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415 - see above
    from openpyxl.styles import Font  # noqa: PLC0415 - see above
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 - see above

    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Attendance"
    sheet.freeze_panes = "A2"
    for column, name in enumerate(COLUMNS, 1):
        sheet.cell(1, column, name).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(column)].width = _WIDTHS.get(name, 14)
        for line, row in enumerate(rows, 2):
            value = getattr(row, name)
            if isinstance(value, str):
                cell = sheet.cell(line, column, ILLEGAL_CHARACTERS_RE.sub("", value)[:_LONGEST_CELL])
                # Set after the value: by its first character the library would make a formula or an error of it.
                cell.data_type = "s"
            elif isinstance(value, datetime):
                # Excel's times have no zone: it is the one that the settings name.
                sheet.cell(
                    line, column, value.replace(tzinfo=None, microsecond=0)
                ).number_format = "yyyy-mm-dd hh:mm:ss"
            elif isinstance(value, date):
                sheet.cell(line, column, value).number_format = "yyyy-mm-dd"
            elif value is not None:
                sheet.cell(line, column, round(value, 4))
    sheet.auto_filter.ref = sheet.dimensions
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _as_table(rows: Sequence[RecordRow]) -> bytes:
    text = io.StringIO()
    _print_table(rows, Console(file=text, width=_FILE_TABLE_WIDTH, color_system=None, force_terminal=False))
    return text.getvalue().encode("utf-8")


def _print_table(rows: Sequence[RecordRow], console: Console) -> None:
    if not rows:
        console.print("The register is empty.")
    for (day, session), grouped in groupby(rows, key=lambda row: (row.date, row.session)):
        group = list(grouped)
        table = Table(title=Text(f"{day.isoformat()}  {visible(session)}"), title_justify="left")
        for heading in ("Name", "Status", "First seen", "Last seen"):
            table.add_column(heading)
        table.add_column("Minutes", justify="right")
        table.add_column("Camera")
        names = _names(group)
        for row in group:
            table.add_row(
                Text(names[row.person_id]),
                Text(visible(row.status).replace("_", " ")),
                _clock(row.first_seen_at),
                _clock(row.last_seen_at),
                f"{row.seconds_seen / 60:.1f}" if row.first_seen_at else "",
                Text(visible(row.camera)),
            )
        console.print(table)
        # Below it: on a narrow screen a column of sentences would leave no room for the others.
        for row in group:
            if _needs_words(row):
                console.print(Text(f"{names[row.person_id]}: {visible(row.reason)}"))


def _names(rows: Sequence[RecordRow]) -> dict[str, str]:
    """What people are called, by id; of those with one name the id as well."""
    called = {row.person_id: shortened(visible(row.name)) for row in rows}
    times = Counter(called.values())
    return {key: f"{name} ({visible(key)})" if times[name] > 1 else name for key, name in called.items()}


def _needs_words(row: RecordRow) -> bool:
    """Whether the status alone does not say it all."""
    return bool(row.reason) and row.rule not in _PLAIN_RULES


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%H:%M:%S")


_WRITERS: dict[str, Callable[[Sequence[RecordRow]], bytes]] = {
    "table": _as_table,
    "csv": _as_csv,
    "json": _as_json,
    "xlsx": _as_xlsx,
}
