"""For the tests of plugins: a fake one, and what every plugin must keep to."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from optimind.plugin_api import Event, Plugin, PluginContext, Settings, Sighting, TrackEnded

__all__ = ["FakePlugin", "PluginContract", "a_sighting", "a_track_ended"]

_START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def a_sighting(
    seconds: float = 1.0,
    *,
    track_id: str = "run-camera-1",
    person_id: str = "anna",
    name: str = "Anna",
    camera: str = "camera-1",
) -> Sighting:
    """A sighting of ``person_id`` from 08:00:00 UTC on 2026-09-01 until ``seconds`` later."""
    at = _START + timedelta(seconds=seconds)
    return Sighting(
        at=at,
        camera=camera,
        sighting_id=track_id,
        person_id=person_id,
        name=name,
        first_seen_at=_START,
        last_seen_at=at,
        similarity=0.7,
        margin=0.2,
        samples=3,
        embedder="fake",
        box=(0.0, 0.0, 80.0, 80.0),
    )


def a_track_ended(
    seconds: float = 1.0,
    *,
    track_id: str = "run-camera-1",
    person_id: str | None = "anna",
    camera: str = "camera-1",
) -> TrackEnded:
    """The end of a track that was seen from 08:00:00 UTC on 2026-09-01 until ``seconds`` later."""
    at = _START + timedelta(seconds=seconds)
    return TrackEnded(
        at=at, camera=camera, track_id=track_id, person_id=person_id, first_seen_at=_START, last_seen_at=at
    )


class FakePlugin(Plugin):
    """Remembers what it heard and answers nothing."""

    name: ClassVar[str] = "fake"
    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.closed = False

    @classmethod
    def create(cls, settings: Settings, context: PluginContext) -> Self:  # noqa: ARG003 - the protocol's signature
        """Make the plugin."""
        return cls()

    def handle(self, event: Event) -> Iterable[Event]:
        """Remember ``event``."""
        self.heard.append(event)
        return ()

    def close(self) -> Iterable[Event]:
        """Remember that it is over."""
        self.closed = True
        return ()


class PluginContract(abc.ABC):
    """What every plugin must keep to. Inherit, say which class, and let pytest collect your class."""

    plugin_type: ClassVar[type[Plugin]]

    def make(self) -> Plugin:
        """Make the plugin as the program does, with its default settings."""
        context = PluginContext(session="contract", timezone=ZoneInfo("UTC"))
        return self.plugin_type.create(self.plugin_type.settings_type(), context)

    def test_it_has_a_name_and_default_settings(self) -> None:
        """It can be switched on by its name alone."""
        assert self.plugin_type.name.isidentifier()
        assert issubclass(self.plugin_type.settings_type, Settings)
        assert isinstance(self.make(), Plugin)

    def test_it_ignores_events_of_a_kind_it_does_not_know(self) -> None:
        """New kinds of events must not break old plugins."""
        assert list(self.make().handle(Event(at=_START, camera="camera-1"))) == []

    def test_it_takes_every_event_in_any_order_and_answers_with_events(self) -> None:
        """An end may come without a beginning, and the same event twice."""
        plugin = self.make()
        for event in (a_track_ended(), a_sighting(), a_sighting(), a_sighting(2), a_track_ended(2, person_id=None)):
            assert all(isinstance(answer, Event) for answer in plugin.handle(event))
        assert all(isinstance(answer, Event) for answer in plugin.close())

    def test_two_of_it_share_nothing(self) -> None:
        """What one run saw is not known to the next."""
        first, second = self.make(), self.make()
        answers = [len(list(plugin.handle(a_sighting()))) for plugin in (first, second)]
        assert answers[0] == answers[1]
