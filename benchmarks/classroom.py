"""A recorded lesson: OptiMind and the loop that the tutorials show, on the same 1080p recording.

The tutorials' loop detects with the library's own upsampling in every frame, embeds every face and names the nearest
enrolled one within 0.6. It is so slow that it gets frames spread over the recording instead of all of them. The two
take turns, three rounds; speeds are medians.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from optimind.gallery import load_gallery
from optimind.vision.face_recognition_engine import FaceRecognitionDetector

ROUNDS = 3
PEER_FRAMES = 8
REPOSITORY = Path(__file__).resolve().parent.parent


def call(*arguments: object) -> dict[str, Any]:
    """Run a command of the program and return its JSON."""
    command = [sys.executable, str(REPOSITORY / "main.py"), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"})
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class TutorialLoop:
    """What one finds first when searching for face recognition attendance."""

    def __init__(self, gallery: Path, video: Path) -> None:
        # The engine knows how to import the library quietly.
        FaceRecognitionDetector.create(80)
        self._library = importlib.import_module("face_recognition")
        file = load_gallery(gallery)
        self._encodings = [sample.embedding for sample in file.samples]
        self._names = [sample.person_id for sample in file.samples]
        self._video = cv2.VideoCapture(str(video))
        self._frames = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        self.marked: set[str] = set()

    def frames_per_second(self, part: int) -> float:
        """Handle some frames spread over the recording, other ones in each ``part``."""
        spent_s = 0.0
        for step in range(PEER_FRAMES):
            self._video.set(cv2.CAP_PROP_POS_FRAMES, self._frames * (step * ROUNDS + part) // (PEER_FRAMES * ROUNDS))
            _, frame = self._video.read()
            began = time.perf_counter()
            self._handle(np.ascontiguousarray(frame[:, :, ::-1]))
            spent_s += time.perf_counter() - began
        return PEER_FRAMES / spent_s

    def _handle(self, rgb: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        boxes = self._library.face_locations(rgb)
        for encoding in self._library.face_encodings(rgb, boxes):
            distances = self._library.face_distance(self._encodings, encoding)
            best = int(np.argmin(distances))
            if distances[best] <= 0.6:
                self.marked.add(self._names[best])


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Make a recording of people of ``shared/data/faces`` and let both sides watch it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        maker = [sys.executable, str(shared / "tools" / "make_classroom.py"), "--faces", str(shared / "data" / "faces")]
        options = ["--out", str(out), "--seconds", "20", "--seed", "77"]
        subprocess.run([*maker, *options], check=True, stdout=subprocess.DEVNULL)
        truth = json.loads((out / "truth.json").read_text())
        gallery = out / "gallery.pickle"
        call("encode", "--dataset", out / "dataset", "--output", gallery)
        peer = TutorialLoop(gallery, out / "video.mp4")
        speeds: dict[str, list[float]] = {"ours": [], "peer": []}
        marked: set[str] = set()
        for part in range(ROUNDS):
            run = ("run", "--source", out / "video.mp4", "--gallery", gallery, "--data", out / f"data{part}")
            summary = call(*run, "--pace", "fast")
            speeds["ours"].append(summary["frames"]["processed"] / summary["seconds"])
            speeds["peer"].append(peer.frames_per_second(part))
            marked |= set(summary["people"])
    sides = {
        "the tutorials' loop": (statistics.median(speeds["peer"]), peer.marked),
        "OptiMind": (statistics.median(speeds["ours"]), marked),
    }
    present, absent = set(truth["present"]), set(truth["absent"])
    result: dict[str, Any] = {"ratio": sides["OptiMind"][0] / sides["the tutorials' loop"][0]}
    lines = [
        "| 1080p, 24 students, 4 strangers, 4 absent | frames/s | present students marked | absent ones marked |",
        "|---|---|---|---|",
    ]
    for side, (speed, people) in sides.items():
        result[side] = {"frames_per_s": speed, "found": len(people & present), "wrong": len(people & absent)}
        lines.append(f"| {side} | {speed:.2f} | {len(people & present)} of {len(present)} | {len(people & absent)} |")
    return result, "\n".join(lines)
