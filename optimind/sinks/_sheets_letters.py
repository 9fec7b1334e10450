"""The letters that stand for statuses in a register, and what people mean by what they type."""

import re
from collections.abc import Mapping

from optimind.plugin_api import AttendanceStatus

__all__ = ["LETTERS", "legend", "letter_of", "status_of"]

LETTERS: Mapping[str, str] = {
    AttendanceStatus.PRESENT: "P",
    AttendanceStatus.LATE: "L",
    AttendanceStatus.LEFT_EARLY: "V",
    AttendanceStatus.ABSENT: "A",
    AttendanceStatus.EXCUSED: "E",
    AttendanceStatus.NEEDS_REVIEW: "?",
}
"""V as in "vanished": L is taken by late."""

_BY_WORD = {**{letter.casefold(): status for status, letter in LETTERS.items()}, **{s: s for s in LETTERS}}


def letter_of(status: str) -> str:
    """Return the letter of a status."""
    return LETTERS.get(status, "?")


def status_of(text: str) -> AttendanceStatus | None:
    """Return what a person means who writes ``text``: a letter or a status, in any case; None where it is neither."""
    word = re.sub(r"[\s-]+", "_", text.strip().casefold())
    found = _BY_WORD.get(word)
    return None if found is None else AttendanceStatus(found)


def legend() -> str:
    """What the letters mean."""
    return "   ".join(f"{letter} {status.replace('_', ' ')}" for status, letter in LETTERS.items())
