"""Imports what a command needs when it is called; this module itself needs nothing but the standard library."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import NoReturn

__all__ = ["PackagesMissing", "is_ours", "load"]


class PackagesMissing(Exception):
    """A module cannot be imported for want of a package, or of a library of the system that a package needs."""


def load(module: str) -> ModuleType:
    """Import ``module``. Raises :class:`PackagesMissing`; what is wrong in OptiMind itself passes."""
    try:
        with _leaving_at_once():
            return importlib.import_module(module)
    except (ImportError, OSError) as error:
        # OSError: a package is there, but a library of the system that it needs is not.
        if isinstance(error, ImportError) and is_ours(error):
            raise
        raise PackagesMissing(str(error)) from error


def is_ours(error: ImportError) -> bool:
    """Whether the name that cannot be imported is one of OptiMind's own."""
    return (error.name or "").partition(".")[0] == "optimind"


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process on the spot: nothing is to be saved while packages are loaded.

    An exception would end up inside somebody's import, which may swallow it, or print it and go on.
    """
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        os.write(2, b"interrupted\n")
        os._exit(1)

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
