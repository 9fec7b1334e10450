"""Whose folder it is, and that writing into it leaves all or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from optimind.errors import DatasetError, UsageError
from optimind.gallery.adding import Owner, added, owner_of, photographs_in


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four people: three with a folder, one in flat files, two of one name."""
    folder = tmp_path / "datasets"
    for name in ("Anna_Berg/1.jpg", "17_Ben_Ode/1.jpg", "Ben_Ode/1.jpg"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    (folder / "1042_Cem_Ay.jpg").write_bytes(b"x")
    return folder


OWNERS = [
    pytest.param({"name": "anna berg"}, Owner("Anna_Berg", "Anna Berg", is_new=False), id="known by name"),
    pytest.param({"name": "Anna_Berg"}, Owner("Anna_Berg", "Anna Berg", is_new=False), id="by their folder's name"),
    pytest.param({"name": "Cem Ay"}, Owner("1042", "Cem Ay", is_new=False), id="known by flat files"),
    pytest.param({"name": " Dana  van Eck "}, Owner("Dana_van_Eck", "Dana van Eck", is_new=True), id="new"),
    pytest.param({"name": "王小明"}, Owner("王小明", "王小明", is_new=True), id="any script"),
    pytest.param({"person_id": "1042"}, Owner("1042", "Cem Ay", is_new=False), id="known by id"),
    pytest.param({"person_id": "17_Ben_Ode"}, Owner("17_Ben_Ode", "Ben Ode", is_new=False), id="one of two"),
    pytest.param({"person_id": "18_Eva"}, Owner("18_Eva", "Eva", is_new=True), id="a new id"),
]


@pytest.mark.parametrize(("said", "owner"), OWNERS)
def test_whose_photographs_they_are(dataset: Path, said: dict[str, str], owner: Owner) -> None:
    assert owner_of(photographs_in(dataset), **said) == owner


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "Ben Ode"}, "several people are called Ben Ode"),
        ({"name": "../Anna"}, "name of no folder"),
        ({"name": "."}, "name of no folder"),
        ({"name": "  "}, "name of no folder"),
        ({"name": "a\nb"}, "name of no folder"),
        ({"name": "x" * 101}, "name of no folder"),
        ({"person_id": ".hidden"}, "name of no folder"),
        ({"person_id": "a/b"}, "name of no folder"),
        ({"name": "Thumbs.db"}, "operating systems use"),
    ],
)
def test_what_can_be_nobody(dataset: Path, said: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        owner_of(photographs_in(dataset), **said)


def test_a_dataset_that_is_not_there_or_empty_has_nobody(tmp_path: Path) -> None:
    assert photographs_in(tmp_path / "none") == ()
    (tmp_path / "empty/Anna").mkdir(parents=True)
    assert photographs_in(tmp_path / "empty") == ()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        photographs_in(tmp_path / "file")


def test_photographs_are_written_for_their_owner_only_and_found_again(dataset: Path) -> None:
    with added(dataset, "Dana", [b"one", b"two"], "visitor-3") as paths:
        first = list(paths)
    assert [path.read_bytes() for path in first] == [b"one", b"two"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in first} == {0o600}
    assert stat.S_IMODE((dataset / "Dana").stat().st_mode) == 0o700
    # A run that was killed before it had noted that it was done begins again.
    with added(dataset, "Dana", [b"one", b"two"], "visitor-3") as paths:
        assert paths == first
    assert sorted(path.name for path in (dataset / "Dana").iterdir()) == sorted(path.name for path in first)


def test_what_is_there_is_never_overwritten(dataset: Path) -> None:
    with added(dataset, "Anna_Berg", [b"one"], "1") as (path,):
        path.write_bytes(b"edited by hand")
    with added(dataset, "Anna_Berg", [b"one"], "1") as (again,):
        assert again.read_bytes() == b"edited by hand"
    assert (dataset / "Anna_Berg/1.jpg").read_bytes() == b"x"


def test_a_photograph_that_was_there_before_stays_whatever_becomes_of_it(dataset: Path) -> None:
    with added(dataset, "Dana", [b"one"], "v") as paths:
        (before,) = paths
    with added(dataset, "Dana", [b"one", b"two"], "v") as paths:
        paths.clear()
    assert list((dataset / "Dana").iterdir()) == [before]


def test_new_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        with added(tmp_path / "school/datasets", "Dana", [b"one"], "v"):
            pass
    finally:
        os.umask(mask)
    folders = [tmp_path / name for name in ("school", "school/datasets", "school/datasets/Dana")]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3


def test_only_what_was_of_use_stays(dataset: Path) -> None:
    with added(dataset, "Dana", [b"one", b"two"], "v") as paths:
        gone = paths.pop()
        assert gone.exists()
    assert list((dataset / "Dana").iterdir()) == paths


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("person", ["Anna_Berg", "Dana"])
def test_where_nothing_was_of_use_nothing_stays(dataset: Path, person: str) -> None:
    before = everything(dataset)
    with added(dataset, person, [b"one", b"two"], "v") as paths:
        paths.clear()
    assert everything(dataset) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_where_it_fails_nothing_stays(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with added(tmp_path / "datasets", "Dana", [b"one"], "v"):
            raise error

    with pytest.raises(error):
        fail()
    assert everything(tmp_path) == []


def test_a_disk_that_is_full_leaves_nothing(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(dataset)
    left = [1]

    def full(_: int) -> None:
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DatasetError, match="No space left"), added(dataset, "Dana", [b"one", b"two"], "v"):
        pass
    assert everything(dataset) == before
