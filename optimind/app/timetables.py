"""The timetable as config.yaml describes it, the rosters behind it, and the settling of what has ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from pydantic import ValidationError

from optimind.app.cameras import Camera
from optimind.config import Config
from optimind.config.csv_tables import Line, Table, read_table
from optimind.config.timetable import RosterLine
from optimind.core.registers import session_id
from optimind.core.timetable import CameraRole, Timetable
from optimind.gallery import load_gallery, to_core
from optimind.pipeline.settling import settle_all
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger, RosterChange, RosterEntry

__all__ = [
    "ROSTER_COLUMNS",
    "read_rosters",
    "roles_of",
    "rooms_of",
    "rosters_of",
    "settle",
    "sync_rosters",
    "timetable_of",
]

log = logging.getLogger(__name__)

ROSTER_COLUMNS = ("class", "person_id", "name", "from", "until")
LOOK_BACK = timedelta(days=31)
"""A session that ended longer ago and was never closed stays as it is."""


def rooms_of(cameras: Sequence[Camera]) -> dict[str, str]:
    """The room of each camera: the one that its settings name, else one that is called like it."""
    return {camera.id: (camera.settings and camera.settings.room) or camera.id for camera in cameras}


def roles_of(cameras: Sequence[Camera]) -> dict[str, CameraRole]:
    """What being seen by each camera means."""
    return {camera.id: camera.settings.role if camera.settings else CameraRole.CLASS for camera in cameras}


def timetable_of(config: Config, rooms: Mapping[str, str] | None = None) -> Timetable:
    """The timetable of ``config``; an empty one where it has none. Raises :class:`ConfigError`.

    ``rooms`` None: those of the cameras in ``config``.
    """
    if rooms is None:
        rooms = {camera.id: camera.room or camera.id for camera in config.cameras}
    if config.timetable is None:
        return Timetable(zone=config.zone(), rooms=rooms)
    return config.timetable.timetable(config.zone(), rooms)


def sync_rosters(config: Config, ledger: Ledger, day: date) -> dict[str, RosterChange]:
    """Bring the ledger's rosters to what the settings' table says; returns what changed, by class.

    Does nothing where no roster is configured, or where it stands in a worksheet. Raises :class:`ConfigError`.
    """
    rosters = read_rosters(config)
    changes = {class_id: ledger.school.set_roster(class_id, people, day) for class_id, people in rosters.items()}
    return {class_id: change for class_id, change in changes.items() if change != RosterChange()}


def read_rosters(config: Config) -> dict[str, list[RosterEntry]]:
    """Who belongs to which class, as the table or the gallery says it. Raises :class:`ConfigError`."""
    settings = config.timetable and config.timetable.rosters
    if not config.timetable or not settings:
        return {}
    if settings.csv is not None:
        return _rosters_in(settings.csv)
    if settings.everyone:
        classes = {session.class_id for session in timetable_of(config).sessions}
        templates = to_core(load_gallery(config.gallery)).templates
        everyone = [RosterEntry(person_id=template.person_id, name=template.name) for template in templates]
        return dict.fromkeys(sorted(classes), everyone)
    return {}


def settle(config: Config, ledger: Ledger, sinks: Sequence[str], now: datetime | None = None) -> list[RecordRow]:
    """Decide about all of the last month that has ended and is not closed yet; returns what has changed."""
    at = now or datetime.now(UTC)
    since = at - LOOK_BACK
    sync_rosters(config, ledger, at.astimezone(config.zone()).date())
    found = {(each.date, each.session): each for each in ledger.school.meetings(since, at, only_open=True)}
    closed = ledger.school.closed(since)
    timetable = timetable_of(config)
    # Of a session to which nobody came the ledger knows nothing yet but that its room was watched.
    for room, day in ledger.school.watched_days(since):
        begins_at = datetime.combine(day, time(), UTC)
        for meeting in timetable.between(begins_at, begins_at + timedelta(days=1)):
            if meeting.room == room and session_id(meeting.date, meeting.session) not in closed:
                found[meeting.date, meeting.session] = meeting
    in_order = sorted(found.values(), key=lambda meeting: (meeting.starts_at, meeting.session))
    return settle_all(ledger, in_order, at, sinks)


def _rosters_in(path: Path) -> dict[str, list[RosterEntry]]:
    table = read_table(path, ROSTER_COLUMNS, required=("class", "person_id"))
    return rosters_of(table)


def rosters_of(table: Table) -> dict[str, list[RosterEntry]]:
    """The rosters that ``table`` holds, by class. Raises :class:`ConfigError` with every fault and its line."""
    faults: list[tuple[int, str]] = []
    found: dict[str, list[RosterEntry]] = {}
    for line in table.lines:
        try:
            entry = _entry_of(line)
        except ValidationError as error:
            faults += [
                (line.number, f"{detail['loc'][0] if detail['loc'] else ''}: {_said(detail['type'], detail['msg'])}")
                for detail in error.errors(include_url=False)
            ]
            continue
        found.setdefault(entry.class_id, []).append(
            RosterEntry(
                person_id=entry.person_id,
                name=entry.name or entry.person_id,
                first_day=entry.first_day,
                last_day=entry.last_day,
            )
        )
    if faults:
        raise table.refusal(faults)
    return found


def _entry_of(line: Line) -> RosterLine:
    return RosterLine.model_validate({name: cell for name, cell in line.cells.items() if cell})


def _said(kind: str, message: str) -> str:
    return "is empty" if kind == "missing" else message
