"""Looks through the cameras once: how large the faces are in each part of the picture, on each seat, at each door."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from optimind.app.cameras import Camera, cameras_of, make_source
from optimind.config import Config
from optimind.core.types import Image
from optimind.core.zones import Zones
from optimind.engines import EngineFactory, engine_for_enrolment, engine_for_gallery
from optimind.errors import GalleryError, SealRefused, SourceError
from optimind.gallery import load_gallery
from optimind.placement.drawing import draw_placement
from optimind.placement.findings import Placement, Wanted, place
from optimind.placement.looking import LOOKED_FROM_PX, CloseLook, Faces, pictures_of

__all__ = ["CameraPlacement", "OnPicture", "placements"]

OnPicture = Callable[[str, int, int], None]
"""Told the camera's id, how many of its pictures were looked at, and how many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraPlacement:
    """What was found with one camera: a placement and the picture to go with it, or why there is none."""

    camera: str
    engine: str
    seconds: float
    placement: Placement | None = None
    picture: Image | None = None
    error: SourceError | None = None


def placements(
    config: Config, sources: Sequence[str], seconds: float, on_picture: OnPicture = lambda *_: None
) -> Iterator[CameraPlacement]:
    """Look for ``seconds`` through each camera that ``sources`` name, or all of ``config``, one after the other.

    A camera that cannot be read has its error in the result. Raises OptiMindError where nothing can begin.
    """
    cameras = cameras_of(config, sources)
    factory = _engine(config)
    detector, _ = factory()
    look = CloseLook(detector)
    for camera in cameras:
        began_s = time.monotonic()
        placement = picture = error = None
        try:
            placement, picture = _looked_through(config, camera, look, seconds, on_picture)
        except SourceError as failure:
            error = failure
        yield CameraPlacement(camera.id, factory.name, time.monotonic() - began_s, placement, picture, error)


def _looked_through(
    config: Config, camera: Camera, look: CloseLook, seconds: float, on_picture: OnPicture
) -> tuple[Placement, Image]:
    zones, line = Zones(), None
    if camera.settings is not None:
        zones, line = camera.settings.places(), camera.settings.in_out_line()
    frames = pictures_of(make_source(camera.id, camera.spec, config.plugins_folder), seconds)
    seen = []
    for number, frame in enumerate(frames):
        on_picture(camera.id, number, len(frames))
        seen.append(look.faces_in(frame.image, number))
    height, width = frames[0].image.shape[:2]
    wanted = Wanted(width, height, config.detection.min_face_px, look.finds_from_px)
    placement = place(Faces.joined(seen), len(frames), zones, wanted)
    return placement, draw_placement(frames, placement, zones, line)


def _engine(config: Config) -> EngineFactory:
    """The engine that a run would use, made to find the smallest faces."""
    try:
        factory = engine_for_gallery(config, load_gallery(config.gallery, config.privacy.sealer()))
    except (GalleryError, SealRefused):
        # A camera is hung before anybody is enrolled; and what is wrong with a gallery, `run` says.
        factory = engine_for_enrolment(config, LOOKED_FROM_PX)
    return replace(factory, min_face_px=LOOKED_FROM_PX)
