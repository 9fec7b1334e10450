"""The picture that a person looks at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from optimind.core.types import Frame, Image
from optimind.core.zones import Line, Zone, Zones
from optimind.errors import OptiMindError, UsageError
from optimind.placement.drawing import check_drawable, draw_placement, write_picture
from optimind.placement.findings import Placement, Wanted, place
from optimind.placement.looking import CloseLook, Faces
from optimind.testing.engines import FakeDetector, blank, paint_face

GREEN, RED, GREY = (60, 150, 40), (50, 50, 200), (130, 130, 130)


def frame(image: Image, index: int = 0) -> Frame:
    return Frame("room", index, datetime(2026, 9, 1, tzinfo=UTC), image)


def looked(images: list[Image], zones: Zones) -> Placement:
    look = CloseLook(FakeDetector(20))
    faces = Faces.joined([look.faces_in(image, number) for number, image in enumerate(images)])
    return place(faces, len(images), zones, Wanted(640, 480, 45, 0.0))


def has(picture: Image, colour: tuple[int, int, int]) -> bool:
    return bool((picture == np.array(colour)).all(axis=2).any())


def test_the_picture_with_most_faces_is_drawn() -> None:
    images = [blank(640, 480) for _ in range(3)]
    paint_face(images[0], 1, 300, 300, 60)
    paint_face(images[1], 1, 100, 100, 80)
    paint_face(images[1], 2, 400, 100, 25)
    before = [image.copy() for image in images]
    frames = [frame(image, number) for number, image in enumerate(images)]
    picture = draw_placement(frames, looked(images, Zones()), Zones(), None)
    assert picture.shape[1] == 640
    assert picture.shape[0] > 480  # with the legend
    assert picture.dtype == np.uint8
    # Faces and parts of the picture have the colours of their verdicts.
    assert has(picture[:480, :320], GREEN)
    assert has(picture[:480, 320:], RED)
    assert (picture[200, 130] == 128).all()  # nothing is drawn over the rest
    assert all((one == other).all() for one, other in zip(images, before, strict=True))


def test_zones_are_drawn_in_the_colour_of_their_verdict() -> None:
    image = blank(640, 480)
    paint_face(image, 1, 100, 200, 80)
    seats = [
        Zone("Tür 王", "seat", ((0.1, 0.3), (0.4, 0.3), (0.4, 0.7), (0.1, 0.7))),
        Zone("A2", "seat", ((0.6, 0.3), (0.9, 0.3), (0.9, 0.7), (0.6, 0.7))),
        Zone("poster", "ignore", ((0.4, 0), (0.6, 0), (0.6, 0.2), (0.4, 0.2))),
    ]
    zones = Zones(tuple(seats))
    picture = draw_placement([frame(image)], looked([image], zones), zones, Line((0.5, 0.9), (0.5, 0.3), "left"))
    assert tuple(picture[round(0.3 * 480), round(0.25 * 640)]) == GREEN
    assert tuple(picture[round(0.3 * 480), round(0.75 * 640)]) == GREY
    # Inside, the picture shows through: most of what was there, some of the colour.
    assert picture[180, 480].tolist() == pytest.approx(128 * np.ones(3), abs=15)
    # The arrow points to the side that is in.
    row = round(0.6 * 480)
    assert (picture[row, 300] != 128).any()
    assert (picture[row, 340] == 128).all()


def test_nobody_at_all() -> None:
    picture = draw_placement([frame(blank(64, 48))], looked([blank(64, 48)], Zones()), Zones(), None)
    assert picture.shape[1] == 64


@pytest.mark.parametrize("name", ["p.png", "p.jpg"])
def test_writing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    check_drawable(path)
    write_picture(path, blank())
    assert path.stat().st_size > 100


@pytest.mark.parametrize("name", ["p", "p.yaml", "nowhere/p.png", "."])
def test_what_can_be_no_picture(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be no picture"):
        check_drawable(tmp_path / name)


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "p.png").mkdir()
    with pytest.raises(OptiMindError, match="cannot be written"):
        write_picture(tmp_path / "p.png", blank())
