from __future__ import annotations

import time
from pathlib import Path

import pytest

from optimind.status.imports import try_imports

CRASH = "import ctypes; ctypes.string_at(0)"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "st_fine": "VALUE = 1\ndef work(): pass\nprint('a library that talks while it is imported')",
        "st_needs": "import st_nowhere",
        "st_quits": "quit()",
        "st_raises": "raise ImportError('libGL.so.1: cannot open shared object file')",
        "st_crash": CRASH,
        "st_hangs": "import time; time.sleep(60)",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_each_kind_of_failure_is_told_apart_and_stops_no_other(modules: Path) -> None:
    found = try_imports(["st_needs", "st_quits", "st_crash", "st_raises", "st_fine"], 30)
    assert found["st_needs"].missing == "st_nowhere"
    assert found["st_needs"].reason == "needs st_nowhere"
    assert "ends Python" in found["st_quits"].reason
    assert "SIGSEGV" in found["st_crash"].reason
    assert found["st_raises"].reason == "ImportError: libGL.so.1: cannot open shared object file"
    assert [name for name, outcome in found.items() if outcome.ok] == ["st_fine"]
    assert {"VALUE", "work"} <= found["st_fine"].names


def test_a_module_that_hangs_is_named_and_the_rest_not_tried(modules: Path) -> None:
    began = time.monotonic()
    found = try_imports(["st_fine", "st_hangs", "st_needs"], 2.0)
    assert time.monotonic() - began < 10
    assert found["st_fine"].ok
    assert (found["st_hangs"].ok, found["st_hangs"].reason) == (False, "importing took too long")
    assert found["st_needs"].ok is None


def test_nothing_to_import() -> None:
    assert try_imports([], 1.0) == {}
