"""Asks the index that pip uses which releases there are: all packages at once, two seconds for everything.

Which index that is, pip knows: a setting, an environment variable or its own default. Off-line, or where the index is
slow or wants a password, nothing is known and nothing fails.
"""

from __future__ import annotations

import gzip
import html.parser
import json
import os
import queue
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

from optimind.status.versions import is_prerelease, satisfies, version_key

__all__ = ["index_url", "newest_of", "newest_releases"]

_FORMATS = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MOST_BYTES = 32 * 1024 * 1024
_AT_ONCE = 8
_SDIST = re.compile(r"\.(tar\.gz|tar\.bz2|zip)$")


def index_url(limit_s: float = 10.0) -> str | None:
    """The address of the index that pip uses; None without pip, without an index, or where it wants a password."""
    if os.environ.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on"):
        return None
    # Its help names the index that is in force, whichever setting that comes from. Wide, so that no address is wrapped.
    command = [sys.executable, "-m", "pip", "install", "--help"]
    try:
        answer = subprocess.run(  # noqa: S603  this Python and fixed words
            command,
            env={**os.environ, "COLUMNS": "1000", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    help_text = answer.stdout.decode("utf-8", "replace")
    found = re.search(r"--index-url <url>.*?\(default:? *(https?://[^\s)]+)\)", help_text, re.DOTALL)
    return None if found is None or "****" in found[1] else found[1].rstrip("/")


def newest_releases(packages: Sequence[str], url: str, limit_s: float = 2.0) -> dict[str, str]:
    """The newest release of each package about which the index at ``url`` answers within ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    for name in packages:
        waiting.put(name)
    context = _tls()
    for _ in range(min(_AT_ONCE, len(packages))):
        threading.Thread(target=_ask, args=(url, waiting, answers, deadline, context), daemon=True).start()
    found: dict[str, str] = {}
    for _ in packages:
        try:
            name, version = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if version is not None:
            found[name] = version
    return found


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    own = os.environ.get("PIP_CERT", "")
    if os.path.isfile(own):  # noqa: PTH113  an empty name is no path, and Path("") would be this folder
        context.load_verify_locations(own)
    return context


def _ask(url: str, waiting: Any, answers: Any, deadline: float, context: ssl.SSLContext) -> None:
    """Ask for one package after the other until none is left or the time is up."""
    while True:
        left_s = deadline - time.monotonic()
        try:
            name = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            version = newest_of(_files(f"{url}/{name}/", max(0.05, left_s), context)) if left_s > 0 else None
        except Exception:  # noqa: BLE001  off-line, blocked, no such page, a page nobody understands: not known
            version = None
        answers.put((name, version))


def _files(address: str, limit_s: float, context: ssl.SSLContext) -> Iterable[dict[str, Any]]:
    """The files that the index lists, as PEP 691 describes them."""
    headers = {"Accept": _FORMATS, "Accept-Encoding": "gzip"}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  index_url gives http and https only
    with urllib.request.urlopen(request, timeout=limit_s, context=context) as answer:  # noqa: S310  as above
        data = answer.read(_MOST_BYTES)
        if answer.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        if answer.headers.get_content_type().endswith("json"):
            files: list[dict[str, Any]] = json.loads(data)["files"]
            return files
    page = _Page()
    page.feed(data.decode("utf-8", "replace"))
    return page.files


def newest_of(files: Iterable[dict[str, Any]]) -> str | None:
    """The newest final release in ``files`` that this Python can use and nobody withdrew; None where there is none."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    best: str | None = None
    for file in files:
        version = _version_in(file["filename"])
        key = version_key(version) if version else None
        if version is None or key is None or is_prerelease(version) or file.get("yanked"):
            continue
        if satisfies(python, file.get("requires-python") or "") and (best is None or key > (version_key(best) or ())):
            best = version
    return best


def _version_in(filename: str) -> str | None:
    """The version that a wheel's or source distribution's name holds."""
    if filename.endswith(".whl"):
        parts = filename.split("-")
        return parts[1] if len(parts) > 2 else None
    stem, ending = _SDIST.subn("", filename)
    return stem.rpartition("-")[2] if ending else None


class _Page(html.parser.HTMLParser):
    """Reads the HTML form of an index page."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link is a file; its text comes after it."""
        if tag == "a":
            given = dict(attrs)
            address = (given.get("href") or "").partition("#")[0]
            self.files.append(
                {
                    "filename": address.rpartition("/")[2],
                    "requires-python": given.get("data-requires-python"),
                    "yanked": "data-yanked" in given,
                }
            )
