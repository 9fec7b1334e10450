"""The room of the demo: a reception with a counter, drawn so that nothing has to be downloaded."""

from __future__ import annotations

import math

import cv2
import numpy as np

from optimind.core.types import Image

__all__ = ["COUNTER_Y", "HEIGHT", "WIDTH", "draw_room"]

WIDTH, HEIGHT = 1680, 900
COUNTER_Y = 560
"""Where the counter's top edge is; people stand behind it."""

_AA = cv2.LINE_AA
_FONT = cv2.FONT_HERSHEY_DUPLEX


def draw_room(rng: np.random.Generator) -> Image:
    """The whole room without people: (HEIGHT, WIDTH, 3) BGR."""
    room = _wall(rng)
    _window(room, left=120, top=120)
    _board(room, left=560, top=96)
    _clock(room, left=1020, top=120)
    _door(room, left=1270)
    _plant(room, base=(1180, COUNTER_Y + 5))
    _counter(room, rng)
    return room


def _wall(rng: np.random.Generator) -> Image:
    down, across = np.linspace(1, 0.86, HEIGHT)[:, None], np.linspace(1.05, 0.9, WIDTH)[None, :]
    light = (down * across)[..., None] * np.array([186, 200, 206])
    plaster = cv2.GaussianBlur(rng.normal(0, 10, (HEIGHT, WIDTH)), (0, 0), 2)[..., None]
    room: Image = np.clip(light + plaster * 2, 0, 255).astype(np.uint8)
    cv2.rectangle(room, (0, 470), (WIDTH, HEIGHT), (120, 140, 150), -1)  # wainscot
    cv2.rectangle(room, (0, 462), (WIDTH, 474), (235, 238, 240), -1, _AA)
    return room


def _window(room: Image, *, left: int, top: int) -> None:
    width, height = 300, 250
    cv2.rectangle(room, (left - 14, top - 14), (left + width + 14, top + height + 14), (240, 243, 245), -1, _AA)
    sky = np.linspace(0, 1, height)[:, None, None] * np.array([-10, 25, 45]) + np.array([235, 205, 170])
    room[top : top + height, left : left + width] = np.clip(sky, 0, 255).astype(np.uint8)
    for x, radius in ((40, 60), (120, 48), (210, 70), (280, 50)):
        tree = room[top : top + height, left : left + width]
        cv2.circle(tree, (x, height + 8), radius, (88, 132, 96), -1, _AA)
    for x in (left + width // 3, left + 2 * width // 3):
        cv2.line(room, (x, top), (x, top + height), (240, 243, 245), 8, _AA)
    cv2.line(room, (left, top + height // 2), (left + width, top + height // 2), (240, 243, 245), 8, _AA)


def _board(room: Image, *, left: int, top: int) -> None:
    cv2.rectangle(room, (left, top), (left + 400, top + 170), (90, 74, 58), -1, _AA)
    cv2.rectangle(room, (left + 10, top + 10), (left + 390, top + 160), (72, 84, 44), -1, _AA)
    chalk = (225, 232, 228)
    cv2.putText(room, "OptiMind", (left + 84, top + 68), _FONT, 1.6, chalk, 2, _AA)
    cv2.putText(room, "please walk in, no need to sign", (left + 34, top + 106), _FONT, 0.65, chalk, 1, _AA)


def _clock(room: Image, *, left: int, top: int) -> None:
    # With figures: a round dial now and then passes for a face.
    cv2.rectangle(room, (left, top), (left + 150, top + 66), (60, 60, 64), -1, _AA)
    cv2.rectangle(room, (left + 7, top + 7), (left + 143, top + 59), (30, 30, 32), -1, _AA)
    cv2.putText(room, "09:00", (left + 20, top + 48), _FONT, 1.25, (90, 200, 250), 2, _AA)


def _door(room: Image, *, left: int) -> None:
    cv2.rectangle(room, (left - 16, 84), (left + 276, HEIGHT), (232, 236, 238), -1, _AA)
    cv2.rectangle(room, (left, 100), (left + 260, HEIGHT), (84, 112, 142), -1, _AA)
    for top, bottom in ((130, 320), (350, 540)):
        cv2.rectangle(room, (left + 36, top), (left + 224, bottom), (70, 95, 122), -1, _AA)
        cv2.rectangle(room, (left + 36, top), (left + 224, bottom), (100, 130, 160), 3, _AA)
    cv2.circle(room, (left + 24, 400), 10, (120, 190, 214), -1, _AA)


def _plant(room: Image, *, base: tuple[int, int]) -> None:
    x, y = base
    for index in range(13):
        lean = math.radians(-66 + index * 11)
        tip = (round(x + 130 * math.sin(lean)), round(y - 60 - 150 * math.cos(lean)))
        middle, tilt = ((x + tip[0]) // 2, (y - 60 + tip[1]) // 2), math.degrees(lean) - 90
        green = (70 + index % 3 * 14, 118 + index % 4 * 12, 70)
        cv2.ellipse(room, middle, (78, 15), tilt, 0, 360, green, -1, _AA)
    pot = np.array([(x - 50, y - 70), (x + 50, y - 70), (x + 38, y), (x - 38, y)])
    cv2.fillPoly(room, [pot], (76, 104, 178), _AA)


def _counter(room: Image, rng: np.random.Generator) -> None:
    grain = cv2.GaussianBlur(rng.normal(0, 60, (HEIGHT - COUNTER_Y, WIDTH)), (0, 0), 12, sigmaY=0.8)[..., None]
    shade = np.linspace(1, 0.75, HEIGHT - COUNTER_Y)[:, None, None]
    room[COUNTER_Y:] = np.clip(np.array([70, 105, 150]) * shade + grain, 0, 255).astype(np.uint8)
    cv2.rectangle(room, (0, COUNTER_Y), (WIDTH, COUNTER_Y + 26), (120, 165, 205), -1)
    cv2.rectangle(room, (0, COUNTER_Y + 26), (WIDTH, COUNTER_Y + 32), (45, 70, 105), -1)
    cv2.putText(room, "RECEPTION", (WIDTH // 2 - 190, COUNTER_Y + 140), _FONT, 2.2, (190, 214, 232), 3, _AA)
