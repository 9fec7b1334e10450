"""Time zones by name, and the one that this machine is set to."""

import contextlib
import os
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

__all__ = ["known_zones", "local_zone", "zone_of"]


def zone_of(name: str) -> ZoneInfo | None:
    """The zone called ``name`` (``Europe/Berlin``); None where there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):  # a name outside the database, a folder in it
        return None


def known_zones() -> set[str]:
    """The names of all zones. Reads many files: for messages only."""
    return zoneinfo.available_timezones()


def local_zone(environ: Mapping[str, str] = os.environ, etc: Path = Path("/etc")) -> ZoneInfo:
    """The machine's zone: what ``TZ`` names, else ``/etc/timezone``, else ``/etc/localtime``, else UTC."""
    for name in _names(environ, etc):
        zone = zone_of(name)
        if zone is not None:
            return zone
    try:
        # A container often has the host's file under this name, and nothing that names it.
        with (etc / "localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (ValueError, OSError):
        return ZoneInfo("UTC")


def _names(environ: Mapping[str, str], etc: Path) -> Iterator[str]:
    if "TZ" in environ:
        yield _name_of_path(environ["TZ"].removeprefix(":")) or "UTC"
    with contextlib.suppress(ValueError, OSError):
        yield (etc / "timezone").read_text(encoding="utf-8").strip()
    with contextlib.suppress(OSError):
        yield _name_of_path(str((etc / "localtime").readlink()))


def _name_of_path(text: str) -> str:
    """``/usr/share/zoneinfo/Europe/Berlin`` is ``Europe/Berlin``."""
    return text.rpartition("zoneinfo/")[2]
