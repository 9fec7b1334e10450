"""What goes by age, and encryption of what holds faces: making a key, and converting every store in place."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from optimind.app.forgetting import Places
from optimind.config import Config
from optimind.errors import GalleryMissing, OptiMindError, StorageError, UsageError
from optimind.gallery import gallery_lock, load_gallery, save_gallery
from optimind.gallery.removing import remove_leftovers
from optimind.sealing import Sealer, SealingKey, new_key_text
from optimind.storage import Ledger, open_ledger

__all__ = ["Sweeper", "convert", "new_key", "sweep"]

log = logging.getLogger(__name__)

_EVERY: Final = timedelta(hours=1)


def sweep(config: Config, ledger: Ledger, now: datetime | None = None) -> dict[str, int]:
    """Delete what ``privacy:`` says was kept long enough; return how much, by table. Raises :class:`StorageError`.

    What an enabled sink has not got yet stays. How much went is logged and noted in the audit log, without a name.
    """
    now = datetime.now(UTC) if now is None else now
    today = now.astimezone(config.zone()).date()
    privacy = config.privacy
    gone = ledger.personal.sweep(
        records_before=today - timedelta(days=privacy.keep_records_days) if privacy.keep_records_days else None,
        sightings_before=today - timedelta(days=privacy.keep_sightings_days) if privacy.keep_sightings_days else None,
        shots_before=now - timedelta(days=privacy.keep_shots_days),
        sinks=config.enabled_names("sink"),
    )
    if gone:
        log.info("kept long enough and deleted: %s", ", ".join(f"{count} {what}" for what, count in gone.items()))
    return gone


class Sweeper:
    """Sweeps at once and then once an hour, whenever it is called; a failure is logged and tried an hour later."""

    def __init__(
        self, config: Config, ledger: Ledger, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._clock = clock
        self._next_at: datetime | None = None

    def tick(self) -> None:
        """Sweep, if it is time; takes a moment otherwise."""
        now = self._clock()
        if self._next_at is not None and now < self._next_at:
            return
        self._next_at = now + _EVERY
        try:
            sweep(self._config, self._ledger, now)
        except StorageError as error:
            log.warning("what was kept long enough could not be deleted: %s", error)


def new_key(output: Path) -> str:
    """Write a new key into the new file ``output``, for its owner's eyes only; return its fingerprint.

    Raises :class:`UsageError` where something is there already, :class:`OptiMindError` where it cannot be written.
    """
    text = new_key_text()
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(
            f"{output} is there already, and no key is ever written over",
            mend="name another file with --output; what was encrypted with a key is lost without it",
        ) from None
    except OSError as error:
        raise OptiMindError(
            f"the key {output} cannot be written: {error.strerror}", mend="name a file in a folder that exists"
        ) from error
    return SealingKey.from_text(text, str(output)).fingerprint


def convert(places: Places, sealer: Sealer) -> dict[str, int]:
    """Bring the gallery and the pictures in the ledger to what ``sealer`` writes; return how many, by store.

    Each is changed as a whole or a few hundred pictures at a time, and read with any of the keys: where it is cut off,
    doing it again completes it. Raises :class:`SealRefused` where a key is missing; what was converted stays so.
    """
    counts = {"gallery": _convert_gallery(places.gallery, sealer)}
    if places.has_ledger:
        with open_ledger(places.url, create=False) as ledger:
            counts |= ledger.personal.reseal(sealer)
    return counts


def _convert_gallery(path: Path, sealer: Sealer) -> int:
    if not path.exists():
        return 0
    with gallery_lock(path):
        remove_leftovers(path)
        with suppress(GalleryMissing), path.open("r+b") as old:
            if sealer.is_current(old.read(64)):
                return 0
            size = old.seek(0, os.SEEK_END)
            gallery = load_gallery(path, sealer)
            save_gallery(path, gallery, sealer)
            if sealer.key is not None:
                _blank(old.fileno(), size)
            return 1
    return 0


def _blank(descriptor: int, size: int) -> None:
    """Write over the old file, which has no name any more: as far as the disk allows, what was plain is gone."""
    with suppress(OSError):
        if os.fstat(descriptor).st_nlink:
            return  # somebody's copy by another name
        os.lseek(descriptor, 0, os.SEEK_SET)
        for start in range(0, size, 1 << 20):
            os.write(descriptor, bytes(min(1 << 20, size - start)))
        os.fsync(descriptor)
