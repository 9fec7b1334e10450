"""Keeps the visitors that the recognisers tell of, and holds on to them while the database cannot be written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import cv2

from optimind.core.calibration import Calibration
from optimind.core.visitors import VisitorIndex
from optimind.errors import StorageError
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Event, Sighting, TrackEnded, VisitorSeen, VisitorShot
from optimind.storage.visitors import KeptShot, VisitorStore

__all__ = ["VisitorKeeper"]

log = logging.getLogger(__name__)

PATIENCE_S: Final = 0.5
"""How long the loop waits for another program that writes the database: visitors matter less than what is seen now."""
RETRY_S: Final = 10.0
_FAILURES_AT_ONCE = 2
"""One failure may be that visitor's own; two are the database's, and each may take the time of a lock."""
MOST_WAITING: Final = 64
"""So many tracks wait in memory while nothing can be written, with up to 1 MB of pictures each."""
SWEEP_S: Final = 600.0
_JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
"""They may become photographs to recognise somebody by: little may be lost."""


class VisitorKeeper:
    """Puts each :class:`VisitorSeen` into ``store`` at once; one that fails (disk full, locked) is tried again.

    What waits is bounded: of each track the latest, and of more than :data:`MOST_WAITING` the oldest are dropped and
    counted. What was kept more than ``keep_days`` ago is deleted at the start and now and then.
    """

    def __init__(
        self,
        store: VisitorStore,
        calibration: Calibration | None,
        keep_days: int,
        stages: StageTimes,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._index = VisitorIndex(calibration)
        self._keep = timedelta(days=keep_days)
        self._stages = stages
        self._monotonic = monotonic
        self._now = now
        self._waiting: dict[str, VisitorSeen] = {}
        self._withdrawn: dict[str, int] = {}
        self._told: dict[str, int] = {}
        """The tracks in the database that go on or wait with something newer, with their visitors."""
        self._over: set[str] = set()
        """The tracks that wait and are at their end: nothing more will come of them."""
        self._failed_s: float | None = None
        self._swept_s: float | None = None
        self._seen: set[int] = set()
        self.visits = 0
        """Tracks of unknown people that were kept."""
        self.dropped = 0
        """Tracks that were not, because nothing could be written for too long."""
        self.error = ""

    @property
    def visitors(self) -> int:
        """How many different visitors they were of."""
        return len(self._seen)

    @property
    def waiting(self) -> int:
        """How many tracks are not in the database yet."""
        return len(self._waiting)

    def take(self, events: Sequence[Event]) -> list[Event]:
        """Keep the visitors among ``events``; returns all of them, with the visitors' numbers. Never raises for a
        database that cannot be written."""
        return [self._take(event) for event in events]

    def _take(self, event: Event) -> Event:
        if isinstance(event, VisitorSeen):
            # Popped first, so that the oldest is the first to go where there are too many.
            self._waiting.pop(event.track_id, None)
            self._waiting[event.track_id] = event
            kept = self.tick()
            while len(self._waiting) > MOST_WAITING:
                self._leave(next(iter(self._waiting)))
                self.dropped += 1
            return replace(event, visitor_id=kept.get(event.track_id, self._told.get(event.track_id)))
        if isinstance(event, Sighting):
            # Somebody after all: nothing of them is a visitor's.
            self._waiting.pop(event.sighting_id, None)
            self._over.discard(event.sighting_id)
            if event.sighting_id in self._told:
                self._withdrawn[event.sighting_id] = self._told.pop(event.sighting_id)
                self.tick()
        if isinstance(event, TrackEnded):
            if event.track_id in self._waiting:
                self._over.add(event.track_id)
            else:
                self._told.pop(event.track_id, None)
        return event

    def _leave(self, track_id: str) -> None:
        """Let a track wait no longer."""
        del self._waiting[track_id]
        if track_id in self._over:
            self._over.discard(track_id)
            self._told.pop(track_id, None)

    def tick(self, *, now: bool = False) -> dict[str, int]:
        """Save what waits and delete who is too old, where it is time (or ``now``); returns the visitors by track."""
        is_swept = self._swept_s is not None and self._monotonic() - self._swept_s < SWEEP_S
        if is_swept and not self._waiting and not self._withdrawn:
            return {}
        if not now and self._failed_s is not None and self._monotonic() - self._failed_s < RETRY_S:
            return {}
        kept: dict[str, int] = {}
        failures = 0
        with self._stages.measure("visitors"):
            for step in self._due(kept, is_swept=is_swept):
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - whatever becomes of visitors, the loop and its marks go on
                    self._fail(error)
                    failures += 1
                    if failures >= _FAILURES_AT_ONCE:
                        break
        if not failures and self._failed_s is not None:
            log.warning("visitors can be kept again")
            self._failed_s = None
        return kept

    def finish(self) -> None:
        """Try once more to save what waits; what then still waits is dropped."""
        self.tick(now=True)
        self.dropped += len(self._waiting)
        self._waiting.clear()

    def trouble(self) -> str:
        """What a person should know; empty where all is well."""
        if self.dropped:
            return f"{self.dropped} visits of unknown people could not be kept, the last reason: {self.error}"
        if self._withdrawn:
            return f"a visitor who turned out to be enrolled could not be deleted: {self.error}"
        return ""

    def _due(self, kept: dict[str, int], *, is_swept: bool) -> Iterator[Callable[[], None]]:
        """What is to be done, in pieces that fail each for itself; whose each track is gets into ``kept``."""
        if not is_swept:
            yield self._sweep
        for track_id in list(self._withdrawn):
            yield partial(self._withdraw, track_id)
        for seen in list(self._waiting.values()):
            yield partial(self._save, seen, kept)

    def _sweep(self) -> None:
        self._store.sweep(self._now() - self._keep)
        self._swept_s = self._monotonic()

    def _withdraw(self, track_id: str) -> None:
        gone = self._store.withdraw(track_id)
        visitor_id = self._withdrawn.pop(track_id)
        if gone.visitors:
            self._seen.discard(visitor_id)
        self.visits -= 1

    def _save(self, seen: VisitorSeen, kept: dict[str, int]) -> None:
        track_id = seen.track_id
        try:
            shots = [_stored(seen.camera, shot) for shot in seen.shots]
            found = self._store.keep(seen, shots, self._index)
        except StorageError:
            raise
        except Exception:
            # It would fail again and again.
            self._leave(track_id)
            self.dropped += 1
            raise
        kept[track_id] = found.visitor_id
        self._seen.difference_update(found.alike)
        self._seen.add(found.visitor_id)
        self.visits += track_id not in self._told
        if not seen.ended:
            self._told[track_id] = found.visitor_id
        self._leave(track_id)

    def _fail(self, error: Exception) -> None:
        text = str(error) if isinstance(error, StorageError) else f"unexpected {type(error).__name__}: {error}"
        if self._failed_s is None or text != self.error:
            log.error("visitors cannot be kept: %s", text)
        self._failed_s = self._monotonic()
        self.error = text


def _stored(camera: str, shot: VisitorShot) -> KeptShot:
    done, data = cv2.imencode(".jpg", shot.picture, _JPEG)
    if not done:
        raise ValueError("the picture could not be written as JPEG")
    return KeptShot(camera, shot.at, shot.quality, shot.face_px, shot.vector, data.tobytes())
