"""Runs the plugins: hands them events, takes what they return, and keeps one that fails from harming anything else."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from optimind.plugin_api import Event, Plugin

__all__ = ["PluginHost", "PluginState"]

log = logging.getLogger(__name__)

_FAILURES_BEFORE_OFF = 5
_MOST_EVENTS_AT_ONCE = 10_000


@dataclass(slots=True)
class PluginState:
    """How a plugin is doing. ``failures`` counts all, ``in_a_row`` those since it last succeeded."""

    plugin: Plugin
    failures: int = 0
    in_a_row: int = 0
    last_error: str = ""
    switched_off: bool = False
    closed: bool = False

    @property
    def is_on(self) -> bool:
        """Whether it still hears of events."""
        return not (self.switched_off or self.closed)


class PluginHost:
    """Gives every event to every plugin; what they return goes to the others and to ``deliver``."""

    def __init__(self, plugins: Sequence[Plugin], deliver: Callable[[Event], None]) -> None:
        self.states = [PluginState(plugin) for plugin in plugins]
        self._deliver = deliver

    def dispatch(self, events: Iterable[Event]) -> None:
        """Hand ``events``, and what follows from them, to the plugins; returns when all is said."""
        queue: deque[tuple[Event, PluginState | None]] = deque((event, None) for event in events)
        handled = 0
        while queue:
            event, sender = queue.popleft()
            handled += 1
            if handled > _MOST_EVENTS_AT_ONCE:
                log.error("plugins answer each other without end; %d events are left out", len(queue) + 1)
                return
            for state in self.states:
                if state.is_on and state is not sender:
                    queue.extend(self._take(state, functools.partial(state.plugin.handle, event)))

    def close(self) -> None:
        """End the run: each plugin says its last, and the others hear it."""
        for state in self.states:
            if state.is_on:
                queue = self._take(state, state.plugin.close)
                state.closed = True
                self.dispatch(event for event, _ in queue)

    def _take(self, state: PluginState, call: Callable[[], Iterable[Event]]) -> list[tuple[Event, PluginState | None]]:
        try:
            # A generator runs here and not later, so that what it raises is this plugin's.
            answers = list(call())
            for event in answers:
                self._deliver(event)
        except (Exception, SystemExit) as error:
            state.failures += 1
            state.in_a_row += 1
            state.last_error = f"{type(error).__name__}: {error}"
            log.warning("plugin %s failed: %s", state.plugin.name, state.last_error, exc_info=log.isEnabledFor(10))
            if state.in_a_row >= _FAILURES_BEFORE_OFF:
                state.switched_off = True
                log.error(  # noqa: TRY400 - the traceback was logged just above where debugging is on
                    "plugin %s is switched off after %d failures in a row", state.plugin.name, state.in_a_row
                )
            return []
        state.in_a_row = 0
        return [(event, state) for event in answers]
