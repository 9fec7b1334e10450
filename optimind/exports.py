"""The register as a table for people, CSV, JSON or an Excel workbook.

The columns are those of a record, ``record_id`` first. CSV is UTF-8 without a byte order mark, for programs; a text
that a spreadsheet would take for a formula gets a ``'`` in front there. For Excel the workbook is better: its cells are
typed, and a text in it is never a formula.
"""

import csv
import io
import json
import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from optimind.errors import OptiMindError, UsageError
from optimind.plugin_api import RecordRow

__all__ = ["COLUMNS", "RegisterFormat", "write_file", "write_register"]

RegisterFormat = Literal["table", "csv", "json", "xlsx"]
COLUMNS = RecordRow.COLUMNS

_FORMULA_STARTS = ("=", "+", "-", "@")
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WIDTHS = {"record_id": 36, "date": 12, "first_seen_at": 20, "last_seen_at": 20, "name": 28, "person_id": 20}
_LONGEST_CELL = 32_767
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
            _print_bytes(_WRITERS[form](rows))
        return
    write_file(output, _WRITERS[form](rows))


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
        writer.writerow([_guarded(_plain(getattr(row, name), "seconds")) for name in COLUMNS])
    return text.getvalue().encode("utf-8")


def _plain(value: Any, precision: str) -> str | float | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat(timespec=precision)
    if isinstance(value, date):
        return value.isoformat()
    return round(value, 4) if isinstance(value, float) else str(value)


def _guarded(value: str | float | None) -> str | float | None:
    """Make a text visible, with a ' before one that a spreadsheet would run as a formula."""
    if not isinstance(value, str):
        return value
    text = _visible(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


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
    for (day, session), group in groupby(rows, key=lambda row: (row.date, row.session)):
        table = Table(title=Text(f"{day.isoformat()}  {_visible(session)}"), title_justify="left")
        for heading in ("Name", "Status", "First seen", "Last seen"):
            table.add_column(heading)
        table.add_column("Minutes", justify="right")
        table.add_column("Camera")
        for row in group:
            table.add_row(
                Text(_visible(row.name)),
                Text(_visible(row.status).replace("_", " ")),
                _clock(row.first_seen_at),
                _clock(row.last_seen_at),
                f"{row.seconds_seen / 60:.1f}" if row.first_seen_at else "",
                Text(_visible(row.camera)),
            )
        console.print(table)


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%H:%M:%S")


def _visible(text: str) -> str:
    """Replace control characters, also those that turn the writing round: a name must not disguise a row."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" or c in _REORDERING else c for c in text
    )


_WRITERS: dict[str, Callable[[Sequence[RecordRow]], bytes]] = {
    "table": _as_table,
    "csv": _as_csv,
    "json": _as_json,
    "xlsx": _as_xlsx,
}


def _print_bytes(data: bytes) -> None:
    """Write UTF-8 whatever the terminal's encoding is: a pipe must get what a file would."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(data.decode("utf-8"))
        return
    binary.write(data)
    binary.flush()


def write_file(output: Path, data: bytes) -> None:
    """Write ``data`` to the file that ``--output`` names, which is replaced as a whole or not at all.

    Raises :class:`UsageError` where it can be no file, :class:`OptiMindError` where the disk fails.
    """
    path = output.expanduser()
    if path.is_dir():
        raise UsageError(f"--output {output} is a folder", mend="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"--output {output}: there is no folder {path.parent}", mend=f"mkdir -p {path.parent}")
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            # A pipe or device, such as /dev/stdout, cannot be replaced by a file.
            with path.open("ab") as stream:
                stream.write(data)
        else:
            _write_whole(path.resolve(), data)
    except OSError as error:
        raise OptiMindError(
            f"--output {output} cannot be written: {error.strerror or error}",
            mend="check the folder's permissions and the free space on its disk",
        ) from error


def _write_whole(path: Path, data: bytes) -> None:
    """Write to a new file beside it and rename: a reader sees the old register or the new one, never half of one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
