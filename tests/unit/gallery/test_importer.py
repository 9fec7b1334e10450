"""Encodings that other projects saved."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimind.errors import GalleryMismatch, GalleryRefused, UsageError
from optimind.gallery.format import GalleryFile, Sample, load_gallery, save_gallery
from optimind.gallery.importer import import_encodings
from optimind.gallery.people import join_imported


def vector(seed: int, length: float = 1.4, size: int = 128) -> Any:
    made = np.random.default_rng(seed).normal(size=size)
    return made * length / np.linalg.norm(made)


VECTORS = [vector(0), vector(1), vector(2)]
NAMES = ["Anna_Berg", "محمد علي", "Anna_Berg"]


def saved(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "theirs.pickle"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(
    "content",
    [
        {"encodings": VECTORS, "names": NAMES},
        {"names": NAMES, "encodings": VECTORS, "version": 3},
        [VECTORS, NAMES],
        [NAMES, VECTORS],
        (VECTORS, NAMES),
        {"encodings": np.array(VECTORS), "names": tuple(NAMES)},
        {"encodings": [v.tolist() for v in VECTORS], "names": NAMES},
    ],
    ids=["dict", "with more keys", "lists", "reversed", "tuple", "matrix", "lists of numbers"],
)
def test_every_form_is_taken(tmp_path: Path, content: object, protocol: int) -> None:
    report = import_encodings(saved(tmp_path, content, protocol), tmp_path / "g.pickle")
    assert (report.people, report.samples, report.enrolled, report.reused) == (2, 3, 3, 0)
    gallery = load_gallery(tmp_path / "g.pickle")
    assert (gallery.embedder, gallery.dimension) == ("dlib-resnet-v1", 128)
    assert [(s.person_id, s.name) for s in gallery.samples] == [
        ("Anna_Berg", "Anna Berg"),
        ("محمد علي", "محمد علي"),
        ("Anna_Berg", "Anna Berg"),
    ]
    assert np.array_equal([s.embedding for s in gallery.samples], VECTORS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"encodings": VECTORS, "names": NAMES[:2]}, "3 encodings and 2 names"),
        ({"encodings": VECTORS}, "no encodings and names"),
        ([VECTORS], "no pair of lists"),
        ("text", "no pair of lists"),
        ([[], []], "empty"),
        ({"encodings": VECTORS, "names": ["a", "b", 3]}, "no list of text"),
        ({"encodings": VECTORS, "names": ["a", " ", "c"]}, "name 1 is empty"),
        ({"encodings": VECTORS, "names": ["a", "b\x1b[2J", "c"]}, "name 1 is empty or holds"),
        ({"encodings": [vector(0, size=512)], "names": ["a"]}, "shape"),
        ({"encodings": [np.full(128, np.nan)], "names": ["a"]}, "no finite number"),
        ({"encodings": [vector(0, length=1.0)], "names": ["a"]}, "1.00 long"),
        ({"encodings": VECTORS, "names": NAMES, "optimind": {}}, "already"),
    ],
)
def test_what_cannot_be_imported(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(GalleryRefused, match=says) as raised:
        import_encodings(saved(tmp_path, content), tmp_path / "g.pickle")
    assert raised.value.mend
    assert not (tmp_path / "g.pickle").exists()


def test_a_hostile_file_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "HACKED"),)

    with pytest.raises(GalleryRefused, match=r"import \w+\.mkdir"):
        import_encodings(saved(tmp_path, [[Hostile()], ["a"]]), tmp_path / "g.pickle")
    assert not (tmp_path / "HACKED").exists()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        import_encodings(tmp_path / "none", tmp_path / "g.pickle")


def test_importing_again_replaces_the_imported_and_keeps_the_photographs(tmp_path: Path) -> None:
    output = tmp_path / "g.pickle"
    own = Sample("zoe", "Zoe", vector(9), "zoe/1.jpg", 1, 2, "sha", "pic", 80.0, 0.2, 0)
    save_gallery(output, GalleryFile("dlib-resnet-v1", 128, (own,), (), "face_recognition", 1))
    import_encodings(saved(tmp_path, [VECTORS, NAMES]), output)
    report = import_encodings(saved(tmp_path, [VECTORS[:1], ["bert"]]), output)
    assert (report.enrolled, report.reused) == (1, 1)
    gallery = load_gallery(output)
    assert [s.person_id for s in gallery.samples] == ["bert", "zoe"]
    assert (gallery.detector, gallery.encoder) == ("face_recognition", 1)


def test_who_is_there_from_photographs_is_the_same_person(tmp_path: Path) -> None:
    output = tmp_path / "g.pickle"
    own = Sample("1042", "Anna Berg", vector(9), "1042_Anna_Berg.jpg", 1, 2, "sha", "pic", 80.0, 0.2, 0)
    save_gallery(output, GalleryFile("dlib-resnet-v1", 128, (own,), (), "face_recognition", 1))
    report = import_encodings(saved(tmp_path, [VECTORS, ["anna_berg", "Ole", "ANNA  BERG"]]), output)
    assert (report.people, report.samples) == (2, 4)
    people = [(s.person_id, s.name) for s in load_gallery(output).samples]
    assert people == [("1042", "Anna Berg"), ("Ole", "Ole"), ("1042", "Anna Berg"), ("1042", "Anna Berg")]


def test_a_name_that_two_people_have_is_not_joined() -> None:
    imported = [Sample("Anna", "Anna", vector(0))]
    assert join_imported(imported, [("1", "Anna"), ("2", "anna")]) == imported


def test_a_gallery_of_another_embedder_is_not_mixed(tmp_path: Path) -> None:
    output = tmp_path / "g.pickle"
    save_gallery(output, GalleryFile("other-v1", 4))
    with pytest.raises(GalleryMismatch, match="other-v1"):
        import_encodings(saved(tmp_path, [VECTORS, NAMES]), output)
    assert load_gallery(output).embedder == "other-v1"
