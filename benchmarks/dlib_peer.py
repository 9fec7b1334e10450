"""dlib, in a process of its own: it is told on standard input what to do, and answers in JSON.

    python dlib_peer.py FOLDER_OF_WEIGHTS FOLDER_OF_PICTURES

So a dlib that was compiled in another way, for another Python, can be measured as well: it needs nothing but numpy. The
pictures are RGB. Each line is a task, how often, and the picture: ``embed 5 chip``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import dlib
import numpy as np


class Peer:
    """The three models of face_recognition_models."""

    def __init__(self, weights: Path, pictures: Path) -> None:
        self._pictures = pictures
        self._embedder = dlib.face_recognition_model_v1(str(weights / "dlib_face_recognition_resnet_model_v1.dat"))
        self._detector = dlib.cnn_face_detection_model_v1(str(weights / "mmod_human_face_detector.dat"))
        self._landmarks = dlib.shape_predictor(str(weights / "shape_predictor_5_face_landmarks.dat"))

    def embed(self, picture: str) -> Any:
        """The embedding of a chip, or of each of several."""
        chips = self._load(picture)
        given = chips if chips.ndim == 3 else list(chips)
        return lambda: self._embedder.compute_face_descriptor(given)

    def detect(self, picture: str) -> Any:
        """The boxes of a picture: left, top, right, bottom."""
        image = self._load(picture)

        def found() -> list[Any]:
            boxes = [one.rect for one in self._detector(image, 0)]
            return [(box.left(), box.top(), box.right(), box.bottom()) for box in boxes]

        return found

    def landmarks(self, picture: str) -> Any:
        """The five points of each face in ``boxes``."""
        image = self._load(picture)
        boxes = [dlib.rectangle(*map(int, box)) for box in self._load("boxes")]
        return lambda: [[(p.x, p.y) for p in self._landmarks(image, box).parts()] for box in boxes]

    def _load(self, name: str) -> Any:
        return np.load(self._pictures / f"{name}.npy")


def main() -> None:
    """Answer until the input ends."""
    peer = Peer(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"version": dlib.__version__, "blas": dlib.DLIB_USE_BLAS}), flush=True)
    for line in sys.stdin:
        task, times, picture = line.split()
        work = getattr(peer, task)(picture)
        spent_s = []
        result: Any = None
        for _ in range(int(times)):
            began = time.perf_counter()
            result = work()
            spent_s.append(time.perf_counter() - began)
        print(json.dumps({"spent_s": spent_s, "result": np.array(result).tolist()}), flush=True)


if __name__ == "__main__":
    main()
