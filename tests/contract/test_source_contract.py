"""Every kind of source keeps to the same rules as the fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cameras import CREDENTIALS, HttpCamera, RtspCamera, picture, rtsp_camera, why_no_rtsp, write_video

from optimind.plugin_api import Frame, Source, SourceError
from optimind.sources.device import DeviceSource
from optimind.sources.file import FileSource
from optimind.sources.folder import FolderSource
from optimind.sources.http import HttpSource
from optimind.sources.rtsp import RtspSource
from optimind.testing.sources import FakeSource, SourceContract


class TestFake(SourceContract):
    spec = "fake:5"

    def make(self) -> Source:
        return FakeSource.create(self.camera, "fake:5")


class TestFakeCamera(SourceContract):
    def make(self) -> Source:
        return FakeSource(self.camera, [picture(at) for at in range(50)], live=True, every_s=0.01)


class TestMp4(SourceContract):
    codec, name = "mp4v", "clip.mp4"

    @pytest.fixture(autouse=True)
    def _recording(self, tmp_path: Path) -> None:
        self.spec = str(write_video(tmp_path / self.name, self.codec))

    def make(self) -> Source:
        return FileSource.create(self.camera, str(self.spec))


class TestAvi(TestMp4):
    codec, name = "MJPG", "clip with spaces: ümläut.avi"


class TestFolder(SourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        for at in range(4):
            cv2.imwrite(str(tmp_path / f"{at}.png"), picture(at))
        self.spec = f"{tmp_path}?fps=5"

    def make(self) -> Source:
        return FolderSource.create(self.camera, str(self.spec))


class TestHttp(SourceContract):
    path, credentials = "stream", ""

    @pytest.fixture(autouse=True)
    def _camera(self, tmp_path: Path) -> Iterator[None]:
        with HttpCamera(write_video(tmp_path / "r.mp4")) as camera:
            self.spec = camera.url(self.path, self.credentials)
            yield

    def make(self) -> Source:
        return HttpSource(self.camera, str(self.spec), open_timeout_s=10, read_timeout_s=5)


class TestHttpWithPassword(TestHttp):
    path, credentials = "auth", CREDENTIALS


class TestHttpRecording(TestHttp):
    path = "recording.mp4"


@pytest.fixture(scope="module")
def rtsp() -> Iterator[RtspCamera]:
    reason = why_no_rtsp()
    if reason:
        pytest.skip(reason)
    with rtsp_camera() as camera:
        yield camera


class TestRtsp(SourceContract):
    @pytest.fixture(autouse=True)
    def _camera(self, rtsp: RtspCamera) -> None:
        self.spec = rtsp.url()

    def make(self) -> Source:
        return RtspSource.create(self.camera, str(self.spec))


class _Webcam:
    """Stands in for ``cv2.VideoCapture`` of a device: no test machine has a camera, or a loop-back of one."""

    def __init__(self, *target: object) -> None:
        self.at = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(what, 0.0)

    def set(self, what: int, value: float) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray[Any, Any]]:
        self.at += 1
        return True, picture(self.at)

    def release(self) -> None:
        """Nothing to release."""


class TestDevice(SourceContract):
    """The one seam that is replaced is ``cv2.VideoCapture``."""

    spec = "0"

    @pytest.fixture(autouse=True)
    def _webcam(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "video0").touch()
        self.devices = tmp_path
        monkeypatch.setattr("optimind.sources.device.cv2.VideoCapture", _Webcam)

    def make(self) -> Source:
        return DeviceSource(self.camera, "0", devices=self.devices)


class _Wrong(FakeSource):
    """A fake that breaks one rule at a time, to see that the contract notices."""

    rule = ""

    def read(self) -> Frame | None:
        frame = super().read()
        if frame is None:
            if self.rule == "end":
                raise SourceError("over")
            return None
        image, index, position_s = frame.image, frame.index, frame.position_s
        if self.rule == "grey":
            image = image[:, :, :1]
        elif self.rule == "strided":
            image = image[:, ::2]
        elif self.rule == "index":
            index += 1
        elif self.rule == "position":
            position_s = 0.0
        elif self.rule == "shared":
            self.buffer = getattr(self, "buffer", image)
            self.buffer[:] = image
            image = self.buffer
        return Frame(frame.camera, index, frame.captured_at, image, position_s)


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        ("grey", "test_frames_are_well_formed"),
        ("strided", "test_frames_are_well_formed"),
        ("index", "test_frames_are_well_formed"),
        ("position", "test_frames_are_well_formed"),
        ("shared", "test_frames_are_independent"),
        ("end", "test_a_recording_ends_with_none"),
        ("index", "test_it_can_be_opened_again"),
    ],
)
def test_the_contract_notices_a_broken_rule(rule: str, check: str) -> None:
    class Broken(SourceContract):
        def make(self) -> Source:
            source = _Wrong.create(self.camera, "fake:5")
            source.rule = rule
            return source

    with pytest.raises((AssertionError, SourceError)):
        getattr(Broken(), check)()
