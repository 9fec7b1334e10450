"""Fetches one file over HTTP: resumed where it broke off, bounded, and right in the end or not there at all."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import urlsplit

import requests

from optimind import __version__
from optimind.errors import EngineError
from optimind.weights.checksums import sha256_of

__all__ = ["OnProgress", "Patience", "Wanted", "fetch"]

OnProgress = Callable[[int, int], None]
"""Called with how many bytes are here and how many there will be."""

_BLOCK = 1 << 14  # a broken connection loses at most one
_LONGEST_WAIT_S = 30.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file on a server: where, how large and which."""

    url: str
    size_bytes: int
    sha256: str

    @property
    def host(self) -> str:
        """Who sends it; the whole address is told once, with what to do."""
        return urlsplit(self.url).hostname or self.url


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for.

    ``connect_s``: until it takes the connection; ``silent_s``: between two pieces of its answer; ``attempts`` in a row
    that brought nothing new; ``wait_s`` before the second one, twice as long before each further one.
    """

    connect_s: float = 10.0
    silent_s: float = 30.0
    attempts: int = 4
    wait_s: float = 0.5


class _Passing(Exception):
    """It did not work this time and may work the next; ``wait_s`` is the server's own wish."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fetch(wanted: Wanted, part: Path, on_progress: OnProgress, patience: Patience | None = None) -> None:
    """Make ``part`` the ``wanted`` file, its checksum verified. What is there of it already is not fetched again.

    Where it breaks off for good, or is interrupted, ``part`` stays for the next time. A file that turns out wrong is
    fetched once more from the beginning, as it may have changed on the server half way. Raises :class:`EngineError`
    with the reason, and ``OSError`` where ``part`` cannot be written.
    """
    patience = patience or Patience()
    found = ""
    for _ in range(2):
        with requests.Session() as session:
            _complete(session, wanted, part, on_progress, patience)
        found = sha256_of(part)
        if found == wanted.sha256:
            return
        part.unlink()
    raise EngineError(f"what {wanted.host} sends is another file: its SHA-256 is {found}, wanted is {wanted.sha256}")


def _complete(
    session: requests.Session, wanted: Wanted, part: Path, on_progress: OnProgress, patience: Patience
) -> None:
    """Ask until all bytes are here."""
    if _size(part) > wanted.size_bytes:  # left by something else
        part.unlink()
    in_vain = 0
    while (here := _size(part)) < wanted.size_bytes:
        on_progress(here, wanted.size_bytes)
        try:
            _ask(session, wanted, part, on_progress, patience)
        except _Passing as error:
            in_vain = 1 if _size(part) >= here + _BLOCK else in_vain + 1
            if in_vain >= patience.attempts:
                raise EngineError(f"it cannot be fetched from {wanted.host}: {error}") from error.__cause__
            time.sleep(min(max(error.wait_s, patience.wait_s * 2 ** (in_vain - 1)), _LONGEST_WAIT_S))


def _ask(session: requests.Session, wanted: Wanted, part: Path, on_progress: OnProgress, patience: Patience) -> None:
    """Ask once for what is missing, and write down what comes."""
    here = _size(part)
    headers = {"User-Agent": f"optimind/{__version__}", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    limits = (patience.connect_s, patience.silent_s)
    try:
        with session.get(wanted.url, headers=headers, stream=True, timeout=limits) as answer:
            begin = _begin(answer, here, wanted, part)
            with part.open("ab" if begin else "wb") as file:
                try:
                    _write(answer, file, begin, wanted, on_progress)
                finally:
                    file.flush()
                    os.fsync(file.fileno())
    except requests.RequestException as error:
        _give_up_or_pass(error, wanted, patience)


def _begin(answer: requests.Response, here: int, wanted: Wanted, part: Path) -> int:
    """Return from which byte on the answer brings the file; refuse one that brings something else."""
    code = answer.status_code
    if code == HTTPStatus.PARTIAL_CONTENT and here:
        place = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if place is None or int(place[1]) != here:
            part.unlink()
            raise _Passing("the server continues at another place than it was asked for")
        _require_size(wanted, place[2])
        return here
    if code == HTTPStatus.OK:  # also from a server that knows no ranges: from the beginning, then
        if "Content-Encoding" not in answer.headers:
            _require_size(wanted, answer.headers.get("Content-Length", ""))
        return 0
    if code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and here:
        part.unlink()
        raise _Passing("the server has no more of it than was here already, and it was not the whole")
    reason = f"the server answers {code} {answer.reason or ''}".rstrip()
    if code in _PASSING or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _Passing(reason, _seconds(answer.headers.get("Retry-After", "")))
    raise EngineError(f"it cannot be fetched from {wanted.host}: {reason}")


def _require_size(wanted: Wanted, told: str) -> None:
    if told.isdecimal() and int(told) != wanted.size_bytes:
        raise EngineError(
            f"what {wanted.host} sends is another file: it has {told} bytes, wanted are {wanted.size_bytes} "
            "(it was replaced, or a network's sign-in page answers in its place)"
        )


def _write(answer: requests.Response, file: BinaryIO, begin: int, wanted: Wanted, on_progress: OnProgress) -> None:
    here = begin
    for block in answer.iter_content(_BLOCK):
        here += len(block)
        if here > wanted.size_bytes:
            raise EngineError(f"what {wanted.host} sends is another file: it has more than {wanted.size_bytes} bytes")
        file.write(block)
        on_progress(here, wanted.size_bytes)
    if here < wanted.size_bytes:
        raise _Passing("the connection was cut")


def _give_up_or_pass(error: requests.RequestException, wanted: Wanted, patience: Patience) -> NoReturn:
    # After a redirection it is another one that fails.
    url = str((error.request.url if error.request is not None else None) or wanted.url)
    host = urlsplit(url).hostname or url
    if isinstance(error, requests.exceptions.SSLError):
        words = f"no safe connection to {host}: its certificate cannot be verified ({_innermost(error)})"
        raise EngineError(words) from error
    if isinstance(error, requests.ConnectTimeout):
        raise _Passing(f"{host} does not answer within {patience.connect_s:g} s") from error
    text = str(error)
    if isinstance(error, requests.ReadTimeout) or "Read timed out" in text:
        raise _Passing(f"{host} sent nothing for {patience.silent_s:g} s") from error
    if isinstance(error, requests.exceptions.ProxyError):
        raise _Passing(f"the proxy cannot be used ({_innermost(error)})") from error
    if "NameResolutionError" in text:
        raise _Passing(f"the name {host} is not known here: is there a network?") from error
    if "IncompleteRead" in text:
        raise _Passing(f"{host} cuts the connection before all is sent") from error
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        raise _Passing(f"the connection to {host} fails ({_innermost(error)})") from error
    raise EngineError(f"it cannot be fetched from {host}: {error}") from error


def _innermost(error: BaseException) -> str:
    """The words of what it was at first; the layers above only wrap them up."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _seconds(told: str) -> float:
    """What a Retry-After header asks for (RFC 9110, section 10.2.3); 0 where it says nothing that can be read."""
    if told.strip().isdecimal():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0
