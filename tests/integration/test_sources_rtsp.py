"""RTSP cameras against a real server (GStreamer's)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from cameras import CREDENTIALS, RtspCamera, rtsp_camera, why_no_rtsp

from optimind.pipeline.capture import Capture
from optimind.plugin_api import SourceError
from optimind.sources.rtsp import RtspSource

TIMEOUT_S = 1.0


def source(url: str) -> RtspSource:
    return RtspSource("door", url, open_timeout_s=5, read_timeout_s=TIMEOUT_S)


@pytest.fixture(scope="module")
def _rtsp() -> None:
    reason = why_no_rtsp()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def camera(_rtsp: None) -> Iterator[RtspCamera]:
    with rtsp_camera() as running:
        yield running


def read_until_lost(stream: RtspSource) -> tuple[SourceError, float]:
    """Return the error that ends the stream, and how long the read took that raised it."""
    while True:
        began_s = time.monotonic()
        try:
            stream.read()
        except SourceError as error:
            return error, time.monotonic() - began_s


def test_frames_come_over_tcp(camera: RtspCamera) -> None:
    stream = source(camera.url())
    stream.open()
    frame = stream.read()
    assert frame is not None
    assert frame.image.shape == (240, 320, 3)
    assert frame.position_s is None
    assert camera.transport() == "tcp"
    stream.close()


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "frozen"])
def test_a_camera_that_goes_away_is_an_error_within_the_timeout(camera: RtspCamera, kill: bool) -> None:
    stream = source(camera.url())
    stream.open()
    for _ in range(5):
        stream.read()
    if kill:
        camera.kill()
    else:
        camera.freeze()
    error, waited_s = read_until_lost(stream)
    assert waited_s < TIMEOUT_S + 1
    assert ("ended the connection" if kill else "no readable picture for 1 s") in error.message
    stream.close()


def test_closing_does_not_wait_for_a_read_that_hangs(camera: RtspCamera) -> None:
    stream = RtspSource("door", camera.url(), read_timeout_s=3)
    stream.open()
    stream.read()
    camera.freeze()
    reader = threading.Thread(target=read_until_lost, args=(stream,))
    reader.start()
    time.sleep(1)
    began_s = time.monotonic()
    stream.close()
    assert time.monotonic() - began_s < 0.5
    reader.join(10)
    assert not reader.is_alive()


@pytest.mark.usefixtures("_rtsp")
@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_why_a_camera_does_not_open(auth: str) -> None:
    cases = [
        ("stream", "", "wants a user and a password"),
        ("stream", "ann:wr0ng@", "refuses this user and password"),
        ("nothing", CREDENTIALS, "no stream at this path"),
    ]
    with rtsp_camera(auth) as camera:
        stream = source(camera.url("stream", CREDENTIALS))
        stream.open()
        assert stream.read() is not None
        stream.close()
        for path, credentials, said in cases:
            with pytest.raises(SourceError, match=said) as refusal:
                source(camera.url(path, credentials)).open()
            assert "wr0ng" not in str(refusal.value)
            assert "p%40ss" not in str(refusal.value)
            assert refusal.value.mend


@pytest.mark.parametrize("path", ["mjpeg", "vp8"])
def test_other_codecs_come_too(camera: RtspCamera, path: str) -> None:
    stream = source(camera.url(path))
    stream.open()
    frame = stream.read()
    assert frame is not None
    assert frame.image.shape == (240, 320, 3)
    stream.close()


@pytest.mark.parametrize(
    ("path", "said"),
    [("sound", "sends no pictures at this path, only audio"), ("strange", "sends its pictures as JPEG2000, which")],
)
def test_a_stream_that_cannot_be_shown_is_told_apart(camera: RtspCamera, path: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as refusal:
        source(camera.url(path)).open()
    assert refusal.value.mend


def test_a_port_where_nobody_listens_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(SourceError, match=f"nothing listens on port {port}"):
        source(f"rtsp://127.0.0.1:{port}/stream").open()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak RTSP"),
        (b"RTSP/1.0 453 Not Enough Bandwidth\r\n\r\n", "answers 453 Not Enough Bandwidth"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: nonsense\r\n\r\n", "cannot connect"),
        (b"RTSP/1.0 200 OK\r\n\r\n", "no picture came in time"),
        (b"\xff\xfe\x00garbage", "does not speak RTSP"),
        (b"", "does not speak RTSP"),
    ],
)
def test_what_a_strange_server_answers_is_said(answer: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ending = threading.Event()

        def serve() -> None:
            listener.settimeout(0.1)
            while not ending.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        try:
            with pytest.raises(SourceError, match=said):
                source(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/stream").open()
        finally:
            ending.set()
            server.join(5)


def test_a_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = RtspSource(
            "door", f"rtsp://127.0.0.1:{listener.getsockname()[1]}/", open_timeout_s=1, read_timeout_s=1
        )
        began_s = time.monotonic()
        with pytest.raises(SourceError, match="timed out"):
            stream.open()
        assert time.monotonic() - began_s < 4


@pytest.mark.usefixtures("_rtsp")
def test_a_capture_connects_again_when_the_camera_is_back(caplog: pytest.LogCaptureFixture) -> None:
    with rtsp_camera() as camera:
        capture = Capture(source(camera.url()), "door", first_retry_s=0.05, longest_retry_s=0.3)
        capture.start()
        try:
            first = capture.newest(15)
            assert first is not None
            camera.kill()
            wait_for(capture, "failed")
            assert "ended the connection" in capture.reason
            time.sleep(1)  # several attempts
            with rtsp_camera(port=camera.port):
                wait_for(capture, "live")
                second = capture.newest(5)
                assert second is not None
                assert second.index > first.index
                assert capture.reason == ""
                capture.stop()  # before the second camera goes, which would be another outage
        finally:
            capture.stop()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1, "one outage, one line"


def wait_for(capture: Capture, state: str) -> None:
    deadline_s = time.monotonic() + 15
    while capture.state != state:
        assert time.monotonic() < deadline_s, f"still {capture.state}: {capture.reason}"
        time.sleep(0.01)
