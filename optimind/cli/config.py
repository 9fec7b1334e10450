"""``config check`` and ``config show``: is the settings file right, and what does it come to."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import typer

from optimind.app.configured import configured
from optimind.app.presentation import configured_check
from optimind.app.rosters import read_rosters
from optimind.app.timetables import timetable_of
from optimind.cli.options import ConfigOption, JsonOption
from optimind.config import Config, load_config
from optimind.discovery import Catalogue, discover
from optimind.engines import engine_faults
from optimind.errors import ConfigError, OptiMindError, PluginError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Check config.yaml, or show the settings in effect.")


@app.command()
def check(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Name every fault of the settings file with its line, key and mend."""
    try:
        settings = load_config(config)
        _check_extensions(settings)
    except OptiMindError as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "errors": error.message.splitlines()}))
        raise
    if as_json:
        typer.echo(json.dumps({"ok": True, "errors": [], **_summary(settings)}))
    else:
        typer.echo(_sentence(settings))


@app.command()
def show(*, config: ConfigOption = None) -> None:
    """Print the settings in effect, defaults included and passwords left out."""
    # YAML is UTF-8, whatever the terminal's encoding is.
    typer.echo(load_config(config).shown().encode("utf-8", "backslashreplace"), nl=False)


def _check_extensions(settings: Config) -> None:
    """Check the engines, and the plugins, sinks and check that are on with their own settings classes."""
    if settings.plugins_folder is not None and not settings.plugins_folder.is_dir():
        raise ConfigError(
            f"{settings.located(('plugins_folder',))}: plugins_folder: {settings.plugins_folder} is not a folder",
            mend="create it or remove the setting",
        )
    faults = list(_faults(settings, discover(settings.plugins_folder)))
    if faults:
        raise ConfigError(
            "\n".join(fault.message for fault in faults),
            mend=next((fault.mend for fault in faults if fault.mend), ""),
        )


def _faults(settings: Config, catalogue: Catalogue) -> Iterator[OptiMindError]:
    yield from engine_faults(settings, catalogue)
    for kind in ("plugin", "sink"):
        for name in settings.enabled_names(kind):
            try:
                configured(settings, catalogue, kind, name)
            except PluginError as error:
                path = settings.path_of(kind, name)
                yield ConfigError(f"{settings.located(path)}: {'.'.join(path)}: {error.message}", mend=error.mend)
            except ConfigError as error:
                yield error
    looks = (partial(configured_check, settings, catalogue), partial(_read_tables, settings))
    for look in looks:
        try:
            look()
        except ConfigError as error:
            yield error


def _read_tables(settings: Config) -> None:
    """Read the files beside the settings: the timetable and the rosters."""
    timetable_of(settings)
    if settings.timetable and settings.timetable.rosters and settings.timetable.rosters.csv:
        read_rosters(settings)


def _summary(settings: Config) -> dict[str, Any]:
    return {
        "file": settings.label,
        "cameras": [camera.id for camera in settings.cameras],
        "engine": settings.engine,
        "plugins": settings.enabled_names("plugin"),
        "sinks": settings.enabled_names("sink"),
    }


def _sentence(settings: Config) -> str:
    count = len(settings.cameras)
    names = [f"{kind}s {', '.join(settings.enabled_names(kind)) or 'none'}" for kind in ("plugin", "sink")]
    parts = [f"{count} camera{'' if count == 1 else 's'}", f"engine {settings.engine}", *names]
    return f"{settings.label}: {'; '.join(parts)}: fine"
