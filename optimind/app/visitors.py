"""Unknown people in a run: what keeps them, or nothing where they are not kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from optimind.config import Config
from optimind.core.calibration import Calibration
from optimind.core.identification import Identifier, Verdict
from optimind.errors import StorageError
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.visitors import PATIENCE_S, VisitorKeeper
from optimind.storage import VisitorStore

__all__ = ["visitor_keeper"]

log = logging.getLogger(__name__)


@contextmanager
def visitor_keeper(
    config: Config,
    url: str,
    calibration: Calibration | None,
    stages: StageTimes,
    *,
    identifier: Identifier,
    embedder: str,
) -> Iterator[VisitorKeeper | None]:
    """What keeps unknown people in the database ``url``; None where none are kept, and then nothing stays of others.

    Visitors whom ``identifier`` knows by now, by the vectors of ``embedder``, are visitors no longer. Raises
    :class:`StorageError` where the database cannot be opened.
    """
    with VisitorStore(url, patience_s=PATIENCE_S, sealer=config.privacy.sealer()) as store:
        if not config.visitors.keep_days:
            _forget(store)
            yield None
            return
        keeper = VisitorKeeper(store, calibration, config.visitors.keep_days, stages)
        keeper.tick()
        _forget_enrolled(store, identifier, embedder)
        yield keeper


def _forget_enrolled(store: VisitorStore, identifier: Identifier, embedder: str) -> None:
    """Delete who was enrolled since: by `visitors enrol` during a run, or by photographs that somebody took."""
    try:
        known = [
            visitor
            for visitor, vectors in store.vectors(embedder).items()
            if identifier.identify(vectors).verdict is Verdict.ACCEPTED
        ]
        if known:
            gone = store.forget(known)
            log.info("%d visitors are enrolled by now and were deleted", gone.visitors)
    except StorageError as error:
        log.warning("it could not be looked up which visitors are enrolled by now: %s", error)


def _forget(store: VisitorStore) -> None:
    try:
        gone = store.forget() if store.visitors() else None
    except StorageError as error:
        log.warning("visitors.keep_days is 0, but those who were kept before could not be deleted: %s", error)
        return
    if gone:
        log.warning("visitors.keep_days is 0: the %d visitors who were kept before were deleted", gone.visitors)
