"""Attacks that are made for the check of presentation attacks: pictures of people, held before a camera.

Photographs of ``data/faces`` and pictures of the street scene, printed or on a telephone, moved as a hand moves them,
are drawn into the running scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from benchmarks.pad_clips import FPS, PART_PX, Clip, Floats, Scene, clip_of
from optimind.core.types import Image

__all__ = ["ATTACKS", "MOTIONS", "SHOWS_THE_SCENE", "Attack", "Motion", "attack"]

Attack = Literal["print", "telephone", "picture of the scene", "propped up", "cut out", "replayed video"]
ATTACKS: tuple[Attack, ...] = ("print", "telephone", "picture of the scene", "propped up", "cut out", "replayed video")
SHOWS_THE_SCENE: tuple[Attack, ...] = ("picture of the scene", "replayed video")
Motion = Literal["held", "moved"]
MOTIONS: dict[Motion, float] = {"held": 0.07, "moved": 0.3}
"""How far a hand strays, in face widths."""

SECONDS = 4.0
PROPPED_UP_SECONDS = 24.0
"""What stands still must do so for longer than the check waits."""
LFW_FACE = np.array([80.0, 78.0, 170.0, 184.0])
"""Where the face is in a photograph of 250 x 250."""
_FINER = 3
"""Pictures are drawn so many times as large and made smaller, as a sensor takes the mean of what falls on a pixel."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is held before the camera: a picture or those of a video, and where the face is in each (xyxy pixels)."""

    images: list[Image]
    faces: list[Floats]


@dataclass(frozen=True, slots=True)
class _Glare:
    """A lamp's reflection on the surface: how bright, in grey levels, where (0-1), and how often it goes to and fro."""

    strength: float
    x: float
    y: float
    hertz: float

    def on(self, image: Image, at_s: float) -> Floats:
        height, width = image.shape[:2]
        across, down = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
        middle = self.x + 0.1 * np.sin(2 * np.pi * self.hertz * at_s)
        light = self.strength * np.exp(-((across - middle) ** 2 + (down - self.y) ** 2) / 0.03)
        return np.asarray(np.minimum(255, image + light[..., None]), np.float64)


def attack(
    scene: Scene, kind: Attack, source: Path | str, *, face_px: float, motion: Motion, rng: np.random.Generator
) -> Clip:
    """A clip of ``source``, a photograph or (for those that show the scene) a person of it; the face ``face_px`` wide.

    What is propped up stands still in a room in which nothing moves; all else is in the running scene.
    """
    subject = source if isinstance(source, str) else source.parent.name
    shown = _prepared(scene, kind, source, rng)
    still = kind == "propped up"
    count = int((PROPPED_UP_SECONDS if still else SECONDS) * FPS)
    scale = face_px / float(shown.faces[0][2] - shown.faces[0][0])
    left, top = (int(rng.integers(0, side - PART_PX)) for side in scene.images[0].shape[1::-1])
    poses = _hand(count, 0.0 if still else MOTIONS[motion] * face_px, rng)
    is_screen = kind in ("telephone", "replayed video")
    glare = _Glare(
        0 if still else float(rng.uniform(0, 45 if is_screen else 8)),
        float(rng.uniform(0.2, 0.8)),
        float(rng.uniform(0.1, 0.6)),
        float(rng.uniform(0.1, 0.4)),
    )
    images, boxes = list[Image](), []
    for number in range(count):
        face = shown.faces[number % len(shown.faces)]
        matrix = _placed(shown.images[0].shape, scale, poses[number])
        if not still or not images:
            room = scene.images[number][top : top + PART_PX, left : left + PART_PX]
            picture = shown.images[number % len(shown.images)]
            mask = _face_only(picture, face) if kind == "cut out" else np.ones(picture.shape[:2], np.float32)
            images.append(_drawn(room, glare.on(picture, number / FPS), mask, matrix))
        else:
            images.append(images[0])
        corners = np.array([[face[[0, 1]], face[[2, 1]], face[[2, 3]], face[[0, 3]]]])
        seen = cv2.perspectiveTransform(corners, matrix)[0]
        boxes.append((*seen.min(axis=0).tolist(), *seen.max(axis=0).tolist()))
    times_s = [number / FPS for number in range(count)]
    return clip_of(Clip(kind, subject, images, boxes, times_s), rng)


def _prepared(scene: Scene, kind: Attack, source: Path | str, rng: np.random.Generator) -> _Shown:
    if isinstance(source, str):
        shown = _of_scene(scene, source, moving=kind == "replayed video")
    else:
        shown = _Shown([np.asarray(cv2.imread(str(source)), np.uint8)], [LFW_FACE])
    if kind in ("telephone", "replayed video"):
        return _on_telephone(shown, rng)
    if kind == "cut out":
        return shown
    border = round(float(rng.uniform(0.03, 0.08)) * shown.images[0].shape[1])
    return _framed(shown, border, border, (235, 238, 240))


def _of_scene(scene: Scene, person: str, *, moving: bool) -> _Shown:
    """A picture, or the video, of ``person``: their face and as much around it again, enlarged."""
    frames = sorted(scene.people[person])
    frames = frames[len(frames) // 3 :]
    first = np.array(scene.people[person][frames[0]])
    width = float(first[2] - first[0])
    zoom = max(1.0, 110 / width)
    side = round(2.2 * width * zoom)
    shown = _Shown([], [])
    for frame in frames if moving else frames[:1]:
        box = np.array(scene.people[person][frame])
        corner = (box[:2] + box[2:]) / 2 - 1.1 * width
        matrix = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]]])
        cut = cv2.warpAffine(scene.images[frame], matrix, (side, side), flags=cv2.INTER_CUBIC)
        shown.images.append(np.asarray(cut, np.uint8))
        shown.faces.append((box - np.tile(corner, 2)) * zoom)
    return shown


def _on_telephone(shown: _Shown, rng: np.random.Generator) -> _Shown:
    """The face fills some three fifths of a portrait screen, which is a little bright; around it is a dark rim."""
    face = shown.faces[0]
    middle, half = (face[0] + face[2]) / 2, (face[2] - face[0]) / float(rng.uniform(1.1, 1.3))
    left, right = int(max(0, middle - half)), int(min(shown.images[0].shape[1], middle + half))
    screens = [
        np.asarray(cv2.convertScaleAbs(image[:, left:right], alpha=1.1, beta=12), np.uint8) for image in shown.images
    ]
    faces = [it - np.array([left, 0, left, 0]) for it in shown.faces]
    rim = round(0.05 * (right - left))
    return _framed(_Shown(screens, faces), rim, 2 * rim, (22, 20, 20))


def _framed(shown: _Shown, beside: int, above: int, colour: tuple[int, int, int]) -> _Shown:
    images = [
        np.asarray(cv2.copyMakeBorder(image, above, above, beside, beside, cv2.BORDER_CONSTANT, value=colour), np.uint8)
        for image in shown.images
    ]
    return _Shown(images, [face + np.array([beside, above, beside, above]) for face in shown.faces])


def _hand(count: int, stray_px: float, rng: np.random.Generator) -> Floats:
    """What a hand does: (count, 5) of x and y in pixels, roll, turn and tilt in radians; a slow sway with a tremor."""
    times_s = np.arange(count) / FPS
    turns = min(0.09, 0.01 + 0.006 * stray_px) if stray_px else 0.0
    poses = np.zeros((count, 5))
    for column, part in enumerate((stray_px, 0.8 * stray_px, 0.5 * turns, turns, turns)):
        for hertz, weight in ((rng.uniform(0.2, 0.5), 1.0), (rng.uniform(0.6, 1.2), 0.5), (rng.uniform(4, 6), 0.06)):
            poses[:, column] += part * weight * np.sin(2 * np.pi * (hertz * times_s + rng.uniform()))
    return poses


def _placed(shape: Sequence[int], scale: float, pose: Floats) -> Floats:
    """The homography of a flat picture in that pose before the middle of the part, seen by a usual lens."""
    x, y, roll, turn, tilt = pose
    height, width = shape[:2]
    focal = 2.5 * PART_PX
    turned, _ = cv2.Rodrigues(np.array([tilt, turn, roll]))
    plane = np.column_stack([turned[:, 0] * scale, turned[:, 1] * scale, np.array([x, y, focal])])
    lens = np.array([[focal, 0, PART_PX / 2], [0, focal, PART_PX / 2], [0, 0, 1]])
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    return np.asarray(lens @ plane @ middle)


def _face_only(picture: Image, face: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    mask = np.zeros(picture.shape[:2], np.float32)
    middle, half = (face[:2] + face[2:]) / 2, 0.62 * (face[2:] - face[:2])
    cv2.ellipse(mask, [round(v) for v in middle.tolist()], [round(v) for v in half.tolist()], 0, 0, 360, 1, -1)
    return mask


def _drawn(
    room: Image, picture: Floats, mask: np.ndarray[tuple[int, ...], np.dtype[np.float32]], matrix: Floats
) -> Image:
    height, width = picture.shape[:2]
    outline = np.array([[[0.0, 0.0], [width, 0], [width, height], [0, height]]])
    corners = cv2.perspectiveTransform(outline, matrix)[0]
    low = np.clip(np.floor(corners.min(axis=0)) - 1, 0, PART_PX - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 1, PART_PX).astype(int)
    there = np.array([[_FINER, 0, -_FINER * low[0]], [0, _FINER, -_FINER * low[1]], [0, 0, 1]]) @ matrix
    across, down = (int(side) for side in high - low)
    fine = (_FINER * across, _FINER * down)
    seen = cv2.warpPerspective(picture.astype(np.float32) * mask[..., None], there, fine, flags=cv2.INTER_LINEAR)
    covered = cv2.warpPerspective(mask, there, fine, flags=cv2.INTER_LINEAR)
    seen = cv2.resize(seen, (across, down), interpolation=cv2.INTER_AREA)
    covered = cv2.resize(covered, (across, down), interpolation=cv2.INTER_AREA)
    whole = room.astype(np.float32)
    part = whole[low[1] : high[1], low[0] : high[0]]
    part[:] = part * (1 - covered[..., None]) + seen
    return np.asarray(np.clip(whole, 0, 255), np.uint8)
