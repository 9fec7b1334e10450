"""Cameras that are plugged in: USB and built-in ones."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import ClassVar, Self

import cv2

from optimind.plugin_api import SourceError, SourceNotFound
from optimind.sources._opencv import OpenCvSource

__all__ = ["DeviceSource"]

log = logging.getLogger(__name__)

_SPEC = re.compile(
    r"(?P<device>[0-9]{1,9}|/dev/video[0-9]+|/dev/v4l/[A-Za-z0-9_./:+-]+)(\?size=(?P<width>[0-9]{2,5})x(?P<height>[0-9]{2,5}))?"
)


class DeviceSource(OpenCvSource):
    """A camera by number or device file: ``0``, ``/dev/video1``, ``/dev/v4l/by-id/...``.

    ``0?size=1920x1080`` asks the camera for that picture size (it takes the nearest that it has); without it the driver
    decides, mostly for 640x480. ``devices`` is the folder that holds the device files.
    """

    name: ClassVar[str] = "device"

    def __init__(
        self,
        camera: str,
        spec: str,
        *,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
        devices: Path = Path("/dev"),
    ) -> None:
        super().__init__(camera, spec, open_timeout_s=open_timeout_s, read_timeout_s=read_timeout_s)
        parts = _SPEC.fullmatch(spec)
        if parts is None:
            raise SourceError(f"{spec!r} is no camera number or device file", mend="for example 0 or /dev/video0")
        self._device = parts["device"]
        self._size = (int(parts["width"]), int(parts["height"])) if parts["width"] else None
        self._devices = devices

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is a number or a video device file."""
        return _SPEC.fullmatch(spec) is not None

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet."""
        return cls(camera, spec)

    @property
    def _what(self) -> str:
        return f"the camera {self._device}"

    @property
    def _file(self) -> Path:
        """The device file, where the system has such files (Linux)."""
        return self._devices / f"video{int(self._device)}" if self._device.isdigit() else Path(self._device)

    def _connect(self) -> cv2.VideoCapture:
        if sys.platform == "linux":
            if not self._file.exists():
                raise self._not_found()
            # No time limits here: OpenCV's V4L2 does not open with a property it lacks; it waits ten seconds at most.
            capture = cv2.VideoCapture(str(self._file.resolve()), cv2.CAP_V4L2)
        else:
            backend = cv2.CAP_AVFOUNDATION if sys.platform == "darwin" else cv2.CAP_ANY
            capture = cv2.VideoCapture(int(self._device) if self._device.isdigit() else self._device, backend)
        if capture.isOpened():
            self._configure(capture)
        return capture

    def _configure(self, capture: cv2.VideoCapture) -> None:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest picture is wanted, not the four before it
        if self._size is None:
            return
        # Raw pictures of this size do not fit through USB 2 at a useful rate; drivers without MJPG ignore the wish.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        for what, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), self._size, strict=True):
            capture.set(what, value)
        got = (round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if got != self._size:
            log.warning("%s has no picture size %dx%d; it gives %dx%d", self._what, *self._size, *got)

    def _lost(self, waited_s: float) -> SourceError:
        if sys.platform == "linux" and not self._file.exists():
            return SourceError(f"{self._what} was unplugged", mend="plug it in again; OptiMind connects by itself")
        return super()._lost(waited_s)

    def _not_found(self) -> SourceNotFound:
        present = sorted(self._devices.glob("video[0-9]*"))
        if present:
            mend = "these exist: " + ", ".join(map(str, present))
        else:
            mend = "no camera is plugged in, or this machine (a container?) was not given it"
        return SourceNotFound(f"no such camera: {self._file}", mend=mend)

    def _refused(self) -> SourceError:
        if sys.platform != "linux":
            return SourceError(
                f"{self._what} does not open",
                mend="check that it is plugged in, free, and that this program may use it",
            )
        try:
            self._file.open("rb", buffering=0).close()
        except PermissionError:
            return SourceError(
                f"{self._what} may not be used by this user", mend="sudo usermod -aG video $USER, then log in again"
            )
        except OSError as error:
            return SourceError(
                f"{self._what} does not open: {error.strerror}",
                mend="close the program that is using it, or plug the camera in again",
            )
        users = _users_of(self._file.resolve())
        if users:
            return SourceError(f"{self._what} is in use by {', '.join(users)}", mend="close that program")
        return SourceError(
            f"{self._what} exists but gives no picture",
            mend="close any program that uses it; many cameras have a second device file without pictures: try the "
            "number before or after it",
        )


def _users_of(device: Path) -> list[str]:
    """Return the programs that have ``device`` open, as far as this user may know."""
    users = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == device:
                process = link.parent.parent
                users.add(f"{(process / 'comm').read_text().strip()} (process {process.name})")
        except OSError:  # another user's process, or one that just ended
            continue
    return sorted(users)
