"""Says in plain words why a text is no YAML."""

from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["explain"]


@dataclass(frozen=True, slots=True)
class _Fault:
    """``sign`` is part of what the YAML library says; ``at_start``: the fault shows later than where it was made."""

    sign: str
    words: str
    at_start: bool = False


_FAULTS = (
    _Fault(
        "found character '\\t'",
        "a tab stands here; indent with spaces",
    ),
    _Fault(
        "that cannot start any token",
        "a value cannot start with this character; put the value in quotes",
    ),
    _Fault(
        "mapping values are not allowed here",
        'a ":" is not expected here; indent this line like its neighbours, or put a text that contains ": " in quotes',
    ),
    _Fault(
        "could not find expected ':'",
        'a ":" is missing on this line; each setting is "key: value"',
        at_start=True,
    ),
    _Fault(
        "expected <block end>",
        "the indentation does not fit the lines above; indent keys that belong together by the same number of spaces",
    ),
    _Fault(
        "expected ',' or ']'",
        'the list opened here with "[" is not closed; close it with "]" and put a comma between its items',
        at_start=True,
    ),
    _Fault(
        "expected ',' or '}'",
        'the settings opened here with "{" are not closed; close them with "}" and put a comma between them',
        at_start=True,
    ),
    _Fault(
        "expected the node content",
        "a value is missing here, or a bracket opened above is not closed",
    ),
    _Fault(
        "found unexpected end of stream",
        "the quotation mark opened here is not closed; close it on the same line",
        at_start=True,
    ),
    _Fault(
        "found unexpected document separator",
        "the quotation mark opened here is not closed; close it on the same line",
        at_start=True,
    ),
    _Fault(
        "unknown escape character",
        "a backslash in double quotes has a special meaning; use single quotes, or / in a path",
    ),
    _Fault(
        "escape sequence of",
        "a backslash in double quotes has a special meaning; use single quotes, or / in a path",
    ),
    _Fault(
        "found undefined alias",
        "a value that starts with * refers to another one; put it in quotes if it does not",
    ),
    _Fault(
        "expected alphabetic or numeric character",
        "a value that starts with * or & has a special meaning; put it in quotes",
    ),
    _Fault(
        "second occurrence",
        "another value is marked with the same &name; rename one",
    ),
    _Fault(
        "but found another document",
        'a line "---" starts a second file here; keep one only',
    ),
)


def explain(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Return the line of the fault in ``text``, from 1, and what it is; the text's own words are not repeated."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, f"a character that no text has stands here (code {_code(error.character)}); delete it"
    problem = str(getattr(error, "problem", None) or "")
    fault = next((known for known in _FAULTS if known.sign in problem), None)
    if fault is None:
        words = "this cannot be read as YAML; look at the quotes and brackets"
        return _line(error, "problem_mark", "context_mark"), words
    marks = ("context_mark", "problem_mark") if fault.at_start else ("problem_mark", "context_mark")
    return _line(error, *marks), fault.words


def _line(error: yaml.YAMLError, *marks: str) -> int:
    found: Any = next((mark for name in marks if (mark := getattr(error, name, None)) is not None), None)
    return int(found.line) + 1 if found is not None else 1


def _code(character: Any) -> str:
    return f"{ord(character) if isinstance(character, str) else int(character):#x}"
