"""Reads a YAML file into plain values and remembers on which line each of them stands.

Only composed nodes are used, never YAML's object construction, and the values follow YAML 1.2 where version 1.1
surprises: ``10:30`` is a text and not 630, ``010`` is ten.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from optimind.config.yaml_faults import explain
from optimind.errors import ConfigError

__all__ = ["Document", "KeyPath", "Problem", "key_text", "refusal"]

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys, and the places in lists counted from 0."""

_MOST_BYTES = 256 * 1024
_MOST_VALUES = 20_000
_MOST_DEPTH = 30
_LARGEST_WHOLE = 2**63
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: ``text`` is in plain words and says how to mend it. ``line`` counts from 1."""

    path: KeyPath
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A settings file as it was read.

    ``label`` is what messages call it, ``folder`` what its relative paths are taken from. ``lines`` gives the line of
    each key and list item. ``written`` has the text of each value that YAML took for something else than text (``off``,
    ``101``).
    """

    label: str
    folder: Path
    tree: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line_of(self, path: KeyPath) -> int | None:
        """The line of the value at ``path``, else of the nearest thing around it; None where the file has neither."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)

    def located(self, path: KeyPath) -> str:
        """Say where ``path`` stands: ``config.yaml:12``."""
        line = self.line_of(path)
        return self.label if line is None else f"{self.label}:{line}"

    def describe(self, problem: Problem) -> str:
        """Write ``problem`` as ``file:line: key: text``."""
        line = problem.line or self.line_of(problem.path)
        where = self.label if line is None else f"{self.label}:{line}"
        return ": ".join(part for part in (where, key_text(problem.path), problem.text) if part)

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Read the file at ``path``. Raises :class:`ConfigError` where it cannot be read or is no YAML."""
        label = str(path)
        text = _decoded(_bytes_of(path, label), label)
        return cls.parse(text, label=label, folder=path.absolute().parent)

    @classmethod
    def parse(cls, text: str, *, label: str, folder: Path) -> "Document":
        """Read ``text``. Raises :class:`ConfigError` where it is no YAML or unreasonably large."""
        node = _composed(text, label)
        if node is None or (isinstance(node, ScalarNode) and node.tag == f"{_TAG}null"):
            return cls(label=label, folder=folder)
        if not isinstance(node, MappingNode):
            line = node.start_mark.line + 1
            words = 'these are no settings; each line should be "key: value", such as "engine: auto"'
            raise refusal(label, [f"{label}:{line}: {words}"])
        reader = _Reader(label)
        tree = reader.mapping(node, ())
        return cls(label, folder, tree, reader.lines, reader.written, tuple(dict.fromkeys(reader.problems)))


def key_text(path: KeyPath) -> str:
    """Write a path for people: ``cameras[#2].id`` is the id of the second camera."""
    text = ""
    for part in path:
        text += f"[#{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def refusal(label: str, lines: Iterable[str]) -> ConfigError:
    """The error for a file with these faults."""
    return ConfigError("\n".join(lines), mend=f"correct {label}; `optimind config check` shows what is left")


def _bytes_of(path: Path, label: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(
                f"{label}: is a link to {path.readlink()}, which is not there",
                mend="put the file there, or remove the link",
            ) from None
        raise ConfigError(
            f"{label}: there is no such file",
            mend="give the settings file's path with --config, or leave --config out for the one in this folder",
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{label}: is a folder, not a settings file", mend="name the file inside it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{label}: cannot be read: {reason}", mend="check its path and its permissions") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(
            f"{label}: is larger than {_MOST_BYTES // 1024} KiB, so it is no settings file",
            mend="name the right file with --config",
        )
    return data


def _decoded(data: bytes, label: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{label}:{line}: the file is not UTF-8 text", mend='save it as "UTF-8" in the text editor'
        ) from None


def _composed(text: str, label: str) -> Node | None:
    try:
        loader = yaml.SafeLoader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        line, words = explain(error, text)
        raise refusal(label, [f"{label}:{line}: {words}"]) from None
    except RecursionError:
        raise refusal(label, [f"{label}: brackets are nested too deeply"]) from None


class _Reader:
    """Turns nodes into values; what is wrong with one of them is noted, and the others are still read."""

    def __init__(self, label: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.written: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self._label = label
        self._values = 0

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        """Read the keys and values of ``node``; an earlier duplicate wins."""
        values = {}
        for key, (key_node, value_node) in self._pairs(node, path, len(path)).items():
            here = (*path, key)
            self.lines[here] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, here)
        return values

    def _pairs(self, node: MappingNode, path: KeyPath, depth: int) -> dict[str, tuple[Node, Node]]:
        self._guard(node, depth, len(node.value))
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                for source in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                    if isinstance(source, MappingNode):
                        merged = {**self._pairs(source, path, depth + 1), **merged}
                    else:
                        self._note(path, '"<<" takes keys and values from elsewhere: write <<: *name', line)
            elif not isinstance(key_node, ScalarNode):
                self._note(path, "a key must be plain text; quote a value that starts with a bracket", line)
            elif key_node.value in own:
                first = own[key_node.value][0].start_mark.line + 1
                self._note((*path, key_node.value), f"is given twice, on lines {first} and {line}; remove one", line)
            else:
                own[key_node.value] = (key_node, value_node)
        return {**merged, **own}

    def _value(self, node: Node, path: KeyPath) -> Any:
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return self.mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return self._sequence(node, path)
        self._guard(node, len(path), 1)
        if isinstance(node, ScalarNode) and node.tag in _CONSTRUCT:
            value = _scalar(node)
            if not isinstance(value, str) and value is not None and node.style is None:
                self.written[path] = node.value
            return value
        self._note(path, 'a word that starts with "!" means nothing here; remove it or put it in quotes', None)
        return node.value if isinstance(node, ScalarNode) else None

    def _sequence(self, node: SequenceNode, path: KeyPath) -> list[Any]:
        self._guard(node, len(path), len(node.value))
        values = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self.lines[here] = item.start_mark.line + 1
            values.append(self._value(item, here))
        return values

    def _guard(self, node: Node, depth: int, values: int) -> None:
        """References (``*name``) can make a small file endless: stop at a size that no settings file has."""
        self._values += values
        if depth > _MOST_DEPTH or self._values > _MOST_VALUES:
            what = "are nested too deeply" if depth > _MOST_DEPTH else f"hold more than {_MOST_VALUES} values"
            line = node.start_mark.line + 1
            raise refusal(self._label, [f"{self._label}:{line}: the settings {what}; look for *references that repeat"])

    def _note(self, path: KeyPath, text: str, line: int | None) -> None:
        self.problems.append(Problem(path, text, line or self.lines.get(path)))


def _whole(node: ScalarNode) -> int | str:
    text = node.value.replace("_", "")
    if ":" in text:
        return str(node.value)
    if re.fullmatch(r"[-+]?0[0-7]+", text):
        return int(text)
    value = int(SafeConstructor().construct_yaml_int(node))
    return value if abs(value) < _LARGEST_WHOLE else str(node.value)


def _number(node: ScalarNode) -> float | str:
    return str(node.value) if ":" in node.value else float(SafeConstructor().construct_yaml_float(node))


def _truth(node: ScalarNode) -> bool:
    return bool(SafeConstructor.bool_values[node.value.lower()])


_CONSTRUCT: dict[str, Any] = {
    f"{_TAG}str": lambda node: node.value,
    f"{_TAG}value": lambda node: node.value,
    f"{_TAG}merge": lambda node: node.value,
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": _truth,
    f"{_TAG}int": _whole,
    f"{_TAG}float": _number,
    f"{_TAG}timestamp": lambda node: SafeConstructor().construct_yaml_timestamp(node),
}


def _scalar(node: ScalarNode) -> Any:
    try:
        return _CONSTRUCT[node.tag](node)
    except (ValueError, KeyError, OverflowError, AttributeError, IndexError):
        # It has the look of a number or date, and is none (the 31st of a short month): so it is a text.
        return node.value
