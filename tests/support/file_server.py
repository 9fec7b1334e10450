"""A small web server for tests of downloads: it serves one file, with the faults that real ones have."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Answer", "FileServer"]


@dataclass
class Answer:
    """How one request is answered; a plain one is right.

    ``cut`` sends so many bytes of what was announced and closes. ``ranges`` False: as a server that knows no ranges.
    ``content`` replaces the file. ``length`` False announces no length. ``place`` replaces Content-Range.
    """

    status: int = 200
    cut: int | None = None
    ranges: bool = True
    content: bytes | None = None
    length: bool = True
    place: str = ""
    silent_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class FileServer:
    """Serves ``content`` at ``url``; ``answers`` are used up in order, the last one stays. ``asked`` has each Range."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.answers: list[Answer] = [Answer()]
        self.asked: list[str | None] = []
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"http://127.0.0.1:{self._server.server_port}/model.onnx"

    @classmethod
    @contextmanager
    def serving(cls, content: bytes) -> Iterator[FileServer]:
        """Run the server while in here."""
        server = cls(content)
        thread = threading.Thread(target=server._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server._stopped.set()
            server._server.shutdown()
            server._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.asked.append(self.headers.get("Range"))
                answer = owner.answers.pop(0) if len(owner.answers) > 1 else owner.answers[0]
                owner._stopped.wait(answer.silent_s)
                self.close_connection = True
                if answer.status != 200:
                    self._say(answer.status, b"no", answer)
                    return
                content = owner.content if answer.content is None else answer.content
                asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
                if asked is None or not answer.ranges:
                    self._say(200, content, answer)
                elif int(asked[1]) >= len(content):
                    self._say(416, b"", answer)
                else:
                    begin = int(asked[1])
                    place = answer.place or f"bytes {begin}-{len(content) - 1}/{len(content)}"
                    self._say(206, content[begin:], answer, {"Content-Range": place})

            def _say(self, status: int, body: bytes, answer: Answer, more: dict[str, str] | None = None) -> None:
                self.send_response(status)
                headers = {"Connection": "close", **answer.headers, **(more or {})}
                if answer.length:
                    headers["Content-Length"] = str(len(body))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body if answer.cut is None else body[: answer.cut])
                self.wfile.flush()
                if answer.cut is not None:
                    time.sleep(0.01)  # so that the client reads it before the connection is gone

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
