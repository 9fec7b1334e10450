"""The commands config check and config show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from optimind.cli.config import app
from optimind.errors import ConfigError

PLUGIN = """
from optimind.plugin_api import Plugin, Settings

class BellSettings(Settings):
    loudness: int = 5

class Bell(Plugin):
    name = "bell"
    settings_type = BellSettings

    @classmethod
    def create(cls, settings, context):
        return cls()

    def handle(self, event):
        return ()

    def close(self):
        return ()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/bell.py").write_text(PLUGIN)
    (tmp_path / "mine/torn.py").write_text("import nothing_of_this_name")
    return tmp_path


def run(folder: Path, text: str, *arguments: str) -> Result:
    (folder / "config.yaml").write_text(text)
    return CliRunner().invoke(app, list(arguments))


def fault(result: Result) -> list[str]:
    assert isinstance(result.exception, ConfigError)
    assert result.exception.mend
    return result.exception.message.splitlines()


def test_a_right_file(folder: Path) -> None:
    text = "cameras: [{id: a, source: 0}, {id: b, source: 1}]\nplugins_folder: mine\nplugins: {bell: {loudness: 3}}"
    result = run(folder, text, "check")
    assert result.exit_code == 0
    assert result.stdout == "config.yaml: 2 cameras; engine auto; plugins bell; sinks none: fine\n"
    assert json.loads(run(folder, text, "check", "--json").stdout) == {
        "ok": True,
        "errors": [],
        "file": "config.yaml",
        "cameras": ["a", "b"],
        "engine": "auto",
        "plugins": ["bell"],
        "sinks": [],
    }


def test_no_file(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check"])
    assert result.stdout == "the built-in settings: 0 cameras; engine auto; plugins attendance; sinks none: fine\n"


def test_the_repositorys_own_file_is_right(repository: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--config", str(repository / "config.yaml")])
    assert "1 camera; engine auto; plugins attendance; sinks none: fine" in result.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("enginee: x", ['config.yaml:1: enginee: unknown key; did you mean "engine"?']),
        (
            "plugins_folder: mine\nplugins: {bell: {loudness: x}, bel: {}}\nsinks: {fax: {}}",
            [
                'config.yaml:2: plugins.bel: there is no plugin called "bel"; did you mean "bell"?',
                'config.yaml:2: plugins.bell.loudness: "x" is not a whole number, such as 5',
                'config.yaml:3: sinks.fax: there is no sink called "fax"; the sinks here are: ',
            ],
        ),
        (
            "plugins_folder: mine\nplugins: {torn: {}}",
            ["config.yaml:2: plugins.torn: the plugin 'torn' (", "cannot be used: ModuleNotFoundError"],
        ),
        (
            "plugins: {bel: {enabled: no}}\nengine: dlibb+x",
            [
                'config.yaml:2: engine: there is no detector called "dlibb"; did you mean "dlib"?',
                'config.yaml:2: engine: there is no embedder called "x"; the embedders here are: ',
            ],
        ),
        ("engine: dlb", ['config.yaml:1: engine: there is no engine called "dlb"; did you mean "dlib"?']),
        ("engine: dlib+", ['config.yaml:1: engine: "dlib+" lacks a name on one side of the "+"']),
        (
            "engines:\n  dlb: {}\n  dlib: {thread: 1}\n  arcface: {threads: 0}",
            [
                'config.yaml:2: engines.dlb: there is no engine called "dlb"; did you mean "dlib"?',
                'config.yaml:3: engines.dlib.thread: unknown key; did you mean "threads"?',
                "config.yaml:4: engines.arcface.threads: 0 is too small; the least is 1",
            ],
        ),
        (
            "recognition: {max_normalised_distance: 1.1}",
            ['config.yaml:1: recognition.max_normalised_distance: is no longer known; "fpir" replaced it'],
        ),
        (
            "sheets: {spreadshet: abc, credentials: {file: k.json}}",
            [
                "config.yaml:1: sheets.spreadsheet: is missing; add this key",
                'config.yaml:1: sheets.spreadshet: unknown key; did you mean "spreadsheet"?',
            ],
        ),
        ("plugins_folder: yours", ["config.yaml:1: plugins_folder: ", "/yours is not a folder"]),
    ],
)
def test_a_wrong_file(text: str, said: list[str], folder: Path) -> None:
    lines = fault(run(folder, text, "check"))
    for part in said:
        assert any(part in line for line in lines), (part, lines)
    result = run(folder, text, "check", "--json")
    assert fault(result) == lines
    assert json.loads(result.stdout) == {"ok": False, "errors": lines}


def test_a_named_file_that_is_not_there(folder: Path) -> None:
    result = CliRunner().invoke(app, ["show", "--config", "other.yaml"])
    assert fault(result) == ["other.yaml: there is no such file"]


NARROW = {**os.environ, "PYTHONIOENCODING": "ascii"}


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (["check", "--json"], "engine: Größe", 2),
        (["check", "--json"], "plugins_folder: mine\nplugins: {bell: {}}", 0),
        (["show"], "cameras: [{id: a, source: Tür.mp4}]\nsinks: {x: {'\\U0001F600': \"\\U0001F600\"}}", 0),
    ],
)
def test_what_programs_read_is_written_on_any_terminal(
    arguments: list[str], text: str, code: int, folder: Path, repository: Path
) -> None:
    name = "größe.yaml"
    (folder / name).write_text(text, encoding="utf-8")
    command = [sys.executable, str(repository / "main.py"), "config", *arguments, "--config", name]
    done = subprocess.run(command, cwd=folder, env=NARROW, capture_output=True, check=False)
    assert (done.returncode, b"unexpected" in done.stderr) == (code, False), done.stderr
    read = yaml.safe_load(done.stdout)  # JSON is YAML
    if arguments == ["show"]:
        assert read["cameras"][0]["source"] == "Tür.mp4"
    else:
        assert name in (read["file"] if code == 0 else read["errors"][0])


def test_show(folder: Path) -> None:
    result = run(folder, "cameras: [{id: a, source: 'rtsp://u:hunter2@h/x'}]", "show")
    assert result.exit_code == 0
    assert "rtsp://***@h/x" in result.stdout
    assert "min_face_px: 45" in result.stdout
