"""SHA-256 of large files, remembered between two starts.

Nothing outside the standard library is imported here, and nothing newer than Python 3.8 is used: the status check
needs it, and that is what tells a newcomer what to install.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

__all__ = ["Checksums", "cache_file", "sha256_of"]

_BLOCK = 1 << 20


def cache_file() -> Path:
    """Where checksums are remembered between two starts."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "optimind" / "checksums.json"  # noqa: PTH111  stays as it is without a home


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal. Raises ``OSError``."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


class Checksums:
    """The checksums of files, with a memory: a file of the same size and time need not be read again.

    ``known`` is the file they are remembered in, :func:`cache_file` where it is None. A damaged or unwritable one is
    no fault: then files are read each time.
    """

    def __init__(self, known: Path | None = None) -> None:
        self._known = known or cache_file()
        self._entries: dict[str, Any] | None = None
        self._changed = False

    def sha256(self, path: Path, *, trust_known: bool) -> str:
        """Return the SHA-256 of ``path``; ``trust_known``: an unchanged file is not read. Raises ``OSError``."""
        entries = self._recalled()
        about = path.stat()
        mark = [about.st_size, about.st_mtime_ns]
        entry = entries.get(str(path))
        if not (trust_known and isinstance(entry, list) and len(entry) == 3 and entry[:2] == mark):
            entry = [*mark, sha256_of(path)]
            self._changed = self._changed or entries.get(str(path)) != entry
            entries[str(path)] = entry
        return str(entry[2])

    def keep(self) -> None:
        """Write down what was learned, for the next start."""
        if not self._changed:
            return
        # Another process or thread may have learned of other files meanwhile.
        entries = {**_read(self._known), **self._recalled()}
        # What was deleted or moved away would stay in it for ever.
        entries = {path: entry for path, entry in entries.items() if Path(path).exists()}
        beside = self._known.with_name(f"{self._known.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            self._known.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(entries), encoding="utf-8")
            beside.replace(self._known)
            self._changed = False
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()

    def _recalled(self) -> dict[str, Any]:
        if self._entries is None:
            self._entries = _read(self._known)
        return self._entries


def _read(known: Path) -> dict[str, Any]:
    try:
        entries = json.loads(known.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
