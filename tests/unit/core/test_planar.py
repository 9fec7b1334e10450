"""How a flat picture moves, and how a face does that is none: on a made-up texture, warped exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from optimind.core.planar import FACE_PX, PATCH_PX, Comparison, Patch, PlanarReference

MIDDLE = (PATCH_PX - 1) / 2
STILL = np.zeros(2)
ROOM = 130.0
"""The grey of the made-up pictures."""


def texture(seed: int, blur: float = 2.0, contrast: float = 40.0) -> NDArray[np.float64]:
    noise = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (2 * PATCH_PX, 2 * PATCH_PX)), blur)
    return np.asarray(ROOM + contrast * noise / noise.std())


def seen(
    picture: NDArray[np.float64], linear: NDArray[np.float64] | None = None, shift: tuple[float, float] = (0, 0)
) -> Patch:
    """What of ``picture`` is in a patch when it was moved by that map about the patch's middle."""
    back = np.linalg.inv(np.eye(2) if linear is None else linear)
    rows, columns = np.mgrid[0:PATCH_PX, 0:PATCH_PX] - MIDDLE
    x, y = columns - shift[0], rows - shift[1]
    origin = picture.shape[0] / 2
    at = [back[1, 0] * x + back[1, 1] * y + origin, back[0, 0] * x + back[0, 1] * y + origin]
    return np.asarray(map_coordinates(picture, at, order=3), np.float32)


def head(in_room: NDArray[np.float64], face: NDArray[np.float64], shift: tuple[float, float]) -> Patch:
    """An oval of ``face``, moved by ``shift``, before a room that stays."""
    rows, columns = np.mgrid[0:PATCH_PX, 0:PATCH_PX] - MIDDLE
    x, y = (columns - shift[0]) / FACE_PX, (rows - shift[1]) / FACE_PX
    is_head = (x / 0.62) ** 2 + (y / 0.78) ** 2 < 1
    return np.where(is_head, seen(face, shift=shift), seen(in_room)).astype(np.float32)


def compared(
    before: Patch, now: Patch, start: tuple[float, float] = (0, 0), room: NDArray[np.float64] = STILL
) -> Comparison:
    found = PlanarReference(before).compare(now, np.array(start, dtype=np.float64), room)
    assert found is not None
    return found


maps = st.tuples(
    st.floats(-0.1, 0.1),  # a turn, radians
    st.floats(0.9, 1.1),  # nearer or further
    st.floats(-0.05, 0.05),  # sheared, as what is tilted
    st.floats(-4, 4),
    st.floats(-4, 4),
)


@settings(max_examples=30, deadline=None)
@given(maps, st.integers(0, 5), st.floats(0.8, 1.2), st.floats(-15, 15))
def test_a_flat_picture_leaves_nothing_and_takes_its_surroundings_along(
    how: tuple[float, float, float, float, float], seed: int, gain: float, offset: float
) -> None:
    turn, scale, shear, x, y = how
    linear = scale * np.array([[math.cos(turn), shear - math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    picture = texture(seed)
    now = gain * seen(picture, linear, (x, y)) + offset
    found = compared(seen(picture), now.astype(np.float32), (round(x), round(y)))
    assert found.misfit < 0.002
    assert found.moved == pytest.approx(math.hypot(x, y) / FACE_PX, abs=0.005)


@pytest.mark.parametrize("contrast", [10.0, 20.0, 60.0])
def test_the_misfit_does_not_depend_on_contrast(contrast: float) -> None:
    pictures = [ROOM + (texture(seed) - ROOM) * contrast / 40 for seed in (1, 2)]
    mixed = [0.9 * pictures[0] + 0.1 * other for other in (pictures[0], pictures[1])]
    usual = [0.9 * texture(1) + 0.1 * texture(other) for other in (1, 2)]
    assert compared(seen(mixed[0]), seen(mixed[1])).misfit == pytest.approx(
        compared(seen(usual[0]), seen(usual[1])).misfit, rel=0.05
    )


def test_a_held_picture_goes_along_on_every_side() -> None:
    picture = texture(3)
    found = compared(seen(picture), seen(picture, shift=(3, -2)), (3, -2))
    assert found.misfit < 0.002
    assert min(found.along) > 0.95


def test_behind_a_head_the_room_stays() -> None:
    room, face = texture(4), texture(5)
    found = compared(head(room, face, (0, 0)), head(room, face, (3, -2)), (3, -2))
    assert found.misfit < 0.003
    assert max(found.along) < 0.2
    assert found.moved == pytest.approx(math.hypot(3, 2) / FACE_PX, abs=0.005)


def test_a_camera_that_moves_is_no_movement_of_the_face() -> None:
    picture = texture(6)
    moved = np.array([3.0, -2.0])
    found = compared(seen(picture), seen(picture, shift=(3, -2)), (3, -2), moved)
    assert found.moved < 0.005
    # Both explanations are the same one, so nothing speaks for either.
    assert all(math.isnan(part) for part in found.along)


def test_before_a_bare_wall_nothing_can_be_told() -> None:
    wall = np.full((2 * PATCH_PX, 2 * PATCH_PX), ROOM)
    face = texture(7)
    found = compared(head(wall, face, (0, 0)), head(wall, face, (0, 2)), (0, 2))
    assert math.isnan(found.along[0])
    assert math.isnan(found.along[1])


@pytest.mark.parametrize("part", [0.15, 0.3])
def test_a_mouth_that_opens_is_seen(part: float) -> None:
    """A part of the face that moves by itself, as much as three pixels of a face of 40."""
    picture = texture(8)
    rows, columns = np.mgrid[0:PATCH_PX, 0:PATCH_PX] - MIDDLE
    mouth = np.exp(-((columns / (part * FACE_PX)) ** 2) - ((rows - 12) / (part * FACE_PX)) ** 2)
    at = [rows + picture.shape[0] / 2 - 3 * mouth, columns + picture.shape[0] / 2]
    now = np.asarray(map_coordinates(picture, at, order=3), np.float32)
    assert compared(seen(picture), now).misfit > 0.009


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_noise_is_no_life(noise: float) -> None:
    picture, rng = texture(9), np.random.default_rng(9)
    pair = [seen(picture) + rng.normal(0, noise, (PATCH_PX, PATCH_PX)).astype(np.float32) for _ in range(2)]
    found = compared(pair[0], pair[1])
    assert found.misfit < 0.005
    assert found.moved < 0.003


def test_what_left_the_patch_is_not_found() -> None:
    reference = PlanarReference(seen(texture(10)))
    assert reference.compare(seen(texture(10)), np.array([60.0, 0.0]), STILL) is None


def test_a_face_without_contrast_is_not_judged() -> None:
    assert not PlanarReference(np.full((PATCH_PX, PATCH_PX), 90, np.float32)).is_usable
    assert PlanarReference(seen(texture(11))).is_usable
