"""What a killed run leaves behind, and what the next one makes of it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimind.errors import GalleryError
from optimind.gallery.journal import Journal
from optimind.gallery.outcome import Entry, Outcome


def entry(number: int) -> Entry:
    outcome = Outcome(
        f"sha{number}",
        f"pic{number}",
        embedding=np.random.default_rng(number).normal(size=3),
        face_px=1.5,
        frontality=0.25,
        light=0.75,
    )
    return Entry(f"Ünal/{number}.jpg", 10 + number, 10**18 + number, outcome)


REJECTED = Entry("x.jpg", 1, 2, Outcome("sha", "pic", "no_face", "nobody"))


def write(path: Path, *entries: Entry, key: str = "k") -> None:
    with Journal(path, key) as journal:
        for one in entries:
            journal.append(one)


def files(path: Path, key: str = "k") -> list[str]:
    with Journal(path, key) as journal:
        return [e.file for e in journal.earlier]


def test_entries_come_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, entry(1), REJECTED)
    with Journal(path, "k") as journal:
        one, other = journal.earlier
    assert (one.file, one.size, one.mtime_ns) == ("Ünal/1.jpg", 11, 10**18 + 1)
    assert one.outcome.embedding is not None
    assert np.array_equal(one.outcome.embedding, np.random.default_rng(1).normal(size=3))
    assert (one.outcome.sha256, one.outcome.picture, one.outcome.face_px) == ("sha1", "pic1", 1.5)
    assert (one.outcome.frontality, one.outcome.light) == (0.25, 0.75)
    assert other == REJECTED or (other.outcome.reason, other.outcome.embedding) == ("no_face", None)


def test_runs_append(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for number in range(3):
        write(path, entry(number))
    assert files(path) == ["Ünal/0.jpg", "Ünal/1.jpg", "Ünal/2.jpg"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_engine_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, entry(1))
    assert files(path, "other") == []
    assert files(path) == []


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=20))
@settings(deadline=None)
def test_a_torn_end_costs_only_what_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    write(path, *(entry(n) for n in range(4)))
    whole = path.read_bytes()
    cut = min(cut, len(whole))
    path.write_bytes(whole[:cut] + junk)
    complete = max(0, whole[:cut].count(b"\n") - 1)
    expected = [f"Ünal/{n}.jpg" for n in range(complete)]
    # Junk may by chance complete the line that was cut by nothing but its end.
    assert files(path) in (expected, [*expected, f"Ünal/{complete}.jpg"])
    write(path, entry(9))
    assert files(path)[-1] == "Ünal/9.jpg"


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, *(entry(n) for n in range(3)))
    data = bytearray(path.read_bytes())
    data[data.index(b"sha1") + 3] ^= 1
    path.write_bytes(data)
    assert files(path) == ["Ünal/0.jpg"]


def test_delete(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "k") as journal:
        journal.append(entry(1))
        journal.delete()
        journal.delete()
    assert not path.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    with Journal(tmp_path / "j", "k") as journal:

        def write_nothing(_descriptor: int, _data: bytes) -> int:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "write", write_nothing)
        with pytest.raises(GalleryError, match=r"journal .*cannot be written") as raised:
            journal.append(entry(1))
        monkeypatch.undo()
    assert "run the same command again" in raised.value.mend


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="cannot be written"):
        Journal(tmp_path / "none/j", "k")
