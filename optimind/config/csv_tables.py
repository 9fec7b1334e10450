"""Reads the tables that schools keep in a spreadsheet program: CSV with a header, whatever program saved it."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optimind.config.wording import did_you_mean
from optimind.errors import ConfigError

__all__ = ["Line", "Table", "parse_table", "read_table"]

_MOST_BYTES = 16 * 1024 * 1024
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its line in the file, from 1, and its cells by column, without blanks around them."""

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class Table:
    """A file that was read: ``label`` is what messages call it."""

    label: str
    lines: tuple[Line, ...]

    def refusal(self, faults: Iterable[tuple[int, str]]) -> ConfigError:
        """The error for ``faults``, each a line and what is wrong there."""
        said = [f"{self.label}:{number}: {text}" for number, text in faults]
        return ConfigError("\n  ".join(said), mend=f"correct {self.label}")


def read_table(path: Path, columns: Sequence[str], *, required: Sequence[str]) -> Table:
    """Read the CSV file at ``path``. Comma, semicolon or tab part its cells; the header may be in any order and case.

    Empty rows are left out. Raises :class:`ConfigError` where it cannot be read, a column is unknown, twice or missing,
    or a row has more cells than the header.
    """
    return parse_table(str(path), _text_of(path), columns, required=required)


def parse_table(label: str, text: str, columns: Sequence[str], *, required: Sequence[str]) -> Table:
    """Read the table that is written in ``text``; messages call it ``label``. Raises as :func:`read_table` does."""
    table = Table(label, ())
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(_rows(text, delimiter))
    except csv.Error as error:
        raise table.refusal([(1, f"is no CSV: {error}")]) from error
    if not rows:
        raise table.refusal([(1, f"is empty; its first row names the columns: {', '.join(columns)}")])
    (header_line, header), *rest = rows
    names = [cell.strip().casefold() for cell in header]
    while names and not names[-1]:
        names.pop()
    faults = list(_header_faults(names, columns, required))
    if faults:
        raise table.refusal((header_line, fault) for fault in faults)
    too_long = [(number, "has more cells than the header") for number, cells in rest if any(cells[len(names) :])]
    if too_long:
        raise table.refusal(too_long)
    lines = [
        Line(number, {name: cell.strip() for name, cell in zip(names, cells, strict=False)}) for number, cells in rest
    ]
    return Table(label, tuple(lines))


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path} is larger than 16 MB", mend="that is no table of a school; name another file")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}", mend="correct its name, or let this user read it"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{number}: is no UTF-8", mend='save it as "CSV UTF-8", so that every name comes out right'
        ) from error


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield number, cells
        number = reader.line_num + 1


def _header_faults(names: Sequence[str], columns: Sequence[str], required: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f'the column "{name}" is there twice'
        elif name not in columns:
            yield f'unknown column "{name}"; {did_you_mean(name, columns, otherwise="the columns are")}'
    for name in required:
        if name not in names:
            yield f'the column "{name}" is missing'
