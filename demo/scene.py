"""The recording of the demo: two people walk into a room while the camera pans and zooms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.portraits import Cutout, collins, hopper
from demo.room import COUNTER_Y, HEIGHT, WIDTH, draw_room
from optimind.core.types import Image

__all__ = ["FPS", "SECONDS", "frames", "write_recording"]

FPS, SECONDS = 15, 12
_VIEW = (1280, 720)
_Layer = NDArray[np.float32]
_Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Walk:
    """How a person moves: ``path`` is (time in s, where the head is in the room, x in px), in order of time."""

    person: Cutout
    scale: float
    head_y: float
    path: tuple[tuple[float, float], ...]
    step_s: float

    def placed(self, at_s: float) -> _Matrix:
        """The matrix (3, 3) that puts the cut-out into the room at ``at_s``: place, bobbing, a slight sway."""
        times, places = zip(*self.path, strict=True)
        phase = 2 * math.pi * at_s / self.step_s
        speed = abs(np.interp(at_s + 0.1, times, places) - np.interp(at_s - 0.1, times, places))
        bob, sway = min(speed, 30) / 30 * 5 * math.sin(2 * phase), math.radians(1.6) * math.sin(phase)
        c, s = self.scale * math.cos(sway), self.scale * math.sin(sway)
        (x, y), (to_x, to_y) = self.person.head, (np.interp(at_s, times, places), self.head_y + bob)
        return np.array([[c, -s, to_x - c * x + s * y], [s, c, to_y - s * x - c * y], [0, 0, 1]])


def write_recording(path: Path, *, seconds: float = SECONDS, fps: int = FPS) -> int:
    """Write the scene as an MP4 to ``path`` and return its number of frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, _VIEW)
    if not writer.isOpened():
        raise OSError(
            f"{path}: OpenCV cannot write an MP4 here; install opencv-python from a wheel, which brings FFmpeg"
        )
    count = 0
    for frame in frames(seconds=seconds, fps=fps):
        writer.write(frame)
        count += 1
    writer.release()
    return count


def frames(*, seconds: float = SECONDS, fps: int = FPS) -> Iterator[Image]:
    """The scene, frame by frame: (720, 1280, 3) BGR. The same call gives the same pictures."""
    rng = np.random.default_rng(1906)
    room = draw_room(rng)
    # Both begin outside the picture: she is there from the second second on, the stranger from the fifth.
    walks = (
        _Walk(collins(), 1.16, 330, ((3.6, 1700), (7.4, 1010), (12.0, 940)), step_s=1.1),
        _Walk(hopper(), 0.62, 352, ((0.4, -120), (4.2, 560), (8.5, 560), (12.0, 640)), step_s=1.3),
    )
    grain = rng.normal(0, 4, (8, _VIEW[1], _VIEW[0], 1)).astype(np.float32)
    for index in range(round(seconds * fps)):
        at_s = index / fps
        camera = _camera(at_s)
        picture = _look(room, camera)
        behind = picture.copy()
        for walk in walks:
            _paint(behind, walk, camera @ walk.placed(at_s))
        edge = round((camera @ np.array([0, COUNTER_Y, 1]))[1])
        picture[:edge] = behind[:edge]
        picture *= 1 + 0.02 * math.sin(2 * math.pi * at_s / 3.7)  # lamps are never quite steady
        yield np.clip(picture + grain[index % len(grain)], 0, 255).astype(np.uint8)


def _camera(at_s: float) -> _Matrix:
    """The matrix (3, 3) from the room to the picture: a slow pan to the right, a zoom in and out again."""
    zoom = 1.0 + 0.16 * math.sin(math.pi * at_s / SECONDS) ** 2
    x = float(np.interp(at_s, (0, 3, 9, SECONDS), (640, 690, 860, 800))) + 6 * math.sin(at_s * 1.9)
    y = 395 + 4 * math.sin(at_s * 1.3)
    x = min(max(x, _VIEW[0] / 2 / zoom), WIDTH - _VIEW[0] / 2 / zoom)
    y = min(max(y, _VIEW[1] / 2 / zoom), HEIGHT - _VIEW[1] / 2 / zoom)
    return np.array([[zoom, 0, _VIEW[0] / 2 - zoom * x], [0, zoom, _VIEW[1] / 2 - zoom * y], [0, 0, 1]])


def _look(layer: _Layer | Image, matrix: _Matrix, size: tuple[int, int] = _VIEW) -> _Layer:
    return cv2.warpAffine(layer, matrix[:2], size, flags=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _paint(picture: _Layer, walk: _Walk, matrix: _Matrix) -> None:
    """Put the person over the picture, touching no more of it than the person covers."""
    height, width = walk.person.alpha.shape[:2]
    corners = matrix[:2] @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    left, top = (max(0, math.floor(low)) for low in corners.min(axis=1))
    right, bottom = (min(most, math.ceil(high)) for most, high in zip(_VIEW, corners.max(axis=1), strict=True))
    if left >= right or top >= bottom:
        return
    moved = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ matrix
    part = picture[top:bottom, left:right]
    part *= 1 - _look(walk.person.alpha, moved, (right - left, bottom - top))[..., None]
    part += _look(walk.person.image, moved, (right - left, bottom - top))
