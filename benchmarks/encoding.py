"""Photographs to a gallery: `encode` with two workers, cold, and the loop over the same folder that tutorials show.

The loop is one process that calls face_recognition for one photograph after the other and pickles the result. The two
take turns; each is a process of its own, timed from its start to its end.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.split import in_half_b

ROUNDS = 3
PHOTOGRAPHS = 600
REPOSITORY = Path(__file__).resolve().parent.parent
PEER = """
import pickle, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import face_recognition
known = {"encodings": [], "names": []}
for file in sorted(Path(sys.argv[1]).rglob("*.jpg")):
    image = face_recognition.load_image_file(file)
    for encoding in face_recognition.face_encodings(image, face_recognition.face_locations(image)):
        known["encodings"].append(encoding)
        known["names"].append(file.parent.name)
Path(sys.argv[2]).write_bytes(pickle.dumps(known))
"""


def seconds(*command: object) -> float:
    """How long a process takes; one that fails ends the benchmark with what it said."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)
    return time.perf_counter() - began


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Encode photographs of ``shared/data/faces``; returns the figures and a table of them."""
    took: dict[str, list[float]] = {"peer": [], "ours": [], "again": []}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        dataset = _dataset(shared / "data" / "faces", out / "dataset")
        for part in range(ROUNDS):
            gallery = out / f"gallery{part}.pickle"
            encode = (REPOSITORY / "encode_faces.py", "--dataset", dataset, "--output", gallery, "--workers", 2)
            took["ours"].append(seconds(*encode, "--json"))
            took["again"].append(seconds(*encode, "--json"))
            took["peer"].append(seconds("-c", PEER, dataset, out / "peer.pickle"))
    middle = {side: statistics.median(times) for side, times in took.items()}
    result = {
        "photographs": PHOTOGRAPHS,
        "seconds": middle,
        "ratio": middle["peer"] / middle["ours"],
        "all": json.loads(json.dumps(took)),
    }
    lines = [
        f"| {PHOTOGRAPHS} photographs, 250 x 250 | seconds | photographs/s |",
        "|---|---|---|",
        f"| a face_recognition loop | {middle['peer']:.1f} | {PHOTOGRAPHS / middle['peer']:.0f} |",
        f"| `encode`, two workers, cold | {middle['ours']:.1f} | {PHOTOGRAPHS / middle['ours']:.0f} |",
        f"| `encode` again, nothing changed | {middle['again']:.1f} | |",
        f"| ratio | {result['ratio']:.1f} | |",
    ]
    return result, "\n".join(lines)


def _dataset(faces: Path, folder: Path) -> Path:
    """Links to photographs of half B, always the same."""
    wanted = [
        photograph
        for person in sorted(faces.iterdir())
        if in_half_b(person.name)
        for photograph in sorted(person.glob("*.jpg"))[:4]
    ][:PHOTOGRAPHS]
    for photograph in wanted:
        own = folder / photograph.parent.name
        own.mkdir(parents=True, exist_ok=True)
        (own / photograph.name).symlink_to(photograph.resolve())
    return folder
