"""Pulling a model: licence, checksum, packs, files brought from elsewhere, two pulls at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from file_server import Answer, FileServer
from filelock import FileLock

from optimind.errors import EngineError, UsageError
from optimind.weights.description import ModelDescription
from optimind.weights.download import Patience
from optimind.weights.pull import Pulled, pull
from optimind.weights.store import Model, ModelStore

CONTENT = os.urandom(200_000)
HASTY = Patience(connect_s=2.0, silent_s=0.3, attempts=2, wait_s=0.01)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def packed(member: str = "net.onnx", content: bytes = CONTENT, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w", how) as zipped:
        zipped.writestr("other.onnx", b"other")
        zipped.writestr(member, content)
    return pack.getvalue()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer.serving(CONTENT) as running:
        yield running


def known(address: str, pack: bytes | None = None, **changes: Any) -> tuple[ModelStore, Model]:
    """A store with one model of our own, its file at ``address`` (in ``pack``)."""
    values: dict[str, Any] = {
        "name": "net",
        "kind": "detector",
        "url": address,
        "sha256": sha256(CONTENT),
        "size_bytes": len(CONTENT),
        "licence": {"name": "MIT", "url": "https://example.org/licence"},
        **changes,
    }
    if pack is not None:
        values["archive"] = {"member": "net.onnx", "sha256": sha256(pack), "size_bytes": len(pack)}
    store = ModelStore()
    return store, store.add(ModelDescription.model_validate(values))


def get(store: ModelStore, model: Model, *, accept_licence: bool = False, source: Path | None = None) -> Pulled:
    return pull(
        store,
        model,
        accept_licence=accept_licence,
        source=source,
        on_progress=lambda here, total: None,
        patience=HASTY,
    )


def files(folder: Path) -> list[str]:
    """What lies in the folder of models and is no lock."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".lock")


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "net.licence.json").read_text())
    return found


def test_a_model_is_fetched_checked_and_recorded(server: FileServer, folder: Path) -> None:
    store, model = known(server.url)
    assert get(store, model) == Pulled(model, "pulled")
    assert model.file.read_bytes() == CONTENT
    assert store.installed("net", "detector") == model
    assert files(folder) == ["net.licence.json", "net.onnx"]
    written = record(folder)
    assert datetime.fromisoformat(written.pop("fetched_at")).utcoffset() == timedelta(0)
    assert written == {
        "name": "net",
        "url": server.url,
        "sha256": sha256(CONTENT),
        "size_bytes": len(CONTENT),
        "licence": {"name": "MIT", "url": "https://example.org/licence", "non_commercial": False, "note": ""},
    }


def test_a_right_file_is_not_fetched_again(server: FileServer, folder: Path) -> None:
    store, model = known(server.url)
    get(store, model)
    assert get(store, model).state == "already_here"
    assert len(server.asked) == 1


def test_a_damaged_file_is_replaced(server: FileServer, folder: Path) -> None:
    store, model = known(server.url)
    get(store, model)
    about = model.file.stat()
    model.file.write_bytes(CONTENT[::-1])
    os.utime(model.file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert store.state(model) == "ready"  # as far as is remembered
    assert get(store, model).state == "pulled"
    assert model.file.read_bytes() == CONTENT


def test_a_broken_off_pull_is_continued(server: FileServer, folder: Path) -> None:
    server.answers = [Answer(cut=98_304), Answer(404), Answer()]
    store, model = known(server.url)
    with pytest.raises(EngineError, match=r"net: .*404") as caught:
        get(store, model)
    assert "goes on where it stopped" in caught.value.mend
    assert files(folder) == ["net.part"]
    assert get(store, model).state == "pulled"
    assert server.asked[-1] == "bytes=98304-"
    assert files(folder) == ["net.licence.json", "net.onnx"]


def test_without_a_network_the_other_way_is_told(folder: Path) -> None:
    url = "http://nowhere.invalid/net.onnx"
    store, model = known(url)
    with pytest.raises(EngineError) as caught:
        get(store, model)
    for words in (url, sha256(CONTENT), "models pull net --from FILE", str(folder)):
        assert words in caught.value.mend
    assert str(caught.value).count(url) == 1
    assert caught.value.message.startswith("net: it cannot be fetched from nowhere.invalid: ")


NON_COMMERCIAL = {"name": "research only", "url": "https://example.org/terms", "non_commercial": True, "note": "Ask."}


def test_a_licence_that_forbids_commercial_use_must_be_accepted(server: FileServer, folder: Path) -> None:
    store, model = known(server.url, licence=NON_COMMERCIAL)
    with pytest.raises(UsageError) as caught:
        get(store, model)
    assert "research only https://example.org/terms Ask." in caught.value.message
    assert "--accept-licence" in caught.value.mend
    assert server.asked == []
    get(store, model, accept_licence=True)
    assert record(folder)["accepted_at"] == record(folder)["fetched_at"]
    assert get(store, model).state == "already_here"


def test_what_was_brought_by_hand_is_not_said_to_be_accepted(server: FileServer, folder: Path) -> None:
    store, model = known(server.url, licence=NON_COMMERCIAL)
    model.file.write_bytes(CONTENT)
    assert get(store, model).state == "already_here"
    found = record(folder)
    assert "found_at" in found
    assert not {"accepted_at", "fetched_at", "from"} & set(found)
    get(store, model, accept_licence=True)
    assert "accepted_at" in record(folder)
    assert record(folder)["found_at"] == found["found_at"]
    assert server.asked == []


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_of_a_pack_only_the_member_is_kept(server: FileServer, folder: Path, how: int) -> None:
    server.content = packed(how=how)
    store, model = known(server.url, server.content)
    get(store, model)
    assert model.file.read_bytes() == CONTENT
    assert files(folder) == ["net.licence.json", "net.onnx"]


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (packed("elsewhere/net.onnx"), "has no net.onnx in it"),
        (packed(content=CONTENT[::-1]), "is not the network that is described"),
        (packed(content=CONTENT[1:]), "is not the network that is described"),
        (packed(content=bytes(50_000_000)), "is not the network that is described"),  # 50 KB on the way
        (b"no zip at all", "cannot be unpacked"),
        (packed()[:-30], "cannot be unpacked"),
        (packed(how=zipfile.ZIP_STORED).replace(CONTENT[:99], bytes(99)), "cannot be unpacked"),
    ],
    ids=["no member", "wrong", "short", "bomb", "no zip", "torn", "damaged"],
)
def test_a_pack_with_something_else_in_it_is_refused(server: FileServer, folder: Path, pack: bytes, words: str) -> None:
    server.content = pack
    store, model = known(server.url, pack)
    with pytest.raises(EngineError, match=words) as caught:
        get(store, model)
    assert caught.value.mend
    assert files(folder) == ["net.part"]


def test_a_bomb_is_not_unpacked_further_than_described(
    server: FileServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = packed(content=bytes(50_000_000))
    store, model = known(server.url, server.content)
    largest = 0
    unlink = Path.unlink

    def measure(path: Path, missing_ok: bool = False) -> None:
        nonlocal largest
        largest = max(largest, path.stat().st_size if path.suffix == ".new" and path.exists() else 0)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", measure)
    with pytest.raises(EngineError):
        get(store, model)
    assert largest == len(CONTENT) + 1


@pytest.mark.parametrize("is_pack", [False, True])
def test_a_file_from_elsewhere_is_taken(folder: Path, tmp_path: Path, is_pack: bool) -> None:
    pack = packed()
    store, model = known("http://nowhere.invalid/x.zip", pack)
    source = tmp_path / "brought.bin"
    source.write_bytes(pack if is_pack else CONTENT)
    assert get(store, model, source=source).state == "pulled"
    assert model.file.read_bytes() == CONTENT
    assert source.exists()
    assert files(folder) == ["net.licence.json", "net.onnx"]
    assert record(folder)["from"] == str(source)
    assert "taken_at" in record(folder)
    assert "fetched_at" not in record(folder)


@pytest.mark.parametrize("is_pack", [False, True])
def test_a_stick_that_breaks_on_the_way_is_no_fault_of_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_pack: bool
) -> None:
    content = packed(how=zipfile.ZIP_STORED) if is_pack else CONTENT
    store, model = known("http://nowhere.invalid/x.zip", packed(how=zipfile.ZIP_STORED))
    source = tmp_path / "brought.bin"
    source.write_bytes(content)
    opened, unzipped = Path.open, zipfile.ZipFile

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if (size or 0) > 50_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    def checked(_path: Path) -> str:
        monkeypatch.setattr(
            Path, "open", lambda path, *how: Breaking(content) if path == source else opened(path, *how)
        )
        monkeypatch.setattr(zipfile, "ZipFile", lambda _path: unzipped(Breaking(content)))
        return sha256(content)

    monkeypatch.setattr("optimind.weights.pull.sha256_of", checked)
    with pytest.raises(EngineError, match="cannot be read: Input/output error") as caught:
        get(store, model, source=source)
    assert "brought.bin" in caught.value.message
    assert str(folder) not in str(caught.value)
    monkeypatch.undo()


@pytest.mark.parametrize("content", [b"", b"x" * 199_999, CONTENT[::-1], None], ids=["empty", "short", "wrong", "none"])
def test_another_file_from_elsewhere_is_not(folder: Path, tmp_path: Path, content: bytes | None) -> None:
    store, model = known("http://nowhere.invalid/x.onnx")
    source = tmp_path / "brought.bin"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(UsageError, match=r"brought\.bin") as caught:
        get(store, model, source=source)
    assert sha256(CONTENT) in caught.value.mend or content is None
    assert files(folder) == []


def test_two_pulls_do_not_meet(server: FileServer, folder: Path) -> None:
    store, model = known(server.url)
    with FileLock(folder / ".net.lock"), pytest.raises(EngineError, match="another process is fetching net"):
        get(store, model)
    assert server.asked == []
    get(store, model)


def test_a_full_disk_is_said_before_anything_is_fetched(
    server: FileServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10_000, used=9_000, free=1_000))
    store, model = known(server.url)
    with pytest.raises(EngineError, match=r"net needs 0 MB in .* and 0 MB are free") as caught:
        get(store, model)
    assert "OPTIMIND_MODELS" in caught.value.mend
    assert server.asked == []


def test_a_disk_that_fills_up_on_the_way_is_said(
    server: FileServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    store, model = known(server.url)
    monkeypatch.setattr("optimind.weights.download.os.fsync", full)
    with pytest.raises(EngineError, match="cannot be written: No space left on device") as caught:
        get(store, model)
    assert str(folder) in caught.value.message
    monkeypatch.undo()


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be written by root")
def test_a_folder_that_may_not_be_written_is_said(server: FileServer, folder: Path) -> None:
    store, model = known(server.url)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(EngineError, match="cannot be written"):
        get(store, model)


def test_a_model_at_a_path_is_where_it_is(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own.onnx"
    own.write_bytes(CONTENT)
    store, model = known("", url=None, path=str(own))
    assert get(store, model).state == "already_here"
    own.unlink()
    with pytest.raises(EngineError, match="is not here"):
        get(store, model)
