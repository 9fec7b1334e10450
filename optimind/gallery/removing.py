"""Takes one person out of the folder of photographs and out of the gallery, and looks whether anything is left."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from optimind.core.naming import is_telling, name_key, tells_of
from optimind.errors import DatasetError, GalleryError, GalleryMissing
from optimind.gallery.format import GalleryFile, Sample, load_gallery, plain_bytes, save_gallery, temporary_of
from optimind.gallery.journal import journal_of
from optimind.sealing import Purpose, Sealer

__all__ = [
    "Traces",
    "digests_of",
    "files_of",
    "remove_files",
    "remove_from_gallery",
    "remove_leftovers",
    "search_dataset",
    "search_gallery",
]

_LEADING_ID = re.compile(r"^(\d+)_")
_PIECE_BYTES = 32


@dataclass(slots=True)
class Traces:
    """What a search found: how much was ``searched``, what is ``left``, and what only has the same name."""

    searched: str = ""
    left: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


# -- the folder of photographs


def files_of(dataset: Path, person_id: str) -> list[Path]:
    """The person's folder and flat files in ``dataset``, whatever is in them; hidden ones too.

    Raises :class:`DatasetError` where the folder cannot be listed.
    """
    if not dataset.is_dir():
        return []
    try:
        return sorted(path for path in dataset.iterdir() if _whose(path) == _plain(person_id))
    except OSError as error:
        raise DatasetError(
            f"the dataset folder {dataset} cannot be listed: {error.strerror}", mend="make it readable for this user"
        ) from error


def remove_files(paths: list[Path]) -> tuple[int, list[str]]:
    """Delete these files and folders; return how many files, and where links led that are outside and stay.

    Raises :class:`DatasetError` where one cannot be deleted.
    """
    count, outside = 0, []
    try:
        for path in paths:
            inside = [path] if path.is_symlink() or not path.is_dir() else [p for p in path.rglob("*") if _is_file(p)]
            outside += [os.path.realpath(each) for each in inside if each.is_symlink()]
            count += len(inside)
            if path.is_symlink() or not path.is_dir():
                path.unlink()
            else:
                shutil.rmtree(path)
    except OSError as error:
        raise DatasetError(
            f"{error.filename or 'a photograph'} cannot be deleted: {error.strerror}",
            mend="let the user that runs OptiMind write the folder of photographs, then run the same command again",
        ) from error
    return count, outside


def digests_of(paths: list[Path]) -> dict[int, set[str]]:
    """The SHA-256 of the files below ``paths``, by their size."""
    found: dict[int, set[str]] = {}
    for file in _files_below(paths):
        with suppress(OSError), file.open("rb") as content:
            found.setdefault(file.stat().st_size, set()).add(hashlib.file_digest(content, "sha256").hexdigest())
    return found


def search_dataset(
    dataset: Path, person_id: str, names: tuple[str, ...], digests: dict[int, set[str]] | None = None
) -> Traces:
    """Search the names of all files and folders for the person, and the files for copies of photographs.

    ``digests`` are those of what was deleted. A file or folder of somebody else of the same name is no trace.
    """
    found = Traces()
    count = 0
    for path in sorted(dataset.rglob("*")) if dataset.is_dir() else []:
        count += 1
        below = path.relative_to(dataset)
        if _whose(dataset / below.parts[0]) == _plain(person_id):
            found.left.append(str(path))
        elif _is_copy(path, digests or {}):
            found.left.append(f"{path} (a copy of a photograph)")
        elif any(tells_of(part, word) for part in below.parts for word in (*names, person_id)):
            found.other.append(str(path))
    found.searched = f"{count} names of files and folders"
    return found


def _is_copy(path: Path, digests: dict[int, set[str]]) -> bool:
    with suppress(OSError):
        known = digests.get(path.stat().st_size)
        if known and path.is_file():
            with path.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest() in known
    return False


def _whose(path: Path) -> str:
    """The person of a file or folder at the top of the dataset, hidden ones included."""
    name = _plain(path.name)
    if path.is_dir():
        return name
    stem = PurePosixPath(name.lstrip(".").removesuffix(".tmp")).stem
    leading = _LEADING_ID.match(stem)
    return leading[1] if leading else stem


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _files_below(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from (p for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file())


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


# -- the gallery


def remove_from_gallery(path: Path, sealer: Sealer, is_theirs: Callable[[str], bool]) -> tuple[int, list[bytes]]:
    """Take the samples of those out of whom ``is_theirs`` is true of the id, and what tells of their photographs.

    Call it inside :func:`~optimind.gallery.format.gallery_lock`. Returns how many samples those were, and pieces of
    their templates to search for. Raises what reading and writing a gallery raises, but not where there is none.
    """
    try:
        gallery = load_gallery(path, sealer)
    except GalleryMissing:
        return 0, []
    gone = [sample for sample in gallery.samples if is_theirs(sample.person_id)]
    kept = tuple(sample for sample in gallery.samples if not is_theirs(sample.person_id))
    # One that a photograph of theirs was the reason for is looked at again by the next encode.
    unused = tuple(
        each
        for each in gallery.unused
        if not is_theirs(owner_of_file(each.file)) and not _tells(each.detail, is_theirs)
    )
    if len(kept) < len(gallery.samples) or len(unused) < len(gallery.unused):
        save_gallery(path, replace(gallery, samples=kept, unused=unused), sealer)
    return len(gone), [sample.embedding.astype("<f8").tobytes()[:_PIECE_BYTES] for sample in gone]


def remove_leftovers(path: Path) -> list[str]:
    """Delete what runs that were cut off left beside a gallery: it holds templates. Returns the names of the files.

    Call it inside the gallery's lock. What an interrupted ``encode`` had computed is computed again.
    """
    gone = []
    for leftover in (journal_of(path), temporary_of(path)):
        try:
            leftover.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise GalleryError(
                f"{leftover} cannot be deleted: {error.strerror}", mend="make its folder writable for this user"
            ) from error
        gone.append(leftover.name)
    return gone


def owner_of_file(file: str) -> str:
    """The person of a photograph by its path below the dataset folder."""
    top, *below = file.split("/")
    if below:
        return top
    leading = _LEADING_ID.match(PurePosixPath(top).stem)
    return leading[1] if leading else PurePosixPath(top).stem


def _tells(detail: str, is_theirs: Callable[[str], bool]) -> bool:
    """Whether a detail such as "shows the same as 7/1.jpg, of someone else" names a photograph of theirs."""
    shown = re.search(r"shows the same as (.*?)(?:, which is enrolled|, of someone else|$)", detail)
    return shown is not None and any(is_theirs(owner_of_file(file)) for file in shown[1].split(", "))


def search_gallery(path: Path, sealer: Sealer, person_id: str, names: tuple[str, ...], pieces: list[bytes]) -> Traces:
    """Search a gallery for the person: what it says, and its bytes, decrypted where they are encrypted.

    ``pieces`` are those of the templates that were taken out. Raises what reading it raises, but not where there is
    none.
    """
    found = Traces()
    found.left += [str(left) for left in (journal_of(path), temporary_of(path)) if left.exists()]
    try:
        gallery = load_gallery(path, sealer)
    except GalleryMissing:
        found.searched = "there is none"
        return found
    for number, sample in enumerate(gallery.samples):
        if sample.person_id == person_id:
            found.left.append(f"{path}: sample {number}")
        elif any(name_key(sample.name) == name_key(name) for name in names):
            found.other.append(f"{path}: sample {number}")
    for each in gallery.unused:
        if owner_of_file(each.file) == person_id or _tells(each.detail, lambda one: one == person_id):
            found.left.append(f"{path}: what is said of the photograph {each.file}")
    data = sealer.open(path.read_bytes(), Purpose.GALLERY, str(path))
    for needle in (*_words_to_find(gallery, (person_id, *names)), *pieces):
        if needle in data:
            found.left.append(f"{path}: byte {data.find(needle)}")
    found.searched = f"{len(gallery.samples)} samples, {len(data)} bytes"
    return found


def _words_to_find(gallery: GalleryFile, words: tuple[str, ...]) -> list[bytes]:
    """Those of ``words`` that are no part of what is said of others, or of every gallery: in bytes they are a trace."""
    texts = [text for s in gallery.samples for text in (s.person_id, s.name, s.file, s.sha256, s.picture)]
    texts += [text for u in gallery.unused for text in (u.file, u.sha256, u.picture, u.detail)]
    anybody = Sample("", "", np.zeros(gallery.dimension))
    texts.append(plain_bytes(replace(gallery, samples=(anybody,), unused=())).decode("latin-1"))
    unlike = [word for word in words if is_telling(word) and not any(word in text for text in texts)]
    return [word.encode("utf-8", "surrogateescape") for word in unlike]
