"""The tests' Sheets server on its worst day: everything that can go wrong does, at random, with a seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from sheets_server import EMAIL, Fault, SheetsServer

__all__ = ["FaultySheets"]

TITLE = "Log"
KEY = "record_id"
LATEST_S = 0.9
"""No request is carried out later than so many seconds after it came."""


class FaultySheets(SheetsServer):
    """While ``is_faulty``, a third of all requests meets a fault. ``met`` counts them by kind."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.is_faulty = True
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311 - a test's
        self._storm_until = self._revoked_until = 0.0
        self._renamed = 0
        self._deleted = 0

    def fault_for(self, path: str) -> Fault | None:
        with self.lock:
            now = time.monotonic()
            if self._revoked_until and (now >= self._revoked_until or not self.is_faulty):
                self.editors.add(EMAIL)
                self._revoked_until = 0.0
            if not self.is_faulty:
                return None
            if now < self._storm_until and path != "/token":
                return self._busy()
            if self._random.random() > 0.34:
                return None
            kinds: dict[Callable[[], Fault | None], float] = {
                self._storm: 2,
                self._error: 4,
                self._reset: 5,
                self._slow: 6,
                self._expire: 2,
                self._revoke: 0.5,
                self._delete: 0.25,
                self._rename: 0.25,
            }
            (kind,) = self._random.choices(list(kinds), list(kinds.values()))
            return kind()

    def _busy(self) -> Fault:
        self.met["429"] += 1
        return Fault(status=429, headers={"Retry-After": str(round(self._random.uniform(0, 0.3), 2))})

    def _storm(self) -> Fault:
        self._storm_until = time.monotonic() + self._random.uniform(0.1, 0.5)
        return self._busy()

    def _error(self) -> Fault:
        status, after = self._random.choice([500, 503]), self._random.random() < 0.5
        self.met[f"{status} {'after' if after else 'before'} the commit"] += 1
        return Fault(status=status, after=after)

    def _reset(self) -> Fault:
        after = self._random.random() < 0.5
        self.met[f"reset {'after' if after else 'before'} the commit"] += 1
        return Fault(reset=True, after=after)

    def _slow(self) -> Fault:
        after = self._random.random() < 0.5
        self.met[f"slow {'answer' if after else 'commit'}"] += 1
        return Fault(delay_s=self._random.uniform(0.05, LATEST_S), after=after)

    def _expire(self) -> None:
        self.met["expired token"] += 1
        self.tokens.clear()

    def _revoke(self) -> None:
        self.met["revoked share"] += 1
        self.editors.clear()
        self._revoked_until = time.monotonic() + self._random.uniform(0.1, 0.5)

    def _delete(self) -> None:
        if TITLE in self.sheets:
            self.met["deleted worksheet"] += 1
            del self.sheets[TITLE]

    def _rename(self) -> None:
        """Somebody gives a column of the header another name, any but that of the ids."""
        sheet = self.sheets.get(TITLE)
        titles = {place: text for place, text in sheet.cells.items() if place[0] == 1} if sheet else {}
        ours = [place for place, text in titles.items() if text != KEY and "!" not in str(text)]
        if sheet is None or not ours or len(titles) > 30:
            return
        self.met["renamed column"] += 1
        place = self._random.choice(ours)
        sheet.cells[place] = f"{titles[place]}!{self.met['renamed column']}"
