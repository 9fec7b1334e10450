"""Photographs to a gallery: `encode` with two workers, cold, and the loop over the same folder that tutorials show.

The loop is one process that calls face_recognition for one photograph after the other and pickles the result. The two
take turns; each is a process of its own, timed from its start to its end.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

from benchmarks.split import in_half_b

ROUNDS = 3
SETS = ((400, 250, 3), (1200, 250, 1), (80, 1000, 2))
"""How many photographs, how large, and in how many rounds the loop takes part, which is slow: those of Labeled Faces in
the Wild for some classes and for a school, and as large as a telephone's portraits."""
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
    result: dict[str, Any] = {}
    lines = [
        "| photographs | face_recognition loop, s | `encode`, two workers, cold, s | ratio | nothing changed, s |",
        "|---|---|---|---|---|",
    ]
    for count, side_px, peer_rounds in SETS:
        middle = _rounds(shared / "data" / "faces", count, side_px, peer_rounds)
        ratio = middle["peer"] / middle["ours"]
        result[f"{count} of {side_px} px"] = {"seconds": middle, "ratio": ratio}
        cells = (f"{count} of {side_px} x {side_px}", f"{middle['peer']:.1f}", f"{middle['ours']:.1f}", f"{ratio:.1f}")
        lines.append(f"| {' | '.join(cells)} | {middle['again']:.1f} |")
    return result, "\n".join(lines)


def _rounds(faces: Path, count: int, side_px: int, peer_rounds: int) -> dict[str, float]:
    """Median seconds of the two sides, in turn."""
    took: dict[str, list[float]] = {"peer": [], "ours": [], "again": []}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        dataset = _dataset(faces, out / "dataset", count, side_px)
        for part in range(ROUNDS):
            gallery = out / f"gallery{part}.pickle"
            encode = (REPOSITORY / "encode_faces.py", "--dataset", dataset, "--output", gallery, "--workers", 2)
            took["ours"].append(seconds(*encode, "--json"))
            took["again"].append(seconds(*encode, "--json"))
            if part < peer_rounds:
                took["peer"].append(seconds("-c", PEER, dataset, out / "peer.pickle"))
    return {side: statistics.median(times) for side, times in took.items()}


def _dataset(faces: Path, folder: Path, count: int, side_px: int) -> Path:
    """Photographs of half B, always the same, enlarged to ``side_px`` as a telephone's are larger."""
    wanted = [
        photograph
        for person in sorted(faces.iterdir())
        if in_half_b(person.name)
        for photograph in sorted(person.glob("*.jpg"))[:4]
    ][:count]
    for photograph in wanted:
        own = folder / photograph.parent.name
        own.mkdir(parents=True, exist_ok=True)
        image = cv2.imread(str(photograph))
        assert image is not None
        enlarged = cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(own / photograph.name), enlarged)
    return folder
