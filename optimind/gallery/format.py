"""The gallery file: what is in it, reading it safely, and writing it so that it is always whole.

A pickle (protocol 4) of ``{"encodings": [vector, ...], "names": [str, ...], "optimind": {...}}``, which scripts made
for face_recognition can read. ``optimind`` holds plain values: the format's version, the embedder, and columns as long
as ``encodings``: who each vector belongs to, which photograph it came from, and how good that was. Photographs that
were not enrolled are remembered too, without any vector, so that they need not be looked at again.
"""

from __future__ import annotations

import os
import pickle
import shlex
import typing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from optimind.core.types import Gallery, Template
from optimind.errors import GalleryError, GalleryLocked, GalleryMismatch, GalleryMissing, GalleryRefused
from optimind.gallery.plain_pickle import FloatArray, read_plain_pickle
from optimind.gallery.quality import MIN_FRONTALITY, MIN_LIGHT
from optimind.sealing import PLAIN, Purpose, Sealer

__all__ = [
    "GalleryFile",
    "Sample",
    "Unused",
    "check_embedder",
    "gallery_lock",
    "load_gallery",
    "plain_bytes",
    "save_gallery",
    "temporary_of",
    "to_core",
]

FORMAT: Final = 1
"""Rises when an older program could not read what a newer one wrote."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One enrolled embedding (dimension,) float64 and where it came from.

    ``file`` is the photograph's path below the dataset folder, empty for an imported one; ``size`` in bytes; ``sha256``
    of its bytes; ``picture`` names what it shows; ``face_px`` is the face's width in the photograph; ``sharpness`` is
    :func:`optimind.gallery.quality.sharpness`; ``smaller_faces`` is how many other faces were passed over;
    ``frontality`` is that of :class:`~optimind.core.types.Detections` and ``light`` is
    :func:`optimind.gallery.quality.light`, both 1 where nobody measured them.
    """

    person_id: str
    name: str
    embedding: NDArray[np.float64]
    file: str = ""
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    picture: str = ""
    face_px: float = 0.0
    sharpness: float = 0.0
    smaller_faces: int = 0
    frontality: float = 1.0
    light: float = 1.0

    @property
    def is_turned_away(self) -> bool:
        """Whether the face looks so far away that the sample is held in reserve."""
        return self.frontality < MIN_FRONTALITY

    @property
    def is_badly_lit(self) -> bool:
        """Whether the light is so bad that the sample is held in reserve."""
        return self.light < MIN_LIGHT

    @property
    def is_reserve(self) -> bool:
        """Whether the sample counts only as long as the person has no better one."""
        return self.is_turned_away or self.is_badly_lit


@dataclass(frozen=True, slots=True)
class Unused:
    """A photograph that is known and not enrolled, for one of the reasons that the report names."""

    file: str
    size: int
    mtime_ns: int
    sha256: str
    picture: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class GalleryFile:
    """The content of a gallery file. ``detector`` and ``encoder`` say how the photographs were judged."""

    embedder: str
    dimension: int
    samples: tuple[Sample, ...] = ()
    unused: tuple[Unused, ...] = ()
    detector: str = ""
    encoder: int = 0
    path: Path | None = field(default=None)

    @property
    def people(self) -> int:
        """How many people are enrolled."""
        return len({s.person_id for s in self.samples})


_SOURCES = ("file", "size", "mtime_ns", "sha256", "picture")
_QUALITY = ("face_px", "sharpness", "smaller_faces", "frontality", "light")
_LATER = {"frontality": 1.0, "light": 1.0}
"""Columns that earlier programs did not write, and what stands for them."""
_TYPES: Final[dict[str, type]] = {
    name: kind for cls in (Sample, Unused) for name, kind in typing.get_type_hints(cls).items() if name != "embedding"
}


def load_gallery(path: Path, sealer: Sealer = PLAIN) -> GalleryFile:
    """Read a gallery that :func:`save_gallery` wrote; ``sealer`` opens one that is encrypted.

    Raises :class:`GalleryMissing`, :class:`GalleryRefused` (damaged, hostile, no gallery, from a newer OptiMind),
    :class:`GalleryError` (cannot be read) or :class:`SealRefused` (encrypted, and the key is not at hand).
    """
    if not path.exists():
        raise GalleryMissing(f"there is no gallery at {path}", mend=f"make it with: {_command(path)}")
    content = read_plain_pickle(
        path, f"delete it or put a copy back, then make it anew from the photographs with: {_command(path)}", sealer
    )
    if not isinstance(content, dict) or "optimind" not in content:
        raise GalleryRefused(
            f"{path} was not made by OptiMind",
            mend="if it holds encodings of face_recognition: "
            f"python encode_faces.py --import {shlex.quote(str(path))} --output NEW_FILE",
        )
    try:
        return _checked(content, path)
    except (KeyError, ValueError, TypeError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise GalleryRefused(
            f"{path} is damaged: {what}",
            mend=f"delete it, then make it anew from the photographs with: {_command(path)}",
        ) from error


def save_gallery(path: Path, gallery: GalleryFile, sealer: Sealer = PLAIN) -> None:
    """Write the file whole or not at all, for its owner's eyes only. Call it inside :func:`gallery_lock`.

    ``sealer`` encrypts it. Raises :class:`GalleryError` where there is no room or no right to write; the file that was
    there is then untouched.
    """
    target = Path(os.path.realpath(path))
    temporary = temporary_of(path)
    try:
        # What a killed run left: nobody else writes here while the lock is held.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if sealer.key is None:
                pickle.dump(_content(gallery), file, protocol=4)
            else:
                file.write(sealer.seal(plain_bytes(gallery), Purpose.GALLERY))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise GalleryError(
            f"the gallery {path} could not be written: {error.strerror}; the old one, if any, is untouched",
            mend="make room on the disk, or name another place with --output",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_of(path: Path) -> Path:
    """Where a gallery is written before it takes its place; a run that was killed may have left it."""
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.tmp")


def plain_bytes(gallery: GalleryFile) -> bytes:
    """What stands in the file of a gallery that is not encrypted."""
    return pickle.dumps(_content(gallery), protocol=4)


@contextmanager
def gallery_lock(path: Path) -> Iterator[None]:
    """Be the only one who writes ``path``; makes its folder where needed.

    The lock is the kernel's and ends with the process, however that ends. Raises :class:`GalleryLocked` at once where
    another process has it, :class:`GalleryError` where the folder cannot be written.
    """
    lock_file = Path(f"{os.path.realpath(path)}.lock")
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file, timeout=0, mode=0o600)
        lock.acquire()
    except Timeout as error:
        holder = ""
        with suppress(OSError):
            holder = lock_file.read_text().strip()
        by = f"process {holder}" if holder else "another process"
        raise GalleryLocked(
            f"{by} is writing the gallery {path} (its lock is {lock_file})",
            mend="wait until it has ended, or end it",
        ) from error
    except OSError as error:
        raise GalleryError(
            f"the gallery {path} cannot be written: {error.strerror}",
            mend="make its folder writable for this user, or name another place with --output",
        ) from error
    try:
        with suppress(OSError):  # a full disk: the number is only for people to read
            lock_file.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


def to_core(gallery: GalleryFile) -> Gallery:
    """Return the templates, a person each in the order of the file; samples in reserve where there are no others."""
    rows: dict[str, list[Sample]] = {}
    for sample in gallery.samples:
        rows.setdefault(sample.person_id, []).append(sample)
    templates = []
    for person_id, samples in rows.items():
        used = [s for s in samples if not s.is_reserve] or samples
        templates.append(Template(person_id, samples[0].name, np.array([s.embedding for s in used])))
    return Gallery(gallery.embedder, tuple(templates))


def check_embedder(gallery: GalleryFile, embedder_id: str, *, instead: str = "") -> None:
    """Raise :class:`GalleryMismatch` where the gallery's vectors cannot be compared with this embedder's.

    ``instead`` is a mend that takes less work than encoding again, where there is one.
    """
    if gallery.embedder != embedder_id:
        raise GalleryMismatch(
            f"the gallery {gallery.path} was made by the embedder {gallery.embedder}, and {embedder_id} is in use",
            mend=f"{instead and f'{instead}, or '}encode the photographs again: {_command(gallery.path)}",
        )


def _command(path: Path | None) -> str:
    return "python encode_faces.py" + ("" if path is None else f" --output {shlex.quote(str(path))}")


def _content(gallery: GalleryFile) -> dict[str, Any]:
    def columns(rows: tuple[Any, ...], names: tuple[str, ...]) -> dict[str, list[Any]]:
        return {name: [getattr(row, name) for row in rows] for name in names}

    return {
        "encodings": [s.embedding for s in gallery.samples],
        "names": [s.name for s in gallery.samples],
        "optimind": {
            "format": FORMAT,
            "embedder": gallery.embedder,
            "dimension": gallery.dimension,
            "detector": gallery.detector,
            "encoder": gallery.encoder,
            "person_ids": [s.person_id for s in gallery.samples],
            "sources": columns(gallery.samples, _SOURCES),
            "quality": columns(gallery.samples, _QUALITY),
            "unused": columns(gallery.unused, tuple(f.name for f in fields(Unused))),
        },
    }


def _checked(content: dict[str, Any], path: Path) -> GalleryFile:
    """Build the gallery from a file's content; raises ``KeyError``, ``ValueError`` or ``TypeError``."""
    ours = _of_type(content["optimind"], dict, "optimind")
    version = _of_type(ours["format"], int, "format")
    if version > FORMAT:
        raise GalleryRefused(
            f"{path} has format {version}, made by a newer OptiMind; this one reads up to {FORMAT}",
            mend=f"update OptiMind, or delete it and make it anew with: {_command(path)}",
        )
    dimension = _of_type(ours["dimension"], int, "dimension")
    matrix = vectors(content["encodings"], dimension)
    rows = len(matrix)
    columns = [
        _column(ours["person_ids"], str, rows, "person_ids"),
        _column(content["names"], str, rows, "names"),
        list(matrix),
        *_columns(ours["sources"], _SOURCES, rows),
        *_columns(ours["quality"], _QUALITY, rows),
    ]
    unused = _of_type(ours["unused"], dict, "unused")
    unused_columns = _columns(unused, tuple(f.name for f in fields(Unused)), len(unused["file"]))
    return GalleryFile(
        _of_type(ours["embedder"], str, "embedder"),
        dimension,
        tuple(map(Sample, *columns)),
        tuple(map(Unused, *unused_columns)),
        _of_type(ours["detector"], str, "detector"),
        _of_type(ours["encoder"], int, "encoder"),
        path,
    )


def vectors(encodings: object, dimension: int | None = None) -> NDArray[np.float64]:
    """Return (n, dimension) float64 from a list of vectors as read; None takes the first one's dimension.

    Raises ``TypeError`` where one is no vector, ``ValueError`` where it has another length or holds no finite number.
    """
    if not isinstance(encodings, list | tuple):
        raise TypeError("encodings is no list")
    rows = []
    for number, entry in enumerate(encodings):
        if not isinstance(entry, FloatArray):
            raise TypeError(f"encoding {number} is no vector of floats")
        dimension = dimension or entry.values.size
        if entry.values.shape != (dimension,):
            raise ValueError(f"encoding {number} has the shape {entry.values.shape}, not ({dimension},)")
        rows.append(entry.values)
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), dimension or 0)
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        raise ValueError(f"encoding {int(np.argmin(finite))} holds what is no finite number")
    return matrix


def _of_type(value: Any, kind: type, name: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return value


def _column(values: Any, kind: type, rows: int, name: str) -> list[Any]:
    _of_type(values, list, name)
    if len(values) != rows:
        raise ValueError(f"{name} has {len(values)} entries for {rows} rows")
    for value in values:
        _of_type(value, kind, f"an entry of {name}")
    return list(values)


def _columns(table: Any, names: tuple[str, ...], rows: int) -> list[list[Any]]:
    _of_type(table, dict, "a table")
    later = {name: [value] * rows for name, value in _LATER.items() if name not in table}
    return [_column((table | later)[name], _TYPES[name], rows, name) for name in names]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
