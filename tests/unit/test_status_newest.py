from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from optimind.status.newest import index_url, newest_of, newest_releases

NEWER_PYTHON = f">={sys.version_info.major}.{sys.version_info.minor + 1}"
HTML = """<html><body>
<a href="../../files/fine-1.9-py3-none-any.whl#sha256=1">x</a>
<a href="../../files/fine-1.10.tar.gz#sha256=2" data-requires-python="&gt;=3.6">x</a>
<a href="../../files/fine-1.11.tar.gz" data-yanked="oops">x</a>
</body></html>"""
JSON = {"files": [{"filename": "other_one-2.0-cp311-cp311-linux_x86_64.whl"}, {"filename": "other-one-2.1.tar.gz"}]}


class Index(BaseHTTPRequestHandler):
    """Answers for some packages in HTML or JSON, for others late or never."""

    def do_GET(self) -> None:
        name = self.path.strip("/").rpartition("/")[2]
        if name == "slow":
            time.sleep(1.5)
        kind, body = {
            "fine": ("text/html", HTML.encode()),
            "other-one": ("application/vnd.pypi.simple.v1+json", gzip.compress(json.dumps(JSON).encode())),
            "slow": ("text/html", HTML.replace("fine", "slow").encode()),
            "odd": ("application/json", b"{"),
        }.get(name, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        if name == "other-one":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def index() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


def test_both_forms_of_an_index_are_read_and_whoever_is_late_is_left_out(index: str) -> None:
    began = time.monotonic()
    found = newest_releases(["fine", "other-one", "slow", "odd", "nowhere"], index, limit_s=0.7)
    assert time.monotonic() - began < 1.4
    assert found == {"fine": "1.10", "other-one": "2.1"}


def test_off_line_nothing_is_known_and_nothing_fails() -> None:
    assert newest_releases(["fine"], "http://127.0.0.1:9/simple", limit_s=1.0) == {}
    assert newest_releases([], "http://127.0.0.1:9/simple") == {}


@pytest.mark.parametrize(
    ("names", "newest"),
    [
        ([], None),
        (["a-1.9.tar.gz", "a-1.10.zip", "a-1.2.tar.bz2"], "1.10"),
        (["a-2.0rc1.tar.gz", "a-1.0.tar.gz", "a-2.0.dev3.tar.gz"], "1.0"),
        (["a_b-3.1-2-py3-none-any.whl"], "3.1"),
        (["a-1.0.exe", "odd.whl", "a-.tar.gz", "readme"], None),
    ],
)
def test_the_newest_of_some_files(names: list[str], newest: str | None) -> None:
    assert newest_of([{"filename": name} for name in names]) == newest


def test_what_was_withdrawn_or_wants_a_newer_python_does_not_count() -> None:
    files: list[dict[str, Any]] = [
        {"filename": "a-3.0.tar.gz", "yanked": "broken"},
        {"filename": "a-2.0.tar.gz", "requires-python": NEWER_PYTHON},
        {"filename": "a-1.0.tar.gz", "requires-python": ">=3.6", "yanked": False},
    ]
    assert newest_of(files) == "1.0"


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        (
            "PIP_INDEX_URL",
            "http://index.example/a-rather-long-path-that-would-be-wrapped-in-a-narrow-help/simple/",
            "http://index.example/a-rather-long-path-that-would-be-wrapped-in-a-narrow-help/simple",
        ),
        ("PIP_INDEX_URL", "http://user:secret@index.example/simple", None),
        ("PIP_INDEX_URL", "file:///srv/index", None),
        ("PIP_NO_INDEX", "1", None),
    ],
)
def test_the_index_is_the_one_that_pip_uses(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, expected: str | None
) -> None:
    monkeypatch.setenv(setting, value)
    assert index_url() == expected


def test_a_pip_that_takes_too_long_is_not_waited_for() -> None:
    assert index_url(limit_s=0.01) is None
