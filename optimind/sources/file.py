"""Recordings: any file that FFmpeg reads."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import ClassVar, Self

import cv2

from optimind.plugin_api import SourceError, SourceNotFound, mask_url
from optimind.sources._opencv import OpenCvSource, capture_with_timeouts
from optimind.sources.device import DeviceSource
from optimind.sources.folder import FolderSource
from optimind.sources.http import HttpSource
from optimind.sources.rtsp import RtspSource

__all__ = ["FileSource"]

# How the first bytes of what people pass by mistake look. Offsets are 0.
_OTHER_FORMATS = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\x7fELF", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)


class FileSource(OpenCvSource):
    """A video file. Takes every text that no other kind takes, so that a mistyped path is named as such."""

    name: ClassVar[str] = "file"

    def __init__(self, camera: str, spec: str, *, open_timeout_s: float = 10.0, read_timeout_s: float = 10.0) -> None:
        super().__init__(camera, spec, open_timeout_s=open_timeout_s, read_timeout_s=read_timeout_s)
        self.live = False

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is no device number, folder or URL of a camera."""
        return not any(kind.accepts(spec) for kind in (DeviceSource, FolderSource, RtspSource, HttpSource))

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet."""
        return cls(camera, spec)

    @property
    def _path(self) -> Path:
        # Absolute, or FFmpeg would take "a:b.mp4" for a protocol. Not resolved, so that messages show the user's names.
        # os.path, because pathlib's expanduser() raises for an unknown ~user and its resolve() follows links.
        return Path(os.path.abspath(os.path.expanduser(self.spec)))  # noqa: PTH100, PTH111 - see above

    @property
    def _what(self) -> str:
        return f"the recording {mask_url(self.spec)}"

    def _connect(self) -> cv2.VideoCapture:
        self._look()
        return capture_with_timeouts(str(self._path), self._open_timeout_s, self._read_timeout_s)

    def _look(self) -> None:
        """Refuse what can be told without FFmpeg."""
        path = self._path
        if not os.path.exists(path):  # noqa: PTH110 - pathlib's raises for names that are too long or hold a NUL
            raise self._not_found(path)
        if not path.is_file():
            raise SourceError(f"{self._what} is not a regular file", mend="name a video file")
        if not os.access(path, os.R_OK):
            raise SourceError(f"{self._what} may not be read by this user", mend=f"chmod a+r '{path}'")
        if not path.stat().st_size:
            raise SourceError(f"{self._what} is empty (0 bytes)", mend="copy or record it again")

    def _not_found(self, path: Path) -> SourceNotFound:
        if "://" in self.spec:
            return SourceNotFound(
                f"{mask_url(self.spec)} is no address that OptiMind reads",
                mend="a URL starts with rtsp://, rtsps://, http:// or https://",
            )
        message = f"no such file: {self.spec!r}"
        if not self.spec.startswith(("/", "~")):
            message += f" (looked for {path}; relative paths start at {Path.cwd()})"
        return SourceNotFound(message, mend=_alternatives(path))

    def _refused(self) -> SourceError:
        path = self._path
        with path.open("rb") as file:
            head = file.read(4096)
        if _is_mp4_without_index(path):
            return SourceError(
                f"{self._what} was cut off: it has no index (moov atom), which MP4 files keep at their end",
                mend="copy it again, or record it again; where the whole original exists, "
                "ffmpeg -i ORIGINAL -c copy -movflags +faststart NEW.mp4 puts the index first",
            )
        return SourceError(
            f"{self._what} is not a video that can be read: it looks like {_describe(head)}",
            mend="name a video file; an unusual one can be converted: "
            "ffmpeg -i OLD -c:v libx264 -pix_fmt yuv420p NEW.mp4",
        )


def _alternatives(path: Path) -> str:
    """Return what the user may have meant."""
    folder = path.parent
    try:
        near = difflib.get_close_matches(path.name, os.listdir(folder), n=3)  # noqa: PTH208 - names are all it takes
    except (OSError, ValueError):
        return f"the folder {folder} cannot be looked into either: check the path"
    return f"did you mean {' or '.join(near)}?" if near else "check the path"


def _is_mp4_without_index(path: Path) -> bool:
    """Whether ``path`` is an ISO base media file (MP4, MOV) whose top-level boxes do not include ``moov``."""
    kinds: list[bytes] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= size and len(kinds) < 1000:
            file.seek(at)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            kinds.append(kind)
            if length < 8:  # 0: the box reaches to the end of the file; anything else below 8 is damage
                break
            at += length
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds


def _describe(head: bytes) -> str:
    """Return in words what a file that begins with ``head`` is."""
    for magic, words in _OTHER_FORMATS:
        if head.startswith(magic):
            return words
    if b"ftyp" in head[:16] or head.startswith((b"RIFF", b"\x1a\x45\xdf\xa3")):
        return "a video or sound file that is damaged or has no pictures in it"
    if not head.strip(b"\0"):
        return "nothing but zeros (a copy that did not finish?)"
    try:
        text = head[:200].decode("utf-8", errors="strict" if len(head) < 200 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return "text"
    return f"unknown data (it begins with the bytes {head[:8].hex(' ')})"
