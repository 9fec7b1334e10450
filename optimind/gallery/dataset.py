"""The folder of photographs: who is in it, and which file belongs to whom.

Two layouts, which may be mixed in one folder. A folder a person: ``datasets/Anna Berg/*.jpg``, folders inside it count
to that person too. Flat: ``datasets/1042_Anna_Berg.jpg``, ``datasets/1042_Anna_Berg_2.jpg``.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from optimind.errors import DatasetError, UsageError
from optimind.gallery.report import EncodeWarning, Rejection

__all__ = ["Dataset", "Photograph", "display_name", "scan_dataset"]

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .heic .heif .avif".split()  # noqa: SIM905 - reads better
)
# What operating systems and network drives leave in folders; names that start with a dot are left out anyway.
LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"})

_LEADING_ID = re.compile(r"^(\d+)_")
_COUNTER = re.compile(r"(?:_\d+|-\d+|\s*\(\d+\))$")


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image file. ``file`` is its path below the dataset folder, with ``/``; ``size`` is in bytes."""

    path: str
    file: str
    person_id: str
    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was found: photographs in a fixed order, files that cannot be opened, and what looks odd."""

    photographs: tuple[Photograph, ...]
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[EncodeWarning, ...] = ()


@dataclass(slots=True)
class _Findings:
    above: frozenset[tuple[int, int]]
    photographs: list[Photograph] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)

    def refuse(self, file: str, detail: str) -> None:
        self.rejected.append(Rejection(file, "unreadable", detail))


def scan_dataset(folder: Path) -> Dataset:
    """Find every photograph below ``folder``; no file is opened.

    Hidden files and what is no image by its suffix are passed over in silence. Raises :class:`UsageError` where the
    folder does not exist and :class:`DatasetError` where it cannot be listed or holds no photograph at all.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(
            f"the dataset folder {folder} {what}",
            mend="make it and put photographs into it (<person>/*.jpg), or name another one with --dataset",
        )
    findings = _Findings(_with_parents(folder))
    try:
        entries = _listing(folder)
    except OSError as error:
        raise DatasetError(
            f"the dataset folder {folder} cannot be listed: {error.strerror}", mend="make it readable for this user"
        ) from error
    for entry in entries:
        _scan_top(entry, findings)
    if not findings.photographs and not findings.rejected:
        raise DatasetError(
            f"there is no photograph in {folder}; nothing was changed",
            mend="put a folder for each person into it (<person>/*.jpg), or files named <number>_<name>.jpg",
        )
    photographs, warnings = _one_name_each(findings.photographs)
    warnings += [
        EncodeWarning("no_photograph", (name,), "this person's folder holds no photograph")
        for name in findings.empty_folders
    ]
    return Dataset(tuple(photographs), tuple(findings.rejected), tuple(warnings))


def display_name(text: str, *, flat: bool = False) -> str:
    """Return the name to show for a folder's name, or (``flat``) for a file's name without its suffix.

    Underscores become spaces and a leading number goes; of a flat file's name a trailing photograph counter (``_2``,
    ``-2``, ``(2)``) goes too. Any script; Unicode NFC; control characters become spaces. Where nothing is left:
    ``unnamed``.
    """
    text = unicodedata.normalize("NFC", text)
    name = _COUNTER.sub("", text) if flat else text
    name = _LEADING_ID.sub("", name).replace("_", " ")
    return _on_one_line(name) or _on_one_line(text).strip(" _") or _on_one_line(text) or "unnamed"


def _on_one_line(text: str) -> str:
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def _listing(folder: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        kept = [e for e in entries if not e.name.startswith(".") and e.name.casefold() not in LITTER]
    return sorted(kept, key=lambda e: e.name)


def _scan_top(entry: os.DirEntry[str], findings: _Findings) -> None:
    if _is_folder(entry):
        if problem := _name_problem(entry.name):
            findings.refuse(_printable(entry.name), problem)
            return
        before = len(findings.photographs), len(findings.rejected)
        name = display_name(entry.name)
        for image, file in _images_below(entry.path, entry.name, findings):
            _add(image, file, entry.name, name, findings)
        if before == (len(findings.photographs), len(findings.rejected)):
            findings.empty_folders.append(entry.name)
    elif _is_image(entry.name):
        stem = PurePosixPath(entry.name).stem
        leading = _LEADING_ID.match(stem)
        _add(entry, entry.name, leading[1] if leading else stem, display_name(stem, flat=True), findings)


def _images_below(folder: str, name: str, findings: _Findings) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Walk one person's folder, each real folder once: a link that leads back would otherwise never end.

    A link to the dataset itself, or to what it lies in, is passed over: everybody's photographs are not this person's.
    """
    seen = set(findings.above)
    waiting = [(folder, name)]
    while waiting:
        path, below = waiting.pop()
        try:
            identity = _identity(path)
            if identity in seen:
                continue
            seen.add(identity)
            entries = _listing(path)
        except OSError as error:
            findings.refuse(_printable(below), f"the folder cannot be listed: {error.strerror}")
            continue
        for entry in entries:
            file = f"{below}/{entry.name}"
            if _is_folder(entry):
                waiting.append((entry.path, file))
            elif _is_image(entry.name):
                yield entry, file


def _identity(path: Path | str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - paths stay text here: there may be a hundred thousand of them
    return status.st_dev, status.st_ino


def _with_parents(folder: Path) -> frozenset[tuple[int, int]]:
    real = folder.resolve()
    return frozenset(_identity(p) for p in (real, *real.parents))


def _add(entry: os.DirEntry[str], file: str, person_id: str, name: str, findings: _Findings) -> None:
    if problem := _name_problem(file):
        findings.refuse(_printable(file), problem)
        return
    try:
        status = entry.stat()
    except OSError as error:
        findings.refuse(file, f"it cannot be opened: {error.strerror}")
        return
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for ever.
        findings.refuse(file, "it is no regular file")
        return
    findings.photographs.append(
        Photograph(entry.path, file, person_id, name, status.st_size, status.st_mtime_ns),
    )


def _one_name_each(found: list[Photograph]) -> tuple[list[Photograph], list[EncodeWarning]]:
    """Give each person one name, the most frequent that is more than the id; say where files disagree."""
    by_person: dict[str, list[Photograph]] = {}
    for photograph in found:
        by_person.setdefault(photograph.person_id, []).append(photograph)
    chosen: dict[str, str] = {}
    warnings = []
    for person_id, photographs in by_person.items():
        counted = Counter(p.name for p in photographs)
        telling = {name: n for name, n in counted.items() if name != person_id} or dict(counted)
        chosen[person_id] = max(telling, key=lambda name: telling[name])
        if len(telling) > 1:
            detail = f"the photographs of {person_id} carry several names: {', '.join(telling)}"
            warnings.append(EncodeWarning("several_names", tuple(p.file for p in photographs), detail))
    named = [p if p.name == chosen[p.person_id] else replace(p, name=chosen[p.person_id]) for p in found]
    return named, warnings


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself
        return False


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _name_problem(name: str) -> str:
    """Say why a name cannot go into a register or a sheet; empty where it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8: rename it"
    return ""


def _printable(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
