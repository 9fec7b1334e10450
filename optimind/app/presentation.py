"""The check of presentation attacks that the settings switch on."""

from __future__ import annotations

from typing import Any

from optimind.config import Config
from optimind.discovery import Catalogue
from optimind.errors import ConfigError, PluginError
from optimind.pipeline.presentation import Presentation
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Settings

__all__ = ["configured_check", "presentation_of"]


def configured_check(config: Config, catalogue: Catalogue) -> tuple[type[Any], Settings] | None:
    """The class of the check that ``pad.check`` names, and its settings, checked; None where it is off.

    Raises :class:`ConfigError` where there is no such check, it cannot be used, or a setting is wrong.
    """
    name = config.pad_check
    if name is None:
        return None
    broken = [extension.name for extension in catalogue.broken]
    if name not in catalogue.names("pad") and name not in broken:
        raise config.unknown_name_error("check", name, ["off", *catalogue.names("pad")], ("pad", "check"))
    try:
        found = catalogue.get("pad", name)
    except PluginError as error:
        raise ConfigError(f"{config.located(('pad', 'check'))}: pad.check: {error.message}", mend=error.mend) from error
    return found, config.section(found.settings_type, ("pad",))


def presentation_of(chosen: tuple[type[Any], Settings] | None, stages: StageTimes) -> Presentation | None:
    """One camera's check, as :func:`configured_check` gave it. Raises :class:`EngineError` where it cannot be made."""
    if chosen is None:
        return None
    kind, settings = chosen
    return Presentation(kind.create(settings), stages=stages)
