"""What a run does beside its work: deletes what was kept long enough, has sinks forget what they could not before."""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager, suppress
from typing import Final

from optimind.app.background import beside
from optimind.app.forgetting import finish_forgetting
from optimind.app.privacy import Sweeper
from optimind.app.sinks import enabled_sinks
from optimind.config import Config
from optimind.errors import StorageError
from optimind.storage import Ledger

__all__ = ["housekeeping"]

log = logging.getLogger(__name__)

_EVERY_S: Final = 300.0


def housekeeping(config: Config, ledger: Ledger, *, every_s: float = _EVERY_S) -> AbstractContextManager[None]:
    """Do it in a thread of its own during the block, at once and every few minutes; nothing is raised from it.

    Sweeping is done once an hour. The sinks are others than those that deliver, so that each is used by one thread.
    """
    return beside("housekeeping", lambda stop: _work(config, ledger, stop, every_s))


def _work(config: Config, ledger: Ledger, stop: threading.Event, every_s: float) -> None:
    sweeper = Sweeper(config, ledger)
    while True:
        try:
            sweeper.tick()
            _forget(config, ledger)
        except Exception as error:
            log.warning("housekeeping failed: %s", type(error).__name__)
            log.debug("it failed here", exc_info=error)
        if stop.wait(every_s):
            return


def _forget(config: Config, ledger: Ledger) -> None:
    with suppress(StorageError):  # the run says what is wrong with the ledger
        waiting = ledger.personal.pending()
        if not waiting:
            return
        for sink in enabled_sinks(config):
            try:
                if sink.name in waiting:
                    finish_forgetting(ledger, [sink])
            finally:
                sink.close()
