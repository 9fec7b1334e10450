"""The library status check: what is installed, what works, and how to mend what does not.

It runs with the standard library alone; whatever needs packages is looked at only once they are found to be in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from optimind.status.cvzone_api import cvzone_items, find_modules
from optimind.status.imports import try_imports
from optimind.status.installation import (
    camera_items,
    config_items,
    engine_items,
    gallery_items,
    import_parts,
    ledger_items,
    sheets_items,
)
from optimind.status.isolation import Task
from optimind.status.machine import clock_items, disk_items, python_items
from optimind.status.newest import index_url, newest_releases
from optimind.status.packages import INSTALL, install_command, module_of, package_items, requirements
from optimind.status.report import Item, Report
from optimind.status.weights import model_items, weight_items

if TYPE_CHECKING:
    from optimind.config import Config

__all__ = ["INSTALL", "Item", "Report", "install_command", "run_checks"]

_IMPORT_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 15.0


def run_checks(
    config_path: Path | None = None,
    *,
    quick: bool = False,
    gallery: Path | None = None,
    data: Path | None = None,
) -> Report:
    """Look at everything and say what was found; never raises for what it finds.

    ``config_path`` None takes config.yaml in this folder, if there is one. ``quick``, for every start of the loop,
    leaves out what takes long or what the loop does next anyway: importing, asking the index, cameras, ledger,
    spreadsheet.
    ``gallery`` and ``data`` replace what the settings say.
    """
    found = _finished(
        [
            Task(Item("python", "Python", "ok"), _ANSWER_LIMIT_S, python_items),
            Task(Item("package", "packages", "ok"), _IMPORT_LIMIT_S + _ANSWER_LIMIT_S, _packages, quick),
            Task(Item("cvzone", "cvzone", "ok", required=False), _IMPORT_LIMIT_S + _ANSWER_LIMIT_S, _cvzone, quick),
            Task(Item("model", "weights", "ok"), _IMPORT_LIMIT_S, lambda: weight_items(trust_known=quick)),
        ]
    )
    if any(item.group in ("python", "package") and not item.healthy for item in found):
        # Importing OptiMind's own parts now could fail in confusing ways, or crash.
        words = "not looked at before the packages are in order"
        found += [Item(name, name, "unknown", words) for name in ("config", "gallery", "ledger", "camera", "sheets")]
        return Report(tuple(found + _machine(data or Path("data"))))
    arcface = Item("model", "arcface", "ok", required=False)
    found += _finished([Task(arcface, _IMPORT_LIMIT_S, lambda: model_items(trust_known=quick))])
    settings, config, wrong = config_items(config_path)
    found += settings
    if config is None:
        return Report(tuple(found + _machine(data or Path("data"))), config_wrong=wrong)
    engines = Task(Item("config", "engine", "ok"), _IMPORT_LIMIT_S, engine_items, config).items()
    found += engines + _configured(config, gallery or config.gallery, data, quick=quick)
    wrong = any(not item.healthy for item in engines)
    return Report(tuple(found + _machine(data or config.data, config.zone().key)), config_wrong=wrong)


def _finished(tasks: Iterable[Task]) -> list[Item]:
    return [item for task in tasks for item in task.items()]


def _configured(config: Config, gallery: Path, data: Path | None, *, quick: bool) -> list[Item]:
    """What the settings name."""
    tasks = [Task(Item("gallery", gallery.name, "ok"), _ANSWER_LIMIT_S, gallery_items, gallery, config)]
    if quick:
        return _finished(tasks)
    # Before the threads, so that they do not import it all at the same time.
    parts = Task(Item("package", "optimind", "ok"), _IMPORT_LIMIT_S, import_parts).items()
    if not parts:
        sheets = Item("sheets", "spreadsheet", "ok", wanted="optional: rows can be written", required=False)
        tasks += [
            Task(Item("ledger", "database", "ok", wanted="opens"), _ANSWER_LIMIT_S, ledger_items, config, data),
            Task(Item("camera", "cameras", "ok", required=False), _ANSWER_LIMIT_S, camera_items, config),
            Task(sheets, _ANSWER_LIMIT_S, sheets_items, config),
        ]
    return parts + _finished(tasks)


def _machine(data: Path, zone: str | None = None) -> list[Item]:
    return _finished(
        [
            Task(Item("disk", "data folder", "ok"), _ANSWER_LIMIT_S, disk_items, data),
            Task(Item("clock", "time", "ok", required=False), _ANSWER_LIMIT_S, clock_items, zone),
        ]
    )


def _packages(quick: bool) -> Iterable[Item]:
    if quick:
        return package_items({}, lambda _name: None)
    names = [requirement.name for requirement in requirements()]
    newest: dict[str, str] = {}  # filled while the imports are tried
    asking = Task(Item("package", "index", "ok"), _ANSWER_LIMIT_S, _ask_index, names, newest)
    imports = try_imports([module_of(name) for name in names], _IMPORT_LIMIT_S)
    asking.items()
    return package_items(imports, newest.get)


def _ask_index(names: list[str], newest: dict[str, str]) -> Iterable[Item]:
    url = index_url()
    if url:
        newest.update(newest_releases(names, url))
    return []


def _cvzone(quick: bool) -> Iterable[Item]:
    modules = find_modules()
    imports = {} if quick else try_imports([module.name for module in modules], _IMPORT_LIMIT_S)
    return cvzone_items(modules, imports)
