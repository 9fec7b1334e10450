"""What a run has computed so far, on disk at once, so that a killed run loses a second of work at most.

A text file beside the gallery: a line a photograph, each with its own checksum, so that a line torn by a power cut is
left out and the others count. It is deleted when the gallery is written; until then it holds embeddings and is readable
by its owner only, and each line is encrypted where the gallery is.
"""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from optimind.errors import GalleryError, SealRefused
from optimind.gallery.outcome import Entry, Outcome
from optimind.sealing import PLAIN, Purpose, Sealer

__all__ = ["Journal", "journal_of"]

SYNC_EVERY_S = 1.0


def journal_of(gallery: Path) -> Path:
    """Where the journal of a gallery lies."""
    return Path(f"{os.path.realpath(gallery)}.journal")


class Journal:
    """Append entries; entries of an earlier run with the same ``key`` are in ``earlier``.

    ``key`` names what the outcomes depend on (embedder, detector, version): a journal with another one is begun anew,
    and so is one that ``sealer``, which encrypts and decrypts the lines, cannot open. Used by one process at a time,
    inside the gallery's lock. Raises :class:`GalleryError` where it cannot be written.
    """

    def __init__(self, path: Path, key: str, sealer: Sealer = PLAIN) -> None:
        self._path = path
        self._sealer = sealer
        self._synced_at = time.monotonic()
        self.earlier: list[Entry] = []
        try:
            whole = self._read(key)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.fchmod(self._file, 0o600)
            os.ftruncate(self._file, whole)
            os.lseek(self._file, 0, os.SEEK_END)
            if not whole:
                self._write(json.dumps({"key": key}))
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def append(self, entry: Entry) -> None:
        """Write one entry: it outlives this process at once, and a power cut within a second."""
        outcome = entry.outcome
        vector = outcome.embedding
        record = {
            **{name: getattr(entry, name) for name in ("file", "size", "mtime_ns")},
            **{name: getattr(outcome, name) for name in _PLAIN},
            "embedding": None if vector is None else base64.b64encode(vector.astype("<f8").tobytes()).decode(),
        }
        try:
            self._write(json.dumps(record))
            if time.monotonic() - self._synced_at >= SYNC_EVERY_S:
                os.fsync(self._file)
                self._synced_at = time.monotonic()
        except OSError as error:
            raise self._failed(error) from error

    def delete(self) -> None:
        """Remove the file: what it held is in the gallery now."""
        self._path.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        data = text.encode()
        if self._sealer.key is not None:
            data = base64.b64encode(self._sealer.seal(data, Purpose.JOURNAL))
        line = b"%08x %s\n" % (zlib.crc32(data), data)
        while line:
            line = line[os.write(self._file, line) :]

    def _read(self, key: str) -> int:
        """Fill ``earlier``; return how many bytes at the file's beginning are to be kept."""
        if not self._path.exists():
            return 0
        kept = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                record = _checked(line, self._sealer)
                if number == 0 and (record is None or record.get("key") != key):
                    return 0
                if record is None:
                    # Torn here: nothing after it can be relied on.
                    break
                if number:
                    self.earlier.append(_entry(record))
                kept += len(line)
        return kept

    def _failed(self, error: OSError) -> GalleryError:
        return GalleryError(
            f"the encoder's journal {self._path} cannot be written: {error.strerror}",
            mend="make room on the disk and the folder writable, then run the same command again",
        )


_PLAIN = ("sha256", "picture", "reason", "detail", "face_px", "sharpness", "smaller_faces", "frontality", "light")


def _checked(line: bytes, sealer: Sealer) -> dict[str, Any] | None:
    checksum, _, data = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(data):
        return None
    try:
        plain = data if data.startswith(b"{") else sealer.open(base64.b64decode(data), Purpose.JOURNAL, "the journal")
    except SealRefused:
        return None
    record = json.loads(plain)
    return record if isinstance(record, dict) else None


def _entry(record: dict[str, Any]) -> Entry:
    text = record["embedding"]
    vector = None if text is None else np.frombuffer(base64.b64decode(text), "<f8").astype(np.float64)
    outcome = Outcome(**{name: record[name] for name in _PLAIN}, embedding=vector)
    return Entry(record["file"], record["size"], record["mtime_ns"], outcome)
