"""Attendance: who was seen is marked present, one record a person a session and date.

Where the face may be a picture (see docs/pad.md) the mark needs review instead; nobody is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar, Self

from pydantic import Field

from optimind.plugin_api import (
    AttendanceMarked,
    AttendanceStatus,
    Event,
    Plugin,
    PluginContext,
    Settings,
    Sighting,
    TrackEnded,
    session_date,
)

__all__ = ["AttendancePlugin", "AttendanceSettings"]


class AttendanceSettings(Settings):
    """``session`` names the session where the command line does not; ``update_interval_s`` is how often the time that a
    person was last seen is written while they stay in view (their arrival is written at once)."""

    session: str = Field(default="day", min_length=1, max_length=200)
    update_interval_s: float = Field(default=30.0, ge=1, le=3600)


class AttendancePlugin(Plugin):
    """Turns sightings into attendance marks."""

    name: ClassVar[str] = "attendance"
    settings_type: ClassVar[type[Settings]] = AttendanceSettings

    def __init__(self, settings: AttendanceSettings, context: PluginContext) -> None:
        self._session = context.session or settings.session
        self._zone = context.timezone
        self._update_every = timedelta(seconds=settings.update_interval_s)
        self._marked_at: dict[str, datetime] = {}
        self._waiting: dict[str, Sighting] = {}
        self._suspected: set[str] = set()

    @classmethod
    def create(cls, settings: AttendanceSettings, context: PluginContext) -> Self:
        """Make the plugin."""
        return cls(settings, context)

    def handle(self, event: Event) -> Iterable[Event]:
        """A sighting is marked at its first, when it is suspected, at most every ``update_interval_s``, at its end."""
        if isinstance(event, Sighting):
            return self._sighted(event)
        if isinstance(event, TrackEnded):
            return self._ended(event)
        return ()

    def close(self) -> Iterable[Event]:
        """Mark what was still waiting."""
        waiting, self._waiting = self._waiting, {}
        return [self._mark(sighting) for sighting in waiting.values()]

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
        return [self._mark(sighting)]

    def _ended(self, track: TrackEnded) -> list[Event]:
        self._marked_at.pop(track.track_id, None)
        self._suspected.discard(track.track_id)
        last = self._waiting.pop(track.track_id, None)
        return [self._mark(last)] if last else []

    def _mark(self, sighting: Sighting) -> AttendanceMarked:
        return AttendanceMarked(
            at=sighting.at,
            camera=sighting.camera,
            date=session_date(sighting.first_seen_at, self._zone),
            session=self._session,
            status=AttendanceStatus.NEEDS_REVIEW if sighting.suspicion else AttendanceStatus.PRESENT,
            sighting=sighting,
        )
