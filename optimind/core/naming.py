"""When two names are the same, and whether a text tells of somebody."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_telling", "name_key", "tells_of"]


def name_key(name: str) -> str:
    """What of a name counts when two are compared: neither case nor underscores."""
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").casefold().split())


def tells_of(text: str, word: str) -> bool:
    """Whether the name or id ``word`` stands in ``text`` as a word of its own."""
    key = name_key(word)
    return bool(key) and re.search(rf"(?<!\w){re.escape(key)}(?!\w)", name_key(text)) is not None


def is_telling(word: str) -> bool:
    """Whether an id or name in a text is hardly something else: 7 is also a number, 1042x and Anna Berg are not."""
    return len(word) >= 6 or (len(word) >= 4 and not word.isdecimal())
