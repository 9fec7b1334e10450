"""The passive check on made-up pictures: a card that is held before a room, and a head in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from optimind.pad.passive import INTERVAL_S, PassiveCheck, PassiveSettings
from optimind.plugin_api import Image, PadState, PadVerdict

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
FACE_PX = 60
CENTRE = (320, 240)
Place = Callable[[float], tuple[float, float]]


def pattern(width: int, height: int, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width))
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(np.clip(128 + 45 * blurred / np.std(blurred), 0, 255), np.uint8)


ROOM = pattern(640, 480, 1)
CARD = pattern(160, 180, 2)
"""A photograph whose face, 60 px wide, is in its middle."""


def swaying(at_s: float) -> tuple[float, float]:
    return 9 * np.sin(2.1 * at_s), 6 * np.sin(1.3 * at_s + 1)


def picture(
    at_s: float,
    place: Place,
    *,
    room: Image = ROOM,
    head_only: bool = False,
    talks: bool = False,
    camera: Place = lambda _: (0.0, 0.0),
) -> Image:
    """The card in the room at that second; ``head_only``: an oval of it, ``talks``: its lower half stretches."""
    shown = CARD.astype(np.float32)
    if talks:
        rows, columns = np.mgrid[0:180, 0:160].astype(np.float32)
        stretched = rows - 6 * np.sin(8 * at_s) * np.exp(-(((rows - 110) / 15) ** 2) - ((columns - 80) / 15) ** 2)
        shown = np.asarray(cv2.remap(shown, columns, stretched.astype(np.float32), cv2.INTER_LINEAR), np.float32)
    mask = np.ones_like(shown)
    if head_only:
        mask[:] = 0
        cv2.ellipse(mask, (80, 90), (37, 47), 0, 0, 360, 1, -1)
    x, y = place(at_s)
    matrix = np.array([[1, 0, CENTRE[0] + x - 80], [0, 1, CENTRE[1] + y - 90]])
    drawn = cv2.warpAffine(shown, matrix, (640, 480))
    covered = cv2.warpAffine(mask, matrix, (640, 480))
    whole = room * (1 - covered) + drawn * covered
    matrix = np.array([[1, 0, camera(at_s)[0]], [0, 1, camera(at_s)[1]]])
    whole = cv2.warpAffine(whole, matrix, (640, 480), borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(int(1000 * at_s)).normal(0, 1.5, whole.shape)
    return np.asarray(np.clip(whole + noise, 0, 255)[..., None].repeat(3, axis=2), np.uint8)


def box(at_s: float, place: Place) -> tuple[float, float, float, float]:
    x, y = place(at_s)
    half = FACE_PX / 2
    return CENTRE[0] + x - half, CENTRE[1] + y - 1.2 * half, CENTRE[0] + x + half, CENTRE[1] + y + 1.2 * half


def verdict(
    seconds: float,
    place: Place,
    check: PassiveCheck | None = None,
    seen_at: Place | None = None,
    **changes: object,
) -> PadVerdict:
    """What the check says in the end; ``seen_at`` is where the face is told to be, where that is not its ``place``."""
    check = check or PassiveCheck.create(PassiveSettings())
    found = PadVerdict()
    for look in range(round(seconds / INTERVAL_S)):
        at_s = look * INTERVAL_S
        image = picture(at_s, place, **changes)  # type: ignore[arg-type]  # as written there
        found = check.observe("1", image, box(at_s, seen_at or place), START + timedelta(seconds=at_s))
    return found


def resting(_: float) -> tuple[float, float]:
    return 0.0, 0.0


def test_a_photograph_that_is_held_is_suspected() -> None:
    found = verdict(4, swaying)
    assert found.state is PadState.SUSPECTED
    assert "together with what is around it" in found.reason


def test_it_is_found_where_the_tracker_is_a_little_off() -> None:
    assert verdict(4, swaying, seen_at=resting).state is PadState.SUSPECTED


def test_a_camera_that_shakes_hides_no_photograph_and_makes_none() -> None:
    def shaking(at_s: float) -> tuple[float, float]:
        return 6 * np.sin(3 * at_s), 4 * np.sin(5 * at_s)

    def seen_at(at_s: float) -> tuple[float, float]:
        (a, b), (c, d) = swaying(at_s), shaking(at_s)
        return a + c, b + d

    assert verdict(4, swaying, seen_at=seen_at, camera=shaking).state is PadState.SUSPECTED
    # Everything moves along with the face that does not move: that is the camera.
    assert verdict(8, resting, seen_at=shaking, camera=shaking).state is not PadState.SUSPECTED


def test_somebody_who_talks_is_bona_fide() -> None:
    assert verdict(4, swaying, head_only=True, talks=True).state is PadState.BONA_FIDE


def test_a_head_that_is_stiff_is_not_suspected() -> None:
    assert verdict(12, swaying, head_only=True).state is PadState.UNDECIDED


def test_a_photograph_that_talks_is_no_photograph() -> None:
    """A replayed video: what cannot be told is not claimed."""
    assert verdict(6, swaying, talks=True).state is not PadState.SUSPECTED


def test_before_a_bare_wall_a_head_is_not_suspected() -> None:
    assert verdict(12, swaying, head_only=True, room=np.full_like(ROOM, 128)).state is PadState.UNDECIDED


def test_what_never_moves_is_suspected_in_the_end() -> None:
    assert verdict(19, resting).state is PadState.UNDECIDED
    found = verdict(23, resting)
    assert (found.state, found.reason) == (PadState.SUSPECTED, "the face did not move or blink for 20 seconds")
    early = PassiveCheck.create(PassiveSettings(still_s=8))
    assert verdict(11, resting, early).state is PadState.SUSPECTED


def test_somebody_who_moves_a_little_in_that_time_is_not() -> None:
    def breathing(at_s: float) -> tuple[float, float]:
        return 0.0, 1.2 * np.sin(1.5 * at_s)

    assert verdict(40, breathing, head_only=True).state is PadState.UNDECIDED


@pytest.mark.parametrize("size", [(0.0, 0.0), (5000.0, 5000.0)])
def test_a_face_that_is_none_or_fills_the_picture_is_not_looked_at(size: tuple[float, float]) -> None:
    check = PassiveCheck.create(PassiveSettings())
    image = picture(0, resting)
    for look in range(9):
        found = check.observe("1", image, (10, 10, 10 + size[0], 10 + size[1]), START + timedelta(seconds=look))
    assert found == PadVerdict()


def test_many_faces_do_not_mix() -> None:
    check = PassiveCheck.create(PassiveSettings())
    still = box(0, lambda _: (-200.0, -150.0))
    for look in range(14):
        at_s = look * INTERVAL_S
        image, at = picture(at_s, swaying), START + timedelta(seconds=at_s)
        other = check.observe("2", image, still, at)
        held = check.observe("1", image, box(at_s, swaying), at)
    assert (held.state, other.state) == (PadState.SUSPECTED, PadState.UNDECIDED)
