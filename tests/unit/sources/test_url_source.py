"""What network cameras have in common: the options of their URL, how they are opened, what a description tells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from optimind.plugin_api import UsageError
from optimind.sources._probe import _undecodable
from optimind.sources._url import DECODER_THREADS
from optimind.sources.http import HttpSource
from optimind.sources.rtsp import RtspSource

URL = "rtsp://ann:hush@127.0.0.1/live"


class Stream:
    """A ``cv2.VideoCapture`` that opens at once; ``hardware`` is what it says of its decoder."""

    opened: ClassVar[list[tuple[str, dict[int, int]]]] = []
    hardware: ClassVar[float] = 0.0

    def __init__(self, target: str, backend: int, wishes: Sequence[int]) -> None:
        assert backend == cv2.CAP_FFMPEG
        Stream.opened.append((target, dict(zip(wishes[::2], wishes[1::2], strict=True))))

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, what: int) -> float:
        return Stream.hardware if what == cv2.CAP_PROP_HW_ACCELERATION else 0.0

    def read(self) -> tuple[bool, np.ndarray[Any, Any]]:
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        """Nothing to release."""


@pytest.fixture(autouse=True)
def _streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimind.sources._opencv.cv2.VideoCapture", Stream)
    monkeypatch.setattr("optimind.sources._url.knock", lambda *_: None)
    monkeypatch.setattr(Stream, "opened", [])


@pytest.mark.parametrize(("option", "hardware"), [("", False), ("#decode=software", False), ("#decode=hardware", True)])
def test_the_decoder_is_chosen_behind_the_url(option: str, hardware: bool) -> None:
    RtspSource.create("door", URL + option).open()
    ((target, wishes),) = Stream.opened
    assert target == URL, "the camera is not told of it"
    assert wishes.get(cv2.CAP_PROP_HW_ACCELERATION) == (cv2.VIDEO_ACCELERATION_ANY if hardware else None)
    assert wishes[cv2.CAP_PROP_N_THREADS] == DECODER_THREADS


@pytest.mark.parametrize("option", ["decode=gpu", "hardware", "?decode=hardware"])
def test_an_unknown_option_is_refused(option: str) -> None:
    for kind, scheme in ((RtspSource, "rtsp"), (HttpSource, "http")):
        with pytest.raises(UsageError, match="unknown option") as refusal:
            kind.create("door", f"{scheme}://ann:hush@10.0.0.7/live#{option}")
        assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(("told", "said"), [(0.0, "decoded in software"), (2.0, "decoded in hardware")])
def test_which_decoder_was_found_is_said_once(
    told: float, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Stream, "hardware", told)
    source = RtspSource.create("door", URL + "#decode=hardware")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            source.open()
            source.close()
    assert caplog.text.count(said) == 1


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("", None),
        ("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", None),
        ("m=video 0 RTP/AVP 97\r\na=rtpmap:97 h265/90000\r\n", None),
        ("m=video 0 RTP/AVP 26\r\n", None),
        ("m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP9/90000\r\n", None),
        ("m=audio 0 RTP/AVP 0\r\n", "sends no pictures at this path, only audio"),
        ("m=application 0 RTP/AVP 107\r\nm=audio 0 RTP/AVP 0\r\n", "only application and audio"),
        ("m=video 0 RTP/AVP 96\r\na=rtpmap:96 JPEG2000/90000\r\n", "sends its pictures as JPEG2000"),
        ("m=video 0 RTP/AVP 96\r\na=rtpmap:96 X-OWN/1\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n", None),
    ],
)
def test_what_a_description_says_against_a_stream(description: str, said: str | None) -> None:
    error = _undecodable(URL, description)
    assert (error is None) == (said is None)
    if error is not None and said is not None:
        assert said in error.message
        assert "hush" not in str(error)
        assert error.mend
