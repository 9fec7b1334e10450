"""Network cameras that speak RTSP."""

from __future__ import annotations

import re
from typing import ClassVar

from optimind.plugin_api import SourceError, mask_url
from optimind.sources._probe import explain_rtsp
from optimind.sources._url import UrlSource

__all__ = ["RtspSource"]


class RtspSource(UrlSource):
    """A camera at ``rtsp://user:password@host:port/path`` (or ``rtsps://``), over TCP.

    FFmpeg asks for TCP first (UDP loses packets, and with them half a picture) and takes UDP only where the camera
    refuses TCP.
    """

    name: ClassVar[str] = "rtsp"

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is an ``rtsp://`` or ``rtsps://`` URL."""
        return re.match(r"rtsps?://", spec, re.IGNORECASE) is not None

    @property
    def _what(self) -> str:
        return f"the camera {mask_url(self.spec)}"

    def _refused(self) -> SourceError:
        return explain_rtsp(self.spec, self._read_timeout_s)
