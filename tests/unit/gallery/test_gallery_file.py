"""The gallery file: what goes in comes out, what is wrong is refused, and the old one survives every failure."""

from __future__ import annotations

import errno
import os
import pickle
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from optimind.errors import GalleryError, GalleryLocked, GalleryMismatch, GalleryMissing, GalleryRefused
from optimind.gallery.format import (
    FORMAT,
    GalleryFile,
    Sample,
    Unused,
    check_embedder,
    gallery_lock,
    load_gallery,
    save_gallery,
    to_core,
)
from optimind.gallery.quality import MIN_FRONTALITY, MIN_LIGHT


def sample(person_id: str, seed: int = 0, **more: Any) -> Sample:
    vector = np.random.default_rng(seed).normal(size=4)
    return Sample(
        person_id, more.pop("name", person_id.title()), vector, more.pop("file", f"{person_id}/1.jpg"), **more
    )


def gallery(*samples: Sample, unused: tuple[Unused, ...] = ()) -> GalleryFile:
    return GalleryFile("test-v1", 4, samples, unused, "test", 1)


def fields_of(row: Sample | Unused) -> list[object]:
    return [v.tolist() if isinstance(v := getattr(row, n), np.ndarray) else v for n in row.__dataclass_fields__]


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    rows=st.lists(st.tuples(texts, texts, texts, st.integers(0, 2**60)), max_size=5),
    skipped=st.lists(st.tuples(texts, texts), max_size=3),
)
@settings(deadline=None, max_examples=30)
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, int]], skipped: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("gallery") / "g.pickle"
    made = gallery(
        *(
            sample(p, i, name=n, file=f, mtime_ns=m, face_px=50.5, frontality=0.5, light=0.25)
            for i, (p, n, f, m) in enumerate(rows)
        ),
        unused=tuple(Unused(f, 1, 2, "a", "b", "no_face", d) for f, d in skipped),
    )
    save_gallery(path, made)
    read = load_gallery(path)
    assert (read.embedder, read.dimension, read.detector, read.encoder, read.path) == ("test-v1", 4, "test", 1, path)
    assert [fields_of(s) for s in read.samples] == [fields_of(s) for s in made.samples]
    assert read.unused == made.unused


def test_the_file_is_what_scripts_around_face_recognition_read(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery(sample("anna"), sample("bert", 1)))
    with path.open("rb") as file:
        content = pickle.load(file)
    assert content["names"] == ["Anna", "Bert"]
    assert [v.shape for v in content["encodings"]] == [(4,), (4,)]
    assert all(v.dtype == np.float64 for v in content["encodings"])
    assert content["optimind"]["format"] == FORMAT
    assert content["optimind"]["person_ids"] == ["anna", "bert"]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder/g.pickle"
    with gallery_lock(path):
        save_gallery(path, gallery())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == ["g.pickle", "g.pickle.lock"]


def test_templates_by_person(tmp_path: Path) -> None:
    core = to_core(gallery(sample("bert", 1), sample("anna", 2), sample("bert", 3)))
    assert (core.embedder, core.people, core.samples) == ("test-v1", 2, 3)
    assert [(t.person_id, t.name, t.embeddings.shape) for t in core.templates] == [
        ("bert", "Bert", (2, 4)),
        ("anna", "Anna", (1, 4)),
    ]
    assert to_core(gallery()).people == 0


def test_samples_in_reserve_count_where_there_are_no_others() -> None:
    turned, dim = {"frontality": MIN_FRONTALITY - 0.01}, {"light": MIN_LIGHT - 0.01}
    just = {"frontality": MIN_FRONTALITY, "light": MIN_LIGHT}
    core = to_core(
        gallery(
            sample("anna", 1, **turned),
            sample("anna", 2, **just),
            sample("bert", 3, **dim),
            sample("bert", 4, **turned),
        )
    )
    assert [(t.person_id, len(t.embeddings)) for t in core.templates] == [("anna", 1), ("bert", 2)]
    assert core.templates[0].embeddings.tolist() == [sample("anna", 2).embedding.tolist()]


def test_a_gallery_from_before_pose_and_light_were_measured_loads(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery(sample("anna", frontality=0.1, light=0.1)))
    content = pickle.loads(path.read_bytes())
    _drop("optimind", "quality", "frontality")(content)
    _drop("optimind", "quality", "light")(content)
    path.write_bytes(pickle.dumps(content))
    (read,) = load_gallery(path).samples
    assert (read.frontality, read.light, read.is_reserve) == (1, 1, False)


def test_another_embedder_is_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery())
    check_embedder(load_gallery(path), "test-v1")
    with pytest.raises(GalleryMismatch, match=r"test-v1.*other-v2") as raised:
        check_embedder(load_gallery(path), "other-v2")
    assert f"encode_faces.py --output {path}" in raised.value.mend


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(Path("x"))], ids=["empty", "text", "hostile"])
def test_a_refused_gallery_is_mended_by_writing_that_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "my g.pickle"
    path.write_bytes(content)
    with pytest.raises(GalleryRefused) as raised:
        load_gallery(path)
    assert f"python encode_faces.py --output '{path}'" in raised.value.mend


def test_no_gallery_yet(tmp_path: Path) -> None:
    with pytest.raises(GalleryMissing, match="there is no gallery") as raised:
        load_gallery(tmp_path / "g.pickle")
    assert f"encode_faces.py --output {tmp_path / 'g.pickle'}" in raised.value.mend


def _set(*keys: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


def _drop(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("encodings", to=[np.zeros(4), np.zeros(5)]), r"encoding 1 has the shape \(5,\)"),
        (_set("encodings", to=[np.zeros(4), np.zeros((2, 2))]), "encoding 1 has the shape"),
        (_set("encodings", to=[np.zeros(4), np.full(4, np.nan)]), "encoding 1 holds what is no finite number"),
        (_set("encodings", to=[np.full(4, np.inf), np.zeros(4)]), "encoding 0 holds what is no finite number"),
        (_set("encodings", to=[np.zeros(4)]), "2 entries for 1 rows"),
        (_set("encodings", to=["a", "b"]), "encoding 0 is no vector"),
        (_set("encodings", to="ab"), "encodings is no list"),
        (_set("encodings", to=np.zeros((2, 4))), "encodings is no list"),
        (_set("names", to=["a"]), "names has 1 entries for 2 rows"),
        (_set("names", to=["a", 1]), "an entry of names is int, not str"),
        (_set("names", to="ab"), "names is str, not list"),
        (_set("optimind", to=[]), "optimind is list"),
        (_set("optimind", "format", to="1"), "format is str"),
        (_set("optimind", "format", to=FORMAT + 1), "made by a newer OptiMind"),
        (_set("optimind", "dimension", to=5), "encoding 0 has the shape"),
        (_set("optimind", "dimension", to=True), "dimension is bool"),
        (_set("optimind", "embedder", to=None), "embedder is NoneType"),
        (_set("optimind", "person_ids", to=["a"]), "person_ids has 1 entries"),
        (_set("optimind", "sources", to=None), "NoneType, not dict"),
        (_set("optimind", "sources", "size", to=["1", "2"]), "an entry of size is str, not int"),
        (_set("optimind", "quality", "face_px", to=[1, 2]), "an entry of face_px is int, not float"),
        (_set("optimind", "quality", "light", to=[0.5]), "light has 1 entries for 2 rows"),
        (_set("optimind", "unused", "file", to=["x"]), "0 entries for 1 rows"),
        (_drop("encodings"), "encodings is missing"),
        (_drop("names"), "names is missing"),
        (_drop("optimind", "embedder"), "embedder is missing"),
        (_drop("optimind", "sources", "sha256"), "sha256 is missing"),
        (_drop("optimind", "quality", "sharpness"), "sharpness is missing"),
        (_drop("optimind"), "not made by OptiMind"),
    ],
)
def test_damaged_content_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery(sample("anna"), sample("bert", 1)))
    with path.open("rb") as file:
        content = pickle.load(file)
    change(content)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(GalleryRefused, match=says) as raised:
        load_gallery(path)
    assert str(path) in raised.value.message
    assert raised.value.mend


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps([1]), pickle.dumps(None)])
def test_what_is_no_gallery(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.pickle"
    path.write_bytes(data)
    with pytest.raises(GalleryRefused):
        load_gallery(path)


def _full_disk(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    def dump(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pickle, "dump", dump)


def _no_sync(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)


def _read_only(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    real = os.open

    def refuse(file: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(file, flags, mode)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("fail", [_full_disk, _no_sync, _read_only])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery(sample("anna")))
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        fail(patch, path)
        with pytest.raises(
            GalleryError, match=r"could not be written: .*; the old one, if any, is untouched"
        ) as raised:
            save_gallery(path, gallery(sample("bert")))
    assert "make room" in raised.value.mend
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["g.pickle"]


def test_a_real_limit_on_file_size(tmp_path: Path) -> None:
    """The kernel stops the write half-way, as a full disk does."""
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery(sample("anna")))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(GalleryError, match="File too large"):
            save_gallery(path, gallery(*(sample(f"p{i}") for i in range(500))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["g.pickle"]


def test_what_a_killed_write_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    (tmp_path / ".g.pickle.tmp").write_bytes(b"half")
    save_gallery(path, gallery(sample("anna")))
    assert [p.name for p in tmp_path.iterdir()] == ["g.pickle"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path = tmp_path / "g.pickle"
    path.symlink_to("real/g.pickle")
    save_gallery(path, gallery(sample("anna")))
    assert path.is_symlink()
    assert load_gallery(path).people == 1


def test_a_second_writer_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    told = pytest.raises(GalleryLocked, match=f"process {os.getpid()} is writing")
    with gallery_lock(path), told as raised, gallery_lock(path):
        pytest.fail("two writers")
    assert str(path) + ".lock" in raised.value.message
    with gallery_lock(path):
        pass


def test_a_lock_without_a_number(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    with FileLock(f"{path}.lock"), pytest.raises(GalleryLocked, match="another process"), gallery_lock(path):
        pytest.fail("two writers")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryError, match="cannot be written") as raised, gallery_lock(tmp_path / "file/g.pickle"):
        pytest.fail("written into a file")
    assert "--output" in raised.value.mend
