"""What the settings name: the settings file itself, cameras, gallery, ledger, the spreadsheet.

The parts that are asked are imported only when they are, because they need installed packages.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimind.errors import ConfigError, EngineError, GalleryMismatch, GalleryMissing
from optimind.status.isolation import Task
from optimind.status.report import Item, failed_item

if TYPE_CHECKING:
    from optimind.config import CameraSettings, Config

__all__ = [
    "camera_items",
    "config_items",
    "engine_items",
    "gallery_items",
    "import_parts",
    "ledger_items",
    "sheets_items",
]

CAMERA_LIMIT_S = 6.0


def config_items(path: Path | None) -> tuple[list[Item], Config | None, bool]:
    """Load the settings. Returns the items, the settings where they load, and whether the file itself is wrong."""
    from optimind.config import load_config  # noqa: PLC0415  needs installed packages

    item = Item("config", str(path or "config.yaml"), "ok", "", "no faults")
    try:
        config = load_config(path)
        zone = config.zone().key
    except ConfigError as error:
        return [failed_item(item, error)], None, True
    except Exception as error:  # noqa: BLE001  even a mistake in OptiMind must not hide the rest of the check
        return [failed_item(item, error)], None, False
    count = len(config.cameras)
    cameras = "no camera" if not count else "1 camera" if count == 1 else f"{count} cameras"
    source = "" if config.label == item.name else f"{config.label}: "
    found = f"{source}{cameras}, engine {config.engine}, time zone {zone}"
    return [replace(item, found=found)], config, False


def engine_items(config: Config) -> Iterable[Item]:
    """An item for each fault of the keys ``engine``, ``engines`` and ``pad``; silent where there is none."""
    from optimind.app.presentation import configured_check, presentation_of  # noqa: PLC0415  needs installed packages
    from optimind.discovery import discover  # noqa: PLC0415  needs installed packages
    from optimind.engines import engine_faults  # noqa: PLC0415  needs installed packages
    from optimind.pipeline.stages import StageTimes  # noqa: PLC0415  needs installed packages

    catalogue = discover(config.plugins_folder)
    item = Item("config", "engine", "ok", "", "no faults")
    found = [failed_item(item, fault) for fault in engine_faults(config, catalogue)]
    try:
        # Its network may not be here.
        presentation_of(configured_check(config, catalogue), StageTimes())
    except (ConfigError, EngineError) as error:
        found.append(failed_item(replace(item, name="pad"), error))
    return found


def import_parts() -> Iterable[Item]:
    """Import OptiMind's own parts; silent where that works."""
    from optimind.app import evaluating, running  # noqa: F401, PLC0415  needs installed packages

    return []


def gallery_items(path: Path, config: Config) -> Iterable[Item]:
    """Whether the gallery loads, who is in it, and whether an engine can use it. None yet is no fault."""
    from optimind.engines import engine_for_gallery  # noqa: PLC0415  needs installed packages
    from optimind.gallery import load_gallery, to_core  # noqa: PLC0415  needs installed packages

    item = Item("gallery", path.name, "ok", "", "made by encode_faces.py", required=False)
    try:
        file = load_gallery(path, config.privacy.sealer())
        gallery = to_core(file)
    except GalleryMissing:
        return [replace(item, state="missing", found="not made yet", mend=_encode(path))]
    if not gallery.people:
        mend = f"put photographs into datasets/<person>/, then: {_encode(path)}"
        return [replace(item, state="missing", found="nobody is enrolled", mend=mend)]
    try:
        engine = engine_for_gallery(config, file)
    except (GalleryMismatch, EngineError) as error:
        return [replace(item, state="failed", found=error.message, mend=error.mend or "")]
    except ConfigError:  # the item of the engine says it
        return [replace(item, state="unknown", found="not looked at before the settings are in order")]
    people = "1 person" if gallery.people == 1 else f"{gallery.people} people"
    made = f"embedder {gallery.embedder}, engine {engine.name}"
    found = replace(item, found=f"{people}, {gallery.samples} samples, {made}")
    return [found, *_calibration_items(gallery.embedder)]


def _calibration_items(embedder_id: str) -> Iterable[Item]:
    """Whether the limit can follow ``recognition.fpir``; silent where it does."""
    from optimind.plugin_api import calibration_of  # noqa: PLC0415  needs installed packages

    item = Item("gallery", "calibration", "ok", "", f"one for {embedder_id}")
    try:
        if calibration_of(embedder_id) is not None:
            return []
    except EngineError as error:
        return [failed_item(item, error)]
    words = f"no calibration for {embedder_id}: the limit is the plain distance recognition.max_distance, and"
    found = f"{words} recognition.fpir is not used"
    return [replace(item, state="missing", found=found, mend="optimind models calibrate --faces DIR", required=False)]


def _encode(path: Path) -> str:
    """The command that makes the gallery at ``path``."""
    with contextlib.suppress(ValueError):
        path = path.absolute().relative_to(Path.cwd())
    usual = path == Path("encodings/gallery.pickle")
    return "python encode_faces.py" + ("" if usual else f" --output {shlex.quote(str(path))}")


def ledger_items(config: Config, data: Path | None) -> Iterable[Item]:
    """Whether the ledger opens. One that is not there yet is not made: that is the first run's work."""
    from optimind.app.configured import ledger_url  # noqa: PLC0415  needs installed packages
    from optimind.storage import ledger_file, open_ledger  # noqa: PLC0415  needs installed packages

    url = ledger_url(config, data)
    path = ledger_file(url)
    item = Item("ledger", "database", "ok", "", "opens")
    if path is not None:
        if not path.exists():
            return [replace(item, found=f"{path.name} is not made yet; the first run makes it")]
        item = replace(item, found=f"{path.name} opens")
    with open_ledger(url):
        return [replace(item, found=item.found or f"{re.split('[+:]', url)[0]} server answers")]


def sheets_items(config: Config) -> Iterable[Item]:
    """Whether the spreadsheet can be reached and written with the credentials."""
    from optimind.app.configured import make_sheets_sink  # noqa: PLC0415  needs installed packages

    item = Item("sheets", "spreadsheet", "ok", "", "optional: rows can be written", required=False)
    sink = make_sheets_sink(config)
    if sink is None:
        return [replace(item, found="not configured, nothing is sent")]
    try:
        said = sink.check()
        return [replace(item, found=str(said or "signed in; the worksheet and its header are there"))]
    finally:
        sink.close()


def camera_items(config: Config) -> Iterable[Item]:
    """Whether each camera opens and gives a picture, all asked at once.

    Cameras come and go, and the loop tries one that is away again all the time: so none of them is required.
    """
    wanted = f"a picture within {CAMERA_LIMIT_S:g} s"
    tasks = []
    for camera in config.cameras:
        item = Item("camera", camera.id, "ok", "", wanted, "check its power, its cable and its address", required=False)
        tasks.append(Task(item, CAMERA_LIMIT_S, _camera, item, camera, config.plugins_folder))
    return [item for task in tasks for item in task.items()]


def _camera(item: Item, camera: CameraSettings, plugins_folder: Path | None) -> Iterable[Item]:
    from optimind.app.cameras import make_source  # noqa: PLC0415  needs installed packages

    source = make_source(camera.id, camera.spec(), plugins_folder)
    try:
        source.open()
        frame = source.read()
    finally:
        source.close()
    if frame is None:
        return [replace(item, state="failed", found="opens, but holds no picture")]
    height, width = frame.image.shape[:2]
    return [replace(item, found=f"{width}x{height}, {source.name}", mend="")]
