"""Plugins are isolated from the loop and from each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import ClassVar, Self

import pytest

from optimind.pipeline.host import PluginHost
from optimind.plugin_api import Event, Plugin, PluginContext, Settings

EVENT = Event(at=datetime(2026, 9, 1, tzinfo=UTC), camera="c")
OTHER = Event(at=datetime(2026, 9, 2, tzinfo=UTC), camera="c")


class Scripted(Plugin):
    """A plugin that answers as the test says."""

    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self, name: str, answer: Callable[[Event], Iterable[Event]], last: Iterable[Event] = ()) -> None:
        self.name = name
        self.heard: list[Event] = []
        self._answer = answer
        self._last = last

    @classmethod
    def create(cls, settings: Settings, context: PluginContext) -> Self:
        raise AssertionError("made by the test")

    def handle(self, event: Event) -> Iterable[Event]:
        self.heard.append(event)
        return self._answer(event)

    def close(self) -> Iterable[Event]:
        return self._last


def fail(_: Event) -> Iterable[Event]:
    raise RuntimeError("broken")


def fail_late(_: Event) -> Iterable[Event]:
    yield OTHER
    raise RuntimeError("broken later")


def test_what_a_plugin_returns_goes_to_the_others_and_out() -> None:
    out: list[Event] = []
    first = Scripted("first", lambda event: [OTHER] if event is EVENT else [])
    second = Scripted("second", lambda _: ())
    PluginHost([first, second], out.append).dispatch([EVENT])
    assert first.heard == [EVENT]
    assert second.heard == [EVENT, OTHER]
    assert out == [OTHER]


@pytest.mark.parametrize("broken", [fail, fail_late])
def test_a_plugin_that_raises_harms_nobody_and_is_switched_off(
    broken: Callable[[Event], Iterable[Event]], caplog: pytest.LogCaptureFixture
) -> None:
    out: list[Event] = []
    bad, good = Scripted("bad", broken), Scripted("good", lambda _: ())
    host = PluginHost([bad, good], out.append)
    host.dispatch([EVENT] * 8)
    assert len(bad.heard) == 5
    assert len(good.heard) == 8
    assert (host.states[0].failures, host.states[0].switched_off) == (5, True)
    assert "broken" in host.states[0].last_error
    assert "bad is switched off after 5" in caplog.text
    assert out == []


def test_a_success_in_between_keeps_a_plugin_on() -> None:
    turns = iter(range(100))

    def sometimes(event: Event) -> Iterable[Event]:
        if next(turns) % 4:
            raise RuntimeError("three of four")
        return ()

    host = PluginHost([Scripted("moody", sometimes)], lambda _: None)
    host.dispatch([EVENT] * 40)
    assert not host.states[0].switched_off
    assert host.states[0].failures == 30


def test_plugins_that_answer_each_other_for_ever_are_stopped(caplog: pytest.LogCaptureFixture) -> None:
    ping, pong = Scripted("ping", lambda _: [EVENT]), Scripted("pong", lambda _: [EVENT])
    PluginHost([ping, pong], lambda _: None).dispatch([EVENT])
    assert "without end" in caplog.text
    assert len(ping.heard) < 20_000


def test_last_words_reach_those_that_are_still_open() -> None:
    out: list[Event] = []
    first, second = Scripted("first", lambda _: (), [OTHER]), Scripted("second", lambda _: ())
    PluginHost([first, second], out.append).close()
    assert second.heard == [OTHER]
    assert out == [OTHER]
