"""config.yaml and docs/configuration.md say what the models say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from optimind.config import Config, load_config
from optimind.pad.onnx import OnnxSettings
from optimind.pad.passive import PassiveSettings
from optimind.plugin_api import Secret
from optimind.plugins.attendance import AttendanceSettings
from optimind.sinks.sheets import SheetsSettings
from optimind.sinks.webhook import WebhookSettings
from optimind.vision.arcface_engine import ArcFaceSettings
from optimind.vision.dlib_engine import DlibSettings
from optimind.vision.face_recognition_engine import HOG_WINDOW_PX, LARGEST_ENLARGEMENT

# A setting that is off: a # with no word behind a single blank.
OFF = re.compile(r"^#(?=\S|  )", re.MULTILINE)


def every_field(model: type[BaseModel] = Config, prefix: str = "") -> list[tuple[str, FieldInfo]]:
    found = []
    for python_name, field in model.model_fields.items():
        name = field.alias or python_name
        found.append((f"{prefix}{name}", field))
        dots = "[]." if has_list(field.annotation) else "."
        for group in groups_in(field):
            found += every_field(group, f"{prefix}{name}{dots}")
    return found


def groups_in(field: FieldInfo) -> list[type[BaseModel]]:
    kinds = parts_of(field.annotation)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Secret]


def parts_of(annotation: Any) -> list[Any]:
    """The annotation and all that it is made of."""
    return [annotation, *(part for argument in get_args(annotation) for part in parts_of(argument))]


def has_list(annotation: Any) -> bool:
    return any(get_origin(part) is list for part in parts_of(annotation))


def is_group(field: FieldInfo) -> bool:
    return field.annotation in groups_in(field)


# The settings of the extensions that come with OptiMind stand in the same file and on the same page.
EXTENSIONS: list[tuple[tuple[str, ...], type[BaseModel]]] = [
    (("plugins", "attendance"), AttendanceSettings),
    (("sheets",), SheetsSettings),
    (("sinks", "webhook"), WebhookSettings),
    (("engines", "dlib"), DlibSettings),
    (("engines", "arcface"), ArcFaceSettings),
    (("pad",), PassiveSettings),
    (("pad",), OnnxSettings),
]
FIELDS = dict(
    [
        *every_field(),
        *(field for path, model in EXTENSIONS for field in every_field(model, f"{'.'.join(path)}.")),
    ]
)


@pytest.fixture(scope="module")
def example(repository: Path) -> str:
    return (repository / "config.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def manual(repository: Path) -> str:
    return (repository / "docs/configuration.md").read_text(encoding="utf-8")


@pytest.fixture
def everything_on(example: str, tmp_path: Path) -> Config:
    """The example with all its settings switched on."""
    (tmp_path / "config.yaml").write_text(OFF.sub("", example), encoding="utf-8")
    return load_config(tmp_path / "config.yaml")


def default_of(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def words(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def range_of(key: str) -> str:
    """The range of a number, or of the length of a text, in words; empty where there is none."""
    names = ("ge", "gt", "le", "min_length", "max_length")
    bounds = {name: words(getattr(m, name)) for m in FIELDS[key].metadata for name in names if hasattr(m, name)}
    match bounds:
        case {"ge": least, "le": most}:
            return f"{least} to {most}"
        case {"gt": limit, "le": most}:
            return f"above {limit}, up to {most}"
        case {"min_length": least, "max_length": most}:
            return f"{least} to {most} characters"
    return ""


RANGES = [key for key in FIELDS if range_of(key)]


def test_the_example_is_right_as_it_is(repository: Path) -> None:
    config = load_config(repository / "config.yaml")
    assert [(camera.id, camera.source) for camera in config.cameras] == [("camera-1", 0)]
    assert not config.enabled("sink", "sheets")


def test_every_value_of_the_example_is_the_default(repository: Path) -> None:
    config = load_config(repository / "config.yaml")
    example = config.model_dump(exclude={"cameras", "plugins"})
    defaults = Config().model_dump(exclude={"cameras", "plugins"})
    for key in ("gallery", "data"):
        defaults[key] = repository / defaults[key]
    assert example == defaults
    assert config.enabled_names("plugin") == Config().enabled_names("plugin") == ["attendance"]
    assert config.section(AttendanceSettings, ("plugins", "attendance")) == AttendanceSettings()


def test_what_stands_behind_the_engines_is_what_holds_without_it(everything_on: Config) -> None:
    assert everything_on.section(DlibSettings, ("engines", "dlib")) == DlibSettings()
    assert everything_on.section(ArcFaceSettings, ("engines", "arcface")) == ArcFaceSettings()


def test_what_stands_behind_the_checks_is_what_holds_without_it(everything_on: Config, manual: str) -> None:
    assert everything_on.pad_check is None
    assert "| `pad.check` |" in manual
    written = {key: value for key, value in everything_on.pad.items() if key != "check"}
    defaults = {**PassiveSettings().model_dump(), **OnnxSettings().model_dump()}
    assert written == defaults


def test_the_example_with_everything_on(everything_on: Config, tmp_path: Path) -> None:
    assert [camera.id for camera in everything_on.cameras] == ["camera-1", "room-101", "room-102", "room-103"]
    assert isinstance(everything_on.cameras[2].source, Secret)
    assert [zone.kind for zone in everything_on.cameras[0].places()] == ["seat", "door", "ignore"]
    assert everything_on.cameras[0].in_out_line() is not None
    assert everything_on.enabled("sink", "sheets")
    sheets = everything_on.section(SheetsSettings, ("sheets",))
    assert sheets == SheetsSettings(spreadsheet=sheets.spreadsheet, credentials=sheets.credentials)
    assert set(everything_on.sheets or {}) == set(SheetsSettings.model_fields)
    assert everything_on.plugins_folder == tmp_path / "my-plugins"
    # What stands behind the # is what holds without it.
    assert everything_on.database_url() == f"sqlite:///{tmp_path / 'data/optimind.db'}"


@pytest.mark.parametrize("key", FIELDS)
def test_every_setting_is_in_the_example(key: str, everything_on: Config) -> None:
    # "cameras[].id" stands at ("cameras", 0, "id").
    path = tuple(0 if part == "[]" else part for part in key.replace("[]", ".[]").split("."))
    location = everything_on.located(path)
    line = int(location.rpartition(":")[2])
    text = everything_on.folder.joinpath("config.yaml").read_text().splitlines()[line - 1]
    assert re.search(rf"\b{path[-1]}:", text), (key, text)


@pytest.mark.parametrize("key", FIELDS)
def test_every_setting_is_in_the_manual_with_its_default(key: str, manual: str) -> None:
    rows = [row for row in manual.splitlines() if row.startswith(f"| `{key}` |")]
    if is_group(FIELDS[key]):
        assert not rows  # a group: its keys have the rows
        return
    assert len(rows) == 1, key
    shown = rows[0].split("|")[3].strip()
    default = default_of(FIELDS[key])
    if FIELDS[key].is_required():
        assert shown == "must be given"
    elif default in (None, [], {}, ""):
        assert shown in ("none", "off") or key == "storage.url"
    elif key == "plugins":
        assert shown == "".join(f"`{name}` alone" for name in default)
    else:
        assert shown == f"`{words(default)}`"


@pytest.mark.parametrize("key", RANGES)
def test_ranges_are_the_models(key: str, manual: str, example: str) -> None:
    limits = range_of(key)
    (row,) = [row for row in manual.splitlines() if row.startswith(f"| `{key}` |")]
    assert row.split("|")[4].strip() == limits
    name = key.rpartition(".")[2]
    lines = example.splitlines()
    end = next(number for number, line in enumerate(lines) if line.strip(" #").startswith(f"{name}:"))
    start = next(number for number in range(end, 0, -1) if not re.match(r"\s*#( |(  )+# )[A-Za-z]", lines[number - 1]))
    comment = " ".join(line.strip(" #") for line in lines[start:end])
    if name == "max_samples":
        limits = limits.replace("1", "min_samples", 1)
    assert re.search(rf"{re.escape(limits)}(?:\.0)?\b", comment), comment


def test_the_ranges_are_all_there() -> None:
    assert set(RANGES) == {
        key
        for key in FIELDS
        if key.startswith(("detection.", "recognition.", "visitors.", "privacy.keep_", "timetable.o"))
    } | {
        "plugins.attendance.session",
        "plugins.attendance.update_interval_s",
        "sheets.worksheet",
        "sheets.timeout_s",
        "sinks.webhook.batch",
        "sinks.webhook.timeout_s",
        "sheets.quota.reads_per_minute",
        "sheets.quota.writes_per_minute",
        "engines.dlib.threads",
        "engines.dlib.min_confidence",
        "engines.arcface.threads",
        "metrics.port",
        "pad.still_s",
        "pad.looks",
        "pad.threshold",
        "pad.threads",
    }


@pytest.mark.parametrize("name", ["config.yaml", "docs/configuration.md"])
def test_the_least_face_that_the_engine_finds_is_said(name: str, repository: Path) -> None:
    text = " ".join((repository / name).read_text(encoding="utf-8").replace("\n  #", " ").split())
    least_px = round(HOG_WINDOW_PX / LARGEST_ENLARGEMENT)
    assert re.search(rf"engine `?face_recognition`? finds no face below {least_px}\b", text)
