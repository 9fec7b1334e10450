"""Which models are known, and whether their files are here."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from optimind.errors import EngineError, UsageError
from optimind.weights import store as store_module
from optimind.weights.description import ModelDescription
from optimind.weights.store import ModelStore, installed_model, models_folder

CONTENT = b"the weights"
SHIPPED = ["yunet", "sface", "w600k-r50", "w600k-mbf", "minifasnet-v2"]


def describe(file: Path, **changes: Any) -> ModelDescription:
    values = {
        "name": "mine",
        "kind": "embedder",
        "path": str(file),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "size_bytes": len(CONTENT),
        "licence": {"name": "ours"},
        "embedding": {"dimension": 4, "same_person_distance": 1.0},
    }
    return ModelDescription.model_validate({**values, **changes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.bin"
    path.write_bytes(CONTENT)
    return path


def names(store: ModelStore) -> list[str]:
    return [model.name for model in store.models()]


def test_without_a_folder_the_shipped_models_are_known_and_not_here(folder: Path) -> None:
    store = ModelStore()
    assert names(store) == SHIPPED
    assert {store.state(model) for model in store.models()} == {"not_here"}
    assert not folder.exists()


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"OPTIMIND_MODELS": "/m"}, "linux", "/m"),
        ({"OPTIMIND_MODELS": "~/m"}, "linux", "/home/me/m"),
        ({"XDG_DATA_HOME": "/d"}, "linux", "/d/optimind/models"),
        ({"XDG_DATA_HOME": "relative"}, "linux", "/home/me/.local/share/optimind/models"),
        ({}, "linux", "/home/me/.local/share/optimind/models"),
        ({"XDG_DATA_HOME": "/d"}, "darwin", "/home/me/Library/Application Support/optimind/models"),
    ],
)
def test_where_models_are_kept(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], platform: str, expected: str
) -> None:
    for name in ("OPTIMIND_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environment, "HOME": "/home/me"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert models_folder() == Path(expected)


def test_a_described_model_is_known_from_then_on(folder: Path, file: Path) -> None:
    model = ModelStore().add(describe(file))
    assert (model.file, model.is_own) == (file, True)
    assert folder.stat().st_mode & 0o777 == 0o700
    again = ModelStore()
    assert names(again) == [*SHIPPED, "mine"]
    assert again.get("mine") == model
    assert again.state(model) == "ready"
    assert installed_model("mine", "embedder") == model


def test_a_description_of_the_same_name_replaces_the_old_one(file: Path) -> None:
    ModelStore().add(describe(file))
    store = ModelStore()
    store.add(describe(file, licence={"name": "theirs"}))
    for known in (store, ModelStore()):
        assert known.get("mine").description.licence.name == "theirs"
        assert names(known).count("mine") == 1


def test_a_description_with_an_address_needs_no_file(folder: Path, file: Path) -> None:
    model = ModelStore().add(describe(file, path=None, url="https://example.org/x.onnx"))
    assert model.file == folder / "mine.onnx"
    assert ModelStore().state(model) == "not_here"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"other", "size_bytes: 5 and sha256: d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"),
        (None, "relative path"),
    ],
)
def test_only_the_described_file_is_taken(file: Path, content: bytes | None, words: str) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        ModelStore().add(describe(file))
    assert words in caught.value.mend
    assert str(file) in caught.value.message
    assert names(ModelStore()) == SHIPPED


def test_a_shipped_name_is_not_free(file: Path) -> None:
    with pytest.raises(UsageError, match="comes with OptiMind"):
        ModelStore().add(describe(file, name="sface"))


def test_a_folder_that_cannot_be_written_is_named(folder: Path, file: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(EngineError, match="cannot be written") as caught:
        ModelStore().add(describe(file))
    assert "OPTIMIND_MODELS" in caught.value.mend


@pytest.mark.parametrize(
    ("content", "state"),
    [(CONTENT, "ready"), (CONTENT[::-1], "damaged"), (CONTENT[1:], "damaged"), (b"", "damaged"), (None, "not_here")],
)
def test_a_file_is_judged_by_its_content(file: Path, content: bytes | None, state: str) -> None:
    store = ModelStore()
    model = store.add(describe(file))
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert store.state(model, trust_known=False) == state


def test_a_folder_in_the_files_place_is_damage(file: Path) -> None:
    store = ModelStore()
    model = store.add(describe(file))
    file.unlink()
    file.mkdir()
    assert store.state(model) == "damaged"


def test_a_checksum_is_computed_once(file: Path) -> None:
    store = ModelStore()
    model = store.add(describe(file))
    about = file.stat()
    file.write_bytes(CONTENT[::-1])
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert ModelStore().state(model) == "ready"
    assert ModelStore().state(model, trust_known=False) == "damaged"


@pytest.mark.parametrize(
    ("name", "kind", "message", "mend"),
    [
        ("sfase", "embedder", "no model called 'sfase'", "sface"),
        ("yunet", "embedder", "is no embedder, but a detector", "name sface, w600k-r50, w600k-mbf, mine"),
        ("sface", "embedder", "is not here", "python main.py models pull sface"),
        ("w600k-mbf", "embedder", "is not here", "--accept-licence"),
        ("mine", "embedder", "is damaged", "put the described file there"),
        ("sface", "pad", "is no pad, but an embedder", "name minifasnet-v2"),
        ("minifasnet-v2", "pad", "is not here", "python main.py models pull minifasnet-v2"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_mend(file: Path, name: str, kind: str, message: str, mend: str) -> None:
    ModelStore().add(describe(file))
    file.write_bytes(b"something else")
    with pytest.raises(EngineError) as caught:
        installed_model(name, kind)
    assert message in caught.value.message
    assert mend in caught.value.mend


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: mine", "Field required"),
        ("- 1", "valid dictionary"),
        ("", "valid dictionary"),
        ("a: [", "expected"),
        ("[" * 5000, "nested too deeply"),
        ("\x00", "not allowed"),
        ("!!python/object/apply:os.system [echo]", "could not determine a constructor"),
    ],
)
def test_a_broken_description_is_listed_and_harms_no_other(folder: Path, file: Path, text: str, reason: str) -> None:
    ModelStore().add(describe(file))
    (folder / "descriptions" / "torn.yaml").write_text(text)
    store = ModelStore()
    assert names(store) == [*SHIPPED, "mine"]
    (broken,) = store.broken
    assert broken.file.name == "torn.yaml"
    assert reason in broken.reason
    with pytest.raises(UsageError, match=r"torn\.yaml cannot be used"):
        store.get("torn")


def put(folder: Path, file_name: str, description: ModelDescription) -> None:
    """Write a description by hand, past `models add`."""
    (folder / "descriptions").mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(description.model_dump(mode="json", exclude_none=True))
    (folder / "descriptions" / file_name).write_text(text)


@pytest.mark.parametrize("file_name", ["sface.yaml", "a.yaml"])
def test_a_description_put_by_hand_replaces_no_shipped_model(folder: Path, file: Path, file_name: str) -> None:
    put(folder, file_name, describe(file, name="sface"))
    store = ModelStore()
    assert names(store) == SHIPPED
    assert not store.get("sface").is_own
    (broken,) = store.broken
    assert (broken.file.name, "comes with OptiMind" in broken.reason) == (file_name, True)


@pytest.mark.parametrize("file_name", ["a.yaml", "z.yaml"])
def test_of_two_descriptions_of_one_name_the_one_called_so_counts(folder: Path, file: Path, file_name: str) -> None:
    ModelStore().add(describe(file))
    put(folder, file_name, describe(file, licence={"name": "theirs"}))
    store = ModelStore()
    assert store.get("mine").description.licence.name == "ours"
    (broken,) = store.broken
    assert (broken.file.name, broken.reason) == (file_name, "what describes mine is called mine.yaml")


def test_a_model_that_ships_later_takes_its_name(monkeypatch: pytest.MonkeyPatch, folder: Path, file: Path) -> None:
    ModelStore().add(describe(file))
    newer = describe(file, path=None, url="https://example.org/x.onnx", licence={"name": "shipped later"})
    monkeypatch.setattr(store_module, "_shipped", lambda: (newer,))
    store = ModelStore()
    assert not store.get("mine").is_own
    assert [broken.file.name for broken in store.broken] == ["mine.yaml"]
