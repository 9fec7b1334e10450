"""Consents of many people at once, from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from optimind.errors import UsageError
from optimind.storage import NewConsent

__all__ = ["read_consents"]

_COLUMNS = ("person_id", "given_on", "given_by", "note")
_NEEDED = _COLUMNS[:3]
_LARGEST_BYTES = 16 << 20
_LONGEST = {"person_id": 255, "given_by": 1000, "note": 10_000}


def read_consents(path: Path, today: date) -> list[NewConsent]:
    """Read the file: a header with person_id, given_on, given_by and perhaps note, and a line a consent.

    Comma, semicolon or tab may stand between the columns, in any order; others are passed over. Raises
    :class:`UsageError` that names every fault with its line.
    """
    header, lines = _lines(path)
    places = {name.strip().casefold(): number for number, name in enumerate(header)}
    missing = [name for name in _NEEDED if name not in places]
    if missing:
        raise UsageError(
            f"{path}:1: the columns {', '.join(missing)} are missing",
            mend=f"write the first line as: {','.join(_COLUMNS)}",
        )
    found, faults = [], []
    for number, cells in lines:
        values = {name: cells[at].strip() for name, at in places.items() if name in _COLUMNS and at < len(cells)}
        if not any(cell.strip() for cell in cells):
            continue
        wrong = list(_faults(values, today))
        faults += [f"{path}:{number}: {fault}" for fault in wrong]
        if not wrong:
            found.append(
                NewConsent(
                    person_id=values["person_id"],
                    given_on=date.fromisoformat(values["given_on"]),
                    given_by=values["given_by"],
                    note=values.get("note", ""),
                )
            )
    if faults:
        raise UsageError("\n".join(faults), mend="correct these lines; nothing was recorded")
    if not found:
        raise UsageError(f"{path} holds no consent", mend=f"write a line for each: {','.join(_COLUMNS)}")
    return found


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} has more than {_LARGEST_BYTES >> 20} MB", mend="name the right file with --csv")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", mend="name the right file with --csv") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", mend='save it as "CSV UTF-8"') from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        return header, [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: {error}", mend="correct that line; nothing was recorded") from None


def _faults(values: dict[str, str], today: date) -> Iterator[str]:
    for name in _NEEDED:
        if not values.get(name):
            yield f"{name} is empty"
    for name, most in _LONGEST.items():
        if len(values.get(name, "")) > most:
            yield f"{name} has more than {most} characters"
    if given_on := values.get("given_on"):
        try:
            day = date.fromisoformat(given_on)
        except ValueError:
            yield f"given_on {given_on!r} is no date; write it as 2026-09-01"
        else:
            if day > today:
                yield f"given_on {given_on} lies in the future"
