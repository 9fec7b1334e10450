"""Keeps what was converted from weights: in the user's cache folder, one file for each conversion.

A file is named after the weights' SHA-256 and the form of the conversion, so another of either never meets it. It
starts with the SHA-256 of its content: one that is damaged, or was cut off, is made again. A folder that cannot be
written costs the time of converting at each start, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["cache_folder", "kept_or_made"]

_MAGIC: Final = b"optimind-1\n"
_DIGEST_SIZE: Final = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/optimind``, or ``~/.cache/optimind`` where that is not set to an absolute path."""
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (told if told.is_absolute() else Path("~/.cache").expanduser()) / "optimind"


def kept_or_made(weights_sha256: str, form: str, make: Callable[[], bytes]) -> bytes:
    """Return what ``make`` makes of the weights, from the cache where it is there.

    ``form`` names the conversion and its version, in letters that a file name may have. What ``make`` raises passes.
    """
    try:
        path = cache_folder() / f"{weights_sha256[:32]}-{form}"
    except RuntimeError:  # a user without a home folder
        return make()
    content = _read(path)
    if content is None:
        content = make()
        _write(path, content)
    return content


def _read(path: Path) -> bytes | None:
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST_SIZE
    content = kept[start:]
    is_whole = kept[:start] == _MAGIC + hashlib.sha256(content).digest()
    return content if is_whole else None


def _write(path: Path, content: bytes) -> None:
    """Write to a temporary name and rename, so that another process never reads half a file."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
