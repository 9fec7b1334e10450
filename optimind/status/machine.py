"""The machine: its Python, its disk, its clock."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from optimind.status.packages import ROOT
from optimind.status.report import Item

__all__ = ["clock_items", "disk_items", "python_items"]

_LEAST_PYTHON = (3, 11)
_LEAST_FREE_MB = 500
_DAY_S = 86400.0


def python_items() -> Iterable[Item]:
    """Whether this Python is new enough."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    wanted = ">=" + ".".join(str(part) for part in _LEAST_PYTHON)
    if sys.version_info[:2] >= _LEAST_PYTHON:
        yield Item("python", "Python", "ok", found, wanted)
    else:
        mend = f"install Python {_LEAST_PYTHON[0]}.{_LEAST_PYTHON[1]} or newer, then: make setup"
        yield Item("python", "Python", "outdated", found, wanted, mend)


def disk_items(folder: Path) -> Iterable[Item]:
    """Whether the disk of the data folder has room; a folder that is not there yet is asked for its parent's disk."""
    folder = folder.absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free_mb = shutil.disk_usage(there).free / 1e6
    found = f"{free_mb / 1000:.1f} GB free for {folder.name}/"
    wanted = f"{_LEAST_FREE_MB} MB free"
    if free_mb >= _LEAST_FREE_MB:
        yield Item("disk", "data folder", "ok", found, wanted)
    else:
        mend = "delete what is not needed on this disk, or name a folder on another one under data: in config.yaml"
        yield Item("disk", "data folder", "failed", f"{free_mb:.0f} MB free for {folder.name}/", wanted, mend)


def clock_items(zone: str | None = None, now_s: float | None = None) -> Iterable[Item]:
    """Whether the clock may be right: a machine without a battery clock starts in the past.

    ``zone`` is the register's time zone, ``now_s`` the time in seconds since 1970 (default: the clock's).
    """
    now_s = time.time() if now_s is None else now_s
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s)) + (f", register in {zone}" if zone else "")
    newest_s = max(file.stat().st_mtime for file in (ROOT / "optimind").glob("*.py"))
    wanted = "not before OptiMind was installed"
    if now_s >= newest_s - _DAY_S:
        yield Item("clock", "time", "ok", shown, wanted, required=False)
    else:
        mend = "set the clock (timedatectl set-ntp true); until then every mark would carry a wrong date"
        yield Item("clock", "time", "failed", shown, wanted, mend, required=False)
