"""What commands share that look at many photographs: how far it is, and one Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from optimind.gallery.encoder import Progress as OnProgress

__all__ = ["one_interrupt", "photograph_progress"]

LINE_EVERY_S = 10.0


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the command and pass over the next: it keeps or deletes what it has."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(_number: int, _frame: object) -> None:
        for number in usual:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in usual:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in usual.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


@contextmanager
def photograph_progress() -> Iterator[OnProgress]:
    """Show how far it is: a bar with the time left on a terminal, a line now and then in a log.

    Several folders may follow each other: each begins at its own first call.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = (TextColumn("photographs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines() -> OnProgress:
    began_at = said_at = time.monotonic()
    known = last = -1

    def say(done: int, total: int) -> None:
        nonlocal began_at, said_at, known, last
        now = time.monotonic()
        if known < 0 or done < last:
            began_at, known = now, done
        last = done
        if now - said_at >= LINE_EVERY_S and done > known:
            said_at = now
            left_s = (now - began_at) / (done - known) * (total - done)
            print(f"{done} of {total} photographs, about {left_s:.0f} s left", file=sys.stderr)

    return say
