"""The commands models list, pull and add, as they are called."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from file_server import Answer, FileServer

from optimind.cli import main
from optimind.weights.store import ModelStore

CONTENT = os.urandom(200_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer.serving(CONTENT) as running:
        yield running


def describe(file: Path, **changes: Any) -> Path:
    values = {
        "name": "net",
        "kind": "embedder",
        "sha256": SHA,
        "size_bytes": len(CONTENT),
        "licence": {"name": "MIT"},
        "embedding": {"dimension": 4, "same_person_distance": 1.0},
        **changes,
    }
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


class Called:
    """One call of the program: exit code and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.code = main(["models", *arguments])
        self.out, self.err = capsys.readouterr()

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def test_list_says_what_there_is(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    told = Called(capsys, "list")
    assert told.code == 0
    for words in ("yunet", "sface", "Apache-2.0", "not here", "38.7", "opt-in", "github.com", str(folder)):
        assert words in told.out
    document = Called(capsys, "list", "--json").document
    assert document["folder"] == str(folder)
    assert [one["name"] for one in document["models"]][:2] == ["yunet", "sface"]
    assert {one["state"] for one in document["models"]} == {"not_here"}
    assert document["broken"] == []


def test_a_model_of_ones_own_is_added_pulled_and_listed(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, server: FileServer
) -> None:
    added = Called(capsys, "add", str(describe(tmp_path / "net.yaml", url=server.url)))
    assert added.code == 0
    assert "models pull net" in added.out
    pulled = Called(capsys, "pull", "net", "--json")
    assert pulled.code == 0
    assert "net: MIT" in pulled.err  # the licence
    (one,) = pulled.document["models"]
    assert (one["name"], one["state"], one["file"]) == ("net", "pulled", str(folder / "net.onnx"))
    assert (folder / "net.onnx").read_bytes() == CONTENT
    assert Called(capsys, "pull", "net", "--json").document["models"][0]["state"] == "already_here"
    assert "was here already" in Called(capsys, "pull", "net").out
    states = {one["name"]: one["state"] for one in Called(capsys, "list", "--json").document["models"]}
    assert states["net"] == "ready"


def test_a_path_is_taken_from_the_descriptions_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "net.bin").write_bytes(CONTENT)
    added = Called(capsys, "add", "--json", str(describe(elsewhere / "net.yaml", path="net.bin")))
    assert added.code == 0
    assert (added.document["state"], added.document["file"]) == ("ready", str(elsewhere / "net.bin"))
    assert ModelStore().installed("net", "embedder").file == elsewhere / "net.bin"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name: net\nkind: embeder\n",
            ["net.yaml:2: kind", 'did you mean "embedder"', "net.yaml: licence: is missing"],
        ),
        ("name: net\nlicense: {name: MIT}\n", ['net.yaml:2: license: unknown key; did you mean "licence"?']),
        ("name: net\nsize_bytes: many\n", ['net.yaml:2: size_bytes: "many" is not a whole number']),
        ("name: net\nname: other\n", ["net.yaml:2: name"]),
        ("a: [1", ["net.yaml:"]),
        ("- 1", ["net.yaml:1"]),
    ],
)
def test_a_wrong_description_is_a_usage_error_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "net.yaml").write_text(text)
    told = Called(capsys, "add", "net.yaml")
    assert told.code == 2
    for word in words:
        assert word in told.err
    assert "docs/models.md" in told.err
    assert not folder.exists()


def test_a_described_file_with_another_checksum_is_not_added(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "net.bin").write_bytes(CONTENT[::-1])
    told = Called(capsys, "add", str(describe(tmp_path / "net.yaml", path="net.bin")))
    assert told.code == 2
    assert hashlib.sha256(CONTENT[::-1]).hexdigest() in told.err


def test_no_such_description(capsys: pytest.CaptureFixture[str]) -> None:
    told = Called(capsys, "add", "none.yaml")
    assert told.code == 2
    assert "none.yaml: there is no such file" in told.err


def test_a_licence_is_shown_and_asked_for_before_anything_is_fetched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, server: FileServer, folder: Path
) -> None:
    terms = {"name": "research only", "url": "https://example.org/terms", "non_commercial": True}
    added = Called(capsys, "add", str(describe(tmp_path / "net.yaml", url=server.url, licence=terms)))
    assert "python main.py models pull net --accept-licence" in added.out
    Called(capsys, "add", str(describe(tmp_path / "free.yaml", name="free", url=server.url)))
    told = Called(capsys, "pull", "free", "net")
    assert told.code == 2
    assert "research only https://example.org/terms" in told.err
    assert "--accept-licence" in told.err
    assert server.asked == []
    assert Called(capsys, "pull", "free", "net", "--accept-licence").code == 0
    assert "accepted_at" in json.loads((folder / "net.licence.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "nett"], "there is no model called 'nett'"),
        (["pull", "--from", "x.onnx"], "--from goes with one model"),
        (["pull", "yunet", "sface", "--from", "x.onnx"], "--from goes with one model"),
        (["pull", "yunet", "--from", "none.onnx"], "none.onnx cannot be read"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    told = Called(capsys, *arguments)
    assert told.code == 2
    assert words in told.err
    assert told.out == ""


def test_a_file_from_elsewhere(capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: Path) -> None:
    told = Called(capsys, "pull", "yunet", "--from", str(shared / "models" / "yunet.onnx"))
    assert told.code == 0
    assert ModelStore().installed("yunet", "detector").file.exists()


def test_a_failed_pull_is_a_failure_with_its_mend(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, server: FileServer
) -> None:
    server.answers = [Answer(404)]
    Called(capsys, "add", str(describe(tmp_path / "net.yaml", url=server.url)))
    told = Called(capsys, "pull", "net", "--json")
    assert told.code == 1
    assert told.out == ""
    assert "answers 404" in told.err
    assert "--from FILE" in told.err


def test_without_a_network_all_that_is_wanted_is_told_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, server: FileServer, folder: Path
) -> None:
    server.answers = [Answer(), Answer(404)]
    pack = {"member": "c.onnx", "sha256": SHA[::-1], "size_bytes": 400_000_000}
    terms = {"name": "research only", "non_commercial": True}
    for name, changes in {"here": {}, "a": {}, "b": {"licence": terms, "archive": pack}, "c": {}}.items():
        Called(capsys, "add", str(describe(tmp_path / "x.yaml", name=name, url=f"{server.url}/{name}", **changes)))
    assert Called(capsys, "pull", "here").code == 0
    told = Called(capsys, "pull", "a", "here", "b", "--accept-licence")
    assert told.code == 1
    fault = told.err[told.err.index("error:") :]
    for name, sha256, accept in (("a", SHA, ""), ("b", SHA[::-1], " --accept-licence")):
        assert fault.count(f"{server.url}/{name} ") == 1
        assert f"{server.url}/{name} on another machine (its SHA-256 is {sha256})" in fault
        assert f"models pull {name}{accept} --from FILE" in fault
    assert "pull here" not in fault
    assert "pull c" not in fault


def test_the_size_of_a_pack_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "174.4 (download 288.6)" in Called(capsys, "list").out
    sizes = {one["name"]: one["download_bytes"] for one in Called(capsys, "list", "--json").document["models"]}
    assert (sizes["sface"], sizes["w600k-r50"]) == (38_696_353, 288_621_354)


def test_what_is_damaged_or_broken_needs_a_person(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, server: FileServer, folder: Path
) -> None:
    Called(capsys, "add", str(describe(tmp_path / "net.yaml", url=server.url)))
    (folder / "net.onnx").write_bytes(b"something else")
    told = Called(capsys, "list")
    assert told.code == 3
    assert "damaged" in told.out
    (folder / "net.onnx").unlink()
    (folder / "descriptions" / "torn\x1b.yaml").write_text("{")
    told = Called(capsys, "list")
    assert told.code == 3
    assert "torn\\x1b.yaml cannot be used" in told.out
    assert Called(capsys, "list", "--json").document["broken"][0]["file"].endswith("torn\x1b.yaml")


def test_ctrl_c_keeps_what_came(tmp_path: Path, server: FileServer, folder: Path, repository: Path) -> None:
    server.answers = [Answer(cut=98_304), Answer(silent_s=30.0)]
    described = describe(tmp_path / "net.yaml", url=server.url)
    program = [sys.executable, str(repository / "main.py"), "models"]
    subprocess.run([*program, "add", str(described)], check=True, capture_output=True)
    child = subprocess.Popen([*program, "pull", "net"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while len(server.asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(2)
    _, told = child.communicate(timeout=20)
    assert child.returncode == 1
    assert "interrupted while net was fetched" in told
    assert "goes on where it stopped" in told
    assert "Traceback" not in told
    assert (folder / "net.part").stat().st_size == 98_304
