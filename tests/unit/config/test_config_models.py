"""What a loaded Config offers to the parts that use it."""

from __future__ import annotations

from datetime import date, time
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field, ValidationError, field_validator
from sqlalchemy import make_url

from optimind.config import CameraSettings, Config, RecognitionSettings, load_config, models, sqlite_url
from optimind.errors import ConfigError
from optimind.plugin_api import Secret, Settings
from optimind.sinks.sheets import SheetsSettings


class Shape(Enum):
    ROUND = "round"
    SQUARE = "square"


class Lesson(Settings):
    start: time
    room: str = "hall"


class ClubSettings(Settings):
    title: str
    token: Secret | None = None
    password: int | None = None
    folder: Path = Path("clubs")
    extra: tuple[Path, ...] = ()
    mode: Literal["on", "off"] = "on"
    shape: Shape = Shape.ROUND
    lessons: list[Lesson] = Field(default=[], max_length=2)
    rooms: dict[str, Lesson] = Field(default={})
    first_on: date | None = None
    either: int | bool | None = None

    @field_validator("title")
    @classmethod
    def _short(cls, title: str) -> str:
        if len(title) > 20:
            raise ValueError("use 20 characters at most")
        return title


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().engine = "other"  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(ValidationError):
        Config(engin="x")  # type: ignore[call-arg]  # that it is refused is the point


def test_a_config_made_in_code_is_checked_too() -> None:
    cameras = [CameraSettings(id="a", source=0), CameraSettings(id="a", source=1)]
    with pytest.raises(ValidationError, match="camera 1 is called this too"):
        Config(cameras=cameras)
    with pytest.raises(ValidationError, match="make max_samples at least 9"):
        RecognitionSettings(min_samples=9)
    config = Config(cameras=cameras[:1])
    assert config.model_copy(update={"engine": "dlib"}).located(("cameras", 0)) == "the built-in settings"


def test_a_source_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR", "rtsp://u:p@h/x\n")
    assert CameraSettings(id="a", source=0).spec() == "0"
    assert CameraSettings(id="a", source="rtsp://h").spec() == "rtsp://h"
    assert CameraSettings(id="a", source=Secret(env="DOOR")).spec() == "rtsp://u:p@h/x"
    monkeypatch.delenv("DOOR")
    with pytest.raises(ConfigError, match="DOOR is not set"):
        CameraSettings(id="a", source=Secret(env="DOOR")).spec()


@pytest.mark.parametrize(
    ("written", "url"),
    [
        (None, "sqlite:///{base}/data/optimind.db"),
        ("sqlite:///l/o.db", "sqlite:///{base}/l/o.db"),
        ("sqlite+pysqlite:///o.db?timeout=5", "sqlite+pysqlite:///{base}/o.db?timeout=5"),
        ("sqlite:////srv/o.db", "sqlite:////srv/o.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:o.db?uri=true", "sqlite:///file:o.db?uri=true"),
        ("sqlite://", "sqlite://"),
        ("postgresql+psycopg://u:p@db/o", "postgresql+psycopg://u:p@db/o"),
    ],
)
@pytest.mark.parametrize("by_file", [False, True])
def test_the_database(written: str | None, url: str, by_file: bool, tmp_path: Path) -> None:
    if by_file and written is not None:
        (tmp_path / "url.txt").write_text(f"{written}\n")
        text = "storage: {url: {file: url.txt}}"
    else:
        text = "{}" if written is None else f'storage: {{url: "{written}"}}'
    assert loaded(tmp_path, text).database_url() == url.format(base=tmp_path)


@pytest.mark.parametrize("name", ["what?", "no#1", "100%", "%20", "a b", "ü 王", "a+b", "file:x", "a\nb"])
def test_the_database_of_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert make_url(sqlite_url(folder / name)).database == str(folder / name)
    for text in ("{}", 'storage: {url: "sqlite:///data/optimind.db?timeout=5"}'):
        url = make_url(loaded(folder, text).database_url())
        assert url.database == str(folder / "data/optimind.db")
        assert dict(url.query) == ({} if text == "{}" else {"timeout": "5"})


@pytest.mark.parametrize(
    ("text", "kind", "name", "is_on"),
    [
        ("{}", "plugin", "attendance", True),
        ("plugins: {}", "plugin", "attendance", False),
        ("plugins: {x: {}}", "plugin", "attendance", False),
        ("plugins: {x: }", "plugin", "x", True),
        ("plugins: {x: {enabled: true}}", "plugin", "x", True),
        ("plugins: {x: {enabled: off}}", "plugin", "x", False),
        ("{}", "sink", "csv", False),
        ("sinks: {csv: {}}", "sink", "csv", True),
        ("sinks: {csv: {}}", "plugin", "csv", False),
        ("{}", "sink", "sheets", False),
        ("sheets:", "sink", "sheets", False),
        ("sheets: {}", "sink", "sheets", False),
        ("sheets: {credentials: {file: x}}", "sink", "sheets", False),
        ("sheets: {credentials: {file: x}, enabled: no}", "sink", "sheets", False),
        ("sheets: {spreadshet: x}", "sink", "sheets", True),
        ("sheets: {spreadsheet: }", "sink", "sheets", False),
        ("sheets: {spreadsheet: x}", "sink", "sheets", True),
        ("sheets: {spreadsheet: x, enabled: no}", "sink", "sheets", False),
    ],
)
def test_what_is_on(text: str, kind: str, name: str, is_on: bool, tmp_path: Path) -> None:
    config = loaded(tmp_path, text)
    assert config.enabled(kind, name) is is_on
    assert (name in config.enabled_names(kind)) is is_on


def test_an_extensions_settings(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
plugins:
  club:
    enabled: true
    title: 101
    token: {file: token.txt}
    extra: [a, /b]
    mode: off
    shape: square
    lessons: [{start: 10:30, room: 007}]
    rooms: {a: {start: "08:15", room: }}
    first_on: 2025-09-01
""",
    )
    settings = config.section(ClubSettings, ("plugins", "club"))
    assert settings.title == "101"
    assert settings.token is not None
    assert settings.token.path == tmp_path / "token.txt"
    assert settings.folder == tmp_path / "clubs"
    assert settings.extra == (tmp_path / "a", Path("/b"))
    assert (settings.mode, settings.shape) == ("off", Shape.SQUARE)
    assert settings.lessons == [Lesson(start=time(10, 30), room="007")]
    assert settings.rooms == {"a": Lesson(start=time(8, 15))}
    assert settings.first_on == date(2025, 9, 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("titel: x", ':1: plugins.club.titel: unknown key; did you mean "title"?'),
        ("{}", ":1: plugins.club.title: is missing; add this key"),
        ("title: [x]", ':1: plugins.club.title: a list is not a text; put it in quotes, such as "room 101"'),
        (f"title: {'x' * 21}", ":1: plugins.club.title: use 20 characters at most"),
        ("token: hunter2", ":1: plugins.club.token: a secret is never written here itself; write {env: NAME}"),
        ("token: {fiel: x}", ':1: plugins.club.token.fiel: unknown key; did you mean "file"?'),
        ("password: hunter2", ":1: plugins.club.password: this value is not a whole number"),
        ("shape: triangle", ':1: plugins.club.shape: "triangle" is not one of round, square'),
        ("lessons: [{start: soon}]", ':1: plugins.club.lessons[#1].start: "soon" is not a time of day'),
        ("lessons: [{strat: 10:30}]", ':1: plugins.club.lessons[#1].strat: unknown key; did you mean "start"?'),
        ("rooms: {a: {strat: 10:30}}", ':1: plugins.club.rooms.a.strat: unknown key; did you mean "start"?'),
        ("lessons: [{}, {}, {}]", ":1: plugins.club.lessons: a list is too long; the most items is 2"),
        ("first_on: someday", ':1: plugins.club.first_on: "someday" is not a date'),
        (
            "either: x",
            ':1: plugins.club.either: "x" is not a whole number, such as 5, or "x" is not true or false',
        ),
    ],
)
def test_faults_in_an_extensions_settings(written: str, said: str, tmp_path: Path) -> None:
    inner = written if written == "{}" else f"{{{written}}}"
    config = loaded(tmp_path, f"plugins: {{club: {inner}}}")
    with pytest.raises(ConfigError) as caught:
        config.section(ClubSettings, ("plugins", "club"))
    assert any(f"{tmp_path}/c.yaml{said}" in line for line in caught.value.message.splitlines())
    assert "hunter2" not in str(caught.value)


def test_a_section_that_is_not_there(tmp_path: Path) -> None:
    class Plain(Settings):
        size: int = 5

    class Needy(Settings):
        spreadsheet: str

    config = loaded(tmp_path, "engine: auto")
    assert config.section(Plain, ("sinks", "csv")) == Plain()
    assert config.section(Plain, ("sheets",)) == Plain()
    with pytest.raises(ConfigError, match=r"c\.yaml: sheets\.spreadsheet: is missing"):
        config.section(Needy, ("sheets",))


@pytest.mark.parametrize(
    ("kind", "name", "known", "said"),
    [
        ("plugin", "attendence", ["attendance", "x"], ':2: plugins.attendence: there is no plugin called "attendence"'),
        ("plugin", "attendence", ["attendance", "x"], 'did you mean "attendance"?'),
        ("sink", "fax", ["csv", "sheets"], ':3: sinks.fax: there is no sink called "fax"; the sinks here are: csv'),
        ("sink", "sheets", [], ': sheets: there is no sink called "sheets"; the sinks here are: none'),
        (
            "engine",
            "dlb",
            iter(["dlib", "arcface"]),
            ':1: engine: there is no engine called "dlb"; did you mean "dlib"?',
        ),
    ],
)
def test_a_name_that_nobody_has(kind: str, name: str, known: list[str], said: str, tmp_path: Path) -> None:
    config = loaded(tmp_path, "engine: dlb\nplugins: {attendence: {}}\nsinks: {fax: {}}")
    error = config.unknown_name_error(kind, name, known)
    assert said in error.message
    assert str(tmp_path / "c.yaml") in error.mend


def test_what_is_shown_has_no_password_and_can_be_loaded_again(tmp_path: Path) -> None:
    text = """
cameras:
  - {id: a, source: "rtsp://user:hunter2@h/x"}
  - {id: b, source: {env: DOOR}}
storage: {url: "postgresql://u:hunter2@db/x"}
sinks:
  hook: {url: "http://h/?token=hunter2", password: hunter2, to: [{api_key: hunter2}], on: 2025-09-01}
sheets: {spreadsheet: x, credentials: {file: key.json}}
"""
    shown = loaded(tmp_path, text).shown()
    assert "hunter2" not in shown
    values = yaml.safe_load(shown)
    assert set(values) == set(Config.model_fields)
    assert [(camera["id"], camera["source"]) for camera in values["cameras"]] == [
        ("a", "rtsp://***@h/x"),
        ("b", {"env": "DOOR"}),
    ]
    assert values["sinks"]["hook"]["to"] == [{"api_key": "***"}]
    assert values["sheets"]["credentials"] == {"file": "key.json"}
    assert loaded(tmp_path, shown).shown() == shown


def test_where_the_file_is_kept_stays_out_of_the_values(tmp_path: Path) -> None:
    config = loaded(tmp_path, "engine: dlib")
    assert set(config.model_dump()) == set(Config.model_fields)
    assert config.label == str(tmp_path / "c.yaml")
    assert config.model_copy(update={"engine": "x"}).located(("engine",)) == f"{tmp_path / 'c.yaml'}:1"


def test_what_sheets_may_hold_without_a_spreadsheet_is_all_else_that_its_sink_knows() -> None:
    known = {"enabled", *SheetsSettings.model_fields} - {"spreadsheet"}
    assert set(models._SHEETS_WITHOUT_A_SPREADSHEET) == known
