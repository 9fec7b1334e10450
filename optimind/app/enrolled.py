"""Who is enrolled while a run goes on: looked up again when the gallery or a consent has changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from optimind.app.background import beside
from optimind.app.consent import consenting, people_to_know
from optimind.config import Config
from optimind.core.identification import Identifier
from optimind.errors import GalleryMissing, OptiMindError
from optimind.gallery import GalleryFile

__all__ = ["GalleryWatch"]

log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0

_State = tuple[object, ...]


class GalleryWatch:
    """Looks every few seconds, in a thread of its own, whether others are enrolled in the gallery ``path`` now.

    ``gallery`` is what it found at first; one of another embedder needs a new run. What cannot be read later is said
    once, and the run goes on with those it knows.
    """

    def __init__(self, config: Config, path: Path, url: str, *, every_s: float = _EVERY_S) -> None:
        """Read the gallery. Raises as :func:`~optimind.app.consent.people_to_know`."""
        self._config = config
        self._path = path
        self._url = url
        self._every_s = every_s
        # Before it is read, so that no change is missed.
        self._state = self._look()
        self.gallery = people_to_know(config, path, url)
        self._newest: Identifier | GalleryMissing | None = None
        self._lock = threading.Lock()

    def watching(self, prepare: Callable[[GalleryFile], Identifier]) -> AbstractContextManager[None]:
        """Look during the block; ``prepare`` makes of a gallery what recognises its people."""
        return beside("gallery", lambda stop: self._work(prepare, stop))

    def take(self) -> Identifier | None:
        """Hand over what recognises those who are enrolled now; None where nothing has changed since the last call.

        Raises :class:`GalleryMissing` where nobody is any more.
        """
        with self._lock:
            newest, self._newest = self._newest, None
        if isinstance(newest, GalleryMissing):
            raise newest
        return newest

    def look(self, prepare: Callable[[GalleryFile], Identifier]) -> None:
        """Look once, and read the gallery where anything has changed."""
        state = self._look()
        if state is None or state == self._state:
            return
        newest: Identifier | GalleryMissing | None = None
        try:
            newest = self._read(prepare)
        except GalleryMissing as error:
            # None of those whom this run knows may be recognised any more.
            newest = error
        except OptiMindError as error:
            log.warning("the gallery has changed and cannot be used, so this run knows whom it knew: %s", error)
        self._state = state
        with self._lock:
            self._newest = newest

    def _work(self, prepare: Callable[[GalleryFile], Identifier], stop: threading.Event) -> None:
        while not stop.wait(self._every_s):
            try:
                self.look(prepare)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
                log.warning("it could not be looked up who is enrolled: %s: %s", type(error).__name__, error)

    def _look(self) -> _State | None:
        """What changes when somebody is enrolled or may be recognised no longer; None where that cannot be read."""
        try:
            status = self._path.stat()
            consents = consenting(self._config, self._url)
        except (OSError, OptiMindError):
            # Said by those who need them. A gallery that is gone for good is noticed at the next start.
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino, consents

    def _read(self, prepare: Callable[[GalleryFile], Identifier]) -> Identifier | None:
        gallery = people_to_know(self._config, self._path, self._url)
        if gallery.embedder != self.gallery.embedder:
            log.warning(
                "the gallery was made anew with %s, and this run computes with %s: start it again to know those in it",
                gallery.embedder,
                self.gallery.embedder,
            )
            return None
        log.info("the gallery has changed: %d people are enrolled now", gallery.people)
        return prepare(gallery)
