"""The timetable in config.yaml and in the CSV files of a school."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path

import pytest
import yaml

from optimind.config import Config, load_config
from optimind.core.timetable import Timetable
from optimind.errors import ConfigError


def settings(folder: Path, text: str) -> Config:
    (folder / "config.yaml").write_text(text, "utf-8")
    return load_config(folder / "config.yaml")


def timetable(folder: Path, text: str) -> Timetable:
    config = settings(folder, text)
    assert config.timetable is not None
    return config.timetable.timetable(config.zone(), {})


LESSON = "{class: 7B, name: maths, days: mon-fri, start: 08:00, end: 08:45, room: 101}"


def test_a_session_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = "timetable:\n  late_after_min: 10\n  leave_early_min: off\n  sessions:\n"
    text += (
        "    - {class: 7B, name: maths, days: [mon, wed], start: 8:00, end: 08.45, room: 101, absent_after_min: 30}\n"
    )
    text += "    - {class: 7C, days: fri-mon, start: 22:00, end: 24:00, room: gym, late_after_min: off}\n"
    first, second = timetable(tmp_path, text).sessions
    assert (first.session, first.room, sorted(first.weekdays)) == ("7B maths 08:00", "101", [0, 2])
    assert (first.start, first.end) == (time(8), time(8, 45))
    assert (first.rules.late_after, first.rules.absent_after) == (timedelta(minutes=10), timedelta(minutes=30))
    assert (first.rules.leave_early, first.rules.opens_before) == (None, timedelta(minutes=15))
    assert (second.session, sorted(second.weekdays), second.end) == ("7C 22:00", [0, 4, 5, 6], time(0))
    assert second.rules.late_after is None


@pytest.mark.parametrize(
    ("written", "first", "last", "classes"),
    [
        ("2026-10-03", "2026-10-03", "2026-10-03", []),
        ("2026-12-24..2027-01-06", "2026-12-24", "2027-01-06", []),
        ("{from: 2026-10-03, until: 2026-10-04, name: fair, classes: [7B]}", "2026-10-03", "2026-10-04", ["7B"]),
    ],
)
def test_holidays(tmp_path: Path, written: str, first: str, last: str, classes: list[str]) -> None:
    (holiday,) = timetable(tmp_path, f"timetable:\n  holidays: [{written}]\n").holidays
    assert (holiday.first, holiday.last) == (date.fromisoformat(first), date.fromisoformat(last))
    assert sorted(holiday.class_ids) == classes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LESSON.replace("mon-fri", "mox"), '"mox" is no weekday'),
        (LESSON.replace("mon-fri", "''"), "names no day"),
        (LESSON.replace("08:00", "25:00"), "is no time of day"),
        (LESSON.replace("7B", "''"), "is no name of a class"),
        (LESSON.replace("room: 101", "romm: 101"), 'did you mean "room"'),
        (LESSON.replace("}", ", late_after_min: -1}"), "late_after_min"),
        (LESSON.replace("}", ", late_after_min: yes}"), "is yes or no"),
        (LESSON.replace("}", ", from: 2026-13-01}"), "is no date"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"config.yaml:3: timetable.*sessions") as caught:
        settings(tmp_path, f"timetable:\n  sessions:\n    - {text}\n")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timetable: {rosters: {}}", "must name exactly one"),
        ("timetable: {rosters: {csv: a.csv, everyone: true}}", "must name exactly one"),
        ("timetable: {holidays: [2026-02-30]}", "is no date"),
        ("timetable: {holidays: [2026-02-03..2026-02-01]}", "is before the first day"),
        ("cameras: [{id: c, source: 0, role: door}]", "needs a line to cross"),
        ("cameras: [{id: c, source: 0, role: gate}]", "role"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    assert said in str(caught.value)


def test_limits_that_contradict_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody could be late"):
        timetable(tmp_path, f"timetable:\n  sessions: [{LESSON.replace('}', ', absent_after_min: 1}')}]\n")


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    text = f"timetable:\n  sessions: [{LESSON}]\n  holidays: [2026-10-03]\n  rosters: {{everyone: true}}\n"
    shown = settings(tmp_path, text).shown()
    again = settings(tmp_path, yaml.safe_dump({"timetable": yaml.safe_load(shown)["timetable"]}))
    assert again.timetable == settings(tmp_path, text).timetable


def csv_timetable(folder: Path, text: str, *, encoding: str = "utf-8") -> Timetable:
    (folder / "lessons.csv").write_bytes(text.encode(encoding))
    return timetable(folder, "timetable: {sessions: lessons.csv}\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_of_any_program(tmp_path: Path, delimiter: str, encoding: str, end: str) -> None:
    lines = ["Class;NAME;days;start;end;Room;late_after_min", ";;;;;;", "7Ü;art;mon tue;8:00;8:45;101;off", ""]
    text = end.join(lines).replace(";", delimiter)
    (session,) = csv_timetable(tmp_path, text, encoding=encoding).sessions
    assert (session.session, session.room, sorted(session.weekdays)) == ("7Ü art 08:00", "101", [0, 1])
    assert session.rules.late_after is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lessons.csv:1: is empty"),
        ("class,days,start,end\n", 'lessons.csv:1: the column "room" is missing'),
        ("class,days,start,end,room,romm\n", 'unknown column "romm"; did you mean "room"?'),
        ("class,days,start,end,room,room\n", 'the column "room" is there twice'),
        ("class,days,start,end,room\n7B,mon,8:00,8:45,101,7\n", "lessons.csv:2: has more cells than the header"),
        ("class,days,start,end,room\n\n7B,mon,8:00,8:65,\n", "lessons.csv:3: end: is no time of day"),
        ("class,days,start,end,room\n\n7B,mon,8:00,8:65,\n", "lessons.csv:3: room: is empty"),
        ('class,days,start,end,room\n"7B,mon,8:00,8:45,101\n', "is no CSV"),
    ],
)
def test_each_fault_of_a_table_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        csv_timetable(tmp_path, text)
    assert said in str(caught.value)


def test_a_table_that_is_no_utf8_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lessons\.csv:2: is no UTF-8"):
        csv_timetable(tmp_path, "class,days,start,end,room\n7Ü,mon,8:00,8:45,101\n", encoding="latin-1")
    (tmp_path / "lessons.csv").unlink()
    with pytest.raises(ConfigError, match=r"lessons\.csv cannot be read"):
        timetable(tmp_path, "timetable: {sessions: lessons.csv}\n")


LINE = "7B,maths,mon,08:00,08:45,{room},{first},{last}\n"


@pytest.mark.parametrize(
    ("second", "is_twice"),
    [
        (LINE.format(room="102", first="", last=""), True),
        (LINE.format(room="101", first="2026-12-07", last=""), True),
        (LINE.format(room="102", first="2026-12-08", last=""), False),
        (LINE.format(room="102", first="", last="2026-08-31"), False),
        (LINE.format(room="102", first="", last="").replace("mon", "tue-sun"), False),
        (LINE.format(room="102", first="", last="").replace("maths", "art"), False),
    ],
)
def test_a_class_is_not_in_the_same_session_twice(tmp_path: Path, second: str, *, is_twice: bool) -> None:
    header = "class,name,days,start,end,room,from,until\n"
    text = header + LINE.format(room="101", first="2026-09-01", last="2026-12-07") + second
    if not is_twice:
        assert len(csv_timetable(tmp_path, text).sessions) == 2
        return
    with pytest.raises(ConfigError, match=r'csv:3: there is a session "7B maths 08:00" .*csv:2'):
        csv_timetable(tmp_path, text)
