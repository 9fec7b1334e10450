"""Checksums are remembered; a file that may have changed is read again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from optimind.weights import checksums
from optimind.weights.checksums import Checksums, cache_file, sha256_of

CONTENT = b"a network" * 200_000  # more than is read at once
RIGHT = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.onnx"
    path.write_bytes(CONTENT)
    return path


def swap_silently(path: Path) -> None:
    """Other content, the same size and time."""
    about = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_the_checksum_is_sha256(file: Path) -> None:
    assert sha256_of(file) == RIGHT


def test_an_unchanged_file_is_not_read_again_where_that_is_trusted(file: Path, tmp_path: Path) -> None:
    known = tmp_path / "cache" / "known.json"
    first = Checksums(known)
    assert first.sha256(file, trust_known=True) == RIGHT
    first.keep()
    swap_silently(file)
    assert Checksums(known).sha256(file, trust_known=True) == RIGHT
    assert Checksums(known).sha256(file, trust_known=False) != RIGHT
    file.write_bytes(CONTENT + b"!")
    assert Checksums(known).sha256(file, trust_known=True) != RIGHT


def test_what_others_learned_meanwhile_stays(file: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    other = tmp_path / "b.onnx"
    other.write_bytes(b"b")
    one, two = Checksums(known), Checksums(known)
    one.sha256(file, trust_known=True)
    two.sha256(other, trust_known=True)
    one.keep()
    two.keep()
    assert set(json.loads(known.read_text())) == {str(file), str(other)}


@pytest.mark.parametrize("damaged", ["", "[]", "{", '{"FILE": 1}', '{"FILE": [1, 2]}'])
def test_a_damaged_memory_is_no_fault(file: Path, tmp_path: Path, damaged: str) -> None:
    known = tmp_path / "known.json"
    known.write_text(damaged.replace("FILE", str(file)))
    memory = Checksums(known)
    assert memory.sha256(file, trust_known=True) == RIGHT
    memory.keep()
    assert json.loads(known.read_text())[str(file)][2] == RIGHT


def test_where_nothing_can_be_written_nothing_is_left(file: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    memory = Checksums(tmp_path / "cache" / "known.json")
    assert memory.sha256(file, trust_known=True) == RIGHT
    memory.keep()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "cache"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Checksums(tmp_path / "known.json").sha256(tmp_path / "none", trust_known=True)


def test_the_memory_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_file() == tmp_path / "optimind" / "checksums.json"


def test_the_status_check_can_use_it_before_anything_is_installed() -> None:
    tree = ast.parse(Path(checksums.__file__).read_text("utf-8"), feature_version=(3, 8))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }
    assert imported <= set(sys.stdlib_module_names)
