from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from optimind.status.machine import clock_items, disk_items, python_items

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import optimind.status, optimind.cli.check
foreign = {n.partition(".")[0] for n in sys.modules} - set(sys.stdlib_module_names) - {"optimind", "__main__"}
print(sorted(foreign))
"""


@pytest.mark.parametrize(
    ("version", "state"), [((3, 8, 18), "outdated"), ((3, 10, 0), "outdated"), ((3, 11, 0), "ok"), ((3, 14, 1), "ok")]
)
def test_python(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: str) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    (item,) = python_items()
    assert (item.state, item.found, item.wanted) == (state, ".".join(map(str, version)), ">=3.11")
    assert ("make setup" in item.mend) == (state != "ok")


@pytest.mark.parametrize(("free", "state"), [(500_000_000, "ok"), (499_000_000, "failed"), (0, "failed")])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    asked: list[Path] = []

    def disk_usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    (item,) = disk_items(tmp_path / "not" / "there" / "yet")
    assert item.state == state
    assert asked == [tmp_path]


@pytest.mark.parametrize(("now_s", "state"), [(None, "ok"), (0.0, "failed"), (4e9, "ok")])
def test_clock(now_s: float | None, state: str) -> None:
    (item,) = clock_items("Europe/Berlin", time.time() if now_s is None else now_s)
    assert (item.state, item.required) == (state, False)
    assert "Europe/Berlin" in item.found


def test_the_check_imports_nothing_but_the_standard_library(repository: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", SCRIPT, str(repository)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


def test_an_old_python_can_at_least_read_the_files_it_meets(repository: Path) -> None:
    ast.parse((repository / "main.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    files = [*(repository / "optimind" / "status").glob("*.py"), repository / "optimind" / "cli" / "check.py"]
    assert len(files) > 5
    for file in files:
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))
