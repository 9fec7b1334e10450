"""Lists in pieces: databases limit how many values one statement may carry."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["chunks"]

_MANY = 500
_Item = TypeVar("_Item")


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Give ``items`` in pieces of at most 500, in order."""
    return (items[start : start + _MANY] for start in range(0, len(items), _MANY))
