"""Loading config.yaml: defaults, what is forgiven, and every fault in one message."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimind.config import Config, load_config
from optimind.errors import ConfigError
from optimind.plugin_api import Secret

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as config.yaml of the current folder."""
    monkeypatch.chdir(tmp_path)

    def load(text: str) -> Config:
        Path("config.yaml").write_text(text, encoding="utf-8")
        return load_config()

    return load


def faults(load: Load, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.exit_code == 2
    assert "config.yaml" in caught.value.mend
    return caught.value.message.splitlines()


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config()
    assert config.cameras == []
    assert config.gallery == tmp_path / "encodings/gallery.pickle"
    assert config.data == tmp_path / "data"
    assert config.located(("engine",)) == "the built-in settings"
    with pytest.raises(ConfigError, match=r"config\.yaml: there is no such file"):
        load_config(Path("config.yaml"))


def test_a_link_to_nowhere_is_no_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").symlink_to("gone.yaml")
    with pytest.raises(ConfigError, match=r"config\.yaml: is a link to gone\.yaml, which is not there"):
        load_config()


@pytest.mark.parametrize("text", ["", "# nothing", "cameras:\nplugins:\ndetection:\n  min_face_px:\nsinks:\nengine:\n"])
def test_what_is_empty_counts_as_left_out(text: str, load: Load) -> None:
    assert load(text).model_dump() == load("{}").model_dump()


def test_a_full_file(load: Load, tmp_path: Path) -> None:
    config = load(
        """
cameras:
  - {id: room-101, source: "rtsp://user:pass@10.0.0.7/stream"}
  - {id: 102, source: 0}
  - {id: door, source: {env: DOOR}}
engine: dlib
gallery: g.pickle
data: /srv/optimind
timezone: Europe/Berlin
detection: {min_face_px: 60, scan_interval_s: 2, quiet_interval_s: 20, follow_interval_s: 0.5, cpu_cores: 1.5}
recognition: {max_distance: 0.4, min_margin: 0, min_samples: 1, max_samples: 1}
display: {window: off}
metrics: {port: 9464}
log_level: DEBUG
storage: {url: "sqlite:///ledger/o.db"}
plugins: {attendance: {enabled: no, session: day}, other: }
sinks: {csv: {path: x.csv}}
sheets: {spreadsheet: abc, credentials: {file: key.json}}
plugins_folder: mine
"""
    )
    assert [camera.id for camera in config.cameras] == ["room-101", "102", "door"]
    assert [camera.source for camera in config.cameras] == ["rtsp://user:pass@10.0.0.7/stream", 0, Secret(env="DOOR")]
    assert config.gallery == tmp_path / "g.pickle"
    assert config.data == Path("/srv/optimind")
    assert config.plugins_folder == tmp_path / "mine"
    assert config.zone().key == "Europe/Berlin"
    assert config.detection.model_dump() == {
        "min_face_px": 60,
        "scan_interval_s": 2.0,
        "quiet_interval_s": 20.0,
        "follow_interval_s": 0.5,
        "cpu_cores": 1.5,
    }
    assert config.recognition.max_samples == 1
    assert (config.display.window, config.log_level) == ("off", "debug")
    assert (config.metrics.port, config.metrics.address) == (9464, "127.0.0.1")
    assert config.storage.url == f"sqlite:///{tmp_path / 'ledger/o.db'}"
    assert config.plugins == {"attendance": {"enabled": False, "session": "day"}, "other": {}}
    assert config.sheets == {"spreadsheet": "abc", "credentials": {"file": "key.json"}}


@pytest.mark.parametrize(
    ("written", "window"),
    [("on", "on"), ("yes", "on"), ("off", "off"), ("no", "off"), ("false", "off"), ("Auto", "auto"), ("'off'", "off")],
)
def test_a_bare_off_is_off(written: str, window: str, load: Load) -> None:
    assert load(f"display: {{window: {written}}}").display.window == window


@pytest.mark.parametrize("name", ["101", "007", "1.10", "2025-09-01", "no", "1_0", "room-1.a_b", "0x1F"])
def test_an_id_is_what_is_written(name: str, load: Load) -> None:
    config = load(f"cameras: [{{id: {name}, source: 0}}]")
    assert config.cameras[0].id == name


def test_paths_are_taken_from_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "school").mkdir()
    (tmp_path / "school/clip.mp4").touch()
    (tmp_path / "school/7").touch()
    (tmp_path / "school/c.yaml").write_text(
        "cameras: [{id: a, source: clip.mp4}, {id: b, source: other.mp4}, {id: c, source: '7'}]\n"
        "gallery: ../g.pickle\nsheets: {credentials: {file: key.json}}\ndata: ~/d"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    config = load_config(Path("school/c.yaml"))
    assert [camera.spec() for camera in config.cameras] == [str(tmp_path / "school/clip.mp4"), "other.mp4", "7"]
    assert config.gallery == tmp_path / "school/../g.pickle"
    assert config.data == Path("/home/somebody/d")
    assert config.folder == tmp_path / "school"
    assert config.located(("gallery",)) == "school/c.yaml:2"


NOT_A_GROUP = 'is not a group of keys; write "key: value" lines below, indented'
CASES = {
    "unknown key": ("\n\nenginee: x", 'config.yaml:3: enginee: unknown key; did you mean "engine"?'),
    "unknown key in a section": (
        "detection:\n  min_face_pix: 5",
        'config.yaml:2: detection.min_face_pix: unknown key; did you mean "min_face_px"?',
    ),
    "no port": ("metrics: {port: 65536}", "config.yaml:1: metrics.port: 65536 is too large; the most is 65535"),
    "a port that is yes": ("metrics: {port: yes}", "config.yaml:1: metrics.port: is yes or no; write a number here"),
    "nothing like it": (
        "display: {colour: red}",
        "config.yaml:1: display.colour: unknown key; the keys here are: window",
    ),
    "in the wrong section": (
        "min_samples: 3",
        'config.yaml:1: min_samples: unknown key here; it belongs under "recognition"',
    ),
    "indented by mistake": (
        "detection:\n  timezone: local",
        "config.yaml:2: detection.timezone: unknown key here; it belongs at the left margin, with nothing around it",
    ),
    "too small": (
        "detection: {min_face_px: 5}",
        "config.yaml:1: detection.min_face_px: 5 is too small; the least is 20",
    ),
    "too large": (
        "recognition: {max_distance: 1.5}",
        "config.yaml:1: recognition.max_distance: 1.5 is too large; the most is 1",
    ),
    "no number": (
        "detection: {min_face_px: big}",
        'config.yaml:1: detection.min_face_px: "big" is not a whole number, such as 5',
    ),
    "a broken number": (
        "detection: {min_face_px: 45.5}",
        "config.yaml:1: detection.min_face_px: 45.5 is not a whole number, such as 5",
    ),
    "a truth for a number": (
        "recognition: {min_samples: yes}",
        "config.yaml:1: recognition.min_samples: is yes or no; write a number here",
    ),
    "infinity": (
        "recognition: {min_margin: .nan}",
        "config.yaml:1: recognition.min_margin: nan is not a finite number",
    ),
    "samples": (
        "recognition: {min_samples: 5, max_samples: 4}",
        "config.yaml:1: recognition.max_samples: max_samples (4) is less than min_samples; make max_samples at least 5",
    ),
    "samples against the default": (
        "recognition:\n  min_samples: 9",
        "config.yaml:1: recognition: max_samples (8) is less than min_samples; make max_samples at least 9",
    ),
    "not one of": (
        "log_level: debgu",
        'config.yaml:1: log_level: "debgu" is not one of debug, info, warning, error; did you mean "debug"?',
    ),
    "zone": (
        "timezone: europe/berlin",
        'config.yaml:1: timezone: there is no such time zone; did you mean "Europe/Berlin"?',
    ),
    "nowhere": (
        "timezone: 17",
        'config.yaml:1: timezone: there is no such time zone; write a name such as "Europe/Berlin", or "local"',
    ),
    "a path as zone": (
        "timezone: ../../etc/passwd",
        'config.yaml:1: timezone: there is no such time zone; write a name such as "Europe/Berlin", or "local"',
    ),
    "cameras as a group": (
        "cameras:\n  id: a\n  source: 0",
        'config.yaml:1: cameras: a group of keys is not a list; write one item a line, each after "- "',
    ),
    "a camera as text": ("cameras: [room-1]", f'config.yaml:1: cameras[#1]: "room-1" {NOT_A_GROUP}'),
    "an empty camera": ("cameras:\n  -\n", f"config.yaml:2: cameras[#1]: nothing {NOT_A_GROUP}"),
    "a camera without id": ("cameras:\n - source: 0", "config.yaml:2: cameras[#1].id: is missing; add this key"),
    "a camera with an empty source": (
        "cameras:\n - id: a\n   source:\n",
        "config.yaml:3: cameras[#1].source: is missing; add this key",
    ),
    "an id that is a path": (
        "cameras: [{id: ../x, source: 0}]",
        "config.yaml:1: cameras[#1].id: is no camera id; use letters, digits, - _ and . only, a letter or digit first, "
        "at most 64",
    ),
    "an id twice": (
        "cameras:\n - {id: 7, source: 0}\n - {id: '7', source: 1}",
        "config.yaml:3: cameras[#2].id: camera 1 is called this too; rename one of them",
    ),
    "a negative device": (
        "cameras: [{id: a, source: -1}]",
        "config.yaml:1: cameras[#1].source: is no camera; the first device is 0, others are a path or a URL",
    ),
    "a list of sources": (
        "cameras: [{id: a, source: [0, 1]}]",
        "config.yaml:1: cameras[#1].source: is no camera; write a device number (0 is the first), a path or a URL, "
        "in quotes",
    ),
    "a misspelt secret": (
        "cameras: [{id: a, source: {evn: X}}]",
        'config.yaml:1: cameras[#1].source.evn: unknown key; did you mean "env"?',
    ),
    "a database without a name": (
        "storage: {url: data/optimind.db}",
        'config.yaml:1: storage.url: is no database URL; write one such as "sqlite:///data/optimind.db"',
    ),
    "a database by number": (
        "storage: {url: [1]}",
        'config.yaml:1: storage.url: is no database URL; write one such as "sqlite:///data/optimind.db"',
    ),
    "storage as text": ("storage: x", f'config.yaml:1: storage: "x" {NOT_A_GROUP}'),
    "a plugin as truth": ("plugins: {attendance: true}", f"config.yaml:1: plugins.attendance: yes {NOT_A_GROUP}"),
    "enabled": (
        "plugins:\n  attendance:\n    enabled: maybe",
        "config.yaml:3: plugins.attendance.enabled: is not true or false",
    ),
    "sheets as a sink": (
        "sinks:\n  sheets: {spreadsheet: x}",
        "config.yaml:2: sinks.sheets: Google Sheets has its own key; "
        'move these lines under "sheets" at the left margin',
    ),
    "sheets as text": ("sheets: abc", f'config.yaml:1: sheets: "abc" {NOT_A_GROUP}'),
    "a path as a list": ("gallery: [x]", "config.yaml:1: gallery: a list is not a path"),
    "an empty engine": (
        "engine: ''",
        'config.yaml:1: engine: "" is too short; the least number of characters is 1',
    ),
    "a key twice": ("data: a\ndata: b", "config.yaml:2: data: is given twice, on lines 1 and 2; remove one"),
}


@pytest.mark.parametrize(("text", "said"), CASES.values(), ids=CASES)
def test_a_fault_has_its_line_key_and_mend(text: str, said: str, load: Load) -> None:
    assert faults(load, text) == [said]


def test_all_faults_are_said_at_once_in_the_files_order(load: Load) -> None:
    # Faults that pydantic finds in different steps, and one that it does not see.
    texts = ["cameras: [{id: a, source: 0}, {id: a, sorce: 1}]"]
    texts += [CASES[name][0].strip() for name in ("samples", "not one of", "zone", "storage as text", "a key twice")]
    found = faults(load, "\n".join(texts))
    assert [line.split(":")[1] for line in found] == ["1", "1", "1", "2", "3", "4", "5", "7"]
    assert sum("called this too" in line for line in found) == 1


def test_a_password_is_in_no_message(load: Load) -> None:
    text = (
        "cameras:\n"
        "  - {id: a, source: {env: hunter2!}}\n"
        "  - {id: a b, source: 'rtsp://u:hunter2@h/x', password: hunter2}\n"
        "storage: {url: hunter2}\n"
        "log_level: 'http://u:hunter2@h'\n"
        "timezone: http://u:hunter2@h\n"
    )
    assert not any("hunter2" in line for line in faults(load, text))


def test_a_value_in_a_message_is_short_and_printable(load: Load) -> None:
    (line,) = faults(load, f'log_level: "{"x" * 500}\\e[31m"')
    assert len(line) < 200
    (line,) = faults(load, 'log_level: "a\\e[31m\\n"')
    assert '"a\\u001b[31m\\n"' in line


def outcome(data: bytes) -> Config | ConfigError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(data)
        try:
            return load_config(path)
        except ConfigError as error:
            return error


KEYS = st.sampled_from(
    [
        *Config.model_fields,
        "id",
        "source",
        "env",
        "file",
        "url",
        "window",
        "min_samples",
        "attendance",
        "enabled",
        "<<",
        "",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(["off", "0", "local", "rtsp://u:p@h", "sqlite:///x", "~", "~x/y", "\0", "\ud800", "x" * 5000])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(st.binary(max_size=60))
def test_any_bytes_give_settings_or_a_message(data: bytes) -> None:
    assert isinstance(outcome(data), Config | ConfigError)


@given(st.text(max_size=60))
def test_any_text_gives_settings_or_a_message(text: str) -> None:
    assert isinstance(outcome(text.encode("utf-8", "surrogatepass")), Config | ConfigError)


@given(st.lists(st.sampled_from([*"{}[]:,-#&*!|>'\"%@`?~ \n\t", ": ", "- ", "a", "1", "<<: *a", "&a", "id", "\n  "])))
def test_any_punctuation_gives_settings_or_a_message(parts: list[str]) -> None:
    assert isinstance(outcome("".join(parts).encode()), Config | ConfigError)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_values_give_settings_or_a_message_with_lines(values: dict[str, Any]) -> None:
    found = outcome(yaml.safe_dump(values).encode())
    if isinstance(found, Config):
        assert found.shown()
        return
    assert found.message
    assert all("/config.yaml:" in line for line in found.message.splitlines())
    assert "Input should" not in found.message
