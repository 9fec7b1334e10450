"""Which cameras are meant, and which kind of source a camera's address is for."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optimind.config import CameraSettings, Config
from optimind.discovery import Catalogue, discover
from optimind.errors import ConfigError, SourceError, UsageError
from optimind.plugin_api import Source

__all__ = ["Camera", "cameras_of", "make_source", "source_from"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera by its id and address; ``settings`` None: it is not in config.yaml. The address may hold a password."""

    id: str
    spec: str
    settings: CameraSettings | None = None


def cameras_of(config: Config, sources: Sequence[str]) -> list[Camera]:
    """The cameras that ``sources`` of the command line name, by id or address; those of ``config`` where it is empty.

    Raises :class:`UsageError` or :class:`ConfigError` where there is none, or an address cannot be had.
    """
    places = {camera.id: place for place, camera in enumerate(config.cameras)}
    if not sources:
        if not places:
            raise ConfigError(
                "no camera is configured", mend="add one under cameras: in config.yaml, or call with --source"
            )
        return [_configured(config, place) for place in places.values()]
    if not all(text.strip() for text in sources):
        raise UsageError("a --source is empty", mend="name a device number, a path, a URL or a camera's id")
    if len(set(sources)) < len(sources):
        raise UsageError("a --source is named twice", mend="name each once")
    # The id of a configured camera stands for it; anything else is an address of its own, under an id that is free.
    free = (camera for number in itertools.count(1) if (camera := f"camera-{number}") not in sources)
    return [_configured(config, places[text]) if text in places else Camera(next(free), text) for text in sources]


def _configured(config: Config, place: int) -> Camera:
    """The camera at ``place`` in the settings. Raises :class:`ConfigError` where its address cannot be had."""
    camera = config.cameras[place]
    try:
        return Camera(camera.id, camera.spec(), camera)
    except ConfigError as error:
        where = config.located(("cameras", place, "source"))
        raise ConfigError(f"{where}: {error.message}", mend=error.mend) from error


def make_source(camera: str, spec: str, plugins_folder: Path | None = None) -> Source:
    """The source that accepts ``spec``. Raises :class:`SourceError` where none or several do."""
    return source_from(discover(plugins_folder), camera, spec)


def source_from(catalogue: Catalogue, camera: str, spec: str) -> Source:
    """The source in ``catalogue`` that accepts ``spec``. Raises :class:`SourceError` as :func:`make_source` does."""
    takers: list[type[Source]] = [kind for kind in catalogue.of_kind("source") if _accepts(kind, spec)]
    if len(takers) > 1:
        # A file is what no other kind takes.
        takers = [kind for kind in takers if kind.name != "file"]
    if len(takers) > 1:
        # A kind that somebody brings for addresses that a built-in one takes too is meant to take its place.
        takers = [kind for kind in takers if not kind.__module__.startswith("optimind.sources.")]
    if len(takers) != 1:
        known = ", ".join(catalogue.names("source"))
        raise SourceError(
            f"camera {camera}: {'no' if not takers else 'more than one'} kind of source takes this address",
            mend=f"kinds of sources here: {known}; `plugins list` shows where each comes from",
        )
    return takers[0].create(camera, spec)


def _accepts(kind: type[Source], spec: str) -> bool:
    try:
        return kind.accepts(spec)
    except Exception as error:  # noqa: BLE001 - one broken kind of source must not stop the cameras of another
        log.warning("source %s (%s) is left out: its accepts failed: %s", kind.name, kind.__module__, error)
        return False
