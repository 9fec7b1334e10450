"""What is said of each part of the picture, each seat and each door: how large the faces are, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from optimind.core.shots import GOOD
from optimind.core.zones import Zone, Zones
from optimind.gallery.quality import MIN_FACE_PX, MIN_FRONTALITY, MIN_LIGHT, MIN_SHARPNESS
from optimind.placement.looking import Faces

__all__ = ["AREAS", "Finding", "Placement", "Verdict", "Wanted", "place"]

Verdict = Literal["good", "poor", "too_small", "nobody_seen"]

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("far left", "left", "right", "far right")
AREAS = (len(_ROWS), len(_COLUMNS))
"""Rows and columns of the parts into which the picture is divided."""

_STEP = 0.9
"""Detectors tell sizes in steps: a face of this much of what is needed may be one that is large enough."""
_OFTEN = 1 / 3
"""What is wrong in fewer of the pictures is no fault of the place."""
_DARK = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """How large a face must be in pictures of ``width`` x ``height`` pixels.

    ``min_face_px`` is what the settings look for, ``finds_from_px`` what the engine finds at best (0: not known).
    """

    width: int
    height: int
    min_face_px: int
    finds_from_px: float

    @property
    def found_from_px(self) -> float:
        """From which size a run finds a face surely."""
        return max(float(self.min_face_px), self.finds_from_px)

    @property
    def needed_px(self) -> float:
        """From which size a face is found, and is as large as one that may be enrolled."""
        return max(self.found_from_px, float(MIN_FACE_PX))


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen in one place.

    ``kind`` is ``area`` or that of the zone. ``at_once``: the most faces in one picture; ``seen``: the faces in all of
    them. Sizes are pixels, None where nobody was seen. ``problems``: ``small`` alone, or ``blurred``, ``dark``,
    ``glaring``, ``turned_away``, the most frequent one first. ``advice`` says what to do, empty where nothing is.
    """

    name: str
    kind: Literal["area", "seat", "door"]
    verdict: Verdict
    at_once: int
    seen: int
    median_px: float | None
    smallest_px: float | None
    problems: tuple[str, ...]
    advice: str

    def as_json(self) -> dict[str, Any]:
        """Plain types, sizes to a tenth of a pixel."""
        return {
            "name": self.name,
            "kind": self.kind,
            "verdict": self.verdict,
            "faces_at_once": self.at_once,
            "faces_seen": self.seen,
            "median_px": _tenths(self.median_px),
            "smallest_px": _tenths(self.smallest_px),
            "problems": list(self.problems),
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """What was found with one camera. ``faces`` leaves out the ``ignored`` ones, ``verdicts`` has one for each."""

    wanted: Wanted
    pictures: int
    faces: Faces
    ignored: int
    verdicts: tuple[Verdict, ...]
    areas: tuple[Finding, ...]
    zones: tuple[Finding, ...]

    @property
    def is_fine(self) -> bool:
        """Whether nobody has to do anything: every seat good, doors not bad; without zones, each area with faces."""
        if not len(self.faces):
            return False
        if not self.zones:
            return all(area.verdict in ("good", "nobody_seen") for area in self.areas)
        return all(
            zone.verdict == "good" or (zone.kind == "door" and zone.verdict == "nobody_seen") for zone in self.zones
        )

    def as_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "picture": {"width": self.wanted.width, "height": self.wanted.height},
            "pictures": self.pictures,
            "found_from_px": round(self.wanted.found_from_px, 1),
            "enrolled_from_px": MIN_FACE_PX,
            "faces": len(self.faces),
            "ignored": self.ignored,
            "areas": [area.as_json() for area in self.areas],
            "zones": [zone.as_json() for zone in self.zones],
        }


def place(faces: Faces, pictures: int, zones: Zones, wanted: Wanted) -> Placement:
    """Say what was seen where. ``faces`` are those of all ``pictures``, the ones in zones to ignore among them."""
    inside = zones.contains(faces.middle)
    ignored = np.asarray(inside[[zone.kind == "ignore" for zone in zones]].any(axis=0))
    kept = faces[~ignored]
    return Placement(
        wanted,
        pictures,
        kept,
        int(ignored.sum()),
        tuple(_verdict(kept[np.arange(len(kept)) == row], wanted) for row in range(len(kept))),
        tuple(_finding(name, "area", kept[rows], wanted) for name, rows in _areas(kept)),
        tuple(_of_zone(zone, faces[rows & ~ignored], wanted) for zone, rows in zip(zones, inside, strict=True)
              if zone.kind != "ignore"),
    )  # fmt: skip


def _tenths(px: float | None) -> float | None:
    return None if px is None else round(px, 1)


def _areas(faces: Faces) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    rows, columns = AREAS
    at = (faces.middle * [columns, rows]).astype(int)
    for row, vertically in enumerate(_ROWS):
        for column, across in enumerate(_COLUMNS):
            yield f"{vertically} {across}", (at[:, 0] == column) & (at[:, 1] == row)


def _of_zone(zone: Zone, faces: Faces, wanted: Wanted) -> Finding:
    return _finding(zone.name, "door" if zone.kind == "door" else "seat", faces, wanted)


def _finding(name: str, kind: Literal["area", "seat", "door"], faces: Faces, wanted: Wanted) -> Finding:
    verdict = _verdict(faces, wanted)
    problems = _problems(faces) if verdict == "poor" else ("small",) if verdict == "too_small" else ()
    at_once = int(np.unique(faces.picture, return_counts=True)[1].max()) if len(faces) else 0
    median, smallest = (float(np.median(faces.face_px)), float(faces.face_px.min())) if len(faces) else (None, None)
    if kind == "seat" and verdict == "nobody_seen":
        advice = "let somebody sit there and look again; if nobody is found then either, the face is too small"
    else:
        advice = "; ".join(_advice(problem, median or 0.0, wanted) for problem in problems)
    return Finding(name, kind, verdict, at_once, len(faces), median, smallest, problems, advice)


def _verdict(faces: Faces, wanted: Wanted) -> Verdict:
    if not len(faces):
        return "nobody_seen"
    if float(np.median(faces.face_px)) < _STEP * wanted.needed_px:
        return "too_small"
    wrong = np.any([fault for _, fault in _faults(faces)], axis=0) | (faces.quality < GOOD)
    return "poor" if wrong.mean() > 0.5 else "good"


def _faults(faces: Faces) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each problem but size, and which of the faces have it."""
    badly_lit = faces.light < MIN_LIGHT
    yield "blurred", faces.sharpness < MIN_SHARPNESS
    yield "dark", badly_lit & (faces.brightness < _DARK)
    yield "glaring", badly_lit & (faces.brightness >= _DARK)
    yield "turned_away", faces.frontality < MIN_FRONTALITY


def _problems(faces: Faces) -> tuple[str, ...]:
    shares = {name: float(fault.mean()) for name, fault in _faults(faces)}
    by_share = sorted(shares, key=lambda name: -shares[name])
    often = [name for name in by_share if shares[name] >= _OFTEN]
    # The most frequent one in any case: several rare ones can spoil more than half of the pictures together.
    return tuple(often or by_share[:1])


def _advice(problem: str, median_px: float, wanted: Wanted) -> str:
    match problem:
        case "small":
            return _larger(median_px, wanted)
        case "blurred":
            return "make the picture sharper: focus the lens, clean it, give more light (a short exposure blurs less)"
        case "dark":
            return "more light on the faces; no window or lamp behind them"
        case "glaring":
            return "less light on the faces: no sun or lamp straight on them, or a lower exposure of the camera"
    return "hang the camera where people look at, at the height of their eyes or little above"


def _larger(median_px: float, wanted: Wanted) -> str:
    if median_px >= max(_STEP * MIN_FACE_PX, wanted.finds_from_px):
        least = max(MIN_FACE_PX, math.floor(median_px))
        return f"large enough, but not looked for: set detection.min_face_px in config.yaml to {least}"
    factor = math.ceil(10 * max(1.1, wanted.needed_px / max(median_px, 1))) / 10
    stream = f"{math.ceil(factor * wanted.width)} x {math.ceil(factor * wanted.height)}"
    return (
        f"make the faces {factor:.1f} times as large: hang the camera closer (at {1 / factor:.0%} of the distance), "
        f"zoom in, or choose a stream of {stream} pixels or more"
    )
