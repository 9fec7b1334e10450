"""Attendance: who was seen is marked, one record a person a session and date.

With a timetable a sighting counts for the sessions that are held in the camera's room at that time, and the rules of
these decide what it makes of the person; without one, everybody who is seen was present. Where the face may be a
picture (see docs/pad.md) the mark needs review instead; nobody is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field

from optimind.plugin_api import (
    AttendanceMarked,
    AttendanceStatus,
    CameraRole,
    Event,
    LineCrossed,
    Plugin,
    PluginContext,
    Settings,
    Sighting,
    TrackEnded,
    session_date,
)

__all__ = ["AttendancePlugin", "AttendanceSettings"]

Kind = Literal["seen", "in", "out"]
_KINDS: dict[CameraRole, Kind] = {CameraRole.CHECK_IN: "in", CameraRole.CHECK_OUT: "out"}


class AttendanceSettings(Settings):
    """``session`` names the session where neither the command line nor a timetable does; ``update_interval_s`` is how
    often the time that a person was last seen is written while they stay in view (their arrival is written at once)."""

    session: str = Field(default="day", min_length=1, max_length=200)
    update_interval_s: float = Field(default=30.0, ge=1, le=3600)


class AttendancePlugin(Plugin):
    """Turns sightings into attendance marks."""

    name: ClassVar[str] = "attendance"
    settings_type: ClassVar[type[Settings]] = AttendanceSettings

    def __init__(self, settings: AttendanceSettings, context: PluginContext) -> None:
        self._session = context.session or settings.session
        self._context = context
        self._update_every = timedelta(seconds=settings.update_interval_s)
        self._marked_at: dict[str, datetime] = {}
        self._waiting: dict[str, Sighting] = {}
        self._suspected: set[str] = set()
        # Of tracks in front of a door: who they are, and when they crossed while that was not known yet.
        self._known: dict[str, Sighting] = {}
        self._crossed: dict[str, list[LineCrossed]] = {}

    @classmethod
    def create(cls, settings: AttendanceSettings, context: PluginContext) -> Self:
        """Make the plugin."""
        return cls(settings, context)

    def handle(self, event: Event) -> Iterable[Event]:
        """A sighting is marked at its first, when it is suspected, at most every ``update_interval_s``, at its end.

        In front of a door it is who crosses its line that is marked, at that moment.
        """
        if isinstance(event, LineCrossed):
            return self._crossing(event) if self._is_door(event) else ()
        if isinstance(event, Sighting):
            return self._at_door(event) if self._is_door(event) else self._sighted(event)
        if isinstance(event, TrackEnded):
            return self._ended(event)
        return ()

    def close(self) -> Iterable[Event]:
        """Mark what was still waiting."""
        waiting, self._waiting = self._waiting, {}
        return [mark for sighting in waiting.values() for mark in self._marks(sighting)]

    def _sighted(self, sighting: Sighting) -> list[Event]:
        marked_at = self._marked_at.get(sighting.sighting_id)
        is_known = not sighting.suspicion or sighting.sighting_id in self._suspected
        if marked_at is not None and is_known and sighting.at - marked_at < self._update_every:
            self._waiting[sighting.sighting_id] = sighting
            return []
        self._waiting.pop(sighting.sighting_id, None)
        self._marked_at[sighting.sighting_id] = sighting.at
        if sighting.suspicion:
            self._suspected.add(sighting.sighting_id)
        return list(self._marks(sighting))

    def _ended(self, track: TrackEnded) -> list[Event]:
        self._marked_at.pop(track.track_id, None)
        self._suspected.discard(track.track_id)
        self._known.pop(track.track_id, None)
        self._crossed.pop(track.track_id, None)
        last = self._waiting.pop(track.track_id, None)
        return list(self._marks(last)) if last else []

    # -- doors

    def _is_door(self, event: Event) -> bool:
        # A session that is named on the command line outweighs the timetable.
        by_timetable = self._context.has_timetable and self._context.session is None
        return by_timetable and self._context.roles.get(event.camera) is CameraRole.DOOR

    def _crossing(self, crossing: LineCrossed) -> list[Event]:
        sighting = self._known.get(crossing.track_id)
        if sighting is None:
            self._crossed.setdefault(crossing.track_id, []).append(crossing)
            return []
        return list(self._crossing_marks(sighting, crossing))

    def _at_door(self, sighting: Sighting) -> list[Event]:
        self._known[sighting.sighting_id] = sighting
        crossings = self._crossed.pop(sighting.sighting_id, [])
        return [mark for crossing in crossings for mark in self._crossing_marks(sighting, crossing)]

    def _crossing_marks(self, sighting: Sighting, crossing: LineCrossed) -> Iterator[AttendanceMarked]:
        then = replace(sighting, at=crossing.at, first_seen_at=crossing.at, last_seen_at=crossing.at)
        return self._in_meetings(then, crossing.direction)

    # -- marks

    def _marks(self, sighting: Sighting) -> Iterator[AttendanceMarked]:
        found = False
        if self._context.session is None:
            kind = _KINDS.get(self._context.roles.get(sighting.camera, CameraRole.CLASS), "seen")
            for mark in self._in_meetings(sighting, kind):
                found = True
                yield mark
        if found or (self._context.has_timetable and self._context.session is None):
            return
        yield AttendanceMarked(
            at=sighting.at,
            camera=sighting.camera,
            date=session_date(sighting.first_seen_at, self._context.timezone),
            session=self._session,
            status=_status_of(sighting),
            sighting=sighting,
        )

    def _in_meetings(self, sighting: Sighting, kind: Kind) -> Iterator[AttendanceMarked]:
        """A mark for each meeting of that room and time: a face that stays while one ends counts for the next too."""
        last_at = sighting.last_seen_at if kind == "seen" else sighting.first_seen_at
        for meeting in self._context.meetings(sighting.camera, sighting.first_seen_at, last_at):
            yield AttendanceMarked(
                at=sighting.at,
                camera=sighting.camera,
                date=meeting.date,
                session=meeting.session,
                status=_status_of(sighting),
                sighting=sighting,
                kind=kind,
                meeting=meeting,
            )


def _status_of(sighting: Sighting) -> AttendanceStatus:
    return AttendanceStatus.NEEDS_REVIEW if sighting.suspicion else AttendanceStatus.PRESENT
