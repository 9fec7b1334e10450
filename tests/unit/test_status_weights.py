from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from optimind.status import weights
from optimind.status.report import Item
from optimind.status.weights import model_items, weight_items

RIGHT = b"the weights that were tested"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights, "CHECKSUMS", {"a.dat": hashlib.sha256(RIGHT).hexdigest()})
    place = tmp_path / "models"
    place.mkdir()
    return place


def look(folder: Path, *, trust_known: bool = False) -> Item:
    (item,) = weight_items(trust_known=trust_known, folder=folder, known=folder.parent / "cache" / "known.json")
    return item


@pytest.mark.parametrize(
    ("content", "state", "mended_by"),
    [
        (RIGHT, "ok", ""),
        (b"cut off", "failed", "--force-reinstall"),
        (b"", "failed", "--force-reinstall"),
        (None, "missing", "make setup"),
    ],
)
def test_a_file_is_judged_by_its_content(folder: Path, content: bytes | None, state: str, mended_by: str) -> None:
    if content is not None:
        (folder / "a.dat").write_bytes(content)
    item = look(folder)
    assert item.state == state
    assert mended_by in item.mend


def test_an_unchanged_file_is_not_read_again_where_that_is_trusted(folder: Path) -> None:
    file = folder / "a.dat"
    file.write_bytes(RIGHT)
    look(folder)
    about = file.stat()
    file.write_bytes(RIGHT[::-1])  # damaged, but of the same size and time
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert look(folder, trust_known=True).state == "ok"
    assert look(folder).state == "failed"
    assert look(folder, trust_known=True).state == "failed"


def test_a_changed_file_is_read_again(folder: Path) -> None:
    (folder / "a.dat").write_bytes(RIGHT)
    look(folder)
    (folder / "a.dat").write_bytes(RIGHT + b"!")
    assert look(folder, trust_known=True).state == "failed"


@pytest.mark.parametrize("remembered", ["", "[]", '{"x": 1}', "{"])
def test_a_damaged_memory_is_no_fault(folder: Path, remembered: str) -> None:
    (folder / "a.dat").write_bytes(RIGHT)
    known = folder.parent / "cache" / "known.json"
    known.parent.mkdir()
    known.write_text(remembered)
    assert look(folder, trust_known=True).state == "ok"
    assert str(folder / "a.dat") in json.loads(known.read_text())


def test_where_nothing_can_be_remembered_it_is_read_each_time(folder: Path) -> None:
    (folder / "a.dat").write_bytes(RIGHT)
    (folder.parent / "cache").write_text("a file where the folder should be")
    assert look(folder, trust_known=True).state == "ok"


def test_the_installed_weights_are_the_tested_ones(tmp_path: Path) -> None:
    states = {item.name: item.state for item in weight_items(trust_known=False, known=tmp_path / "known.json")}
    assert states == dict.fromkeys(weights.CHECKSUMS, "ok")
    assert len(states) == 4


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    (tmp_path / "models" / "descriptions").mkdir(parents=True)
    return tmp_path / "models"


def test_models_that_are_not_fetched_are_no_fault(models: Path) -> None:
    items = list(model_items(trust_known=True))
    assert [item.name for item in items] == ["yunet", "sface"]
    assert {item.state for item in items} == {"missing"}
    assert all(item.healthy and not item.required for item in items)
    assert items[1].mend == "python main.py models pull sface"


def test_models_are_judged_by_their_content(models: Path, shared: Path) -> None:
    (models / "yunet.onnx").write_bytes((shared / "models" / "yunet.onnx").read_bytes())
    (models / "sface.onnx").write_bytes(b"cut off")
    (models / "w600k-mbf.onnx").write_bytes(b"cut off")
    (models / "descriptions" / "torn.yaml").write_text("{")
    items = {item.name: item for item in model_items(trust_known=False)}
    states = {name: item.state for name, item in items.items()}
    assert states == {"yunet": "ok", "sface": "failed", "w600k-mbf": "failed", "torn": "failed"}
    assert not any(item.healthy for name, item in items.items() if name != "yunet")
    assert "models pull sface" in items["sface"].mend
    assert "--accept-licence" in items["w600k-mbf"].mend
