"""Folders of pictures, shown one after the other."""

from __future__ import annotations

import logging
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np

from optimind.plugin_api import Frame, Image, Source, SourceError, SourceNotFound, UsageError
from optimind.sources._opencv import EPOCH, to_bgr

__all__ = ["FolderSource"]

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class FolderSource(Source):
    """A folder of pictures in natural order (2 before 10), one a second, or ``folder?fps=5``.

    A picture that cannot be read is skipped and counted in ``skipped``; ``ended_early`` then names it at the end.
    ``duration_s`` is how long all pictures take, once it was opened.
    """

    name: ClassVar[str] = "folder"

    def __init__(self, camera: str, spec: str) -> None:
        folder, option = _split(spec)
        self.camera = camera
        self.live = False
        self.ended_early: str | None = None
        self._folder = Path(folder).absolute()
        self._fps = _frames_per_second(option, spec)
        self.duration_s: float | None = None
        self._left: list[Path] | None = None
        self._skipped: list[str] = []
        self._index = 0

    @property
    def skipped(self) -> int:
        """How many pictures could not be read so far."""
        return len(self._skipped)

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is a folder that exists, with or without ``?fps=``."""
        return os.path.isdir(_split(spec)[0])  # noqa: PTH112 - pathlib's raises for names that are too long

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet. Raises ``UsageError`` for a wrong option."""
        return cls(camera, spec)

    def open(self) -> None:
        """List the pictures. Raises ``SourceNotFound`` or, where there is none in it, ``SourceError``."""
        try:
            entries = list(self._folder.iterdir())
        except FileNotFoundError:
            raise SourceNotFound(f"no such folder: {self._folder}", mend="check the path") from None
        except OSError as error:
            raise SourceError(f"the folder {self._folder} cannot be read: {error.strerror}") from None
        pictures = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
        if not pictures:
            raise SourceError(
                f"the folder {self._folder} holds no picture ({len(entries)} other entries)",
                mend=f"pictures end in {' '.join(sorted(SUFFIXES))}; subfolders are not looked into",
            )
        self._left = sorted(pictures, key=_natural, reverse=True)
        self.duration_s = len(pictures) / self._fps
        self._skipped = []
        self._index = 0
        self.ended_early = None

    def read(self) -> Frame | None:
        """Return the next picture that can be read, None after the last. Raises ``SourceError`` where none can."""
        left = self._left
        if left is None:
            raise SourceError(f"the folder {self._folder} is not open", mend="call open() before read()")
        while left:
            path = left.pop()
            image = _load(path)
            if image is None:
                self._skipped.append(path.name)
                continue
            index = self._index
            self._index += 1
            position_s = index / self._fps
            return Frame(self.camera, index, EPOCH + timedelta(seconds=position_s), image, position_s)
        self._report()
        return None

    def close(self) -> None:
        """Forget the list."""
        self._left = None

    def _report(self) -> None:
        if not self._skipped or self.ended_early:
            return
        total = self._index + len(self._skipped)
        names = ", ".join(self._skipped[:5]) + (" ..." if len(self._skipped) > 5 else "")
        message = f"{len(self._skipped)} of {total} pictures in {self._folder} could not be read: {names}"
        if not self._index:
            raise SourceError(message, mend="copy them again")
        self.ended_early = message
        log.warning("%s", message)


def _split(spec: str) -> tuple[str, str]:
    """Return the folder and what follows its last ``?``; a folder that really has a ``?`` in its name keeps it."""
    folder, mark, option = spec.rpartition("?")
    if not mark or os.path.isdir(spec):  # noqa: PTH112 - as above
        folder, option = spec, ""
    return os.path.expanduser(folder), option  # noqa: PTH111 - pathlib's raises for an unknown ~user


def _frames_per_second(option: str, spec: str) -> float:
    if not option:
        return 1.0
    key, _, value = option.partition("=")
    if key == "fps" and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) and 0 < float(value) <= 1000:
        return float(value)
    raise UsageError(f"the source {spec!r} has the unknown option {option!r}", mend="write FOLDER?fps=5 (0-1000)")


def _natural(path: Path) -> tuple[list[str | int], str]:
    """Sort key: numbers in the name count as numbers."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], path.name


def _load(path: Path) -> Image | None:
    """Return the picture, turned upright by its EXIF data; None where it cannot be read."""
    try:
        # Not cv2.imread: that answers a path it cannot write in the system's encoding as if there were no file.
        data = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if picture is None else to_bgr(picture)
