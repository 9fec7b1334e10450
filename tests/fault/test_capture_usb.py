"""A USB camera is pulled out while a capture runs, and plugged in again. The one seam replaced is OpenCV's handle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimind.pipeline.capture import Capture
from optimind.sources.device import DeviceSource


class Plug:
    """A ``cv2.VideoCapture`` of a camera that is there as long as its device file is, as V4L2's behaves."""

    def __init__(self, target: str, backend: int) -> None:
        self._file = Path(target)
        self._at = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._file.exists()

    def get(self, what: int) -> float:
        return 0.0

    def set(self, what: int, value: float) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray[Any, Any] | None]:
        time.sleep(0.01)
        self._at += 1
        # The driver answers at once that there is no such device any more; OpenCV makes "no picture" of that.
        return (True, np.full((4, 4, 3), self._at % 256, np.uint8)) if self._file.exists() else (False, None)

    def release(self) -> None:
        """Nothing to release."""


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        time.sleep(0.01)


def test_a_camera_is_pulled_and_plugged_in_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("optimind.sources.device.cv2.VideoCapture", Plug)
    monkeypatch.setattr("optimind.sources.device.sys.platform", "linux")
    device = tmp_path / "video0"
    device.touch()
    capture = Capture(DeviceSource("door", "0", devices=tmp_path), "door")
    with caplog.at_level(logging.INFO):
        capture.start()
        for _ in range(2):
            read = capture.counts.read
            wait_until(lambda: capture.counts.read > read, "frames")  # noqa: B023 - called at once
            device.unlink()
            wait_until(lambda: capture.state == "failed", "the failure")
            assert "was unplugged" in capture.reason
            wait_until(lambda: "no such camera" in capture.reason, "an attempt in between")
            assert not capture.finished
            device.touch()
            wait_until(lambda: capture.state == "live", "its return")
            assert capture.reason == ""
        capture.stop()
    told = [record.getMessage().splitlines()[0] for record in caplog.records]
    assert told == ["camera door: the camera 0 was unplugged", "camera door is back"] * 2
