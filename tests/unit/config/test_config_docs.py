"""config.yaml and docs/configuration.md say what the models say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from optimind.config import CameraSettings, Config, load_config
from optimind.plugin_api import Secret

# A setting that is off: a # with no word behind a single blank.
OFF = re.compile(r"^#(?=\S|  )", re.MULTILINE)


def every_field(model: type[BaseModel] = Config, prefix: str = "") -> list[tuple[str, FieldInfo]]:
    found = []
    for name, field in model.model_fields.items():
        found.append((f"{prefix}{name}", field))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += every_field(field.annotation, f"{prefix}{name}.")
        if CameraSettings in get_args(field.annotation):
            found += every_field(CameraSettings, f"{prefix}{name}[].")
    return found


FIELDS = dict(every_field())


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
    return f"{value:g}" if isinstance(value, float) else str(value)


def limits_of(key: str) -> tuple[str, str] | None:
    """The least and most of a number, in words."""
    bounds = {name: getattr(m, name) for m in FIELDS[key].metadata for name in ("ge", "le") if hasattr(m, name)}
    return (words(bounds["ge"]), words(bounds["le"])) if len(bounds) == 2 else None


NUMBERS = [key for key in FIELDS if limits_of(key)]


def test_the_example_is_right_as_it_is(repository: Path) -> None:
    config = load_config(repository / "config.yaml")
    assert [(camera.id, camera.source) for camera in config.cameras] == [("camera-1", 0)]
    assert not config.enabled("sink", "sheets")


def test_every_value_of_the_example_is_the_default(repository: Path) -> None:
    example = load_config(repository / "config.yaml").model_dump(exclude={"cameras"})
    defaults = Config().model_dump(exclude={"cameras"})
    for key in ("gallery", "data"):
        defaults[key] = repository / defaults[key]
    assert example == defaults


def test_the_example_with_everything_on(everything_on: Config, tmp_path: Path) -> None:
    assert [camera.id for camera in everything_on.cameras] == ["camera-1", "room-101", "room-102", "room-103"]
    assert isinstance(everything_on.cameras[2].source, Secret)
    assert everything_on.enabled("sink", "sheets")
    assert set(everything_on.sheets or {}) == {"spreadsheet", "credentials", "endpoint"}
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
    if any(other.startswith(f"{key}.") for other in FIELDS):
        assert not rows  # a group: its keys have the rows
        return
    assert len(rows) == 1, key
    shown = rows[0].split("|")[3].strip()
    default = default_of(FIELDS[key])
    if FIELDS[key].is_required():
        assert shown == "must be given"
    elif default in (None, [], {}):
        assert shown in ("none", "off") or key == "storage.url"
    elif key == "plugins":
        assert shown == "".join(f"`{name}` alone" for name in default)
    else:
        assert shown == f"`{words(default)}`"


@pytest.mark.parametrize("key", NUMBERS)
def test_ranges_are_the_models(key: str, manual: str, example: str) -> None:
    limits = limits_of(key)
    assert limits is not None
    (row,) = [row for row in manual.splitlines() if row.startswith(f"| `{key}` |")]
    assert row.split("|")[4].strip() == f"{limits[0]} to {limits[1]}"
    name = key.rpartition(".")[2]
    lines = example.splitlines()
    end = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{name}:"))
    start = next(number for number in range(end, 0, -1) if not lines[number - 1].strip().startswith("#"))
    comment = " ".join(line.strip(" #") for line in lines[start:end])
    least = "min_samples" if name == "max_samples" else limits[0]
    assert re.search(rf"from {re.escape(least)} to {re.escape(limits[1])}(?:\.0)?\b", comment), comment


def test_the_numbers_are_all_there() -> None:
    assert set(NUMBERS) == {key for key in FIELDS if key.startswith(("detection.", "recognition."))}
