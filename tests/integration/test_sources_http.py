"""HTTP cameras against a real server that behaves, misbehaves and refuses."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from cameras import CREDENTIALS, HttpCamera, write_video

from optimind.plugin_api import Frame, SourceError
from optimind.sources.http import HttpSource


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpCamera]:
    recording = write_video(tmp_path_factory.mktemp("http") / "r.mp4", frames=400)
    with HttpCamera(recording) as running:
        yield running


def source(url: str, timeout_s: float = 1.0) -> HttpSource:
    return HttpSource("door", url, open_timeout_s=timeout_s, read_timeout_s=timeout_s)


def first_frame(stream: HttpSource) -> Frame | None:
    stream.open()
    try:
        return stream.read()
    finally:
        stream.close()


def read_until_lost(url: str) -> tuple[int, SourceError, float]:
    """Return how many frames came, the error after them, and how long the last read took."""
    stream = source(url)
    stream.open()
    try:
        for count in range(10_000):
            began_s = time.monotonic()
            try:
                stream.read()
            except SourceError as error:
                return count, error, time.monotonic() - began_s
        raise AssertionError("the stream never ended")
    finally:
        stream.close()


def refusal(url: str, timeout_s: float = 1.0) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source(url, timeout_s).open()
    assert caught.value.mend
    return caught.value


@pytest.mark.parametrize(("path", "credentials"), [("stream", ""), ("auth", CREDENTIALS)])
def test_mjpeg_is_live(camera: HttpCamera, path: str, credentials: str) -> None:
    stream = source(camera.url(path, credentials))
    stream.open()
    frames = [stream.read() for _ in range(5)]
    stream.close()
    assert stream.live
    assert all(frame is not None and frame.position_s is None for frame in frames)


def test_a_recording_behind_http_is_played_by_its_own_time(camera: HttpCamera) -> None:
    stream = source(camera.url("recording.mp4"), 5)
    stream.open()
    assert not stream.live
    frames: list[Frame] = []
    while (frame := stream.read()) is not None:
        frames.append(frame)
    assert len(frames) == 400
    assert frames[-1].position_s == pytest.approx(39.9)
    assert stream.ended_early is None


def test_a_recording_that_its_server_cannot_wind_says_so(camera: HttpCamera) -> None:
    stream = source(camera.url("no-ranges.mp4"), 5)
    with pytest.raises(SourceError, match="cannot be played from its server") as caught:
        first_frame(stream)
    assert "download it" in caught.value.mend


def test_single_garbage_pictures_are_passed_over(camera: HttpCamera) -> None:
    stream = source(camera.url("some-garbage"))
    stream.open()
    assert [frame.index if (frame := stream.read()) else None for _ in range(8)] == list(range(8))
    stream.close()


def test_nothing_but_garbage_is_an_error(camera: HttpCamera, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match=r"sent no readable picture|ended the connection after 0 frames"):
        first_frame(source(camera.url("garbage")))
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_hangs_is_lost_within_the_timeout(camera: HttpCamera) -> None:
    count, error, waited_s = read_until_lost(camera.url("hang"))
    assert 8 <= count <= 10
    assert "no readable picture for 1 s" in error.message
    assert waited_s < 2.5


def test_a_camera_that_ends_its_stream_is_lost_at_once(camera: HttpCamera) -> None:
    count, error, waited_s = read_until_lost(camera.url("end"))
    assert 8 <= count <= 10
    assert f"ended the connection after {count} frames" in error.message
    assert waited_s < 1


def test_a_snapshot_address_is_recognised(camera: HttpCamera) -> None:
    count, error, _ = read_until_lost(camera.url("snapshot"))
    assert count == 1
    assert "one picture, not a stream" in error.message


@pytest.mark.parametrize(
    ("path", "credentials", "said"),
    [
        ("auth", "", "wants a user and a password"),
        ("auth", "ann:wr0ng@", "refuses this user and password"),
        ("nothing", "", "no stream at this path"),
        ("page", "", r"what it sends \(text/html\) is no video"),
        ("strange.video", "", r"in a form that cannot be decoded \(video/x-strange\)"),
        ("hang-at-once", "", "timed out"),
    ],
)
def test_why_a_camera_does_not_open(camera: HttpCamera, path: str, credentials: str, said: str) -> None:
    error = refusal(camera.url(path, credentials), 0.5)
    with pytest.raises(SourceError, match=said):
        raise error
    assert "wr0ng" not in str(error)


def test_nobody_listening_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert f"nothing listens on port {port}" in refusal(f"http://127.0.0.1:{port}/").message


def test_an_unknown_host_is_said() -> None:
    assert "host name camera.invalid is not known" in refusal("http://camera.invalid/").message


def test_plain_http_behind_an_https_address_is_said(camera: HttpCamera) -> None:
    assert "no encrypted connection" in refusal(camera.url("stream").replace("http:", "https:")).message
