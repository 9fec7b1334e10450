"""Downloads against a server with faults: in the end the file is right, or there is a reason and what came is kept."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Answer, FileServer

from optimind.errors import EngineError
from optimind.weights.download import Patience, Wanted, fetch

CONTENT = os.urandom(300_000)
HASTY = Patience(connect_s=2.0, silent_s=0.3, attempts=3, wait_s=0.01)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer.serving(CONTENT) as running:
        yield running


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "model.part"


def get(server: FileServer, part: Path, url: str = "") -> list[tuple[int, int]]:
    """Fetch the file; return what was said of the progress."""
    said: list[tuple[int, int]] = []
    wanted = Wanted(url or server.url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    fetch(wanted, part, lambda here, total: said.append((here, total)), HASTY)
    return said


def test_a_right_file_is_fetched_once(server: FileServer, part: Path) -> None:
    said = get(server, part)
    assert part.read_bytes() == CONTENT
    assert server.asked == [None]
    assert said[0] == (0, len(CONTENT))
    assert said[-1] == (len(CONTENT), len(CONTENT))
    assert said == sorted(said)


def test_what_is_here_is_not_fetched_again(server: FileServer, part: Path) -> None:
    part.write_bytes(CONTENT[:100_000])
    assert get(server, part)[0] == (100_000, len(CONTENT))
    assert server.asked == ["bytes=100000-"]
    assert part.read_bytes() == CONTENT


def test_a_whole_file_needs_no_server(part: Path) -> None:
    part.write_bytes(CONTENT)
    wanted = Wanted("http://127.0.0.1:9/none", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    fetch(wanted, part, lambda here, total: None, HASTY)
    assert part.read_bytes() == CONTENT


CUT_AT = 6 * 16_384  # what has come of a piece of 16 KiB is lost with the connection
CUT = Answer(cut=CUT_AT)
PASSING = {
    "cut once": ([CUT, Answer()], [None, f"bytes={CUT_AT}-"]),
    "cut again and again": ([CUT] * 3 + [Answer()], [None, *(f"bytes={n * CUT_AT}-" for n in (1, 2, 3))]),
    "cut, then no ranges": ([CUT, Answer(ranges=False)], [None, f"bytes={CUT_AT}-"]),
    "no length, cut": ([Answer(cut=CUT_AT, length=False), Answer()], [None, f"bytes={CUT_AT}-"]),
    "500, then right": ([Answer(500), Answer(503), Answer()], [None] * 3),
    "429, then right": ([Answer(429, headers={"Retry-After": "0"}), Answer()], [None] * 2),
    "silent, then right": ([Answer(silent_s=1.0), Answer()], [None] * 2),
    "another place": ([CUT, Answer(place="bytes 5-299999/300000"), Answer()], [None, f"bytes={CUT_AT}-", None]),
    "no place": ([CUT, Answer(place="lines 1-2"), Answer()], [None, f"bytes={CUT_AT}-", None]),
    "416 in between": ([CUT, Answer(416), Answer()], [None, f"bytes={CUT_AT}-", None]),
    "changed half way": ([Answer(cut=CUT_AT, content=CONTENT[::-1]), Answer()], [None, f"bytes={CUT_AT}-", None]),
    "wrong, then right": ([Answer(content=CONTENT[::-1]), Answer()], [None] * 2),
}


@pytest.mark.parametrize(("answers", "asked"), PASSING.values(), ids=PASSING)
def test_what_passes_is_survived(
    server: FileServer, part: Path, answers: list[Answer], asked: list[str | None]
) -> None:
    server.answers = list(answers)
    get(server, part)
    assert part.read_bytes() == CONTENT
    assert server.asked == asked


LASTING = {
    "not found": (Answer(404), 1, "answers 404"),
    "forbidden": (Answer(403), 1, "answers 403"),
    "no content": (Answer(204), 1, "answers 204"),
    "always 500": (Answer(500), 3, "answers 500"),
    "always silent": (Answer(silent_s=1.0), 3, "sent nothing for 0.3 s"),
    "always cut at once": (Answer(cut=0), 3, "127.0.0.1 cuts the connection"),
    "a page instead": (Answer(content=b"<html>sign in</html>"), 1, "it has 20 bytes, wanted are 300000"),
    "too long": (Answer(content=CONTENT + b"!"), 1, "it has 300001 bytes"),
    "too long, unannounced": (Answer(content=CONTENT + b"!", length=False), 1, "more than 300000 bytes"),
    "always wrong": (Answer(content=CONTENT[::-1]), 2, "its SHA-256 is"),
    "redirected for ever": (Answer(302, headers={"Location": "/model.onnx"}), 31, "redirects"),
    "redirected to a file": (Answer(302, headers={"Location": "file:///etc/hostname"}), 1, "No connection adapters"),
}


@pytest.mark.parametrize(("answer", "times", "words"), LASTING.values(), ids=LASTING)
def test_what_lasts_is_said(server: FileServer, part: Path, answer: Answer, times: int, words: str) -> None:
    server.answers = [answer]
    with pytest.raises(EngineError) as caught:
        get(server, part)
    assert words in caught.value.message
    assert len(server.asked) == times
    assert not part.exists() or part.stat().st_size == 0 or words.startswith("more")


def test_what_came_is_kept_for_the_next_time(server: FileServer, part: Path) -> None:
    server.answers = [CUT, Answer(404)]
    with pytest.raises(EngineError, match="404"):
        get(server, part)
    assert part.read_bytes() == CONTENT[:CUT_AT]
    server.answers = [Answer()]
    get(server, part)
    assert server.asked[-1] == f"bytes={CUT_AT}-"


def test_a_file_that_grew_on_the_server_is_another_one(server: FileServer, part: Path) -> None:
    part.write_bytes(CONTENT[:100_000])
    server.content = CONTENT + b"more"
    with pytest.raises(EngineError, match="300004 bytes"):
        get(server, part)


@pytest.mark.parametrize("left", [b"x" * 100_000, b"x" * 300_000, b"x" * 400_000])
def test_what_something_else_left_is_thrown_away(server: FileServer, part: Path, left: bytes) -> None:
    part.write_bytes(left)
    get(server, part)
    assert part.read_bytes() == CONTENT


def test_an_interruption_keeps_what_came(server: FileServer, part: Path) -> None:
    def interrupt(here: int, total: int) -> None:
        if here > 150_000:
            raise KeyboardInterrupt

    wanted = Wanted(server.url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(KeyboardInterrupt):
        fetch(wanted, part, interrupt, HASTY)
    assert 150_000 < part.stat().st_size < len(CONTENT)
    assert CONTENT.startswith(part.read_bytes())
    get(server, part)
    assert part.read_bytes() == CONTENT


def test_a_server_that_is_not_there_is_named(server: FileServer, part: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match=r"the connection to 127\.0\.0\.1 fails.*refused"):
        get(server, part, f"http://127.0.0.1:{port}/model.onnx")


def test_a_name_that_is_not_known_is_named(server: FileServer, part: Path) -> None:
    with pytest.raises(EngineError, match=r"the name nowhere\.invalid is not known here: is there a network\?"):
        get(server, part, "http://nowhere.invalid/model.onnx")


def test_an_unsafe_server_is_not_trusted(server: FileServer, part: Path) -> None:
    with pytest.raises(EngineError, match="no safe connection"):
        get(server, part, server.url.replace("http:", "https:"))


def test_the_server_says_when_to_come_back(server: FileServer, part: Path) -> None:
    server.answers = [Answer(503, headers={"Retry-After": "1"}), Answer()]
    began = time.monotonic()
    get(server, part)
    assert time.monotonic() - began >= 1.0


def test_a_file_that_cannot_be_written_is_no_fault_of_the_server(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        get(server, tmp_path / "file" / "model.part")
