"""What the settings name: extensions with their own settings, the Sheets sink, and where the ledger is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimind.config import Config, sqlite_url
from optimind.core.identification import IdentificationLimits
from optimind.discovery import Catalogue, discover
from optimind.plugin_api import Settings

__all__ = ["configured", "ledger_url", "limits_of", "make_sheets_sink"]


def make_sheets_sink(config: Config) -> Any | None:
    """The Sheets sink as ``sheets:`` in config.yaml describes it; None where that is absent. Raises ConfigError."""
    if not config.enabled("sink", "sheets"):
        return None
    kind, settings = configured(config, discover(config.plugins_folder), "sink", "sheets")
    return kind.create(settings)


def configured(config: Config, catalogue: Catalogue, kind: str, name: str) -> tuple[type[Any], Settings]:
    """The class of the ``plugin`` or ``sink`` (``kind``) called ``name``, and its settings, checked.

    Raises :class:`ConfigError` where nothing is called so or a setting is wrong, and PluginError where the class
    cannot be used.
    """
    broken = [extension.name for extension in catalogue.broken]
    if name not in catalogue.names(kind) and name not in broken:
        raise config.unknown_name_error(kind, name, catalogue.names(kind))
    found = catalogue.get(kind, name)
    return found, config.section(found.settings_type, config.path_of(kind, name))


def limits_of(config: Config, *, min_samples: int) -> IdentificationLimits:
    """What it takes to be recognised, by at least ``min_samples`` pictures."""
    recognition = config.recognition
    return IdentificationLimits(
        max_distance=recognition.max_distance,
        fpir=recognition.fpir,
        min_margin=recognition.min_margin,
        min_samples=min_samples,
    )


def ledger_url(config: Config, data: Path | None = None) -> str:
    """Where the ledger is: in the folder ``data`` when given, else where the settings say."""
    return config.database_url() if data is None else sqlite_url(data.resolve() / "optimind.db")
