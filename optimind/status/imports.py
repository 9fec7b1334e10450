"""Imports modules in a process of their own, so that neither a crash nor a hang of one takes the check down.

The process is this module again: it reports each module as a line of JSON when it begins and when it is done, so that
after a crash it is known which module it was.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "main", "try_imports"]

# The same search path as here, whichever flags this interpreter was started with.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from optimind.status.imports import main; main(sys.argv[2:])"
)
_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Outcome:
    """What came of importing a module.

    ``ok`` is None where it was not tried. ``missing`` is the module whose absence was the reason, ``names`` are the
    public names of a module that was imported.
    """

    ok: bool | None
    reason: str = ""
    missing: str = ""
    names: frozenset[str] = frozenset()


def try_imports(modules: Sequence[str], limit_s: float) -> dict[str, Outcome]:
    """Import ``modules`` one after the other, in ``limit_s`` seconds for all, and say what came of each."""
    outcomes: dict[str, Outcome] = {}
    deadline = time.monotonic() + limit_s
    waiting = list(modules)
    while waiting:
        lines, ending = _run(waiting, deadline - time.monotonic())
        for line in lines:
            name = line.pop("module")
            if line:
                outcomes[name] = Outcome(line["ok"], line["reason"], line["missing"], frozenset(line["names"]))
            else:
                outcomes[name] = Outcome(False, ending)  # replaced by the line that says how it went, if one came
        left = [name for name in waiting if name not in outcomes]
        if len(left) == len(waiting) or time.monotonic() >= deadline:
            outcomes.update((name, Outcome(None, f"not tried: {ending}")) for name in left)
            break
        waiting = left
    return outcomes


def _run(modules: Sequence[str], limit_s: float) -> tuple[list[dict[str, Any]], str]:
    """Return the lines of a child process, and how it ended in words."""
    path = [_ROOT, *(str(Path(folder).resolve()) for folder in sys.path)]
    command = [sys.executable, "-I", "-c", _BOOT, json.dumps(path), *modules]
    child = subprocess.Popen(  # noqa: S603  this Python, and module names from setup.cfg and cvzone's folder
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        output, _ = child.communicate(timeout=max(0.0, limit_s))
        ending = _ending(child.returncode)
    except subprocess.TimeoutExpired:
        child.kill()
        output, _ = child.communicate()
        ending = "importing took too long"
    lines = []
    for line in output.splitlines():
        with contextlib.suppress(ValueError):  # the last line of a process that died may be cut off
            lines.append(json.loads(line))
    return lines, ending


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"Python itself crashed on importing it ({name})"
    return f"Python ended on importing it (exit code {code})"


def main(modules: Sequence[str]) -> None:
    """Import ``modules`` and report each on the standard output; runs in the child process only."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as report:
        os.dup2(2, 1)  # what a library prints while it is imported must not come between the lines
        for name in modules:
            report.write(json.dumps({"module": name}) + "\n")
            report.flush()
            report.write(json.dumps({"module": name, **_import(name)}) + "\n")
            report.flush()


def _import(name: str) -> dict[str, Any]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        return {"ok": False, "reason": f"needs {error.name}", "missing": error.name or "", "names": []}
    except SystemExit as error:
        words = f"it ends Python when imported ({error.code})"
        return {"ok": False, "reason": words, "missing": "", "names": []}
    except Exception as error:  # noqa: BLE001  whatever a foreign module raises is what is to be reported
        lines = str(error).strip().splitlines() or [""]
        return {"ok": False, "reason": f"{type(error).__name__}: {lines[0]}", "missing": "", "names": []}
    return {"ok": True, "reason": "", "missing": "", "names": [n for n in dir(module) if not n.startswith("_")]}
