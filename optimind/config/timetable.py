"""What config.yaml may say of the timetable: weekly sessions, rosters, holidays, and when somebody is late."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from optimind.config.csv_tables import Line, Table, read_table
from optimind.config.section import Section, no_truth
from optimind.core.timetable import AttendanceRules, Holiday, Timetable, WeeklySession
from optimind.errors import ConfigError

__all__ = [
    "HolidaySettings",
    "RosterLine",
    "RosterSettings",
    "SessionSettings",
    "TimetableSettings",
    "class_id_of",
    "room_of",
    "weekdays_of",
]

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME: Final = re.compile(r"(\d{1,2})[:.](\d{2})")
_COLUMNS: Final = (
    *("class", "name", "days", "start", "end", "room", "from", "until"),
    *("opens_before_min", "late_after_min", "absent_after_min", "leave_early_min"),
)
_REQUIRED: Final = ("class", "days", "start", "end", "room")
_LONGEST_DAY_MIN: Final = 24 * 60
_OFF: Final = "off"

_Minutes = Annotated[float, Field(ge=0, le=_LONGEST_DAY_MIN)]


def _minutes_or_off(value: Any) -> Any:
    """Minutes, or ``off``, which YAML reads as false."""
    return _OFF if value is False or (isinstance(value, str) and value.strip().lower() == _OFF) else value


def _limit(value: Any) -> str:
    return "off" if value == _OFF else "minutes"


Limit = Annotated[
    Annotated[_Minutes | None, BeforeValidator(no_truth), Tag("minutes")] | Annotated[Literal["off"], Tag("off")],
    Discriminator(_limit),
    BeforeValidator(_minutes_or_off),
]
"""Minutes, or ``off``; None: not said."""


def class_id_of(text: str) -> str:
    """A class's id, checked. Raises ``PydanticCustomError``."""
    name = text.strip()
    if not name or len(name) > 64 or not name.isprintable():
        raise PydanticCustomError("class_id", "is no name of a class; write 1 to 64 letters, such as 7B")
    return name


def room_of(text: str) -> str:
    """A room's name, checked. Raises ``PydanticCustomError``."""
    name = text.strip()
    if not name or len(name) > 64 or not name.isprintable():
        raise PydanticCustomError("room", "is no name of a room; write 1 to 64 letters, such as 101")
    return name


def _title(text: str) -> str:
    title = text.strip()
    if not title or len(title) > 100:
        raise PydanticCustomError("worksheet", "is no title of a worksheet; write 1 to 100 letters")
    return title


def _name(text: str) -> str:
    name = text.strip()
    if len(name) > 100 or not name.isprintable():
        raise PydanticCustomError("session_name", "is no name of a session; write at most 100 letters, such as maths")
    return name


def weekdays_of(value: Any) -> tuple[str, ...]:
    """The weekdays, in order, of ``mon, wed``, ``mon-fri`` or a list of such. Raises ``PydanticCustomError``."""
    texts = value if isinstance(value, list | tuple) else re.split(r"[\s,;/+]+", str(value).strip())
    days: set[int] = set()
    for text in texts:
        first, dash, last = str(text).strip().lower().partition("-")
        if not first and not dash:
            continue
        begin = _weekday(first)
        end = _weekday(last) if dash else begin
        days |= {(begin + n) % 7 for n in range((end - begin) % 7 + 1)}
    if not days:
        raise PydanticCustomError("weekdays", "names no day; write such as mon, wed or mon-fri")
    return tuple(_DAYS[day] for day in sorted(days))


def _weekday(text: str) -> int:
    found = [number for number, day in enumerate(_DAYS) if len(text) >= 2 and day.startswith(text)]
    if len(found) != 1:
        raise PydanticCustomError(
            "weekdays", '"{text}" is no weekday; write mon, tue, wed, thu, fri, sat or sun', {"text": text[:30]}
        )
    return found[0]


def _wall_time(value: Any) -> Any:
    if isinstance(value, time):
        return value
    match = _TIME.fullmatch(str(value).strip())
    hours, minutes = (int(match[1]), int(match[2])) if match else (99, 99)
    if (hours, minutes) == (24, 0):
        return time(0)
    if hours > 23 or minutes > 59:
        raise PydanticCustomError("wall_time", "is no time of day; write hours and minutes, such as 08:15")
    return time(hours, minutes)


def _day(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date()
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise PydanticCustomError("day", "is no date; write such as 2026-09-01") from None


WallTime = Annotated[time, BeforeValidator(_wall_time)]
Day = Annotated[date, BeforeValidator(_day)]
Room = Annotated[str, AfterValidator(room_of)]


class _Rules(Section):
    """Limits in minutes, or ``off``; None: what the timetable says for all."""

    opens_before_min: Annotated[_Minutes | None, BeforeValidator(no_truth)] = None
    late_after_min: Limit = None
    absent_after_min: Limit = None
    leave_early_min: Limit = None


class SessionSettings(_Rules):
    """A session that a class has every week. A limit that is written here, ``off`` too, outweighs the one for all."""

    class_id: Annotated[str, AfterValidator(class_id_of)] = Field(alias="class")
    name: Annotated[str, AfterValidator(_name)] = ""
    days: Annotated[tuple[str, ...], BeforeValidator(weekdays_of)]
    start: WallTime
    end: WallTime
    room: Room
    first_day: Day | None = Field(default=None, alias="from")
    last_day: Day | None = Field(default=None, alias="until")

    def weekly(self, rules: AttendanceRules) -> WeeklySession:
        """The session, with ``rules`` where it has none of its own. Raises ``ValueError`` where they contradict."""
        return WeeklySession(
            class_id=self.class_id,
            name=self.name,
            room=self.room,
            weekdays=frozenset(_DAYS.index(day) for day in self.days),
            start=self.start,
            end=self.end,
            rules=_rules_of(self, rules),
            first_day=self.first_day,
            last_day=self.last_day,
        )


def _holiday(value: Any) -> Any:
    """A single date, or ``2026-12-24..2027-01-06``, stands for its mapping."""
    if isinstance(value, dict):
        return value
    first, _, last = str(value).partition("..")
    return {"from": first, "until": last or first}


class HolidaySettings(Section):
    """Days on which no session begins; ``classes`` empty: of no class."""

    first_day: Day = Field(alias="from")
    last_day: Day = Field(alias="until")
    name: str = Field(default="", max_length=100)
    classes: list[Annotated[str, AfterValidator(class_id_of)]] = Field(default_factory=list)

    @field_validator("last_day")
    @classmethod
    def _in_order(cls, value: date, info: ValidationInfo) -> date:
        if "first_day" in info.data and value < info.data["first_day"]:
            raise PydanticCustomError("holiday", "is before the first day")
        return value

    def holiday(self) -> Holiday:
        """The holiday that the settings describe."""
        return Holiday(first=self.first_day, last=self.last_day, name=self.name, class_ids=frozenset(self.classes))


class RosterSettings(Section):
    """Where it stands who belongs to which class: exactly one of these.

    ``csv``: a file with the columns class, person_id, name, from, until. ``worksheet``: a worksheet with the same
    columns in the spreadsheet of ``sheets``. ``everyone``: all who are enrolled belong to every class.
    """

    csv: Path | None = None
    worksheet: Annotated[str, AfterValidator(_title)] | None = None
    everyone: bool = False


class RosterLine(Section):
    """One row of a table of rosters; without dates it counts for as long as it stands there."""

    class_id: Annotated[str, AfterValidator(class_id_of)] = Field(alias="class")
    person_id: str = Field(min_length=1, max_length=255)
    name: str = Field(default="", max_length=10_000)
    first_day: Day | None = Field(default=None, alias="from")
    last_day: Day | None = Field(default=None, alias="until")

    @field_validator("last_day")
    @classmethod
    def _in_order(cls, value: date | None, info: ValidationInfo) -> date | None:
        first_day = info.data.get("first_day")
        if value is not None and first_day is not None and value < first_day:
            raise PydanticCustomError("roster", "is before the first day")
        return value


def _one_roster(value: RosterSettings) -> RosterSettings:
    if sum((value.csv is not None, value.worksheet is not None, value.everyone)) != 1:
        raise PydanticCustomError("rosters", "must name exactly one: csv, worksheet, or everyone: true")
    return value


def _written(value: Any) -> str:
    return "list" if isinstance(value, list) else "file"


Sessions = Annotated[
    Annotated[list[SessionSettings], Tag("list")] | Annotated[Path, Tag("file")], Discriminator(_written)
]


class TimetableSettings(Section):
    """``sessions`` are written here, or in a CSV file with the same words as columns. Limits count for all sessions."""

    sessions: Sessions = Field(default_factory=list)
    rosters: Annotated[RosterSettings, AfterValidator(_one_roster)] | None = None
    holidays: list[Annotated[HolidaySettings, BeforeValidator(_holiday)]] = Field(default_factory=list)
    opens_before_min: Annotated[_Minutes, BeforeValidator(no_truth)] = 15
    late_after_min: Limit = 5
    absent_after_min: Limit = "off"
    leave_early_min: Limit = "off"

    def timetable(self, zone: tzinfo, rooms: Mapping[str, str]) -> Timetable:
        """The timetable for the clocks of ``zone``, with the room of each camera.

        Raises :class:`ConfigError` with all that is wrong in a CSV file, and where two sessions have the same name.
        """
        common = _rules_of(self, AttendanceRules(late_after=None, absent_after=None, leave_early=None))
        if isinstance(self.sessions, Path):
            found = dict(_sessions_in(self.sessions, common))
        else:
            places = [f"timetable: sessions: {number}" for number in range(1, len(self.sessions) + 1)]
            found = {place: _weekly(each, common, place) for place, each in zip(places, self.sessions, strict=True)}
        _refuse_twice(found)
        holidays = [each.holiday() for each in self.holidays]
        return Timetable(list(found.values()), holidays, zone=zone, rooms=rooms)


def _rules_of(settings: Any, common: AttendanceRules) -> AttendanceRules:
    """The limits that ``settings`` name, else those of ``common``."""
    fields = {
        "opens_before": "opens_before_min",
        "late_after": "late_after_min",
        "absent_after": "absent_after_min",
        "leave_early": "leave_early_min",
    }
    values = {}
    for rule, key in fields.items():
        minutes = getattr(settings, key)
        if minutes is None:
            values[rule] = getattr(common, rule)
        else:
            values[rule] = None if minutes == _OFF else timedelta(minutes=minutes)
    return AttendanceRules(**values)


def _weekly(settings: SessionSettings, common: AttendanceRules, where: str) -> WeeklySession:
    try:
        return settings.weekly(common)
    except ValueError as error:
        raise ConfigError(f"{where}: {settings.class_id}: {error}", mend="correct its limits") from error


def _refuse_twice(sessions: Mapping[str, WeeklySession]) -> None:
    """Two that are called the same on one day would be one session in the register: a class cannot be in two rooms."""
    known: dict[str, list[tuple[str, WeeklySession]]] = {}
    for place, session in sessions.items():
        for earlier, other in known.setdefault(session.session, []):
            if _meet(session, other):
                raise ConfigError(
                    f'{place}: there is a session "{session.session}" on such a day already, at {earlier}',
                    mend="take one out, or give one another name",
                )
        known[session.session].append((place, session))


def _meet(one: WeeklySession, other: WeeklySession) -> bool:
    """Whether both are held on some day."""
    first = max(one.first_day or date.min, other.first_day or date.min)
    last = min(one.last_day or date.max, other.last_day or date.max)
    days = min((last - first).days + 1, 7)
    return bool({(first.weekday() + n) % 7 for n in range(days)} & one.weekdays & other.weekdays)


def _sessions_in(path: Path, common: AttendanceRules) -> Iterator[tuple[str, WeeklySession]]:
    table = read_table(path, _COLUMNS, required=_REQUIRED)
    faults: list[tuple[int, str]] = []
    found = []
    for line in table.lines:
        try:
            found.append(_session_of(line, table))
        except ConfigError as error:
            faults += [(line.number, text) for text in error.message.splitlines()]
    if faults:
        raise table.refusal(faults)
    for line, settings in zip(table.lines, found, strict=True):
        place = f"{table.label}:{line.number}"
        yield place, _weekly(settings, common, place)


def _session_of(line: Line, table: Table) -> SessionSettings:
    values = {name: cell for name, cell in line.cells.items() if cell}
    try:
        return SessionSettings.model_validate(values)
    except ValidationError as error:
        said = []
        for detail in error.errors(include_url=False):
            column = str(detail["loc"][0]) if detail["loc"] else ""
            missing = detail["type"] == "missing"
            said.append(f"{column}: {'is empty' if missing else detail['msg']}")
        raise ConfigError("\n".join(said), mend=f"correct {table.label}") from error
