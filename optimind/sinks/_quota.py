"""How many requests a minute Google allows one account, kept by all processes that use it together.

A small file in a folder that they share holds two buckets, one of reads and one of writes. Each request takes a token;
they come back at a steady rate, so that a burst goes out at once and much that goes on for long is spread evenly. In no
60 seconds are more taken than the quota: a quarter of it may go at once, the rest comes back in a minute.
"""

import hashlib
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from optimind.plugin_api import DeliveryDelayed

__all__ = ["Kind", "Now", "Quota", "Rate", "refilled"]

log = logging.getLogger(__name__)

Kind = Literal["reads", "writes"]

_USED = 0.9
"""How much of the quota is used: a request reaches Google a little later than its token was taken."""
_AT_ONCE = 0.25
"""Which part of that may go at once."""
_STEP_S = 0.25
_LONGEST_HOLD_S = 60.0
"""Google counts by the minute: whatever a refusal says, a minute later there is room again."""
_SKEW_S = 90.0
"""By how much another machine's clock may be ahead of this one's; more than that, and the clock was set back."""


class Rate(NamedTuple):
    """A bucket: ``burst`` tokens at most, of which ``per_s`` come back in a second."""

    burst: float
    per_s: float

    @classmethod
    def of(cls, per_minute: float) -> "Rate":
        """The bucket by which in any 60 seconds no more than ``per_minute`` are taken."""
        used = per_minute * _USED
        burst = max(1.0, used * _AT_ONCE)
        return cls(burst, (used - burst) / 60.0)


class Now(NamedTuple):
    """The moment by two clocks, in seconds: the wall's, which may be set, and the machine's, from its boot on."""

    wall: float
    machine: float

    @classmethod
    def read(cls) -> "Now":
        """This moment."""
        return cls(time.time(), time.monotonic())


@dataclass(frozen=True, slots=True)
class _State:
    at: Now
    tokens: Mapping[str, float]

    def text(self) -> str:
        return json.dumps({"wall": self.at.wall, "machine": self.at.machine, "tokens": dict(self.tokens)})


def refilled(text: str | None, rates: Mapping[str, Rate], now: Now) -> _State:
    """What is in the buckets at ``now``, when ``text`` was written earlier; None: nothing was, and they are full.

    Where it cannot be read they are empty, and where the clocks disagree on how much time has passed it is the shorter
    one: rather a wait of some seconds than too many requests.
    """
    if text is None:
        return _State(now, {kind: rate.burst for kind, rate in rates.items()})
    try:
        kept = json.loads(text)
        at = Now(_finite(kept["wall"]), _finite(kept["machine"]))
        tokens = {kind: _finite(kept["tokens"][kind]) for kind in rates}
    except (ValueError, LookupError, TypeError):
        return _State(now, dict.fromkeys(rates, 0.0))
    passed_s = now.wall - at.wall
    if -_SKEW_S <= passed_s < 0:
        # Another machine's clock is ahead of this one's. Its moment stays, else the same seconds would count twice.
        return _State(at, _bounded(tokens, rates, 0.0))
    # The machine's clock is behind where the machine was started anew, or another one wrote.
    if now.machine >= at.machine:
        passed_s = min(passed_s, now.machine - at.machine)
    return _State(now, _bounded(tokens, rates, max(0.0, passed_s)))


def _bounded(tokens: Mapping[str, float], rates: Mapping[str, Rate], passed_s: float) -> dict[str, float]:
    found = {}
    for kind, (burst, per_s) in rates.items():
        least = -_LONGEST_HOLD_S * per_s
        found[kind] = min(burst, max(least, tokens[kind]) + passed_s * per_s)
    return found


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type] # what is no number raises TypeError, which is caught
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number


class Quota:
    """The two buckets of ``account`` (a text that names it) in ``folder``; ``per_minute`` says how many of each kind.

    Used by one thread; ``interrupt`` may be called from any. Where the folder cannot be used this process keeps to the
    quota alone, and says so once.
    """

    def __init__(
        self,
        folder: Path,
        account: str,
        per_minute: Mapping[Kind, float],
        *,
        clock: Callable[[], Now] = Now.read,
    ) -> None:
        self._file = folder / f"{hashlib.sha256(account.encode()).hexdigest()[:16]}.json"
        self._rates: dict[str, Rate] = {kind: Rate.of(number) for kind, number in per_minute.items()}
        self._clock = clock
        self._stopped = threading.Event()
        self._alone: str | None = None
        self._is_alone = False

    def take(self, **wanted: int) -> None:
        """Take so many tokens of each kind (``reads``, ``writes``), all at once, waiting until there are as many.

        Raises :class:`DeliveryDelayed` where it is interrupted meanwhile.
        """
        while (wait_s := self.attempt(**wanted)) > 0:
            if self._stopped.wait(min(wait_s, _STEP_S)):
                raise DeliveryDelayed(
                    "the run ended while rows waited for Google's quota",
                    mend="the next run sends them",
                    retry_after_s=0.0,
                    is_over=True,
                )

    def attempt(self, **wanted: int) -> float:
        """Take them if they are there; return 0, else how long to wait before asking again, in seconds."""

        def taken(state: _State) -> tuple[_State, float]:
            # More than a full bucket would never be there: then a full one does, and a debt is left.
            lacking = {
                kind: min(number, self._rates[kind].burst) - state.tokens[kind] for kind, number in wanted.items()
            }
            wait_s = max((most / self._rates[kind].per_s for kind, most in lacking.items() if most > 0), default=0.0)
            if wait_s > 0:
                return state, wait_s
            left = {kind: tokens - wanted.get(kind, 0) for kind, tokens in state.tokens.items()}
            return _State(state.at, left), 0.0

        return self._change(taken)

    def spent(self, kind: Kind, hold_s: float) -> None:
        """Note that Google says the quota is used up: nobody asks for ``hold_s`` seconds, at most for a minute."""
        debt = -min(max(hold_s, 0.0), _LONGEST_HOLD_S) * self._rates[kind].per_s

        def emptied(state: _State) -> tuple[_State, float]:
            return _State(state.at, {**state.tokens, kind: min(state.tokens[kind], debt)}), 0.0

        self._change(emptied)

    def interrupt(self) -> None:
        """Let nobody wait any more."""
        self._stopped.set()

    def _change(self, change: Callable[[_State], tuple[_State, float]]) -> float:
        if not self._is_alone:
            try:
                return self._change_file(change)
            except (OSError, NotImplementedError) as error:
                self._is_alone = True
                log.warning(
                    "Google's quota cannot be shared with other processes in %s (%s), so this one keeps to it alone; "
                    "mend: name a folder that can be written in sheets: quota: folder:",
                    self._file.parent,
                    getattr(error, "strerror", None) or error,
                )
        state, wait_s = change(refilled(self._alone, self._rates, self._clock()))
        self._alone = state.text()
        return wait_s

    def _change_file(self, change: Callable[[_State], tuple[_State, float]]) -> float:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._file.with_suffix(".lock"), timeout=1.0, poll_interval=0.01, mode=0o600)
        # A holder that dies gives the lock back, for it is the system's.
        with suppress(Timeout), lock:
            try:
                text = self._file.read_text("utf-8", errors="replace")
            except FileNotFoundError:
                text = None
            before = refilled(text, self._rates, self._clock())
            after, wait_s = change(before)
            whole = self._file.with_suffix(".new")
            whole.write_text(after.text(), "utf-8")
            # Whole or not at all. Not synced: what a power cut loses is a minute old when the machine is up again.
            whole.replace(self._file)
            return wait_s
        return _STEP_S
