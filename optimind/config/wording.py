"""Turns what pydantic says of a value into words for the person who wrote the settings file."""

import difflib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from optimind.secrets import mask_url

__all__ = ["closest", "describe_error", "did_you_mean", "is_secret_key", "unknown_key"]

_SECRET_KEY = re.compile(r"pas|pwd|token|secret|key|auth|credential", re.IGNORECASE)
_MOST_SHOWN = 60
_REPLACED: dict[tuple[str | int, ...], str] = {
    ("recognition", "max_normalised_distance"): '"fpir" replaced it: the share of strangers that may get a name, '
    "such as 0.01",
}
"""Keys of earlier versions, and what says the same today."""


def is_secret_key(key: str) -> bool:
    """Whether what stands under ``key`` may be a password, by the key's name."""
    return bool(_SECRET_KEY.search(key))


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` was meant to be; None where none is near."""
    by_simple = {_simple(candidate): candidate for candidate in known}
    # One wrong letter in a name of two or three weighs more than one in a long name.
    cutoff = 0.5 if len(name) <= 4 and any(len(simple) <= 3 for simple in by_simple) else 0.7
    found = difflib.get_close_matches(_simple(name), by_simple, n=3, cutoff=cutoff)
    # difflib finds "min" and "max" equally near to "mai"; what lies between the first and the last difference decides.
    return by_simple[min(found, key=lambda candidate: _span(_simple(name), candidate))] if found else None


def _span(one: str, other: str) -> int:
    """How many letters are left of the longer one without what both begin and end with."""
    start = _alike(one, other)
    end = _alike(one[start:][::-1], other[start:][::-1])
    return max(len(one), len(other)) - start - end


def _alike(one: str, other: str) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _simple(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str) -> str:
    """Say what ``name`` was meant to be, or list all of ``known`` after the words ``otherwise``."""
    names = sorted(known)
    near = closest(name, names)
    if near is not None:
        return f'did you mean "{near}"?'
    return f"{otherwise}: {', '.join(names)}" if names else f"{otherwise}: none"


def unknown_key(settings_type: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """Say what to do about the key at ``loc``, which its place in ``settings_type`` does not know."""
    if loc in _REPLACED:
        return f"is no longer known; {_REPLACED[loc]}"
    key = str(loc[-1])
    here = {settings_type}
    for part in loc[:-1]:
        # A part that is no field is a place in a list, a key of a free mapping, or a branch of a union.
        fields = [m.model_fields[part] for m in here if isinstance(part, str) and part in m.model_fields]
        here = {model for field in fields for model in _models_in(field.annotation)} or here
    known = {field.alias or name for model in here for name, field in model.model_fields.items()}
    if closest(key, known) is None:
        if key in settings_type.model_fields:
            return "unknown key here; it belongs at the left margin, with nothing around it"
        for name, field in settings_type.model_fields.items():
            if any(key in model.model_fields for model in _models_in(field.annotation)):
                return f'unknown key here; it belongs under "{name}"'
    return f"unknown key; {did_you_mean(key, known, otherwise='the keys here are')}"


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models_in(part)}


def describe_error(error: ErrorDetails, key: str, value: Any) -> str:
    """Say what is wrong with ``value``, which stands under ``key``, and what would be right."""
    context = error.get("ctx") or {}
    words = _WORDS.get(error["type"])
    if words is not None:
        return words(_shown(value, key), context)
    if "error" in context:  # a validator's own ValueError
        return mask_url(str(context["error"]))
    text = mask_url(error["msg"])
    return text.replace("Input should be", f"{_shown(value, key)} should be").replace("Value error, ", "")


def _shown(value: Any, key: str) -> str:
    """``value`` as a message may repeat it: short, without control characters, without what may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a group of keys" if isinstance(value, dict) else "a list"
    if is_secret_key(key):
        return "this value"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = mask_url(str(value))
    text = text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
    return json.dumps(text) if isinstance(value, str) else text


def _choice(shown: str, context: Mapping[str, Any]) -> str:
    expected = str(context.get("expected", ""))
    choices = re.findall(r"'([^']*)'", expected)
    text = f"{shown} is not one of {', '.join(choices) or expected}"
    near = closest(shown.strip('"'), choices)
    return f'{text}; did you mean "{near}"?' if near else text


def _limit(what: str, bound: str, name: str) -> Callable[[str, Mapping[str, Any]], str]:
    return lambda shown, context: f"{shown} is too {what}; {bound} is {_number(context.get(name))}"


def _should_be(what: str) -> Callable[[str, Mapping[str, Any]], str]:
    return lambda shown, _: f"{shown} is not {what}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_WHOLE = _should_be("a whole number, such as 5")
_DECIMAL = _should_be("a number, such as 0.5")
_TRUTH = _should_be("true or false")
_TEXT = _should_be('a text; put it in quotes, such as "room 101"')
_LIST = _should_be('a list; write one item a line, each after "- "')
_GROUP = _should_be('a group of keys; write "key: value" lines below, indented')
_TIME = _should_be("a time of day, such as 08:30")
_DATE = _should_be("a date, such as 2025-09-01")
_MOMENT = _should_be("a date and time, such as 2025-09-01T08:30:00")
_DURATION = _should_be("a length of time in seconds, such as 90")

_WORDS: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "missing": lambda _shown, _: "is missing; add this key",
    "greater_than_equal": _limit("small", "the least", "ge"),
    "less_than_equal": _limit("large", "the most", "le"),
    "greater_than": lambda shown, context: f"{shown} is too small; it must be more than {_number(context.get('gt'))}",
    "less_than": lambda shown, context: f"{shown} is too large; it must be less than {_number(context.get('lt'))}",
    "finite_number": _should_be("a finite number"),
    "string_too_short": _limit("short", "the least number of characters", "min_length"),
    "string_too_long": _limit("long", "the most characters", "max_length"),
    "too_short": _limit("short", "the least number of items", "min_length"),
    "too_long": _limit("long", "the most items", "max_length"),
    "string_pattern_mismatch": lambda shown, context: f"{shown} does not fit the pattern {context.get('pattern')}",
    "literal_error": _choice,
    "enum": _choice,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _DECIMAL,
    "float_parsing": _DECIMAL,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "path_type": _should_be("a path"),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "dict_type": _GROUP,
    "mapping_type": _GROUP,
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
    "dataclass_type": _GROUP,
    "time_type": _TIME,
    "time_parsing": _TIME,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "url_type": _should_be("a URL, such as https://example.org"),
    "url_parsing": _should_be("a URL, such as https://example.org"),
}
