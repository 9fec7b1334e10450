"""Exactly one kind takes any text."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimind.plugin_api import OptiMindError, Source, UsageError
from optimind.sources.device import DeviceSource
from optimind.sources.file import FileSource
from optimind.sources.folder import FolderSource
from optimind.sources.http import HttpSource
from optimind.sources.rtsp import RtspSource

KINDS: list[type[Source]] = [DeviceSource, FileSource, FolderSource, HttpSource, RtspSource]

pieces = st.sampled_from(
    ["0", "7", "/dev/video1", "?size=640x480", "rtsp://", "RTSPS://", "http://", "https://", "/tmp", ".", "~", "?fps=5"]
)


def taker(spec: str) -> str:
    """Return the name of the one kind that takes ``spec``."""
    names = [kind.name for kind in KINDS if kind.accepts(spec)]
    assert len(names) == 1, f"{spec!r} is taken by {names}"
    return names[0]


@given(st.text() | st.lists(pieces | st.text(max_size=5), max_size=5).map("".join))
def test_exactly_one_kind_takes_any_text(spec: str) -> None:
    taker(spec)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("0", "device"),
        ("12", "device"),
        ("0?size=1920x1080", "device"),
        ("/dev/video3", "device"),
        ("/dev/v4l/by-id/usb-Acme_Cam-video-index0", "device"),
        ("./0", "file"),
        ("-1", "file"),
        ("٣", "file"),
        ("", "file"),
        ("lesson.mp4", "file"),
        ("no/such/folder/", "file"),
        ("rtmp://host/live", "file"),
        ("a\0b", "file"),
        ("x" * 5000, "file"),
        ("~nobody-has-this-name/x.mp4", "file"),
        (".", "folder"),
        (".?fps=2.5", "folder"),
        (".?speed=9", "folder"),
        ("rtsp://10.0.0.7/stream", "rtsp"),
        ("RTSPS://user:p%40ss@cam:322/", "rtsp"),
        ("http://10.0.0.7/video.cgi", "http"),
        ("HTTPS://cam/live.m3u8?a=b", "http"),
    ],
)
def test_the_kind_of_an_address(spec: str, kind: str) -> None:
    assert taker(spec) == kind


def test_a_folder_with_a_question_mark_in_its_name_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "who?fps=3").mkdir()
    assert taker(str(tmp_path / "who?fps=3")) == "folder"


@pytest.mark.parametrize("spec", ["rtsp://", "http:///path", "http://host:99999/", "rtsp://host:x/", "http://[::1/"])
def test_a_url_that_is_not_whole_is_refused(spec: str) -> None:
    kind = next(kind for kind in KINDS if kind.accepts(spec))
    with pytest.raises(UsageError, match="no whole URL") as refusal:
        kind.create("door", spec)
    assert refusal.value.exit_code == 2


@given(st.text(max_size=30))
def test_making_a_network_camera_raises_nothing_but_our_own_errors(rest: str) -> None:
    for scheme, kind in (("rtsp://", RtspSource), ("http://", HttpSource)):
        with contextlib.suppress(OptiMindError):
            assert kind.create("door", scheme + rest).camera == "door"
