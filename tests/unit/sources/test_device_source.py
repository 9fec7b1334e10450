"""Cameras that are plugged in. No test machine has one: ``cv2.VideoCapture`` is replaced, nothing else."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from optimind.plugin_api import SourceError, SourceNotFound
from optimind.sources.device import DeviceSource


class Webcam:
    """A ``cv2.VideoCapture`` that gives ``frames`` pictures and then none, as after unplugging."""

    made: ClassVar[list[Webcam]] = []
    opens: ClassVar[bool] = True
    frames: ClassVar[int] = 3
    best: ClassVar[tuple[int, int]] = (1280, 720)

    def __init__(self, target: object, backend: int) -> None:
        self.target = target
        self.backend = backend
        self.wishes: dict[int, float] = {}
        self.order: list[int] = []
        self.given = 0
        self.released = False
        Webcam.made.append(self)

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return Webcam.opens

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: float(self.best[0]), cv2.CAP_PROP_FRAME_HEIGHT: float(self.best[1])}.get(
            what, 0.0
        )

    def set(self, what: int, value: float) -> bool:
        self.wishes[what] = value
        self.order.append(what)
        return True

    def read(self) -> tuple[bool, np.ndarray[Any, Any] | None]:
        self.given += 1
        return (True, np.zeros((4, 4), np.uint8)) if self.given <= self.frames else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of device files with cameras 0 and 2."""
    monkeypatch.setattr("optimind.sources.device.cv2.VideoCapture", Webcam)
    monkeypatch.setattr("optimind.sources.device.sys.platform", "linux")
    monkeypatch.setattr(Webcam, "made", [])
    (tmp_path / "video0").touch()
    (tmp_path / "video2").touch()
    return tmp_path


def make(devices: Path, spec: str = "0") -> DeviceSource:
    return DeviceSource("door", spec, devices=devices, read_timeout_s=0.2)


def test_it_opens_the_device_file_and_keeps_no_old_frames(devices: Path) -> None:
    source = make(devices)
    source.open()
    (webcam,) = Webcam.made
    assert webcam.target == str(devices / "video0")
    assert webcam.backend == cv2.CAP_V4L2
    assert webcam.wishes == {cv2.CAP_PROP_BUFFERSIZE: 1}
    frame = source.read()
    assert frame is not None
    assert frame.image.shape == (4, 4, 3)  # a grey camera's picture too
    assert frame.position_s is None
    source.close()
    assert webcam.released


def test_a_size_is_asked_for_in_a_format_that_fits_through_usb(devices: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make(devices, "2?size=1280x720").open()
    (webcam,) = Webcam.made
    assert webcam.target == str(devices / "video2")
    assert webcam.wishes[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert webcam.wishes[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert webcam.order.index(cv2.CAP_PROP_FOURCC) < webcam.order.index(cv2.CAP_PROP_FRAME_WIDTH)
    assert not caplog.records


def test_another_size_than_asked_for_is_reported(devices: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make(devices, "0?size=1920x1080").open()
    assert "no picture size 1920x1080; it gives 1280x720" in caplog.text


def test_a_missing_camera_lists_those_that_exist(devices: Path) -> None:
    with pytest.raises(SourceNotFound, match="no such camera") as refusal:
        make(devices, "1").open()
    assert str(devices / "video0") in refusal.value.mend
    assert str(devices / "video2") in refusal.value.mend
    assert refusal.value.exit_code == 2


def test_no_camera_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound) as refusal:
        make(tmp_path).open()
    assert "no camera is plugged in" in refusal.value.mend


def test_a_busy_camera_names_who_uses_it(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Webcam, "opens", False)
    with (devices / "video0").open("rb"), pytest.raises(SourceError, match=f"in use by .*process {os.getpid()}"):
        make(devices).open()
    assert Webcam.made[0].released


def test_a_camera_without_pictures_is_told_apart(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Webcam, "opens", False)
    with pytest.raises(SourceError, match="gives no picture") as refusal:
        make(devices).open()
    assert "number before or after" in refusal.value.mend


@pytest.mark.parametrize(
    ("fault", "said"), [(PermissionError(13, "denied"), "may not be used"), (OSError(16, "Device busy"), "Device busy")]
)
def test_what_the_system_refuses_is_said(
    devices: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, said: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(Webcam, "opens", False)
    source = make(devices)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match=said):
        source.open()


def test_unplugging_is_an_error_not_an_end(devices: Path) -> None:
    source = make(devices)
    source.open()
    for _ in range(3):
        assert source.read() is not None
    (devices / "video0").unlink()
    with pytest.raises(SourceError, match="was unplugged"):
        source.read()


def test_a_camera_that_stops_is_an_error(devices: Path) -> None:
    source = make(devices)
    source.open()
    for _ in range(3):
        source.read()
    with pytest.raises(SourceError, match="ended the connection after 3 frames"):
        source.read()


def test_another_system_takes_the_number(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimind.sources.device.sys.platform", "darwin")
    source = make(devices, "1")
    source.open()
    assert Webcam.made[0].target == 1
    assert Webcam.made[0].backend == cv2.CAP_AVFOUNDATION
    monkeypatch.setattr(Webcam, "opens", False)
    with pytest.raises(SourceError, match="does not open"):
        source.open()
