"""Takes pictures spread over a stretch of time, and finds and measures every face in them as closely as it can."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import centres, sizes
from optimind.core.pose import frontality_in
from optimind.core.shots import quality_of
from optimind.core.types import Frame, Image
from optimind.core.zones import Points, middles
from optimind.errors import SourceError
from optimind.gallery.quality import light, sharpness
from optimind.plugin_api import Detector, Source

__all__ = ["LOOKED_FROM_PX", "CloseLook", "Faces", "pictures_of"]

log = logging.getLogger(__name__)

LOOKED_FROM_PX = 20
"""Smaller faces than a run is ever set to find: so that somebody who sits too far away is seen here, and said so."""
_MOST_PICTURES = 12
"""With ``dlib`` two cores look at one of 1920 x 1080 for about a second, and for three where they look closely."""
_FIRST_INTERVAL_S = 0.5
_LARGEST_ENLARGEMENT = 2.0
"""A detector enlarges by itself as far as faces can be recognised; here it is enough that they are found."""
_CLOSELY_EACH = 3
_MOST_ALONG = 8
_WORTH_A_CLOSER_LOOK = 1.2
"""How much smaller the faces must be that a closer look would find."""
_SMALL_PICTURE = (640, 360)


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The n faces in all pictures of one camera, as parallel arrays.

    ``picture`` (n,) counts the pictures from 0; ``xyxy`` (n, 4) are pixels of that picture and ``middle`` (n, 2) is in
    fractions of it. ``face_px``, ``sharpness``, ``light``, ``frontality`` and ``quality`` (n,) are what enrolment and
    recognition judge by; ``brightness`` (n,) is the mean grey level, 0-255.
    """

    picture: NDArray[np.intp]
    xyxy: NDArray[np.float64]
    middle: Points
    face_px: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    light: NDArray[np.float64]
    brightness: NDArray[np.float64]
    frontality: NDArray[np.float64]
    quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.picture)

    def __getitem__(self, rows: NDArray[np.bool_]) -> Faces:
        """The faces at ``rows``, a mask."""
        return Faces(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: list[Faces]) -> Faces:
        """All faces of ``parts``, which are one or more."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


def pictures_of(source: Source, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> list[Frame]:
    """Open ``source`` and take up to twelve pictures, spread evenly over its next ``seconds`` or until it ends.

    Raises :class:`SourceError` where there is none; one that is lost later is warned of.
    """
    kept: list[Frame] = []
    interval_s, due_s = _FIRST_INTERVAL_S, 0.0
    try:
        source.open()
        for at_s, frame in _read(source, seconds, clock):
            if at_s < due_s:
                continue
            kept.append(frame)
            if len(kept) > _MOST_PICTURES:
                # Nobody knows how long a recording is: every second one goes, and the next ones are twice as far apart.
                del kept[1::2]
                interval_s *= 2
            due_s = at_s + interval_s
    except SourceError as error:
        if not kept:
            raise
        log.warning("%s; what was seen before counts", error)
    finally:
        source.close()
    if not kept:
        raise SourceError("the source ended before its first picture", mend="name one that shows something")
    return kept


def _read(source: Source, seconds: float, clock: Callable[[], float]) -> Iterator[tuple[float, Frame]]:
    """Frames and how long after the first one they were taken, until ``seconds`` are over."""
    began_s: float | None = None
    while (frame := source.read()) is not None:
        now_s = clock() if frame.position_s is None else frame.position_s
        began_s = now_s if began_s is None else began_s
        if now_s - began_s > seconds:
            return
        yield now_s - began_s, frame


class CloseLook:
    """Looks at a picture as a whole and, where that finds smaller faces, at overlapping, enlarged parts of it."""

    def __init__(self, detector: Detector) -> None:
        """``detector`` was made for faces of :data:`LOOKED_FROM_PX`."""
        self._detector = detector

    def faces_in(self, image: Image, picture: int) -> Faces:
        """Find and measure the faces of ``image``, which is the picture of that number: only every third one closely.

        That is enough to see who is too far away, and halves the time.
        """
        height, width = image.shape[:2]
        xyxy, frontality = self._found(image, 1.0)
        enlargement, parts = self._parts(width, height) if picture % _CLOSELY_EACH == 0 else (1.0, [])
        for part in parts:
            boxes, turned = self._found(image[part.top : part.bottom, part.left : part.right], enlargement)
            boxes += np.tile([part.left, part.top], 2)
            new = part.shows_whole(centres(boxes), width, height) & ~_same_face(boxes, xyxy)
            xyxy, frontality = np.concatenate([xyxy, boxes[new]]), np.concatenate([frontality, turned[new]])
        face_px, sharp = sizes(xyxy), sharpness(image, xyxy)
        return Faces(
            picture=np.full(len(xyxy), picture),
            xyxy=xyxy,
            middle=middles(xyxy, width, height),
            face_px=face_px,
            sharpness=sharp,
            light=np.array([light(image, box) for box in xyxy]),
            brightness=np.array([_brightness(image, box) for box in xyxy]),
            frontality=frontality,
            quality=quality_of(face_px, sharp, frontality),
        )

    @property
    def finds_from_px(self) -> float:
        """How wide a face must be to be found in a part of a picture; 0 where that is not known."""
        return self._detector.finds_from_px(*_SMALL_PICTURE)

    def _found(self, image: Image, enlargement: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes, in pixels of ``image``, and frontality of the faces in an enlarged copy of it."""
        height, width = image.shape[:2]
        size = (round(width * enlargement), round(height * enlargement))
        copy = image if enlargement == 1 else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        found = self._detector.detect(np.ascontiguousarray(copy, dtype=np.uint8))
        turned = frontality_in(found)
        return found.xyxy / enlargement, np.ones(len(found)) if turned is None else turned

    def _parts(self, width: int, height: int) -> tuple[float, list[_Part]]:
        """The parts in which smaller faces are found, and how much to enlarge them; none where the whole shows all."""
        at_once, at_best = self._detector.finds_from_px(width, height), self.finds_from_px
        wanted = max(LOOKED_FROM_PX, at_best / _LARGEST_ENLARGEMENT)
        if at_best <= 0 or at_once <= _WORTH_A_CLOSER_LOOK * wanted:
            return 1.0, []
        enlargement = at_best / wanted
        for along in range(1, _MOST_ALONG + 1):
            parts = list(_divided(width, height, along, math.ceil(at_once)))
            size = (max(part.right - part.left for part in parts), max(part.bottom - part.top for part in parts))
            found_from = self._detector.finds_from_px(*(round(enlargement * side) for side in size)) / enlargement
            if found_from <= _WORTH_A_CLOSER_LOOK * wanted:
                break
        return enlargement, parts


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a picture, in its pixels, that has ``margin`` in common with each of its neighbours."""

    left: int
    top: int
    right: int
    bottom: int
    margin: int

    def shows_whole(self, points: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
        """Which faces with these middles are not cut off, and so better seen in a neighbour: (n,)."""
        # A face that only a part shows is narrower than the margin, or the whole picture would have shown it.
        low = [-math.inf if at == 0 else at + 0.75 * self.margin for at in (self.left, self.top)]
        high = [
            math.inf if at == end else at - 0.75 * self.margin
            for at, end in ((self.right, width), (self.bottom, height))
        ]
        return np.asarray(((points >= low) & (points <= high)).all(axis=1))


def _divided(width: int, height: int, along: int, margin: int) -> Iterator[_Part]:
    """A picture in ``along`` x ``along`` parts, each with ``margin`` around it."""
    for row in range(along):
        for column in range(along):
            left, right = max(0, width * column // along - margin), width * (column + 1) // along + margin
            top, bottom = max(0, height * row // along - margin), height * (row + 1) // along + margin
            yield _Part(left, top, min(width, right), min(height, bottom), margin)


def _same_face(boxes: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of ``boxes`` have their middle in a known one, or a known one's middle in them: (n,)."""
    return np.asarray((_within(centres(boxes), known) | _within(centres(known), boxes).T).any(axis=1))


def _within(points: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    at = points[:, None]
    return np.asarray(((at >= boxes[None, :, :2]) & (at <= boxes[None, :, 2:])).all(axis=2))


def _brightness(image: Image, box: NDArray[np.float64]) -> float:
    left, top, right, bottom = (max(0, round(float(value))) for value in box)
    part = image[top:bottom, left:right]
    return float(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY).mean()) if part.size else 0.0
