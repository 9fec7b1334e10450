"""The ledger's database as a URL: of an SQLite file, and taken from the settings file's folder."""

import re
from pathlib import Path
from urllib.parse import quote

__all__ = ["anchored_url", "sqlite_url"]

_RELATIVE = re.compile(r"(sqlite(?:\+\w+)?:///)([^/?][^?]*)(\?.*)?", re.DOTALL)


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of the SQLite file ``path``, whatever characters are in it.

    A relative path is taken from the folder in which the URL is opened.
    """
    return f"sqlite:///{_escaped(path)}"


def anchored_url(url: str, base: Path) -> str:
    """Return the database ``url``, a relative path of SQLite's taken from ``base``."""
    match = _RELATIVE.fullmatch(url)
    if match is None or match[2] == ":memory:" or match[2].startswith("file:"):
        return url
    return f"{match[1]}{Path(_escaped(base)) / match[2]}{match[3] or ''}"


def _escaped(path: Path) -> str:
    # Only what ends the path in a URL or stands for something else there: a URL that people read stays readable, and a
    # name that is no UTF-8 stays what it is.
    return re.sub("[%?#]", lambda match: quote(match[0]), str(path))
