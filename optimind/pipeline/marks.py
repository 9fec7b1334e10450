"""Writes attendance marks to the ledger, and holds on to them while it cannot be written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import cv2

from optimind.errors import StorageError
from optimind.plugin_api import AttendanceMarked, RecordRow
from optimind.sealing import PLAIN, Purpose, Sealer
from optimind.storage import KeptPortrait, Ledger

__all__ = ["MarkWriter"]

log = logging.getLogger(__name__)

_RETRY_S = 5.0
_JPEG_QUALITY = 85
_FAILURES_AT_ONCE = 2
"""One failure may be that mark's own; two are the ledger's, and each may take the time of a lock."""


class MarkWriter:
    """Puts each mark into the ledger at once; one that fails (disk full, database locked) is tried again.

    What waits is bounded: of each sighting and session, only the latest mark. ``on_new`` hears of each new record.
    Marks of people who are only passing are dropped (:meth:`School.is_passing`).
    ``sealer`` encrypts the pictures that are kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        sinks: Sequence[str],
        on_new: Callable[[RecordRow], None],
        *,
        sealer: Sealer = PLAIN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._sinks = sinks
        self._on_new = on_new
        self._sealer = sealer
        self._monotonic = monotonic
        self._waiting: dict[tuple[object, ...], AttendanceMarked] = {}
        self._failed_at: float | None = None
        self._known: set[str] = set()
        self._pictured: dict[str, float] = {}
        self.error = ""

    @property
    def unsaved(self) -> list[AttendanceMarked]:
        """The marks that are not in the ledger yet."""
        return list(self._waiting.values())

    def write(self, mark: AttendanceMarked) -> None:
        """Save ``mark``; never raises for a ledger that cannot be written."""
        key = (mark.sighting.sighting_id, mark.date, mark.session, mark.kind if mark.kind == "seen" else mark.at)
        # Popped first, so that the order of first sightings is also the order of saving.
        self._waiting.pop(key, None)
        self._waiting[key] = mark
        self.retry()

    def retry(self, *, now: bool = False) -> bool:
        """Save what waits, if it is time (or ``now``); returns whether nothing waits any more."""
        if not self._waiting:
            return True
        recently = self._failed_at is not None and self._monotonic() - self._failed_at < _RETRY_S
        if recently and not now:
            return False
        failures = 0
        for key, mark in list(self._waiting.items()):
            try:
                # Who is in view when the next class's session opens is no guest of it.
                row = None if self._ledger.school.is_passing(mark) else self._ledger.record(mark, self._sinks)
            except Exception as error:  # noqa: BLE001 - a mark that the ledger cannot take must not hold up the others
                self._fail(error)
                failures += 1
                if failures >= _FAILURES_AT_ONCE:
                    break
                continue
            del self._waiting[key]
            if row is None:
                continue
            self._keep_shot(row, mark)
            if row.record_id not in self._known:
                self._known.add(row.record_id)
                self._on_new(row)
        if not self._waiting and self._failed_at is not None:
            log.warning("the ledger can be written again; nothing was lost")
            self._failed_at, self.error = None, ""
        return not self._waiting

    def _keep_shot(self, row: RecordRow, mark: AttendanceMarked) -> None:
        """Keep the picture where it is the record's best so far. The mark is safe whatever becomes of it."""
        shot = mark.sighting.shot
        if shot is None or shot.quality <= self._pictured.get(row.record_id, 0.0):
            return
        self._pictured[row.record_id] = shot.quality
        try:
            _, data = cv2.imencode(".jpg", shot.picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            self._ledger.shots.keep(
                KeptPortrait(
                    record_id=row.record_id,
                    camera=mark.sighting.camera,
                    taken_at=shot.at,
                    quality=shot.quality,
                    face_px=shot.face_px,
                    picture=self._sealer.seal(data.tobytes(), Purpose.SHOT),
                )
            )
        except Exception as error:  # noqa: BLE001 - a picture that cannot be kept costs no mark
            log.warning("the picture of a mark could not be kept: %s", error)

    def _fail(self, error: Exception) -> None:
        text = str(error) if isinstance(error, StorageError) else f"unexpected {type(error).__name__}: {error}"
        if text != self.error:
            log.error("the ledger cannot be written; marks wait in memory: %s", text)
        self._failed_at = self._monotonic()
        self.error = text
