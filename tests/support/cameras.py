"""Network cameras for the tests, all on 127.0.0.1: one that speaks HTTP, in this process, and one that speaks RTSP."""

from __future__ import annotations

import base64
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_SCRIPT = Path(__file__).with_name("rtsp_server.py")
USER, PASSWORD = "ann", "p@ss wd"
CREDENTIALS = "ann:p%40ss%20wd@"


def picture(at: int, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """Return the ``at``-th picture of a moving white bar and some noise on grey, (height, width, 3) uint8."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    image[:, at % size[0]] = 255
    image[:40, :40] = np.random.default_rng(at).integers(0, 256, (40, 40, 3))
    return image


def write_video(path: Path, codec: str = "mp4v", frames: int = 30, fps: float = 10.0) -> Path:
    """Write a recording of 160x120 and return its path."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (160, 120))
    assert writer.isOpened(), f"this OpenCV cannot write {codec}"
    for at in range(frames):
        writer.write(picture(at))
    writer.release()
    return path


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        kind = self.path.strip("/").split("?")[0]
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if kind == "auth" and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif kind == "hang-at-once":
            self.server.ending.wait(30)
        elif kind == "page":
            self._send(b"<html>Welcome to your camera</html>", "text/html")
        elif kind == "strange.video":
            self._send(np.random.default_rng(7).bytes(50_000), "video/x-strange")
        elif kind == "snapshot":
            self._send(_jpeg(0), "image/jpeg")
        elif kind.endswith(".mp4") and self.server.recording is not None:
            self._send_recording(self.server.recording.read_bytes(), ranges=kind != "no-ranges.mp4")
        elif kind in {"stream", "auth", "hang", "end", "garbage", "some-garbage"}:
            try:
                self._stream(kind)
            except OSError:  # the viewer has gone
                self.close_connection = True
        else:
            self.send_error(404)

    def _stream(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        noise = np.random.default_rng(1)
        at = 0
        while not self.server.ending.is_set():
            garbage = kind == "garbage" or (kind == "some-garbage" and at % 3 == 1)
            body = noise.bytes(3000) if garbage else _jpeg(at)
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.wfile.write(body + b"\r\n")
            at += 1
            if at == 10 and kind == "hang":
                self.server.ending.wait(30)
            if at == 10 and kind == "end":
                return
            time.sleep(0.02)

    def _send_recording(self, body: bytes, *, ranges: bool) -> None:
        asked = self.headers.get("Range", "")
        if not ranges or not asked.startswith("bytes="):
            self._send(body, "video/mp4")
            return
        start, _, end = asked[6:].partition("-")
        first, last = int(start), min(int(end or len(body)), len(body) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self._body(body[first : last + 1], "video/mp4")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self._body(body, kind)

    def _body(self, body: bytes, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _jpeg(at: int) -> bytes:
    return cv2.imencode(".jpg", picture(at))[1].tobytes()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    ending: threading.Event
    recording: Path | None


class HttpCamera:
    """A camera at ``http://127.0.0.1``; what it does is its path.

    ``stream``, ``auth`` (wants a password), ``hang`` and ``end`` (after ten pictures), ``hang-at-once``, ``garbage``,
    ``some-garbage`` (every third picture), ``page``, ``snapshot``, ``strange.video``, ``recording.mp4`` and
    ``no-ranges.mp4``.
    """

    def __init__(self, recording: Path | None = None) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.ending = threading.Event()
        self._server.recording = recording
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}/{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.ending.set()
        self._server.shutdown()
        self._server.server_close()


def why_no_rtsp() -> str:
    """Return why the RTSP camera cannot be had on this machine; empty where it can."""
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    try:
        answer = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, timeout=30, check=False)
    except OSError:
        return f"{SYSTEM_PYTHON} is not there to run the RTSP server of the tests"
    return "" if answer.returncode == 0 else "GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0) is not installed"


class RtspCamera:
    """A camera at ``rtsp://127.0.0.1/stream``, in a process of its own that can be killed, frozen and started again.

    It has other streams beside that one: see ``STREAMS`` in rtsp_server.py.
    """

    def __init__(self, auth: str = "", port: int = 0) -> None:
        command = [SYSTEM_PYTHON, str(RTSP_SCRIPT), "--port", str(port)]
        if auth:
            command += ["--user", USER, "--password", PASSWORD, "--auth", auth]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def url(self, path: str = "stream", credentials: str = "") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"

    def freeze(self) -> None:
        """Stop the process where it stands: its connections stay, nothing comes."""
        self.process.send_signal(signal.SIGSTOP)

    def transport(self) -> str:
        """Return how the last viewer asked for the pictures, as the server saw it: ``tcp`` or ``udp``."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def rtsp_camera(auth: str = "", port: int = 0) -> Iterator[RtspCamera]:
    """Start an RTSP camera and kill it at the end."""
    camera = RtspCamera(auth, port)
    try:
        yield camera
    finally:
        camera.kill()
