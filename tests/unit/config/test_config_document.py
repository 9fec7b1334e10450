"""Reading YAML: values without surprises, lines for everything, faults in plain words."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from optimind.config.document import Document, key_text
from optimind.errors import ConfigError


def parse(text: str) -> Document:
    return Document.parse(text, label="c.yaml", folder=Path("/"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("010", 10),
        ("0x1F", 31),
        ("1_000", 1000),
        ("0.5", 0.5),
        ("1:30", "1:30"),
        ("10:30", "10:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("99999999999999999999", "99999999999999999999"),
        ("yes", True),
        ("off", False),
        ("2025-09-01", date(2025, 9, 1)),
        ("2025-02-31", "2025-02-31"),
        ("~", None),
        ("", None),
        ("=", "="),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("!!int x", "x"),
        ("!!bool x", "x"),
        ("!!timestamp x", "x"),
        ("[1, [2]]", [1, [2]]),
        ("{b: {c: 1}}", {"b": {"c": 1}}),
    ],
)
def test_values(text: str, value: Any) -> None:
    document = parse(f"a: {text}")
    assert document.tree == {"a": value}
    assert type(document.tree["a"]) is type(value)
    assert document.problems == ()


def test_keys_are_texts_as_they_are_written() -> None:
    assert parse("on: 1\n101: 2\n2025-09-01: 3\n~: 4").tree == {"on": 1, "101": 2, "2025-09-01": 3, "~": 4}


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "---", "~", "\ufeff"])
def test_an_empty_file_has_no_values(text: str) -> None:
    assert parse(text).tree == {}


def test_every_key_and_item_has_its_line() -> None:
    document = parse("# a comment\na:\n  b:\n    - 1\n    - c: 2\n      d: 3\n")
    assert document.lines == {
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "b", 0): 4,
        ("a", "b", 1): 5,
        ("a", "b", 1, "c"): 5,
        ("a", "b", 1, "d"): 6,
    }
    assert document.located(("a", "b", 1, "d")) == "c.yaml:6"
    assert document.located(("a", "b", 1, "missing")) == "c.yaml:5"
    assert document.located(("missing",)) == "c.yaml"


def test_values_can_be_shared() -> None:
    document = parse("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\nd: {<<: [*x, {p: 9, r: 4}]}\n")
    assert document.tree["b"] == {"p": 1, "q": 3}
    assert document.tree["c"] == {"p": 1, "q": 2}
    assert document.tree["d"] == {"p": 1, "q": 2, "r": 4}
    assert document.problems == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "c.yaml:3: a: is given twice, on lines 1 and 3; remove one"),
        ("x:\n  - a: 1\n    a: 2", "c.yaml:3: x[#1].a: is given twice, on lines 2 and 3; remove one"),
        ("a: !secret x", 'c.yaml:1: a: a word that starts with "!" means nothing here; remove it or put it in quotes'),
        (
            "a: !!python/object/apply:os.system [x]",
            'c.yaml:1: a: a word that starts with "!" means nothing here; remove it or put it in quotes',
        ),
        ("a: {[1]: 2}", "c.yaml:1: a: a key must be plain text; quote a value that starts with a bracket"),
        ("a: {<<: 1}", 'c.yaml:1: a: "<<" takes keys and values from elsewhere: write <<: *name'),
    ],
)
def test_faults_that_leave_the_rest_readable(text: str, said: str) -> None:
    document = parse(f"{text}\nz: 1")
    assert [document.describe(problem) for problem in document.problems] == [said]
    assert document.tree["z"] == 1


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a:\n\tb: 1", 2, "indent with spaces"),
        ("a: @b", 1, "put the value in quotes"),
        ("a: b: c", 1, "indent this line like its neighbours"),
        ("a: 1\nb\nc: 2", 2, 'a ":" is missing'),
        ("a:\n  b: 1\n c: 2", 3, "indentation does not fit"),
        ("b: 1\na: [1,\n 2\nc: 3", 2, "is not closed"),
        ("b: 1\na: {x: 1\nc: 3", 2, "are not closed"),
        ("a: [1,\n 2,", 2, "a bracket opened above is not closed"),
        ('a: 1\nb: "x\nc: 3\n', 2, "quotation mark opened here"),
        ('a: "x\n---\n', 1, "quotation mark opened here"),
        ('a: "C:\\school"', 1, "backslash"),
        ('a: "\\xZZ"', 1, "backslash"),
        ("a: *b", 1, "starts with *"),
        ("a: * b", 1, "starts with * or &"),
        ("a: &x 1\nb: &x 2\nc: *x", 2, "the same &name"),
        ("a: 1\n---\nb: 2", 2, "a second file"),
        ("a: 1\nb: \x07", 2, "code 0x7"),
        ("a: |x\n  b", 1, "cannot be read as YAML"),
        ("- a", 1, "these are no settings"),
        ("hello", 1, "these are no settings"),
        ("\n\n5", 3, "these are no settings"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.message.startswith(f"c.yaml:{line}: ")
    assert said in caught.value.message
    assert "c.yaml" in caught.value.mend


def test_the_message_never_repeats_what_stands_in_the_file() -> None:
    for text in ("source: *hunter2", "source: @hunter2", "source: a: hunter2", "'hunter2", "hunter2", "a: [hunter2"):
        with pytest.raises(ConfigError) as caught:
            parse(text)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [*a]", "nested too deeply"),
        ("a: &a {<<: *a}", "nested too deeply"),
        ("a: &a {b: *a}", "nested too deeply"),
        (f"a: {'[' * 100}{']' * 100}", "nested too deeply"),
        (f"a: {'[' * 20_000}", "nested too deeply"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
            + "\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(9)),
            "more than 20000 values",
        ),
        (
            "a0: &a0 {k: 1}\n"
            + "\n".join(f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}" for n in range(9)),
            "more than 20000 values",
        ),
    ],
)
def test_a_file_that_unfolds_without_end_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n")
    document = Document.read(path)
    assert document.tree == {"a": 1, "b": "é"}
    assert document.folder == tmp_path
    assert document.label == str(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: \xe9\n", "c.yaml:2: the file is not UTF-8 text"),
        ("a: 1".encode("utf-16"), "c.yaml:1: the file is not UTF-8 text"),
        (b"#" * (256 * 1024 + 1), "c.yaml: is larger than 256 KiB"),
        (None, "c.yaml: there is no such file"),
    ],
)
def test_files_that_cannot_be_read(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Document.read(path)
    assert said in caught.value.message
    assert caught.value.mend


@pytest.mark.parametrize(
    ("name", "said"),
    [(".", "is a folder"), ("file/x", "cannot be read"), ("\0", "cannot be read"), ("x" * 300, "cannot")],
)
def test_paths_that_are_no_file(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=said):
        Document.read(tmp_path / name)


def test_places_in_lists_are_counted_for_people() -> None:
    assert key_text(("cameras", 1, "source")) == "cameras[#2].source"
    assert key_text(()) == ""
