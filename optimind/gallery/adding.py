"""Adding photographs of one person to the folder of photographs: whose folder it is, and writing into it."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from optimind.errors import DatasetError, UsageError
from optimind.gallery.dataset import LITTER, Photograph, display_name, scan_dataset
from optimind.gallery.people import name_key

__all__ = ["Owner", "added", "owner_of", "photographs_in"]

_LONGEST = 100
_NO_FOLDER = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
"""What some file system or other does not take in a name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose photographs they are; ``is_new``: there is none of them in the dataset yet."""

    person_id: str
    name: str
    is_new: bool


def photographs_in(dataset: Path) -> tuple[Photograph, ...]:
    """What lies in the folder; nothing where it does not exist or is empty. Raises :class:`DatasetError`."""
    if not dataset.exists() or (dataset.is_dir() and not any(dataset.iterdir())):
        return ()
    try:
        return scan_dataset(dataset).photographs
    except DatasetError as error:
        if "there is no photograph" in error.message:
            return ()
        raise


def owner_of(photographs: Sequence[Photograph], *, name: str | None = None, person_id: str | None = None) -> Owner:
    """The person called ``name``, or of that ``person_id``; somebody new where nobody is.

    Case and underscores in names do not count. Raises :class:`UsageError` where several people have the name, or it can
    be none.
    """
    wanted = unicodedata.normalize("NFC", (name if person_id is None else person_id) or "").strip()
    if _NO_FOLDER.search(wanted) or not wanted or wanted.startswith(".") or len(wanted) > _LONGEST:
        raise UsageError(
            f"{wanted!r} can be the name of no folder",
            mend=f'write 1 to {_LONGEST} characters, without / \\ : * ? " < > | and with no dot at the beginning',
        )
    if wanted.casefold() in LITTER:
        raise UsageError(f"{wanted!r} is a name that operating systems use", mend="write another one")
    people = {photograph.person_id: photograph.name for photograph in photographs}
    if person_id is not None:
        return Owner(wanted, people.get(wanted, display_name(wanted)), wanted not in people)
    same = [known for known, called in people.items() if name_key(called) == name_key(wanted)]
    if len(same) > 1:
        raise UsageError(
            f"several people are called {wanted}: {', '.join(same)}", mend="say which one with --person ID"
        )
    if same:
        return Owner(same[0], people[same[0]], is_new=False)
    folder = "_".join(wanted.split())
    return Owner(folder, display_name(folder), is_new=folder not in people)


@contextmanager
def added(dataset: Path, person_id: str, pictures: Sequence[bytes], stem: str) -> Iterator[list[Path]]:
    """Write JPEG ``pictures`` into the folder of ``person_id``, and give their paths during the block, in that order.

    Each is there as a whole or not at all, for its owner's eyes only, and none takes another one's place: a picture
    that is there already is left as it is. At the end of the block those of them go again that were taken out of the
    list, where it raises all; and so do folders that were made for nothing. A picture that was there before stays.
    Raises :class:`DatasetError` where it cannot be written.
    """
    folder = dataset / person_id
    made = [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    written: list[Path] = []
    try:
        try:
            # One by one: with parents=True only the last would be closed to others.
            for path in made:
                path.mkdir(mode=0o700, exist_ok=True)
            paths = [_written(folder, picture, stem, written) for picture in pictures]
        except OSError as error:
            raise DatasetError(
                f"photographs cannot be written to {folder}: {error.strerror or error}",
                mend="make room on the disk, or make the folder writable for this user",
            ) from error
        kept = list(paths)
        yield kept
        for path in set(written) - set(kept):
            path.unlink(missing_ok=True)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise
    finally:
        # Where something is in them they are needed.
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()


def _written(folder: Path, picture: bytes, stem: str, written: list[Path]) -> Path:
    # Named by its content: what a run that was killed had written is found again.
    path = folder / f"{stem}-{hashlib.sha256(picture).hexdigest()[:12]}.jpg"
    if path.exists():
        return path
    beside = folder / f".{path.name}.tmp"
    beside.unlink(missing_ok=True)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(picture)
            file.flush()
            os.fsync(file.fileno())
        written.append(path)
        beside.rename(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return path
