"""Who belongs to which class: read from a table, the gallery or a worksheet, and kept in the ledger with its dates."""

from __future__ import annotations

import csv
import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from optimind.app.configured import make_sheets_sink
from optimind.app.timetables import classes_of
from optimind.config import Config
from optimind.config.csv_tables import Line, Table, parse_table, read_table
from optimind.config.timetable import RosterLine
from optimind.errors import ConfigError, OptiMindError
from optimind.gallery import load_gallery, to_core
from optimind.storage import Ledger, RosterChange, RosterEntry

__all__ = ["RosterWatch", "Rosters", "keep_rosters", "read_rosters", "roster_table", "rosters_of"]

log = logging.getLogger(__name__)

_COLUMNS: Final = ("class", "person_id", "name", "from", "until")
READ_S: Final = 60.0
"""How long it may take until a run notices that a roster was edited."""
_REQUIRED: Final = ("class", "person_id")
_DAYS: Final = ("from", "until")
_SERIAL: Final = re.compile(r"[1-9][0-9]{4}", re.ASCII)
_DAY_ZERO: Final = date(1899, 12, 30).toordinal()

Rosters = Mapping[str, Sequence[RosterEntry]]
"""The entries by class."""


def read_rosters(config: Config) -> Rosters:
    """Who belongs to which class, as the settings' table, worksheet or gallery says it now.

    Raises :class:`ConfigError` with every fault and its line, and DeliveryError where a worksheet cannot be read.
    """
    settings = config.timetable and config.timetable.rosters
    if not settings:
        return {}
    if settings.csv is not None:
        return rosters_of(roster_table(settings.csv))
    if settings.worksheet is not None:
        return _rosters_in_worksheet(config, settings.worksheet)
    templates = to_core(load_gallery(config.gallery, config.privacy.sealer())).templates
    everyone = [RosterEntry(person_id=template.person_id, name=template.name) for template in templates]
    return dict.fromkeys(classes_of(config), everyone)


def roster_table(path: Path) -> Table:
    """The table of rosters in the file ``path``. Raises :class:`ConfigError`."""
    return read_table(path, _COLUMNS, required=_REQUIRED)


def keep_rosters(rosters: Rosters, ledger: Ledger, day: date) -> dict[str, RosterChange]:
    """Bring the ledger's rosters to ``rosters`` as they stand on ``day``; returns what changed, by class.

    A class that is not among them keeps its roster: a table from which all lines of a class went is more likely broken
    than the class dissolved.
    """
    changes = {class_id: ledger.school.set_roster(class_id, people, day) for class_id, people in rosters.items()}
    return {class_id: change for class_id, change in changes.items() if change != RosterChange()}


def _rosters_in_worksheet(config: Config, title: str) -> Rosters:
    sink = make_sheets_sink(config)
    if sink is None:
        raise ConfigError(
            "timetable: rosters: worksheet: names a worksheet, but sheets: names no spreadsheet",
            mend="fill in sheets: spreadsheet: and credentials: (docs/sheets.md)",
        )
    try:
        rows = sink.read_table(title)
    finally:
        sink.close()
    text = io.StringIO()
    csv.writer(text).writerows(_with_dates(rows))
    return rosters_of(parse_table(f'worksheet "{title}"', text.getvalue(), _COLUMNS, required=_REQUIRED))


def _with_dates(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """A day that somebody types into a spreadsheet becomes a number there: write it as YYYY-MM-DD again."""
    days = {index for index, name in enumerate(rows[0] if rows else ()) if name.strip().casefold() in _DAYS}
    return [[_day(cell) if index in days else cell for index, cell in enumerate(row)] for row in rows]


def _day(cell: str) -> str:
    if not _SERIAL.fullmatch(cell):
        return cell
    return date.fromordinal(_DAY_ZERO + int(cell)).isoformat()


def rosters_of(table: Table) -> dict[str, list[RosterEntry]]:
    """The rosters that ``table`` holds, by class. Raises :class:`ConfigError` with every fault and its line."""
    faults: list[tuple[int, str]] = []
    found: dict[str, list[RosterEntry]] = {}
    places: dict[tuple[str, str], list[tuple[int, RosterLine]]] = {}
    for line in table.lines:
        try:
            entry = _entry_of(line)
        except ValidationError as error:
            faults += [
                (line.number, f"{detail['loc'][0] if detail['loc'] else ''}: {_said(detail['type'], detail['msg'])}")
                for detail in error.errors(include_url=False)
            ]
            continue
        places.setdefault((entry.class_id, entry.person_id), []).append((line.number, entry))
        found.setdefault(entry.class_id, []).append(
            RosterEntry(
                person_id=entry.person_id,
                name=entry.name or entry.person_id,
                first_day=entry.first_day,
                last_day=entry.last_day,
            )
        )
    faults += [fault for lines in places.values() for fault in _at_once(lines)]
    if faults:
        raise table.refusal(sorted(faults))
    return found


def _at_once(lines: Sequence[tuple[int, RosterLine]]) -> Iterator[tuple[int, str]]:
    """What is wrong where a person stands in a class several times: each time must have dates of its own."""
    in_order = sorted(lines, key=lambda each: each[1].first_day or date.min)
    for (earlier, before), (number, entry) in pairwise(in_order):
        if before.first_day is None or before.last_day is None or not before.last_day < (entry.first_day or date.min):
            yield (
                max(earlier, number),
                f"{entry.person_id} is in {entry.class_id} by line {min(earlier, number)} already; take one out, or "
                "give each its own from and until",
            )


def _entry_of(line: Line) -> RosterLine:
    return RosterLine.model_validate({name: cell for name, cell in line.cells.items() if cell})


def _said(kind: str, message: str) -> str:
    return "is empty" if kind == "missing" else message


class RosterWatch:
    """Reads the rosters now and then while a run goes on, in a thread of its own: a worksheet may take a while.

    :meth:`tick` belongs to the loop's thread. What cannot be read is tried again, and those of before go on counting.
    """

    def __init__(self, config: Config, ledger: Ledger, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._ledger = ledger
        self._monotonic = monotonic
        self._is_wanted = config.timetable is not None and config.timetable.rosters is not None
        self._began_s: float | None = None
        self._reading: threading.Thread | None = None
        self._read: Rosters | None = None
        self.error = ""

    def tick(self, day: date) -> None:
        """Enter what was read as it stands on ``day``, and begin to read anew if it is time. Never raises."""
        if not self._is_wanted or (self._reading is not None and self._reading.is_alive()):
            return
        rosters, self._read = self._read, None
        if rosters is not None:
            self._keep(rosters, day)
        if self._began_s is None or self._monotonic() - self._began_s >= READ_S:
            self._began_s = self._monotonic()
            self._reading = threading.Thread(target=self._look, name="rosters", daemon=True)
            self._reading.start()

    def finish(self, day: date) -> None:
        """Enter what is being read, waiting a moment for it: a short recording is over before a worksheet is read."""
        if self._reading is not None:
            self._reading.join(5.0)
        if self._read is not None:
            self._keep(self._read, day)

    def _look(self) -> None:
        try:
            self._read = read_rosters(self._config)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must not end with a traceback
            self._fail(error)
        else:
            self.error = ""

    def _keep(self, rosters: Rosters, day: date) -> None:
        try:
            changes = keep_rosters(rosters, self._ledger, day)
        except OptiMindError as error:
            self._fail(error)
            return
        for class_id, change in changes.items():
            counts = (len(change.joined), len(change.left), len(change.renamed))
            log.info("roster of %s: %d joined, %d left, %d renamed", class_id, *counts)

    def _fail(self, error: Exception) -> None:
        text = str(error) if isinstance(error, OptiMindError) else f"unexpected {type(error).__name__}: {error}"
        if text != self.error:
            log.warning("the rosters cannot be read now; those of before go on counting: %s", text)
        self.error = text
