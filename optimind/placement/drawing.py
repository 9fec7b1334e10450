"""Draws what was found on the picture that shows most faces: boxes and zones in the colour of their verdict."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import cvzone
import numpy as np
from numpy.typing import NDArray

from optimind.core.types import Frame, Image
from optimind.core.zones import Line, Zone, Zones
from optimind.errors import OptiMindError, UsageError
from optimind.placement.findings import AREAS, Finding, Placement, Verdict

__all__ = ["check_drawable", "draw_placement", "write_picture"]

Colour = tuple[int, int, int]

_COLOURS: dict[Verdict, Colour] = {
    "good": (60, 150, 40),
    "poor": (0, 140, 230),
    "too_small": (50, 50, 200),
    "nobody_seen": (130, 130, 130),
}
_IGNORED: Colour = (200, 80, 120)
_LINE: Colour = (200, 120, 20)
_GRID: Colour = (210, 210, 210)
_LEGEND: Colour = (40, 40, 40)
_LONGEST_NAME = 16


def draw_placement(frames: list[Frame], placement: Placement, zones: Zones, line: Line | None) -> Image:
    """Return the picture of ``frames`` with most faces, drawn on, with a legend below it.

    The parts of the picture are named where there are no seats and doors.
    """
    seen = np.bincount(placement.faces.picture, minlength=len(frames))
    number = int(seen.argmax())
    canvas = frames[number].image.copy()
    scale = max(0.5, canvas.shape[0] / 1080)
    if not placement.zones:
        _draw_grid(canvas, scale)
    _draw_zones(canvas, zones, placement.zones, scale)
    if line is not None:
        _draw_line(canvas, line, scale)
    for row in np.flatnonzero(placement.faces.picture == number):
        _draw_face(canvas, placement.faces.xyxy[row], placement.faces.face_px[row], placement.verdicts[row], scale)
    # Last, so that no face hides what place it is.
    _name_zones(canvas, zones, placement.zones, scale)
    if not placement.zones:
        _name_areas(canvas, placement.areas, scale)
    return np.vstack([canvas, _legend(placement, canvas.shape[1], scale)])


def check_drawable(path: Path) -> None:
    """Raise :class:`UsageError` where ``path`` can be no picture."""
    if not path.parent.is_dir() or path.is_dir() or not cv2.haveImageWriter(str(path)):
        raise UsageError(f"--output {path} can be no picture", mend="name a .png or .jpg in a folder that exists")


def write_picture(path: Path, picture: Image) -> None:
    """Write ``picture``. Raises :class:`OptiMindError` where that cannot be done."""
    try:
        _, data = cv2.imencode(path.suffix, picture)
        path.write_bytes(data.tobytes())
    except (OSError, cv2.error) as error:
        raise OptiMindError(
            f"the picture {path} cannot be written: {error}", mend="name a .png or .jpg in a folder that exists"
        ) from error


def _draw_grid(canvas: Image, scale: float) -> None:
    height, width = canvas.shape[:2]
    rows, columns = AREAS
    thickness = max(1, round(scale))
    for column in range(1, columns):
        x = width * column // columns
        cv2.line(canvas, (x, 0), (x, height), _GRID, thickness)
    for row in range(1, rows):
        y = height * row // rows
        cv2.line(canvas, (0, y), (width, y), _GRID, thickness)


def _name_areas(canvas: Image, areas: tuple[Finding, ...], scale: float) -> None:
    height, width = canvas.shape[:2]
    rows, columns = AREAS
    for place, area in enumerate(areas):
        if area.median_px is not None:
            row, column = divmod(place, columns)
            where = (width * column // columns + round(8 * scale), height * row // rows + round(24 * scale))
            _text(canvas, f"{area.name}: {area.median_px:.0f} px", where, 0.9 * scale, _COLOURS[area.verdict])


def _draw_zones(canvas: Image, zones: Zones, found: tuple[Finding, ...], scale: float) -> None:
    for zone in zones:
        colour, corners = _zone_colour(zone, found), _corners(zone, canvas)
        filled = canvas.copy()
        cv2.fillPoly(filled, [corners], colour)
        cv2.addWeighted(filled, 0.2, canvas, 0.8, 0, dst=canvas)
        cv2.polylines(canvas, [corners], isClosed=True, color=colour, thickness=max(2, round(3 * scale)))


def _name_zones(canvas: Image, zones: Zones, found: tuple[Finding, ...], scale: float) -> None:
    findings = {finding.name: finding for finding in found}
    for zone in zones:
        corners, finding = _corners(zone, canvas), findings.get(zone.name)
        label = f"{_drawable(zone.name)}: {'ignored' if finding is None else _words(finding)}"
        left, bottom = int(corners[:, 0].min()), int(corners[:, 1].max())
        where = (left + round(6 * scale), bottom - round(8 * scale))
        _text(canvas, label, where, scale, _zone_colour(zone, found))


def _zone_colour(zone: Zone, found: tuple[Finding, ...]) -> Colour:
    return next((_COLOURS[finding.verdict] for finding in found if finding.name == zone.name), _IGNORED)


def _corners(zone: Zone, canvas: Image) -> NDArray[np.int32]:
    return np.round(np.array(zone.polygon) * canvas.shape[1::-1]).astype(np.int32)


def _draw_line(canvas: Image, line: Line, scale: float) -> None:
    size = np.array(canvas.shape[1::-1])
    start, end = np.array(line.start) * size, np.array(line.end) * size
    along = (end - start) / np.linalg.norm(end - start)
    inner = np.array([-along[1], along[0]]) * (1 if line.inside == "right" else -1)
    middle, thickness = (start + end) / 2, max(2, round(3 * scale))
    cv2.line(canvas, _pixel(start), _pixel(end), _LINE, thickness)
    cv2.arrowedLine(canvas, _pixel(middle), _pixel(middle + 70 * scale * inner), _LINE, thickness, tipLength=0.3)
    _text(canvas, "in", _pixel(middle + 80 * scale * inner), scale, _LINE)


def _draw_face(canvas: Image, box: NDArray[np.float64], face_px: float, verdict: Verdict, scale: float) -> None:
    left, top, right, bottom = (round(float(value)) for value in box)
    cvzone.cornerRect(
        canvas,
        (left, top, right - left, bottom - top),
        l=max(5, (right - left) // 5),
        t=max(2, round(3 * scale)),
        rt=1,
        colorR=_COLOURS[verdict],
        colorC=_COLOURS[verdict],
    )
    _text(canvas, f"{face_px:.0f}", (left, max(top - round(6 * scale), round(16 * scale))), scale, _COLOURS[verdict])


def _legend(placement: Placement, width: int, scale: float) -> Image:
    """A strip of two lines: what the colours mean, and what is needed."""
    strip = np.full((round(80 * scale), width, 3), _LEGEND, dtype=np.uint8)
    x = round(12 * scale)
    entries = [*((verdict.replace("_", " "), colour) for verdict, colour in _COLOURS.items()), ("ignored", _IGNORED)]
    for words, colour in entries:
        side = round(20 * scale)
        cv2.rectangle(strip, (x, round(10 * scale)), (x + side, round(10 * scale) + side), colour, cv2.FILLED)
        x = _write(strip, words, (x + round(1.4 * side), round(28 * scale)), scale) + round(28 * scale)
    needed = f"numbers: width of the faces in px; {placement.wanted.needed_px:.0f} px or more are needed"
    _write(strip, needed, (round(12 * scale), round(64 * scale)), scale)
    return strip


def _write(strip: Image, words: str, where: tuple[int, int], scale: float) -> int:
    """Write ``words`` and return where they end."""
    size, thickness = 0.62 * scale, max(1, round(1.4 * scale))
    cv2.putText(strip, words, where, cv2.FONT_HERSHEY_SIMPLEX, size, (235, 235, 235), thickness, cv2.LINE_AA)
    return where[0] + int(cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)[0][0])


def _text(canvas: Image, text: str, where: tuple[int, int], scale: float, colour: Colour) -> None:
    size, thickness, rim = 0.62 * scale, max(1, round(1.4 * scale)), max(2, round(4 * scale))
    width = int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)[0][0])
    # What begins at the right border would end outside the picture.
    inside = (max(0, min(where[0], canvas.shape[1] - width - rim)), where[1])
    cvzone.putTextRect(
        canvas,
        text,
        inside,
        scale=size,
        thickness=thickness,
        offset=rim,
        font=cv2.FONT_HERSHEY_SIMPLEX,
        colorT=(255, 255, 255),
        colorR=colour,
    )


def _words(finding: Finding) -> str:
    size = "" if finding.median_px is None else f" {finding.median_px:.0f} px"
    return f"{finding.verdict.replace('_', ' ')}{size}"


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _drawable(name: str) -> str:
    """``name`` in the letters that OpenCV's fonts have: without accents, others as a question mark."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    text = plain.encode("ascii", "replace").decode()
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}."
