"""The whole product on a scene made from two real portraits: check, encode, run, attendance, and what came of it.

Everything is written to demo/output/, which is made anew each time.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.portraits import write_photographs
from demo.scene import SECONDS, write_recording

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo" / "output"
ENROLLED = "Grace_Hopper"
STARTED_AT = "2026-09-01T09:00:00+00:00"
CONFIG = """\
# The settings of the demo; the ones for your own camera are in config.yaml at the top of the repository.
cameras:
  - {id: reception, source: recording.mp4}
gallery: encodings/gallery.pickle
data: data
timezone: UTC
detection: {scan_interval_s: 0.2}  # people walk past this camera, so look five times a second
plugins:
  attendance: {enabled: true}
"""


def main() -> int:
    """Run the demo; 0 where the register is right."""
    began = time.monotonic()
    _say("A reception, a camera, two people: Grace Hopper is enrolled, Eileen Collins is not.")
    try:
        _prepare()
    except OSError as error:
        print(f"error: the scene cannot be made: {error}", file=sys.stderr)
        return 1
    _step("1. Is everything installed, does everything work?", "check", "--config", "demo/output/config.yaml", tail=14)
    dataset, gallery = "demo/output/datasets", "demo/output/encodings/gallery.pickle"
    _step("2. Photographs to a gallery, once for each person.", "encode", "--dataset", dataset, "--output", gallery)
    _step(
        "3. The loop: it looks at the recording as it would at a camera, only faster.",
        *("run", "--config", "demo/output/config.yaml", "--pace", "fast", "--start", STARTED_AT, "--session", "demo"),
        *("--headless", "--snapshot", "demo/output/frame.png"),
    )
    register = ("attendance", "--config", "demo/output/config.yaml", "--session", "demo")
    _step("4. The register that it kept.", *register)
    problem = _problem(*register)
    if problem:
        print(f"\nThe register is wrong: {problem}", file=sys.stderr)
        return 1
    _say(
        f"The register is right: Grace Hopper is present, the stranger is not in it ({time.monotonic() - began:.0f} s)."
    )
    print("What the loop saw: demo/output/frame.png, demo/output/recording.mp4")
    print("Your own camera: see README.md")
    return 0


def _prepare() -> None:
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    (OUTPUT / "config.yaml").write_text(CONFIG, encoding="utf-8")
    photographs = write_photographs(OUTPUT / "datasets" / ENROLLED)
    frames = write_recording(OUTPUT / "recording.mp4")
    print(
        f"Made in demo/output/: {len(photographs)} photographs of Grace Hopper to enrol, and a recording of {frames}"
        f" frames ({SECONDS} s).\nThe portraits are real and in the public domain, the room is drawn. There is one"
        " portrait of each person: the\nphotographs differ from the recording in crop, size, light and tilt only. So"
        " this shows how the parts work\ntogether, not how well people are told apart."
    )


def _step(title: str, *arguments: str, tail: int | None = None) -> None:
    """Run a command as a user would; ``tail`` shows only so many lines of its output."""
    _say(title)
    print(f"$ python main.py {shlex.join(arguments)}", flush=True)
    answer = _run(arguments, capture=tail is not None)
    if tail is not None:
        lines = answer.stdout.splitlines()
        if len(lines) > tail:
            print(f"  ... {len(lines) - tail} more lines ...")
        print("\n".join(lines[-tail:]))
    if answer.returncode not in (0, 3):  # 3: done, but something needs a person; what, was printed
        print(f"\nerror: that ended with exit code {answer.returncode}", file=sys.stderr)
        sys.exit(1)


def _problem(*register: str) -> str:
    """What is wrong with the register; empty where nothing is."""
    rows: list[dict[str, Any]] = json.loads(_run([*register, "--format", "json"], capture=True).stdout)
    strangers = sorted({row["person_id"] for row in rows} - {ENROLLED})
    if strangers:
        return f"it names {', '.join(strangers)}, whom nobody enrolled"
    present = [row for row in rows if row["status"] == "present"]
    return "" if len(present) == 1 else f"Grace Hopper has {len(present)} records as present, not one"


def _run(arguments: Sequence[str], *, capture: bool) -> subprocess.CompletedProcess[str]:
    # So that tables have their full width also where the output is caught.
    env = {**os.environ, "COLUMNS": str(shutil.get_terminal_size((120, 24)).columns), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(  # noqa: S603  this Python, and words from this file
        [sys.executable, str(ROOT / "main.py"), *arguments],
        cwd=ROOT,
        env=env,
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE if capture else None,
        check=False,
    )


def _say(sentence: str) -> None:
    print(f"\n{sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
