from __future__ import annotations

import pytest

from optimind.core.naming import is_telling, tells_of


@pytest.mark.parametrize(
    ("text", "word", "tells"),
    [
        ("Anna Berg came late", "Anna Berg", True),
        ("1042_ANNA_BERG.jpg", "Anna Berg", True),
        ("Anna Bergmann", "Anna Berg", False),
        ("Joanna Berg", "anna berg", False),
        ("room 1042", "1042", True),
        ("room 10421", "1042", False),
        ("Ünal", "u\u0308nal", True),
        ("(a+b)", "a+b", True),
        ("anything", " ", False),
    ],
)
def test_a_word_of_its_own(text: str, word: str, tells: bool) -> None:
    assert tells_of(text, word) is tells


@pytest.mark.parametrize(
    ("word", "telling"),
    [("7", False), ("1042", False), ("104233", True), ("Anna", True), ("Bo", False), ("A-17", True)],
)
def test_what_is_hardly_something_else(word: str, telling: bool) -> None:
    assert is_telling(word) is telling
