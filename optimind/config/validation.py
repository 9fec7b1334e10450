"""Validates plain values from a file with a pydantic class, and says all that is wrong with file, line and key."""

import copy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from optimind.config.document import Document, KeyPath, Problem, refusal
from optimind.config.wording import describe_error, unknown_key
from optimind.secrets import absolute

__all__ = ["SettingsModel", "validate"]

SettingsModel = TypeVar("SettingsModel", bound=BaseModel)

_TEXT_WANTED = frozenset({"string_type", "literal_error", "enum", "path_type", "text_wanted"})


def validate(
    settings_type: type[SettingsModel], values: dict[str, Any], document: Document, at: KeyPath = ()
) -> SettingsModel:
    """Make a ``settings_type`` of ``values``, which stand at ``at`` in ``document``.

    Where text is wanted, a value that YAML took for a number, date or truth is taken as it was written. A key with
    nothing behind it counts as absent where nothing is not allowed. Relative paths are taken from the document's
    folder.
    Raises :class:`ConfigError` with a line for each fault, the document's own faults under ``at`` among them.
    """
    values = copy.deepcopy(values)
    problems = [problem for problem in document.problems if problem.path[: len(at)] == at]
    model = None
    try:
        model = _validated(settings_type, values, document, at)
    except ValidationError as error:
        # The input is left in: the words decide themselves what may be repeated.
        found = [_problem(settings_type, values, detail, at) for detail in error.errors(include_url=False)]
        known = {problem.path for problem in problems}
        problems += [problem for problem in found if problem.path not in known]
    if problems or model is None:
        raise refusal(document.label, _lines(problems, document))
    anchored: SettingsModel = _anchored(model, document.folder)
    return anchored


def _validated(
    settings_type: type[SettingsModel], values: dict[str, Any], document: Document, at: KeyPath
) -> SettingsModel:
    context = {"base": document.folder, "document": document}
    while True:
        try:
            return settings_type.model_validate(values, context=context)
        except ValidationError as error:
            # Each round turns a value into text or drops a key, so there is an end.
            mended = [_mend(values, detail, document, at) for detail in error.errors(include_url=False)]
            if not any(mended):
                raise


def _mend(values: dict[str, Any], detail: ErrorDetails, document: Document, at: KeyPath) -> bool:
    """Take back what YAML made of a value where that is the fault; whether something was changed."""
    path, _ = _place(values, detail["loc"])
    if not path or detail["type"] in {"missing", "extra_forbidden"}:
        return False
    parent = _at(values, path[:-1])
    value = parent[path[-1]]
    if value is None and isinstance(parent, dict):
        del parent[path[-1]]
        return True
    written = document.written.get((*at, *path))
    if detail["type"] in _TEXT_WANTED and written is not None and not isinstance(value, str):
        parent[path[-1]] = written
        return True
    return False


def _place(values: Any, loc: tuple[str | int, ...]) -> tuple[KeyPath, KeyPath]:
    """Split pydantic's ``loc`` into the path of what is there and what is not: union branches and missing keys."""
    path: list[str | int] = []
    rest: list[str | int] = []
    for part in loc:
        is_item = isinstance(values, list) and isinstance(part, int) and 0 <= part < len(values)
        if is_item or (isinstance(values, dict) and part in values):
            values = values[part]
            path.append(part)
        else:
            rest.append(part)
    return tuple(path), tuple(rest)


def _at(values: Any, path: KeyPath) -> Any:
    for part in path:
        values = values[part]
    return values


def _problem(settings_type: type[BaseModel], values: dict[str, Any], detail: ErrorDetails, at: KeyPath) -> Problem:
    path, rest = _place(values, (*detail["loc"], *(detail.get("ctx") or {}).get("within", ())))
    if detail["type"] == "missing":
        path = (*path, *rest[-1:])
    elif detail["type"] == "extra_forbidden":
        return Problem((*at, *path), unknown_key(settings_type, detail["loc"]))
    key = next((part for part in reversed((*at, *path)) if isinstance(part, str)), "")
    return Problem((*at, *path), describe_error(detail, key, detail["input"]))


def _lines(problems: list[Problem], document: Document) -> list[str]:
    """A line for each place; what the branches of a union say of one place is joined."""
    texts: dict[tuple[KeyPath, int | None], list[str]] = {}
    for problem in problems:
        said = texts.setdefault((problem.path, problem.line), [])
        if problem.text not in said:
            said.append(problem.text)
    joined = [Problem(path, ", or ".join(said), line) for (path, line), said in texts.items()]
    joined.sort(key=lambda problem: problem.line or document.line_of(problem.path) or 0)
    return [document.describe(problem) for problem in joined]


def _anchored(value: Any, folder: Path) -> Any:
    """``value`` with the relative paths in it, at any depth, taken from ``folder``."""
    if isinstance(value, Path):
        return absolute(value, folder)
    if type(value) in (list, tuple):
        return type(value)(_anchored(item, folder) for item in value)
    if isinstance(value, dict):
        return {key: _anchored(item, folder) for key, item in value.items()}
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        moved = {name: _anchored(old, folder) for name, old in fields.items()}
        changed = {name: new for name, new in moved.items() if new != fields[name]}
        return value.model_copy(update=changed) if changed else value
    return value
