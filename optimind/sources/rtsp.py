"""Network cameras that speak RTSP."""

from __future__ import annotations

import re
from typing import ClassVar, Self

import cv2

from optimind.plugin_api import SourceError, mask_url
from optimind.sources._opencv import OpenCvSource, capture_with_timeouts
from optimind.sources._probe import check_url, explain_rtsp

__all__ = ["RtspSource"]


class RtspSource(OpenCvSource):
    """A camera at ``rtsp://user:password@host:port/path`` (or ``rtsps://``), over TCP.

    FFmpeg asks for TCP first (UDP loses packets, and with them half a picture) and takes UDP only where the camera
    refuses TCP.
    """

    name: ClassVar[str] = "rtsp"

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is an ``rtsp://`` or ``rtsps://`` URL."""
        return re.match(r"rtsps?://", spec, re.IGNORECASE) is not None

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet. Raises ``UsageError`` for a URL without host."""
        check_url(spec)
        return cls(camera, spec)

    @property
    def _what(self) -> str:
        return f"the camera {mask_url(self.spec)}"

    def _connect(self) -> cv2.VideoCapture:
        return capture_with_timeouts(self.spec, self._open_timeout_s, self._read_timeout_s)

    def _refused(self) -> SourceError:
        return explain_rtsp(self.spec, self._read_timeout_s)
