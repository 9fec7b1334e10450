"""Network cameras that speak HTTP: MJPEG, or any stream or recording that FFmpeg reads."""

from __future__ import annotations

import re
from typing import ClassVar

import cv2

from optimind.plugin_api import SourceError, mask_url
from optimind.sources._probe import explain_http
from optimind.sources._url import UrlSource

__all__ = ["HttpSource"]


class HttpSource(UrlSource):
    """A camera or recording at ``http://user:password@host:port/path`` (or ``https://``).

    ``live`` is true until ``open`` finds that what is there has an end: a recording, played by its own time.
    """

    name: ClassVar[str] = "http"
    _streamed = False

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` is an ``http://`` or ``https://`` URL."""
        return re.match(r"https?://", spec, re.IGNORECASE) is not None

    @property
    def _what(self) -> str:
        return f"the {'camera' if self.live else 'recording'} {mask_url(self.spec)}"

    def _connect(self) -> cv2.VideoCapture:
        self.live = True
        return super()._connect()

    def _opened(self, capture: cv2.VideoCapture) -> None:
        super()._opened(capture)
        self.live = not self._expected

    def _refused(self) -> SourceError:
        return explain_http(self.spec, self._read_timeout_s)

    def _lost(self, waited_s: float) -> SourceError:
        self._streamed = self._streamed or self._index > 1
        if self._index == 1 and not self._streamed and waited_s < self._read_timeout_s:
            return SourceError(
                f"{self._what} sends one picture, not a stream",
                mend="this is its snapshot address; look in its manual for the address of the MJPEG or RTSP stream",
            )
        return super()._lost(waited_s)

    def _unplayable(self) -> SourceError:
        return SourceError(
            f"{self._what} cannot be played from its server",
            mend="the server must answer range requests for this kind of file: download it and name the file instead",
        )
