"""The timetable as config.yaml describes it, the rosters behind it, and the settling of what has ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

from optimind.app.cameras import Camera
from optimind.config import Config
from optimind.core.registers import session_id
from optimind.core.timetable import CameraRole, Timetable
from optimind.pipeline.settling import settle_all
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger

__all__ = ["classes_of", "roles_of", "rooms_of", "settle", "timetable_of", "warn_of_empty_rooms"]

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=366)
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


def warn_of_empty_rooms(timetable: Timetable) -> None:
    """Say of which cameras nothing would be entered: in their rooms the timetable holds no session."""
    held_in = {session.room for session in timetable.sessions}
    for camera, room in timetable.rooms.items() if held_in else ():
        if room not in held_in:
            log.warning(
                "camera %s is in room %s, in which the timetable holds no session: whom it sees is entered only while "
                "a session that was started by hand goes on there; mend: give it a room: under cameras: (rooms with "
                "sessions: %s), or run with --session NAME",
                camera,
                room,
                ", ".join(sorted(held_in)),
            )


def classes_of(config: Config) -> list[str]:
    """The classes that have a session in the timetable, sorted. Raises :class:`ConfigError`."""
    return sorted({session.class_id for session in timetable_of(config).sessions})


def settle(config: Config, ledger: Ledger, sinks: Sequence[str], now: datetime | None = None) -> list[RecordRow]:
    """Decide about all of the last year that has ended and is not closed yet; returns what has changed.

    A session of which the ledger knows nothing, though one that ended later in its room is closed, stood in no
    timetable then: it is left alone, else a timetable that is changed would enter absences for all the time before.
    """
    at = now or datetime.now(UTC)
    since = at - LOOK_BACK
    found = {(each.date, each.session): each for each in ledger.school.meetings(since, at, only_open=True)}
    closed = ledger.school.closed(since)
    settled_until = ledger.school.settled_until(since)
    timetable = timetable_of(config)
    # Of a session to which nobody came the ledger knows nothing yet but that its room was watched.
    for room, day in ledger.school.watched_days(since):
        begins_at = datetime.combine(day, time(), UTC)
        for meeting in timetable.between(begins_at, begins_at + timedelta(days=1)):
            if meeting.room != room or (room in settled_until and meeting.ends_at <= settled_until[room]):
                continue
            if session_id(meeting.date, meeting.session) not in closed:
                found[meeting.date, meeting.session] = meeting
    in_order = sorted(found.values(), key=lambda meeting: (meeting.starts_at, meeting.session))
    return settle_all(ledger, in_order, at, sinks)
