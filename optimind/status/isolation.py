"""Runs each check in a thread of its own, so that neither an exception nor a hang of one touches the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from optimind.status.report import Item, failed_item

__all__ = ["Task"]


class Task:
    """A check that began to run when it was made.

    ``item`` is what is reported, as failed, when ``check(*args)`` raises or takes longer than ``limit_s`` seconds.
    """

    def __init__(self, item: Item, limit_s: float, check: Callable[..., Iterable[Item]], *args: Any) -> None:
        self._item = item
        self._limit_s = limit_s
        self._deadline = time.monotonic() + limit_s
        self._answer: queue.SimpleQueue[list[Item] | BaseException] = queue.SimpleQueue()
        # A daemon, because a thread that hangs in a driver must not keep the program from ending.
        threading.Thread(target=self._run, args=(check, args), name=f"check {item.name}", daemon=True).start()

    def _run(self, check: Callable[..., Iterable[Item]], args: Any) -> None:
        try:
            self._answer.put(list(check(*args)))
        except BaseException as error:  # noqa: BLE001  a library may even raise SystemExit; all of it is reported
            self._answer.put(error)

    def items(self) -> list[Item]:
        """Wait for the check, at most until its time is up, and return what it found."""
        try:
            answer = self._answer.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except queue.Empty:
            return [replace(self._item, state="failed", found=f"no answer within {self._limit_s:g} s")]
        if isinstance(answer, BaseException):
            return [failed_item(self._item, answer)]
        return answer
