"""Whether a camera that is connected still shows anything: nothing comes, or the same picture again and again."""

from __future__ import annotations

import zlib

import numpy as np

from optimind.core.types import Image

__all__ = ["StallWatch"]

_SAMPLE_STEP = 8


class StallWatch:
    """Judges one connection of a camera by when its pictures come and whether they differ. Times are monotonic seconds.

    Nothing for ``stall_s`` is a stall, and so are exactly equal pictures for ``frozen_s``: a sensor has noise, so not
    one pixel that changes in all that time is an encoder that hangs.
    """

    def __init__(self, stall_s: float, frozen_s: float) -> None:
        self._stall_s = stall_s
        self._frozen_s = frozen_s
        self._sample: bytes = b""
        self._checksum: int | None = None
        self._changed_s = 0.0
        self._heard_s: float | None = None

    def reset(self) -> None:
        """Begin anew, as after a new connection."""
        self._heard_s, self._sample, self._checksum = None, b"", None

    def saw(self, image: Image, now_s: float) -> None:
        """Note the picture that came at ``now_s``."""
        if self._differs(image):
            self._changed_s = now_s
        self._heard_s = now_s

    def verdict(self, now_s: float) -> str:
        """Return in words why the camera is stalled at ``now_s``; empty where it is not, or has sent nothing yet."""
        if self._heard_s is None:
            return ""
        if now_s - self._heard_s >= self._stall_s:
            return f"no picture came for {self._stall_s:g} s"
        if now_s - self._changed_s >= self._frozen_s:
            return f"it sends the same picture again and again, for {self._frozen_s:g} s by now"
        return ""

    def _differs(self, image: Image) -> bool:
        # Nearly always some pixels tell; the checksum of all of them, fifty times the work, is for when they do not.
        sample = image[::_SAMPLE_STEP, ::_SAMPLE_STEP].tobytes()
        if sample != self._sample:
            self._sample, self._checksum = sample, None
            return True
        before, self._checksum = self._checksum, zlib.crc32(np.ascontiguousarray(image).data)
        return before is not None and before != self._checksum
