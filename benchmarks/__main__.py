"""`make bench`: run every benchmark, print its table, write benchmarks/results.json."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from benchmarks import classroom, identification

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared"


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
    results = {"machine": machine(), "python": platform.python_version()}
    print(f"machine: {results['machine']}, Python {results['python']}\n")
    for name, benchmark in (("identification", identification), ("classroom", classroom)):
        result, table = benchmark.measure(SHARED)
        results[name] = result
        print(f"{table}\n", flush=True)
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
