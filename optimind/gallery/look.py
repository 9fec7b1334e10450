"""Looking at photographs: find the face, judge it, embed it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import iou, sizes
from optimind.core.types import Detections, Image
from optimind.gallery.outcome import Outcome
from optimind.gallery.photographs import LONGER_SIDE_PX, Picture, UnreadableError, read_bytes, read_photograph
from optimind.gallery.quality import MIN_FACE_PX, MainFace, Refusal, judge
from optimind.plugin_api import Detector, Embedder

__all__ = ["look_at", "look_into"]

GLANCES_PX = (121, 200, 480)
"""The longer sides of the first, quick looks. A portrait's face is found in the first of them, in a quarter of the time
that 250 px take; whatever else there may be in the photograph needs no closer look then."""
ENOUGH_PX = MIN_FACE_PX / 0.85
"""A face of this width in a glance is the main one: others would have been found from 0.85 of it, less surely below."""
CLOSER = 1.19
"""Where a glance shows several faces they are looked at in a copy larger by this, which tells their sizes apart."""
SECOND_LOOK = 1.13
SAME_FACE_IOU = 0.4
HELD_PX = 4_000_000
"""So many pixels wait at most, and one photograph's, until the faces in them are embedded together: 12 MB."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A photograph with the one face to enrol, before it is embedded. ``sha256`` is that of the file."""

    sha256: str
    picture: Picture
    main: MainFace


def look_at(
    paths: Sequence[str],
    detector: Detector,
    embedder: Embedder,
    watch: Callable[[Sequence[int]], None] = lambda _: None,
) -> list[Outcome]:
    """Return what each photograph at ``paths`` gives; a bad photograph is an outcome, not an error.

    Their faces are embedded together, but no more than :data:`HELD_PX` pixels wait for that. ``watch`` is told which of
    the photographs are worked on now. ``detector`` must find faces from :data:`~optimind.gallery.quality.MIN_FACE_PX`.
    What the engine raises passes.
    """
    outcomes: dict[int, Outcome] = {}
    found: dict[int, _Found] = {}
    for number, path in enumerate(paths):
        watch([number])
        seen = _found_in(path, detector)
        if isinstance(seen, Outcome):
            outcomes[number] = seen
        else:
            found[number] = seen
        held_px = sum(f.picture.image.shape[0] * f.picture.image.shape[1] for f in found.values())
        if found and (held_px > HELD_PX or number == len(paths) - 1):
            watch(list(found))
            outcomes |= zip(found, _embedded(list(found.values()), embedder), strict=True)
            found.clear()
    return [outcomes[number] for number in range(len(paths))]


def look_into(data: bytes, file: str, detector: Detector, embedder: Embedder) -> Outcome:
    """As :func:`look_at`, of one image file's bytes; ``file`` is its name, for the advice given."""
    seen = _found_of(data, file, detector)
    return seen if isinstance(seen, Outcome) else _embedded([seen], embedder)[0]


def _found_in(path: str, detector: Detector) -> _Found | Outcome:
    """Read the photograph at ``path`` and find the face to enrol; an outcome says why there is none."""
    try:
        data = read_bytes(path)
    except UnreadableError as error:
        return Outcome("", "", "unreadable", str(error))
    return _found_of(data, path, detector)


def _found_of(data: bytes, file: str, detector: Detector) -> _Found | Outcome:
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        picture = read_photograph(data, file)
    except UnreadableError as error:
        return Outcome(sha256, "", "unreadable", str(error))
    main = judge(picture.image, _find(picture.image, detector), picture.reduction)
    if isinstance(main, Refusal):
        return Outcome(sha256, picture.digest, main.reason, main.detail)
    return _Found(sha256, picture, main)


def _embedded(found: Sequence[_Found], embedder: Embedder) -> list[Outcome]:
    """Return the outcomes of one or more photographs. Raises :class:`ValueError` where the embedder is at fault."""
    embedded = embedder.embed_all([(each.picture.image, each.main.face) for each in found])
    outcomes = []
    for each, (vectors, frontality) in zip(found, embedded, strict=True):
        vector = np.asarray(vectors, dtype=np.float64)
        if vector.shape != (1, embedder.info.dimension) or not np.isfinite(vector).all():
            raise ValueError(f"the embedder returned {vector.shape} for one face, or numbers that are not finite")
        # A face whose pose cannot be told is taken to look into the camera.
        looks_here = 1.0 if frontality is None else float(frontality[0])
        outcomes.append(
            Outcome(
                each.sha256, each.picture.digest, "", "", vector[0],
                each.main.face_px, each.main.sharpness, each.main.smaller_faces, looks_here, each.main.light,
            )
        )  # fmt: skip
    return outcomes


def _find(image: Image, detector: Detector) -> Detections:
    """Glance at small copies first, and look closer only where a face that matters could have been missed in them.

    Where there is none at all the picture is enlarged, so that a thumbnail can be told what is wrong with it.
    """
    longer = max(image.shape[:2])
    for glance_px in GLANCES_PX:
        scale = glance_px / longer
        if scale >= 1:
            break
        faces = _resized(image, scale, detector.find_portrait)
        if len(faces) > 1:
            faces = _seen_twice(image, min(1.0, CLOSER * scale), detector)
        if len(faces) and sizes(faces.xyxy).max() * scale >= ENOUGH_PX:
            return faces
    faces = _seen_twice(image, 1.0, detector)
    if not len(faces) and 2 * longer <= LONGER_SIDE_PX:
        faces = _seen_twice(image, 2.0, detector)
    return faces


def _seen_twice(image: Image, scale: float, detector: Detector) -> Detections:
    """Return the faces; where there are several, those that are found again in a slightly larger copy.

    A pattern that passes for a face does so at one size only. Without this a photograph of one person in front of
    something patterned would be refused for showing several.
    """
    faces = _resized(image, scale, detector.detect)
    if len(faces) < 2:
        return faces
    again = _resized(image, scale * SECOND_LOOK, detector.detect)
    confirmed = np.asarray((iou(faces.xyxy, again.xyxy) >= SAME_FACE_IOU).any(axis=1))
    return faces[confirmed] if confirmed.any() else faces


def _resized(image: Image, scale: float, look: Callable[[Image], Detections]) -> Detections:
    """Return the faces that ``look`` finds in a resized copy, in the pixels of ``image``."""
    if scale == 1:
        return look(image)
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    copy: NDArray[Any] = image
    # Halving is what the averaging is quick at: 1000 px become 121 in a fifth of the time.
    while copy.shape[1] >= 4 * size[0] and not (copy.shape[0] % 2 or copy.shape[1] % 2):
        copy = cv2.resize(copy, (copy.shape[1] // 2, copy.shape[0] // 2), interpolation=cv2.INTER_AREA)
    copy = cv2.resize(copy, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    found = look(np.asarray(copy, dtype=np.uint8))
    return found.moved(0, np.array([width, height]) / size)
