"""A receiver of webhooks for tests: it keeps records by id and version, checks signatures, and has faults."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["Reply", "WebhookServer"]


@dataclass
class Reply:
    """How one request is answered. ``keeps``: whether the records are kept before that; ``status`` 0: no answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    keeps: bool | None = None
    silent_s: float = 0.0


class WebhookServer:
    """Listens at ``url``. ``replies`` are used up, then all is well. ``asked`` has path, headers and body of each."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.records: dict[str, dict[str, Any]] = {}
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening; may be called twice."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def keep(self, body: bytes) -> None:
        """Keep the newest version of each record."""
        for record in json.loads(body)["records"]:
            known = self.records.get(record["record_id"])
            if known is None or known["version"] <= record["version"]:
                self.records[record["record_id"]] = record

    def is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        """Whether the signature is that of the key."""
        if self.key is None:
            return True
        told = headers.get("X-OptiMind-Timestamp", "").encode() + b"." + body
        wanted = "sha256=" + hmac.new(self.key.encode(), told, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, headers.get("X-OptiMind-Signature", ""))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = dict(self.headers.items())
                owner.asked.append((self.path, headers, body))
                reply = owner.replies.pop(0) if owner.replies else Reply()
                owner._stopped.wait(reply.silent_s)
                if not owner.is_signed(headers, body):
                    reply = Reply(401)
                if reply.keeps if reply.keeps is not None else 200 <= reply.status < 300:
                    owner.keep(body)
                self.close_connection = True
                if reply.status == 0:
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": "0", "Connection": "close", **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
