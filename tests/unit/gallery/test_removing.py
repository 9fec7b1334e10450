"""One person out of the photographs and the gallery."""

from __future__ import annotations

from pathlib import Path

import pytest
from school_person import ANNA, BO, NAMES, NAMESAKE, gallery_of, make_school, picture, vector

from optimind.gallery import load_gallery, save_gallery
from optimind.gallery.journal import journal_of
from optimind.gallery.removing import (
    digests_of,
    files_of,
    owner_of_file,
    remove_files,
    remove_from_gallery,
    remove_leftovers,
    search_dataset,
    search_gallery,
)
from optimind.sealing import PLAIN


@pytest.mark.parametrize(
    ("file", "owner"),
    [
        ("7/1.jpg", "7"),
        ("7/deep/1.jpg", "7"),
        ("1042771190_Anna.jpg", "1042771190"),
        ("Anna.jpg", "Anna"),
        ("17.jpg", "17"),
    ],
)
def test_whose_a_file_is(file: str, owner: str) -> None:
    assert owner_of_file(file) == owner


def test_a_persons_folder_and_flat_files_and_nobody_elses(tmp_path: Path) -> None:
    dataset = make_school(tmp_path).places.dataset
    (dataset / "10427711901_Carl.jpg").write_bytes(b"x")
    (dataset / ".1042771190_x.jpg.tmp").write_bytes(b"x")
    (dataset / "1042771190/.hidden.tmp").write_bytes(b"x")
    (dataset / "1042771190/deep").mkdir()
    (dataset / "1042771190/deep/notes.txt").write_bytes(b"x")
    assert [path.name for path in files_of(dataset, ANNA)] == [
        ".1042771190_x.jpg.tmp",
        "1042771190",
        "1042771190_Anna_Berg.jpg",
    ]
    assert remove_files(files_of(dataset, ANNA)) == (6, [])
    left = sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*") if path.is_file())
    assert left == ["10427711901_Carl.jpg", "2001_Anna_Berg.jpg", "7/1.jpg", "7/2.jpg"]
    assert files_of(tmp_path / "none", ANNA) == []


def test_a_link_goes_and_what_it_leads_to_is_named(tmp_path: Path) -> None:
    dataset = make_school(tmp_path).places.dataset
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.jpg").write_bytes(b"x")
    (dataset / "1042771190/link.jpg").symlink_to(tmp_path / "elsewhere/a.jpg")
    (dataset / "88").symlink_to(tmp_path / "elsewhere")
    assert remove_files(files_of(dataset, ANNA))[1] == [str(tmp_path / "elsewhere/a.jpg")]
    assert remove_files(files_of(dataset, "88")) == (1, [str(tmp_path / "elsewhere")])
    assert (tmp_path / "elsewhere/a.jpg").exists()


def test_samples_go_and_what_is_said_of_their_photographs(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery_of(path))
    count, pieces = remove_from_gallery(path, PLAIN, lambda one: one == ANNA)
    assert (count, len(pieces)) == (2, 2)
    left = load_gallery(path)
    assert {s.person_id for s in left.samples} == {NAMESAKE, BO}
    assert [u.file for u in left.unused] == ["7/3.jpg"]  # 7/2 names one of hers: the next encode looks at it anew
    found = search_gallery(path, PLAIN, ANNA, ("Anna Berg",), pieces)
    assert (found.left, len(found.other)) == ([], 1)
    before = path.stat().st_mtime_ns
    assert remove_from_gallery(path, PLAIN, lambda one: one == ANNA) == (0, [])
    assert path.stat().st_mtime_ns == before


def test_the_search_finds_whatever_is_left(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    gallery = gallery_of(path)
    save_gallery(path, gallery)
    piece = vector(ANNA).tobytes()[:32]
    found = search_gallery(path, PLAIN, ANNA, ("Anna Berg",), [piece])
    assert len(found.left) == 2 + 2 + 1  # samples, photographs not used, the bytes of a template
    path.write_bytes(path.read_bytes() + b"Cara Holm")
    assert any("byte" in place for place in _search_bytes(path))
    journal_of(path).write_bytes(b"x")
    assert remove_leftovers(path) == [journal_of(path).name]
    assert remove_leftovers(path) == []


def _search_bytes(path: Path) -> list[str]:
    """A gallery with something behind its end is refused, so the bytes are put into an unused part of it."""
    import pickle  # noqa: PLC0415 - only here

    content = pickle.loads(path.read_bytes().removesuffix(b"Cara Holm"))
    content["optimind"]["left over"] = "Cara Holm"
    path.write_bytes(pickle.dumps(content, protocol=4))
    return search_gallery(path, PLAIN, "88", ("Cara Holm",), []).left


@pytest.mark.parametrize("word", ["optimind", "encodings", "person_ids", "multiarray"])
def test_a_person_may_be_called_like_a_part_of_the_file(tmp_path: Path, word: str) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery_of(path))
    assert search_gallery(path, PLAIN, word, (word,), []).left == []


def test_the_photographs_are_searched_by_name_and_content(tmp_path: Path) -> None:
    dataset = make_school(tmp_path).places.dataset
    digests = digests_of(files_of(dataset, ANNA))
    assert len(search_dataset(dataset, ANNA, ("Anna Berg",), digests).left) == 4
    (dataset / "7/copy.jpg").write_bytes(picture("1042771190/b.jpg"))
    remove_files(files_of(dataset, ANNA))
    found = search_dataset(dataset, ANNA, (NAMES[ANNA],), digests)
    assert found.left == [f"{dataset}/7/copy.jpg (a copy of a photograph)"]
    assert found.other == [f"{dataset}/2001_Anna_Berg.jpg"]
