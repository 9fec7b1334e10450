"""Makes texts from outside fit for a table or a spreadsheet."""

import unicodedata

__all__ = ["guarded", "shortened", "visible"]

_FORMULA_STARTS = ("=", "+", "-", "@")
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def guarded(value: str | float | None) -> str | float | None:
    """Make a text visible, with a ' before one that a spreadsheet would run as a formula."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def visible(text: str) -> str:
    """Replace control characters, also those that turn the writing round: a name must not disguise a row."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" or c in _REORDERING else c for c in text
    )


def shortened(text: str, most: int = 60) -> str:
    """The text, or its beginning where it is longer than any name."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
