"""A class's month as a matrix: people down, meetings across, a letter in each cell. Pure; the writers build on it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from optimind.plugin_api import AttendanceStatus, RecordRow

__all__ = ["LETTERS", "MeetingColumn", "MonthRegister", "PersonLine", "month_register"]

LETTERS: Mapping[AttendanceStatus, str] = {
    AttendanceStatus.PRESENT: "P",
    AttendanceStatus.LATE: "L",
    AttendanceStatus.LEFT_EARLY: "V",
    AttendanceStatus.ABSENT: "A",
    AttendanceStatus.EXCUSED: "E",
    AttendanceStatus.NEEDS_REVIEW: "?",
}
_CAME = (AttendanceStatus.PRESENT, AttendanceStatus.LATE, AttendanceStatus.LEFT_EARLY)


@dataclass(frozen=True, slots=True)
class MeetingColumn:
    """One meeting; ``starts_at`` is where the clocks of the register stood, None for one of no timetable."""

    date: date
    session: str
    starts_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person; of each meeting their record, None where there is none."""

    person_id: str
    name: str
    cells: tuple[RecordRow | None, ...]

    @property
    def totals(self) -> Mapping[AttendanceStatus, int]:
        """How often each status stands in the line."""
        found = Counter(cell.status for cell in self.cells if cell is not None)
        return {status: found[str(status)] for status in LETTERS}

    @property
    def rate(self) -> float | None:
        """In which part of the meetings, 0-1, they were there; excused and open ones do not count. None: of none."""
        totals = self.totals
        came = sum(totals[status] for status in _CAME)
        counted = came + totals[AttendanceStatus.ABSENT]
        return came / counted if counted else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthRegister:
    """The register of ``title`` (a class or a session) in the month that begins on ``month``."""

    title: str
    month: date
    columns: tuple[MeetingColumn, ...]
    lines: tuple[PersonLine, ...]


def month_register(
    rows: Iterable[RecordRow], *, title: str, month: date, people: Mapping[str, str], zone: tzinfo
) -> MonthRegister:
    """Order ``rows``, the month's records, by meeting and person.

    ``people`` (names by person id) get a line also without a record, and their name counts; else the latest record's.
    """
    records = sorted(rows, key=lambda row: (row.date, row.starts_at is None, row.starts_at or row.date, row.session))
    columns: dict[tuple[date, str], MeetingColumn] = {}
    names: dict[str, str] = {}
    cells: dict[tuple[str, date, str], RecordRow] = {}
    for row in records:
        starts_at = None if row.starts_at is None else row.starts_at.astimezone(zone)
        columns.setdefault((row.date, row.session), MeetingColumn(row.date, row.session, starts_at))
        names[row.person_id] = row.name
        cells[row.person_id, row.date, row.session] = row
    names |= people
    lines = [
        PersonLine(person_id, name, tuple(cells.get((person_id, *key)) for key in columns))
        for person_id, name in sorted(names.items(), key=lambda each: (each[1].casefold(), each[0]))
    ]
    return MonthRegister(title=title, month=month, columns=tuple(columns.values()), lines=tuple(lines))


def totals_of(lines: Sequence[PersonLine], column: int) -> Mapping[AttendanceStatus, int]:
    """How often each status stands in a column."""
    found = Counter(cell.status for line in lines if (cell := line.cells[column]) is not None)
    return {status: found[str(status)] for status in LETTERS}
