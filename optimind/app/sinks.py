"""The sinks that config.yaml switches on."""

from __future__ import annotations

from optimind.app.configured import configured
from optimind.config import Config
from optimind.discovery import Catalogue, discover
from optimind.plugin_api import Sink

__all__ = ["enabled_sinks"]


def enabled_sinks(config: Config, catalogue: Catalogue | None = None) -> list[Sink]:
    """Make them; nothing is connected yet. Raises :class:`ConfigError` or PluginError where one is wrong.

    ``catalogue`` None: what is found anew.
    """
    catalogue = catalogue or discover(config.plugins_folder)
    found = [configured(config, catalogue, "sink", name) for name in config.enabled_names("sink")]
    return [kind.create(settings) for kind, settings in found]
