"""What commands share that look at many photographs: how far it is, and one Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from optimind.gallery.encoder import Progress as OnProgress

__all__ = ["one_interrupt", "photograph_progress"]

DRAW_EVERY_S = 0.1
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
    from rich import progress  # noqa: PLC0415 - only a terminal needs it
    from rich.console import Console  # noqa: PLC0415 - as above

    numbers = (progress.MofNCompleteColumn(), progress.TimeRemainingColumn())
    columns = (progress.TextColumn("photographs"), progress.BarColumn(), *numbers)
    # It draws itself only when it is called: a thread for that would keep processes from being forked.
    with progress.Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)
        drawn_at = 0.0

        def draw(done: int, total: int) -> None:
            nonlocal drawn_at
            now = time.monotonic()
            is_due = done == total or now - drawn_at >= DRAW_EVERY_S
            drawn_at = now if is_due else drawn_at
            bar.update(task, completed=done, total=total, refresh=is_due)

        yield draw


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
