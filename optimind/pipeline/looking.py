"""Where to look in a frame, and looking there: searching for new faces in tiles, following known ones in a mosaic.

Looking at all of every frame is what two cores cannot do. So a part of the picture is searched when something changed
in it (:mod:`optimind.core.scanning`), a face that is known is looked for only around the place where it should be, the
more often the less sure that place is, and all of this waits when the processor time that may be used is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import centres, iou, sizes
from optimind.core.scanning import ScanPlan, Search
from optimind.core.tracking import Track
from optimind.core.types import Detections, Frame, Image
from optimind.core.zones import Zones
from optimind.pipeline.budget import CpuBudget
from optimind.pipeline.mosaic import Mosaic
from optimind.pipeline.patches import Patches
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Detector

__all__ = ["Look", "LookSettings", "Looker"]

SLICE_S: Final = 0.08
"""The live frames of one turn are looked at for about so long, so that the next ones do not wait ..."""
_LEAST_SLICE_S: Final = 0.03
"""... but each for about so long, however many cameras there are."""
DETECTED_EVERY_S: Final = 6.0
"""A known face that still looks as it did is left to the detector again after this time."""
STARVED_S: Final = 2.0
"""What has been due for so long is done even where there is no processor time for it."""
_CELL_PX: Final = 16
"""The side of a thumbnail's cell; less where the smallest face would not be three cells wide."""
_CHECKS: Final = 5
"""So many times in an interval it is checked whether something changed."""
_UNSURE: Final = 0.25
"""A face is looked for before its place is less sure than this, in face sizes (one standard deviation)."""
_MARGIN: Final = (0.3, 1.5)
"""The least and the most that is looked at around a face, in face sizes."""
_BOX: Final = 0.15
"""So much of it is for the box itself, which is not always of one size; the rest for three standard deviations."""
_AGAIN_S: Final = 0.1
"""Who was missed is looked for again after this time, who was missed twice after twice as long, and so on."""
_KNOWN: Final = 5
"""After so many detections a face is known ..."""
_KNOWN_MISSES: Final = 1
"""... and this often it may be missed before it is looked for in its full size: it only looked away."""
_ALONG: Final = 0.6
"""Who is due in so much of the time comes along when another one is looked for: one mosaic costs less than two."""
_ALONE: Final = 2.0
"""A face that is nearer to another one than this, in face sizes, is not told by its looks alone."""
_GROWN: Final = 1.3
"""A face may have become so much wider since it was last found."""
_SURE: Final = 1.15
"""In a mosaic faces are so many times as wide as the smallest that the detector finds surely."""
_SAME: Final = 0.4
"""Two boxes that overlap as much (IoU) are of one face."""
_LEARNING: Final = 0.2
"""How much the latest look counts for the estimate of what the next one takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookSettings:
    """How often to look, in seconds of the pictures' own time, and for how small a face.

    ``scan_interval_s``: a part of the picture in which something changes; ``quiet_interval_s``: one in which nothing
    does; ``follow_interval_s``: a known face that keeps its place.
    """

    min_face_px: int = 45
    scan_interval_s: float = 1.0
    quiet_interval_s: float = 15.0
    follow_interval_s: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was found in a frame, and which of the tracks (a mask) would have been found if they had been there.

    ``unchanged``: where those tracks (their indices) are that still look as they did and need no detection.
    """

    faces: Detections
    looked_for: NDArray[np.bool_]
    unchanged: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)


class Looker:
    """Decides for each frame of one camera where to look, and looks. Used by one thread.

    Faces in one of the ``zones`` to ignore are not found.

    With a ``budget`` frames are looked at only while it has time, and each for about :data:`SLICE_S`; without one
    everything that is due is done at once.
    """

    def __init__(
        self,
        detector: Detector,
        settings: LookSettings,
        *,
        stages: StageTimes,
        zones: Zones = Zones(),  # noqa: B008 - it cannot be changed
        budget: CpuBudget | None = None,
        now_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._detector = detector
        self._settings = settings
        self._stages = stages
        self._zones = zones
        self._budget = budget
        self._now_s = now_s
        self._plan: ScanPlan | None = None
        self._checked_s = 0.0
        self._waiting_from_s = now_s()
        self._looked_s: dict[int, float] = {}
        self._detected_s: dict[int, float] = {}
        self._patches = Patches()
        self._pixel_s = 0.0
        self._slice_s = SLICE_S
        self.finds_from_px = 0.0
        """The narrowest face that is found surely in this camera's pictures; 0 until there was one, or not known."""
        self.deferred = 0
        """How often something was due and there was no processor time for it."""
        self.starved = 0
        """How often it was done nevertheless, because it had waited for :data:`STARVED_S`."""
        self.searched_px = 0
        """How many pixels were searched."""

    @property
    def picture_px(self) -> int:
        """How many pixels are looked at to search a whole picture; 0 until there was one."""
        return self._plan.pixels if self._plan else 0

    def has_time(self) -> bool:
        """Whether there is processor time for more than what has waited for too long."""
        return self._budget is None or self._budget.has_time()

    def look(
        self, frame: Frame, tracks: Sequence[Track], *, wanted: Set[int] = frozenset(), cameras: int = 1
    ) -> Look | None:
        """Do what is due, the most overdue first; None where nothing is, or where there is no time for it.

        Of the tracks of the numbers ``wanted`` there should be detections; for others it is enough to know where they
        are. ``cameras``: so many share the time of one turn of the loop. Call :meth:`found` afterwards.
        """
        self._slice_s = max(_LEAST_SLICE_S, SLICE_S / cameras)
        image, now_s = frame.image, frame.captured_at.timestamp()
        plan = self._plan_for(image)
        self._forget_all_but(tracks)
        follow, overdue = self._to_follow(frame, tracks)
        thumbnail = self._thumbnail_if_time(image, now_s)
        due: list[Search] = []
        if thumbnail is not None:
            # Also those that were missed once: they are looked for in their place until they are given up.
            followed = [track.box_at(frame.captured_at) for track in tracks]
            due = plan.due(thumbnail, np.array(followed).reshape(-1, 4), now_s)
        if not due and not follow:
            self._waiting_from_s = self._now_s()
            return None
        if not self._may_begin():
            self._checked_s = -np.inf
            return None
        began_s = self._now_s()
        unchanged = self._unchanged(frame, tracks, [row for row in follow if tracks[row].number not in wanted])
        # Who would only have come along does not need the detector alone.
        follow = [row for row in follow if row not in unchanged]
        if not any(self._waited(tracks[row], frame) >= 1 for row in follow):
            follow = []
        found: list[Detections] = []
        looked_for = np.zeros(len(tracks), dtype=np.bool_)
        # With little time both get some: whichever waits for longer, in its own intervals, comes first.
        if follow and due and due[0].waited > overdue:
            found.append(self._search(plan, due.pop(0), frame, thumbnail))
        if follow and self._fits(began_s, 0):
            found.append(self._follow(plan, frame, [tracks[row] for row in follow]))
            looked_for[follow] = True
        for search in due:
            if found and not self._fits(began_s, search.pixels):
                self._checked_s = -np.inf  # the next frame goes on with what is left
                break
            found.append(self._search(plan, search, frame, thumbnail))
        faces = _without_doubles(found)
        return Look(faces[~self._zones.ignored(faces.xyxy, *image.shape[1::-1])], looked_for, unchanged)

    def pose(self, image: Image, faces: Detections) -> NDArray[np.float64] | None:
        """How far ``faces`` of ``image`` look into the camera, (n,) as in ``Detections``; None: it cannot be told."""
        return self._detector.pose(image, faces)

    def found(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Take in that ``tracks`` were detected in ``frame``."""
        self._patches.remember(frame.image, [track.number for track in tracks], [track.box for track in tracks])
        for track in tracks:
            self._detected_s[track.number] = frame.captured_at.timestamp()

    def _may_begin(self) -> bool:
        """Whether there is processor time for a look; whatever else takes all of it, there is some now and then."""
        now_s = self._now_s()
        if not self.has_time():
            self.deferred += 1
            if now_s - self._waiting_from_s < STARVED_S:
                return False
            self.starved += 1
        self._waiting_from_s = now_s
        return True

    def _forget_all_but(self, tracks: Sequence[Track]) -> None:
        self._looked_s = {track.number: self._looked_s.get(track.number, 0.0) for track in tracks}
        self._detected_s = {track.number: self._detected_s.get(track.number, -np.inf) for track in tracks}
        self._patches.keep(self._looked_s.keys())

    # -- following --------------------------------------------------------------------------------------------------

    def _unchanged(self, frame: Frame, tracks: Sequence[Track], rows: Sequence[int]) -> dict[int, NDArray[np.float64]]:
        """Where those of the tracks ``rows`` are that need no detector: at rest, alone, looking as they did lately."""
        if not rows:
            return {}
        at = frame.captured_at
        boxes = np.array([track.box_at(at) for track in tracks])
        middles = centres(boxes)
        found = {}
        with self._stages.measure("compare"):
            for row in rows:
                track = tracks[row]
                detected_ago_s = at.timestamp() - self._detected_s[track.number]
                clear = not track.misses and track.motion.is_at_rest and track.last_seen_at <= at
                if not clear or not 0 <= detected_ago_s < DETECTED_EVERY_S:
                    continue
                away = np.linalg.norm(middles - middles[row], axis=1)
                if np.count_nonzero(away < _ALONE * track.motion.size) > 1:
                    continue
                margin = min(_BOX + 3 * track.spread_at(at) / track.motion.size, _MARGIN[1])
                box = self._patches.find(frame.image, track.number, boxes[row], margin)
                if box is not None:
                    found[row] = box
        return found

    def _to_follow(self, frame: Frame, tracks: Sequence[Track]) -> tuple[list[int], float]:
        """Which tracks (their indices) to look for now, and how many intervals the most urgent one has waited."""
        waited = np.array([self._waited(track, frame) for track in tracks])
        if not len(waited) or waited.max() < 1:
            return [], 0.0
        return [int(row) for row in np.nonzero(waited >= _ALONG)[0]], float(waited.max())

    def _waited(self, track: Track, frame: Frame) -> float:
        """How long ago the track was looked for, in parts of the time after which it should be."""
        since_s = max(self._looked_s[track.number], track.last_seen_at.timestamp())
        passed_s = frame.captured_at.timestamp() - since_s
        if passed_s < 0:  # the clock was set back
            return 1.0
        if track.misses:
            return passed_s / min(_AGAIN_S * track.misses, self._settings.follow_interval_s)
        unsure = track.spread_at(frame.captured_at) / track.motion.size / _UNSURE
        return max(passed_s / self._settings.follow_interval_s, unsure)

    def _follow(self, plan: ScanPlan, frame: Frame, tracks: Sequence[Track]) -> Detections:
        at = frame.captured_at
        boxes = np.array([track.box_at(at) for track in tracks])
        spread = np.array([track.spread_at(at) / track.motion.size for track in tracks])
        sure_px = _SURE * (self.finds_from_px or self._settings.min_face_px)
        # It may have become smaller, or was never that large: one that is missed is then looked for as in a search, at
        # once while little is known of it.
        missed = np.array([track.misses > (_KNOWN_MISSES if track.detections >= _KNOWN else 0) for track in tracks])
        margin = np.clip(_BOX + 3 * spread, *_MARGIN)
        # A near one, with all that is around it, would take longer than the whole picture: a tile's pixels are enough.
        largest = np.maximum(plan.tiles[0].longer_side / (1 + 2 * margin), sure_px)
        face_px = np.where(missed, np.clip(sizes(boxes), sure_px, largest), sure_px)
        with self._stages.measure("follow"):
            mosaic = Mosaic.of(frame.image, boxes, margin, face_px)
            found = mosaic.back(self._detect(mosaic.picture, _GROWN * float(face_px.max())))
        for track in tracks:
            self._looked_s[track.number] = at.timestamp()
        return found

    # -- searching --------------------------------------------------------------------------------------------------

    def _plan_for(self, image: Image) -> ScanPlan:
        height, width = image.shape[:2]
        if self._plan is None or self._plan.size != (width, height):
            settings = self._settings
            self._plan = ScanPlan(
                width,
                height,
                settings.min_face_px,
                interval_s=settings.scan_interval_s,
                quiet_s=max(settings.quiet_interval_s, settings.scan_interval_s),
                zones=self._zones,
            )
            left, top, right, bottom = self._plan.tiles[0].box
            self.finds_from_px = self._detector.finds_from_px(right - left, bottom - top)
            self._checked_s = -np.inf
        return self._plan

    def _thumbnail_if_time(self, image: Image, now_s: float) -> NDArray[np.float32] | None:
        passed_s = now_s - self._checked_s
        if 0 <= passed_s < self._settings.scan_interval_s / _CHECKS:
            return None
        self._checked_s = now_s
        with self._stages.measure("motion"):
            cell_px = min(_CELL_PX, max(4, self._settings.min_face_px // 3))
            height, width = image.shape[:2]
            size = (max(1, width // cell_px), max(1, height // cell_px))
            # A quarter of the pixels tells as much, and is averaged in a tenth of the time.
            part = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_LINEAR) if cell_px >= 8 else image
            small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
            return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.float32)

    def _search(
        self, plan: ScanPlan, search: Search, frame: Frame, thumbnail: NDArray[np.float32] | None
    ) -> Detections:
        with self._stages.measure("search"):
            # Larger ones are found in the smaller copy of everything.
            largest_px = plan.tiles[search.index].margin_px * search.scale
            found = _whole(self._detect(_copy(frame.image, search), largest_px), search, frame.image)
        self.searched_px += search.pixels
        if thumbnail is not None:
            plan.searched(search, thumbnail, frame.captured_at.timestamp(), found.xyxy)
        return found

    def _detect(self, picture: Image, largest_px: float) -> Detections:
        began_s = self._now_s()
        with self._stages.measure("detect"):
            found = self._detector.glance(picture, largest_px)
        pixel_s = (self._now_s() - began_s) / (picture.shape[0] * picture.shape[1])
        self._pixel_s = pixel_s if not self._pixel_s else (1 - _LEARNING) * self._pixel_s + _LEARNING * pixel_s
        return found

    def _fits(self, began_s: float, pixels: int) -> bool:
        """Whether there is time for a look at so many pixels in this frame."""
        return self._budget is None or self._now_s() - began_s + pixels * self._pixel_s <= self._slice_s


def _copy(image: Image, search: Search) -> Image:
    left, top, right, bottom = search.box
    part = image[top:bottom, left:right]
    if search.scale == 1:
        return np.ascontiguousarray(part)
    size = (max(1, round((right - left) * search.scale)), max(1, round((bottom - top) * search.scale)))
    if search.scale <= 0.5:  # halving is what the averaging is quick at
        half = ((right - left) // 2, (bottom - top) // 2)
        part = np.asarray(cv2.resize(part, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _whole(found: Detections, search: Search, image: Image) -> Detections:
    """Return what was found in the copy, in pixels of ``image``; what its inner rim cuts off is left out."""
    origin, end, corner = np.array(search.box[:2]), np.array(search.box[2:]), np.array(image.shape[1::-1])
    faces = found.moved(origin, 1 / search.scale)
    rim = 2 / search.scale
    low, high = faces.xyxy[:, :2], faces.xyxy[:, 2:]
    whole = ((origin == 0) | (low > origin + rim)) & ((end == corner) | (high < end - rim))
    return faces[whole.all(axis=1)]


def _without_doubles(found: Sequence[Detections]) -> Detections:
    """Put together what several looks at one frame found; of each face the surest."""
    every = Detections.joined(found)
    alike = iou(every.xyxy, every.xyxy) > _SAME
    kept: list[int] = []
    for row in np.argsort(-every.confidence, kind="stable").tolist():
        if not alike[row, kept].any():
            kept.append(row)
    return every[np.array(kept, dtype=np.intp)]
