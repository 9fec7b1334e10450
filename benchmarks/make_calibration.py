"""Build a calibration: the cohort, and how close strangers come.

    python -m benchmarks.make_calibration ../shared/data/faces dlib

A centre of the cohort is a mean over the faces of several people, so it is no one's face. Only half A of the people
goes in, so that half B can be measured on. The file says how it was made. It ships with OptiMind; that of ``arcface``
is of a network which only the tests have, and stays with the benchmarks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.progress import Progress

from benchmarks.engines_here import TEST_CALIBRATION, engines_here
from benchmarks.split import embeddings, in_half_b
from optimind.gallery.calibration import calibrate
from optimind.weights.calibrations import SHIPPED, write_calibration


def main() -> int:
    """Embed, calibrate, write; returns the exit code."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    faces, name = Path(sys.argv[1]), sys.argv[2]
    with engines_here(faces.resolve().parents[1], (name,)) as engines:
        engine = engines[name]()
        people = embeddings(faces, engine, lambda person: not in_half_b(person))
    with Progress() as progress:
        task = progress.add_task("calibrating")
        found = calibrate(list(people.values()), lambda done, total: progress.update(task, completed=done, total=total))
    made = {
        "embedder": engine[1].info.embedder_id,
        "detector": engine[0].name,
        "data": "LFW deep-funneled, half A by checksum of the name",
        "people": len(people),
        "samples": sum(map(len, people.values())),
        "centres": len(found.cohort),
    }
    path = TEST_CALIBRATION if name == "arcface" else SHIPPED / f"{engine[1].info.embedder_id}.npz"
    write_calibration(path, found, made)
    table = dict(zip(found.rates.round(6).tolist(), found.limits.round(2).tolist(), strict=True))
    print(json.dumps({**made, "limits": table, "file": path.name}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
