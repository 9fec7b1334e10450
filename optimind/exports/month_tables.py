"""A class's month as CSV, JSON or a workbook, or as a page (:mod:`optimind.exports.month_page`)."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from optimind.errors import UsageError
from optimind.exports.files import print_bytes, replace_file
from optimind.exports.month import LETTERS, MeetingColumn, MonthRegister, PersonLine
from optimind.exports.month_page import month_page
from optimind.exports.texts import guarded
from optimind.plugin_api import AttendanceStatus

__all__ = ["MonthFormat", "write_month"]

MonthFormat = Literal["html", "xlsx", "csv", "json"]

_LONGEST_CELL = 32_767
_FILLS = {
    AttendanceStatus.PRESENT: ("E3F4E1", "1C5E20"),
    AttendanceStatus.LATE: ("FFF1B8", "6B4E00"),
    AttendanceStatus.LEFT_EARLY: ("FFD9A8", "7A3D00"),
    AttendanceStatus.ABSENT: ("8E1B1B", "FFFFFF"),
    AttendanceStatus.EXCUSED: ("D6E6FB", "123F7A"),
    AttendanceStatus.NEEDS_REVIEW: ("FFFFFF", "000000"),
}


def write_month(
    register: MonthRegister,
    form: MonthFormat,
    output: Path | None,
    *,
    printed_by: str,
    printed_at: datetime,
) -> None:
    """Write ``register`` in the form ``form`` to the file ``output``, or to standard output.

    ``printed_at`` is a time where the clocks of the register stand. A file is replaced as a whole or not at all. Raises
    :class:`UsageError` for a workbook without a file and for an ``output`` that cannot be one, :class:`OptiMindError`
    where the disk fails.
    """
    if form == "html":
        data = month_page(register, printed_by=printed_by, printed_at=printed_at).encode("utf-8", "replace")
    elif form == "xlsx":
        if output is None:
            raise UsageError("a workbook cannot be printed", mend="name a file: --output register.xlsx")
        data = _as_xlsx(register, f"printed {printed_at:%Y-%m-%d %H:%M} by {printed_by}")
    else:
        data = (_as_csv if form == "csv" else _as_json)(register)
    if output is None:
        print_bytes(data)
    else:
        replace_file(output, data)


def _as_json(register: MonthRegister) -> bytes:
    document = {
        "title": register.title,
        "month": f"{register.month:%Y-%m}",
        "letters": {str(status): letter for status, letter in LETTERS.items()},
        "meetings": [
            {
                "date": column.date.isoformat(),
                "session": column.session,
                "starts_at": None if column.starts_at is None else column.starts_at.isoformat(timespec="seconds"),
            }
            for column in register.columns
        ],
        "people": [_person(line) for line in register.lines],
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def _person(line: PersonLine) -> dict[str, Any]:
    cells = [
        None if cell is None else {"record_id": cell.record_id, "status": cell.status, "rule": cell.rule}
        for cell in line.cells
    ]
    return {
        "person_id": line.person_id,
        "name": line.name,
        "cells": cells,
        "totals": {str(status): count for status, count in line.totals.items()},
        "rate": None if line.rate is None else round(line.rate, 4),
    }


def _as_csv(register: MonthRegister) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    heads = [f"{column.date.isoformat()} {column.session}" for column in register.columns]
    writer.writerow([guarded(each) for each in ["person_id", "name", *heads, *map(str, LETTERS), "rate"]])
    for line in register.lines:
        letters = [_letter(line, place) for place in range(len(register.columns))]
        rate = None if line.rate is None else round(line.rate, 4)
        writer.writerow([guarded(line.person_id), guarded(line.name), *letters, *line.totals.values(), rate])
    return text.getvalue().encode("utf-8", "replace")


def _letter(line: PersonLine, place: int) -> str:
    cell = line.cells[place]
    return "" if cell is None else LETTERS[AttendanceStatus(cell.status)]


def _as_xlsx(register: MonthRegister, printed: str) -> bytes:
    # Imported here: openpyxl takes a while to load and is wanted rarely.
    from openpyxl import Workbook  # noqa: PLC0415 - see above
    from openpyxl.styles import Alignment, Font  # noqa: PLC0415 - see above
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 - see above
    from openpyxl.worksheet.properties import PageSetupProperties  # noqa: PLC0415 - see above

    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = f"{register.month:%Y-%m}"
    _write_text(sheet.cell(1, 1), f"{register.title}, {register.month:%B %Y}")
    sheet.cell(1, 1).font = Font(bold=True, size=14)
    _write_head(sheet, register)
    for row, line in enumerate(register.lines, 4):
        _write_line(sheet, row, line)
    for row in range(2, 4 + len(register.lines)):
        for column in range(3, 4 + len(register.columns) + len(LETTERS)):
            sheet.cell(row, column).alignment = Alignment(horizontal="center", wrap_text=row < 4)
    sheet.freeze_panes = "C4"
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 14, 28
    for column in range(3, 3 + len(register.columns) + len(LETTERS)):
        sheet.column_dimensions[get_column_letter(column)].width = 7
    foot = 5 + len(register.lines)
    for place, (status, letter) in enumerate(LETTERS.items()):
        _paint(sheet.cell(foot + place, 1), status, letter)
        _write_text(sheet.cell(foot + place, 2), str(status).replace("_", " "))
    _write_text(sheet.cell(foot + len(LETTERS) + 1, 1), printed)
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9
    sheet.page_setup.fitToHeight, sheet.sheet_properties.pageSetUpPr = 0, PageSetupProperties(fitToPage=True)
    sheet.print_title_rows, sheet.print_title_cols = "2:3", "A:B"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _write_head(sheet: Any, register: MonthRegister) -> None:
    from openpyxl.styles import Font  # noqa: PLC0415 - as above

    heads = ["person_id", "name", *(_head_of(column) for column in register.columns)]
    heads += [*LETTERS.values(), "rate"]
    for place, head in enumerate(heads, 1):
        _write_text(sheet.cell(3, place), head)
        sheet.cell(3, place).font = Font(bold=True)
    for place, column in enumerate(register.columns, 3):
        sheet.cell(2, place, column.date).number_format = "ddd d"


def _head_of(column: MeetingColumn) -> str:
    return column.session if column.starts_at is None else f"{column.starts_at:%H:%M}"


def _write_line(sheet: Any, row: int, line: PersonLine) -> None:
    _write_text(sheet.cell(row, 1), line.person_id)
    _write_text(sheet.cell(row, 2), line.name)
    for place, cell in enumerate(line.cells, 3):
        if cell is not None:
            status = AttendanceStatus(cell.status)
            _paint(sheet.cell(row, place), status, LETTERS[status])
    first = 3 + len(line.cells)
    for place, count in enumerate(line.totals.values(), first):
        sheet.cell(row, place, count)
    if line.rate is not None:
        sheet.cell(row, first + len(LETTERS), round(line.rate, 4)).number_format = "0%"


def _paint(cell: Any, status: AttendanceStatus, letter: str) -> None:
    from openpyxl.styles import Font, PatternFill  # noqa: PLC0415 - as above

    fill, ink = _FILLS[status]
    cell.value = letter
    cell.fill = PatternFill("solid", start_color=fill)
    cell.font = Font(color=ink, bold=True)


def _write_text(cell: Any, text: str) -> None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415 - as above

    cell.value = ILLEGAL_CHARACTERS_RE.sub("", text)[:_LONGEST_CELL].encode("utf-8", "replace").decode("utf-8")
    # Set after the value: by its first character the library would make a formula or an error of it.
    cell.data_type = "s"
