"""What all sources at a URL have in common."""

from __future__ import annotations

import logging
from typing import Self

import cv2

from optimind.plugin_api import UsageError, mask_url
from optimind.sources._opencv import OpenCvSource, capture_with_timeouts
from optimind.sources._probe import check_url, knock

__all__ = ["UrlSource"]

log = logging.getLogger(__name__)

# Every thread of the decoder holds one picture back: with one a core, the default, a camera of 5 pictures a second is
# seen three seconds late on a machine of 16 cores.
DECODER_THREADS = 2
# The first answer comes at once from a camera that is there, while FFmpeg has one time limit for all of the opening.
KNOCK_TIMEOUT_S = 3.5
_OPTIONS = {"": False, "decode=software": False, "decode=hardware": True}


class UrlSource(OpenCvSource):
    """A network camera: its URL is looked at before anything is opened.

    ``hardware`` asks for a hardware decoder; where FFmpeg has none that works, it decodes in software as ever.
    ``#decode=hardware`` at the end of the URL does the same.
    """

    def __init__(
        self,
        camera: str,
        spec: str,
        *,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
        hardware: bool = False,
    ) -> None:
        super().__init__(camera, spec, open_timeout_s=open_timeout_s, read_timeout_s=read_timeout_s)
        self._hardware = hardware
        self._told_decoder: bool | None = None

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet.

        Raises ``UsageError`` for a URL without host or with an unknown option.
        """
        url, _, option = spec.partition("#")
        check_url(url)
        if option not in _OPTIONS:
            raise UsageError(
                f"the source {mask_url(url)} has an unknown option after its #",
                mend="write #decode=hardware or nothing; a # in a password is written %23",
            )
        return cls(camera, url, hardware=_OPTIONS[option])

    def _connect(self) -> cv2.VideoCapture:
        knock(self.spec, min(self._open_timeout_s, KNOCK_TIMEOUT_S))
        wishes = [cv2.CAP_PROP_N_THREADS, DECODER_THREADS]
        if self._hardware:
            wishes += [cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_ANY]
        return capture_with_timeouts(self.spec, self._open_timeout_s, self._read_timeout_s, wishes)

    def _opened(self, capture: cv2.VideoCapture) -> None:
        super()._opened(capture)
        found = capture.get(cv2.CAP_PROP_HW_ACCELERATION) > 0
        if self._hardware and found != self._told_decoder:
            self._told_decoder = found
            how = "decoded in hardware" if found else "decoded in software: this FFmpeg has no decoder for it here"
            log.info("camera %s: its pictures are %s", self.camera, how)
