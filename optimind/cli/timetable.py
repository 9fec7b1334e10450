"""The commands `timetable`: which sessions are held when and where, and who belongs to which class."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Annotated, Any

import typer

from optimind.app.configured import ledger_url
from optimind.app.rosters import keep_rosters, read_rosters
from optimind.app.timetables import timetable_of
from optimind.cli.dates import day_or_today
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.config import Config, load_config
from optimind.core.timetable import Meeting, Timetable
from optimind.errors import ConfigError
from optimind.storage import Member, open_ledger

__all__ = ["app"]

app = typer.Typer(help="The timetable: what is held when and where, and who belongs to it.", no_args_is_help=True)

ClassOption = Annotated[str | None, typer.Option("--class", help="Only of this class.")]
DayOption = Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="From this day on (today).")]


@app.command("show")
def show(
    *,
    day: DayOption = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="For so many days.")] = 7,
    class_id: ClassOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Show the sessions of the next days as they will be held: holidays, changes of the clocks and all."""
    settings = load_config(config)
    timetable = _timetable(settings)
    first = day_or_today(day, "--date", settings.zone())
    held = [
        meeting
        for number in range(days)
        for meeting in timetable.on(first + timedelta(days=number))
        if class_id in {None, meeting.class_id}
    ]
    if as_document:
        print(json.dumps([_document(meeting, timetable) for meeting in held], ensure_ascii=False, indent=1))
        return
    for on, meetings in groupby(held, key=lambda meeting: meeting.date):
        print(f"{on:%a} {on.isoformat()}")
        for meeting in meetings:
            print(printable(f"  {_sentence(meeting, timetable)}"))
    if not held:
        print(f"no session is held in these {days} days")


@app.command("roster")
def roster(
    *,
    class_id: ClassOption = None,
    day: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Who belongs to it on this day (today).")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Read the rosters anew, say what has changed as of today, and list who belongs to which class."""
    settings = load_config(config)
    _timetable(settings)
    on = day_or_today(day, "--date", settings.zone())
    with open_ledger(ledger_url(settings, data)) as ledger:
        # Whoever looks at another day enters nothing as of it: somebody would have left long ago, or join next year.
        changes = keep_rosters(read_rosters(settings), ledger, day_or_today(None, "", settings.zone()))
        members = [member for member in ledger.school.members(class_id) if _counts(member, on)]
    if as_document:
        print(json.dumps([_member_document(member) for member in members], ensure_ascii=False, indent=1))
        return
    for name, change in changes.items():
        told = f"{len(change.joined)} joined, {len(change.left)} left, {len(change.renamed)} renamed"
        print(printable(f"{name}: {told}"))
    for name, group in groupby(members, key=lambda member: member.class_id):
        people = list(group)
        print(printable(f"{name}, {len(people)} on {on.isoformat()}"))
        for member in people:
            print(printable(f"  {member.person_id}  {member.name}"))
    if not members:
        print("no class has a roster; timetable: rosters: in config.yaml says where it stands")


def _timetable(settings: Config) -> Timetable:
    if settings.timetable is None:
        raise ConfigError(
            f"{settings.label} has no timetable", mend="add one under timetable: (docs/timetable.md shows how)"
        )
    return timetable_of(settings)


def _counts(member: Member, on: date) -> bool:
    return member.first_day <= on and (member.last_day is None or on <= member.last_day)


def _times(meeting: Meeting, timetable: Timetable) -> tuple[datetime, datetime]:
    return meeting.starts_at.astimezone(timetable.zone), meeting.ends_at.astimezone(timetable.zone)


def _sentence(meeting: Meeting, timetable: Timetable) -> str:
    start, end = _times(meeting, timetable)
    cameras = timetable.cameras_in(meeting.room)
    where = f"room {meeting.room}, " + (f"camera {', '.join(cameras)}" if cameras else "no camera of this machine")
    until = f"{end:%H:%M}" + (" the next day" if end.date() != start.date() else "")
    return f"{start:%H:%M} to {until}  {meeting.session}  ({where})"


def _document(meeting: Meeting, timetable: Timetable) -> dict[str, Any]:
    start, end = _times(meeting, timetable)
    return {
        "date": meeting.date.isoformat(),
        "session": meeting.session,
        "class": meeting.class_id,
        "room": meeting.room,
        "cameras": timetable.cameras_in(meeting.room),
        "starts_at": start.isoformat(),
        "ends_at": end.isoformat(),
        "opens_at": meeting.opens_at.astimezone(timetable.zone).isoformat(),
    }


def _member_document(member: Member) -> dict[str, Any]:
    return {
        "class": member.class_id,
        "person_id": member.person_id,
        "name": member.name,
        "from": member.first_day.isoformat(),
        "until": member.last_day and member.last_day.isoformat(),
    }
