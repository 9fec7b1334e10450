"""Which kind of source a camera's address is for."""

from __future__ import annotations

import logging
from pathlib import Path

from optimind.discovery import Catalogue, discover
from optimind.errors import SourceError
from optimind.plugin_api import Source

__all__ = ["make_source", "source_from"]

log = logging.getLogger(__name__)


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
