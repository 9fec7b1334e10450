"""What is said of a place, by the faces seen there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from optimind.core.shots import quality_of
from optimind.core.zones import Zone, ZoneKind, Zones
from optimind.placement.findings import Placement, Wanted, place
from optimind.placement.looking import Faces

WANTED = Wanted(1000, 500, min_face_px=45, finds_from_px=33.0)
GOOD = {"px": 80.0, "sharpness": 0.2, "light": 1.0, "brightness": 120.0, "frontality": 0.9}


def faces(*described: dict[str, Any]) -> Faces:
    """Faces with the middle at (x, y), fractions of the picture; what is not said is good."""
    rows = [{"x": 0.3, "y": 0.3, "picture": at, **GOOD, **face} for at, face in enumerate(described)]
    column = {name: np.array([float(row[name]) for row in rows]) for name in (*GOOD, "x", "y", "picture")}
    middle = np.stack([column["x"], column["y"]], axis=1).reshape(-1, 2)
    half = np.stack([column["px"], column["px"]], axis=1) / 2
    return Faces(
        picture=column["picture"].astype(np.intp),
        xyxy=np.hstack([middle * [1000, 500] - half, middle * [1000, 500] + half]),
        middle=middle,
        face_px=column["px"],
        sharpness=column["sharpness"],
        light=column["light"],
        brightness=column["brightness"],
        frontality=column["frontality"],
        quality=quality_of(column["px"], column["sharpness"], column["frontality"]),
    )


def zone(name: str, kind: ZoneKind = "seat", left: float = 0.2) -> Zone:
    return Zone(name, kind, ((left, 0.2), (left + 0.2, 0.2), (left + 0.2, 0.6), (left, 0.6)))


def seat_with(*described: dict[str, Any], wanted: Wanted = WANTED) -> Any:
    return place(faces(*described), max(1, len(described)), Zones((zone("A1"),)), wanted).zones[0]


@pytest.mark.parametrize(
    ("described", "verdict", "problems"),
    [
        ([{}], "good", ()),
        ([{"px": 41}], "good", ()),  # a step of the detector below what is needed
        ([{"px": 40}], "too_small", ("small",)),
        ([{"px": 25, "sharpness": 0.01}], "too_small", ("small",)),  # a small face looks blurred anyway
        ([{"sharpness": 0.029}], "poor", ("blurred",)),
        ([{"light": 0.7, "brightness": 30}], "poor", ("dark",)),
        ([{"light": 0.7, "brightness": 230}], "poor", ("glaring",)),
        ([{"frontality": 0.4}], "poor", ("turned_away",)),
        ([{"frontality": 0.4, "sharpness": 0.02}], "poor", ("blurred", "turned_away")),
        # A head bent in half of the pictures does not matter: a name needs only a few good ones.
        ([{}, {"frontality": 0.1}], "good", ()),
        ([{}, {"frontality": 0.1}, {"sharpness": 0.01}], "poor", ("blurred", "turned_away")),
        ([{}, *[{"frontality": 0.1}] * 3, {"sharpness": 0.01}], "poor", ("turned_away",)),
        ([{"px": 30}, {"px": 80}, {"px": 90}], "good", ()),  # somebody far behind the seat
        ([{"x": 0.7}], "nobody_seen", ()),
        ([], "nobody_seen", ()),
    ],
)
def test_a_seat(described: list[dict[str, Any]], verdict: str, problems: tuple[str, ...]) -> None:
    seat = seat_with(*described)
    assert (seat.verdict, seat.problems) == (verdict, problems)
    assert bool(seat.advice) == (verdict != "good")


@pytest.mark.parametrize(
    ("px", "wanted", "words"),
    [
        (
            25.0,
            WANTED,
            "1.8 times as large: hang the camera closer (at 56% of the distance), zoom in",
        ),
        (25.0, WANTED, "1800 x 900 pixels"),
        (35.0, Wanted(1000, 500, 30, 33.0), "1.2 times as large"),  # found, but below the enrolment quality
        (50.0, Wanted(1000, 500, 80, 33.0), "set detection.min_face_px in config.yaml to 50"),
        (50.0, Wanted(1000, 500, 45, 66.0), "1.4 times as large"),  # the engine finds none so small
        (38.0, Wanted(1000, 500, 80, 0.0), "set detection.min_face_px in config.yaml to 40"),
    ],
)
def test_what_to_do_about_small_faces(px: float, wanted: Wanted, words: str) -> None:
    assert words in seat_with({"px": px}, wanted=wanted).advice


def test_what_is_counted() -> None:
    seat = seat_with({"px": 50, "picture": 0}, {"px": 60, "picture": 0}, {"px": 90, "picture": 1})
    assert (seat.at_once, seat.seen, seat.median_px, seat.smallest_px) == (2, 3, 60, 50)
    assert seat.as_json()["median_px"] == 60.0


def placed(*described: dict[str, Any], zones: Zones | None = None) -> Placement:
    return place(faces(*described), 1, zones or Zones(), WANTED)


@pytest.mark.parametrize(
    ("x", "y", "name"),
    [
        (0, 0, "top far left"),
        (0.3, 0.2, "top left"),
        (0.5, 0.34, "middle right"),
        (0.999, 0.999, "bottom far right"),
    ],
)
def test_parts_of_the_picture(x: float, y: float, name: str) -> None:
    found = placed({"x": x, "y": y})
    assert [area.name for area in found.areas if area.seen] == [name]
    assert len(found.areas) == 12
    assert {area.verdict for area in found.areas if not area.seen} == {"nobody_seen"}


def test_ignored_faces_count_nowhere() -> None:
    zones = Zones((zone("A1"), zone("poster", "ignore", 0.3)))
    found = placed({"x": 0.25, "px": 50}, {"x": 0.35, "px": 20}, {"x": 0.45, "px": 20}, zones=zones)
    assert (found.ignored, len(found.faces)) == (2, 1)
    assert [(finding.name, finding.seen) for finding in found.zones] == [("A1", 1)]
    assert sum(area.seen for area in found.areas) == 1
    assert found.verdicts == ("good",)


SEAT, DOOR = zone("A1"), zone("door", "door", 0.6)


@pytest.mark.parametrize(
    ("described", "zones", "is_fine"),
    [
        ([], (), False),
        ([{}], (), True),
        ([{}, {"px": 20, "x": 0.9}], (), False),
        ([{}, {"px": 20, "x": 0.95}], (SEAT,), True),  # with seats, only they count
        ([{"px": 20}], (SEAT,), False),
        ([{"x": 0.9}], (SEAT,), False),  # nobody on the seat
        ([{}], (SEAT, DOOR), True),  # nobody at the door
        ([{}, {"px": 20, "x": 0.7}], (SEAT, DOOR), False),
        ([{}], (zone("poster", "ignore", 0.7),), True),
    ],
)
def test_whether_somebody_must_do_something(
    described: list[dict[str, Any]], zones: tuple[Zone, ...], is_fine: bool
) -> None:
    assert placed(*described, zones=Zones(zones)).is_fine is is_fine


def test_as_json() -> None:
    document = placed({"px": 50.04}, zones=Zones((SEAT,))).as_json()
    assert json.loads(json.dumps(document)) == document
    assert document["picture"] == {"width": 1000, "height": 500}
    assert (document["found_from_px"], document["enrolled_from_px"]) == (45.0, 40)
    assert document["zones"][0] == {
        "name": "A1",
        "kind": "seat",
        "verdict": "good",
        "faces_at_once": 1,
        "faces_seen": 1,
        "median_px": 50.0,
        "smallest_px": 50.0,
        "problems": [],
        "advice": "",
    }
