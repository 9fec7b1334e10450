"""A gallery and an encoder's journal that are encrypted."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from school_person import ANNA, NAMES, gallery_of, vector

from optimind.errors import GalleryRefused, SealRefused
from optimind.gallery import load_gallery, save_gallery
from optimind.gallery.importer import import_encodings
from optimind.gallery.journal import Journal
from optimind.gallery.outcome import Entry, Outcome
from optimind.sealing import Sealer, SealingKey

SEALER = Sealer(SealingKey(bytes(range(32))))


def test_it_comes_back_and_holds_nothing_plain(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery_of(path), SEALER)
    back = load_gallery(path, SEALER)
    assert [(s.person_id, s.name) for s in back.samples] == [(s.person_id, s.name) for s in gallery_of(path).samples]
    assert np.array_equal(back.samples[0].embedding, vector(ANNA))
    data = path.read_bytes()
    assert data.startswith(b"OPTIMIND-SEALED\x01")
    for plain in (NAMES[ANNA].encode(), vector(ANNA).tobytes()[:16], b"encodings", b"optimind"):
        assert plain not in data


def test_whoever_lacks_the_key_refuses_it_by_name(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery_of(path), SEALER)
    for load in (lambda: load_gallery(path), lambda: import_encodings(path, tmp_path / "other.pickle")):
        with pytest.raises(SealRefused, match=f"{path} is encrypted with the key"):
            load()
    assert not (tmp_path / "other.pickle").exists()


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery_of(path), SEALER)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SealRefused, match="is damaged"):
        load_gallery(path, SEALER)
    path.write_bytes(b"OPTIMIND-SEALED")
    with pytest.raises(GalleryRefused):
        load_gallery(path, SEALER)


def test_what_a_pickle_inside_would_do_is_refused_too(tmp_path: Path) -> None:
    from optimind.sealing import Purpose  # noqa: PLC0415 - only here

    path = tmp_path / "g.pickle"
    path.write_bytes(SEALER.seal(pickle.dumps(print), Purpose.GALLERY))
    with pytest.raises(GalleryRefused, match="Nothing in it was run"):
        load_gallery(path, SEALER)


def test_the_plain_one_is_what_scripts_read(tmp_path: Path) -> None:
    path = tmp_path / "g.pickle"
    save_gallery(path, gallery_of(path))
    content = pickle.loads(path.read_bytes())
    assert content["names"] == [s.name for s in gallery_of(path).samples]
    assert len(load_gallery(path, SEALER).samples) == len(content["encodings"])


def entry(number: int) -> Entry:
    return Entry(f"{NAMES[ANNA]}/{number}.jpg", 1, 2, Outcome("sha", "pic", embedding=vector(ANNA, number)))


def test_a_journal_is_sealed_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for number in range(2):
        with Journal(path, "k", SEALER) as journal:
            assert [each.file for each in journal.earlier] == [entry(n).file for n in range(number)]
            journal.append(entry(number))
    data = path.read_bytes()
    assert NAMES[ANNA].encode() not in data
    assert len(data.splitlines()) == 3
    with Journal(path, "k", SEALER) as journal:
        found = journal.earlier[1].outcome.embedding
        assert found is not None
        assert np.array_equal(found, vector(ANNA, 1))


def test_a_journal_that_cannot_be_opened_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "k", SEALER) as journal:
        journal.append(entry(0))
    with Journal(path, "k") as journal:
        assert journal.earlier == []
        journal.append(entry(1))
    assert b'"key"' in path.read_bytes()
    with Journal(path, "k", SEALER) as journal:
        assert [each.file for each in journal.earlier] == [entry(1).file]
