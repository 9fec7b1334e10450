"""What was converted is kept, found again, and made again where it is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimind.vision._graph_cache import cache_folder, kept_or_made

WEIGHTS = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "optimind"


def _never() -> bytes:
    raise AssertionError("it is kept already")


def test_it_is_made_once(folder: Path) -> None:
    assert kept_or_made(WEIGHTS, "x-1", lambda: b"graph") == b"graph"
    assert kept_or_made(WEIGHTS, "x-1", _never) == b"graph"
    assert [path.name for path in folder.iterdir()] == [f"{WEIGHTS[:32]}-x-1"]


def test_other_weights_and_forms_are_kept_apart(folder: Path) -> None:
    keys = [(weights, form) for weights in (WEIGHTS, "cd" * 32) for form in ("x-1", "x-2", "y-1")]
    made = {key: kept_or_made(*key, repr(key).encode) for key in keys}
    assert all(kept_or_made(*key, _never) == content for key, content in made.items())
    assert len(set(made.values())) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: kept[:-1],
        lambda kept: kept[: len(kept) // 2],
        lambda kept: kept[:-1] + b"?",
        lambda kept: b"?" + kept[1:],
        lambda kept: b"optimind-1\n",
    ],
)
def test_a_damaged_one_is_made_again(folder: Path, damage: object) -> None:
    assert callable(damage)
    kept_or_made(WEIGHTS, "x-1", lambda: b"graph" * 100)
    path = folder / f"{WEIGHTS[:32]}-x-1"
    path.write_bytes(damage(path.read_bytes()))
    assert kept_or_made(WEIGHTS, "x-1", lambda: b"new") == b"new"
    assert kept_or_made(WEIGHTS, "x-1", _never) == b"new"


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert kept_or_made(WEIGHTS, "x-1", lambda: b"graph") == b"graph"
    assert kept_or_made(WEIGHTS, "x-1", lambda: b"again") == b"again"


def test_a_write_that_fails_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert kept_or_made(WEIGHTS, "x-1", lambda: b"graph") == b"graph"
    assert list(folder.iterdir()) == []


def test_what_making_raises_passes(folder: Path) -> None:
    with pytest.raises(AssertionError, match="kept already"):
        kept_or_made(WEIGHTS, "x-1", _never)
    assert not folder.exists()


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "optimind"


def test_without_a_home_it_is_made_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert kept_or_made(WEIGHTS, "x-1", lambda: b"graph") == b"graph"
