"""The two sides of the engines' benchmark: OptiMind's engine ``dlib`` in one of its forms, and dlib itself."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import Boxes
from optimind.core.types import Detections, Image
from optimind.vision._dlib_files import DETECTOR, LANDMARKS
from optimind.vision._dlib_trees import read_shape_predictor
from optimind.vision._dlib_weights import read_network
from optimind.vision._forms import MMOD, RESNET, Form, open_exact_pieces, open_form
from optimind.vision._landmarks5 import Landmarks5
from optimind.vision._mmod import Mmod
from optimind.vision.dlib_engine import DlibEmbedder, DlibSettings

__all__ = ["Ours", "Peer", "Task", "read", "resized", "timed"]


@dataclass(frozen=True)
class Task:
    """Something to time on a picture: ``fast`` and ``slow`` calls a round for us and for dlib, each of ``units``."""

    title: str
    name: str
    picture: str
    fast: int
    slow: int
    units: int = 1


class Ours:
    """The engine's parts in one form, each with so many threads."""

    def __init__(self, form: Form, threads: int) -> None:
        self.form = form
        self._threads = threads

    @cached_property
    def detector(self) -> Mmod:
        windows = read_network(DETECTOR.read(), DETECTOR.name).windows
        assert windows is not None
        exact = open_exact_pieces(threads=self._threads) if self.form == "int8" else None
        return Mmod(open_form(MMOD, self.form, threads=self._threads), windows, exact)

    @cached_property
    def embedder(self) -> DlibEmbedder:
        return DlibEmbedder.create(DlibSettings(precision=self.form, mirror=False, threads=self._threads))

    @cached_property
    def _embedding(self) -> Any:
        return open_form(RESNET, self.form, threads=self._threads)

    @cached_property
    def _landmarks(self) -> Landmarks5:
        return Landmarks5(read_shape_predictor(LANDMARKS.read(), LANDMARKS.name))

    def work(self, task: Task, pictures: dict[str, Image]) -> Callable[[], Any]:
        """What is to be timed, ready to be called."""
        picture = pictures[task.picture]
        if task.name == "embed":
            chips = picture if picture.ndim == 4 else picture[None]
            session = self._embedding
            return lambda: session.run(None, {"chips": chips})[0]
        if task.name == "detect":
            detector = self.detector
            return lambda: detector.detect(picture)[0]
        landmarks, boxes = self._landmarks, pictures["boxes"].astype(np.intp)
        return lambda: landmarks.find([(picture, boxes)])

    def seconds(self, task: Task, pictures: dict[str, Image]) -> list[float]:
        """How long each call took."""
        work = self.work(task, pictures)
        cv2.setNumThreads(self._threads)
        return [timed(work) for _ in range(task.fast)]

    def main_face(self, image: Image) -> Detections:
        """The surest face of a photograph, or none."""
        boxes, confidence = self.detector.detect(image)
        return Detections(boxes[:1], confidence[:1])


class Peer:
    """dlib in a process of its own; what it works on is handed over as files in ``folder``."""

    def __init__(self, python: str, folder: Path, threads: int | None) -> None:
        """``threads`` is how many BLAS may use (None: as it likes); a dlib without BLAS has one in any case."""
        told = {} if threads is None else {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        script = Path(__file__).with_name("dlib_peer.py")
        self._folder = folder
        self._process = subprocess.Popen(
            [python, str(script), str(DETECTOR.path().parent), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **told},
        )
        self.about = self._answer()

    def seconds(self, task: Task, pictures: dict[str, Image]) -> list[float]:  # noqa: ARG002 - it has them already
        """How long each call took."""
        spent: list[float] = self.ask(task.name, task.picture, task.slow)["spent_s"]
        return spent

    def boxes(self, image: Image) -> Boxes:
        """What dlib's detector finds in ``image`` (BGR)."""
        self.give("other", image)
        return np.array(self.ask("detect", "other")["result"], dtype=np.float64).reshape(-1, 4)

    def give(self, name: str, picture: NDArray[Any]) -> None:
        """Hand a picture (BGR), several, or boxes over."""
        is_picture = picture.dtype == np.uint8
        np.save(self._folder / f"{name}.npy", np.ascontiguousarray(picture[..., ::-1]) if is_picture else picture)

    def ask(self, task: str, picture: str, times: int = 1) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{task} {times} {picture}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the process with dlib ended; its message stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def timed(work: Callable[[], Any]) -> float:
    """How many seconds a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read(path: Path) -> Image:
    """The picture in a file."""
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


def resized(image: Image, width: int, height: int) -> Image:
    """The picture at another size, usually a smaller one."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
