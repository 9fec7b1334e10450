"""`make bench`: run every benchmark, print its table, write benchmarks/results.json.

    python -m benchmarks [NAME...]    only those called so; soak, a quarter of an hour, runs only when named

It ends with 1 where the accuracy falls below the baseline.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks import (
    cameras,
    classroom,
    delivery,
    encoding,
    engines,
    identification,
    live,
    pad,
    sealing,
    search,
    soak,
    tracking,
    visitors,
)
from benchmarks.baseline import below_full_baseline

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
SHARED = HERE.parent.parent / "shared"
ALL = {
    "engines": engines,
    "encoding": encoding,
    "search": search,
    "identification": identification,
    "classroom": classroom,
    "live": live,
    "cameras": cameras,
    "tracking": tracking,
    "pad": pad,
    "sealing": sealing,
    "visitors": visitors,
    "delivery": delivery,
}
LONG = {"soak": soak}
"""Run only when named."""


def machine() -> str:
    """The processor and its cores, as the tables name them."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text("utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
        cores = sum(line.startswith("processor") for line in lines)
        return f"{model}, {cores} cores"
    return model


def main() -> int:
    """Run what can be run here; returns the exit code."""
    if not (SHARED / "data").is_dir():
        print(f"The benchmarks need the shared test data at {SHARED}; it is not there.", file=sys.stderr)
        return 1
    results: dict[str, Any] = {"machine": machine(), "python": platform.python_version()}
    print(f"machine: {results['machine']}, Python {results['python']}\n")
    wanted = sys.argv[1:] or list(ALL)
    if unknown := set(wanted) - set(ALL | LONG):
        print(
            f"no benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(ALL | LONG)}", file=sys.stderr
        )
        return 2
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() and sys.argv[1:] else {}
    for name in wanted:
        result, table = (ALL | LONG)[name].measure(SHARED)
        results[name] = result
        print(f"{table}\n", flush=True)
        RESULTS.write_text(json.dumps({**known, **results}, indent=1) + "\n")
    worse = below_full_baseline(results["identification"]) if "identification" in results else []
    print("\n".join(worse), file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
