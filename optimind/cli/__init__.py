"""The command line: parse, call, print.

This module itself needs nothing but the standard library, so that `check` can say what is missing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence

from optimind.cli.loading import PackagesMissing, is_ours, load
from optimind.errors import OptiMindError

__all__ = ["main"]

_INTERRUPTED = 130
"""What the library behind the commands makes of Ctrl-C."""

_WITH_PROCESSES = ("encode", "evaluate", "models")
"""Commands that look at photographs with several processes; they are forked only where there are no threads."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage or settings, 3 needs a person."""
    try:
        return _main(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1


def _main(argv: list[str]) -> int:
    # What OpenCV and FFmpeg write by themselves is no message of ours; an error that matters reaches us as a value.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # ONNX Runtime would report its use to its makers, and keep a number of this machine for that.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    if argv[:1] and argv[0] in _WITH_PROCESSES:
        # Numpy's own threads, started when it is loaded, would be in the way of those processes.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a name shows its code instead of ending the program.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _guarded(load("optimind.cli.commands").app, argv)
    except PackagesMissing as missing:
        return _without_packages(argv, str(missing))


def _without_packages(argv: list[str], missing: str) -> int:
    from optimind.cli.check import main_without_packages  # noqa: PLC0415 - only where packages are missing

    if argv[:1] in ([], ["check"]):
        return main_without_packages(argv[1:])
    told = f"error: a package cannot be used: {missing}\n  mend: make setup    (python main.py check says more)"
    print(told, file=sys.stderr)
    return 1


def _guarded(app: Callable[..., object], argv: list[str]) -> int:
    """Turn whatever ends a command into an exit code and, at most, a message; PackagesMissing passes."""
    try:
        app(argv, prog_name="optimind")
    except SystemExit as stop:
        return _code_of(stop)
    except BrokenPipeError:
        return _nobody_reads()
    except PackagesMissing:
        raise
    except ImportError as error:
        # Not all is imported at the start; libraries do so too.
        if is_ours(error):
            return _explain(error)
        raise PackagesMissing(str(error)) from error
    except Exception as error:  # noqa: BLE001 - whatever it is, a user gets a message
        return _explain(error)
    return 0


def _code_of(stop: SystemExit) -> int:
    if isinstance(stop.__context__, BrokenPipeError):
        return _nobody_reads()
    code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if code == _INTERRUPTED:
        print("interrupted", file=sys.stderr)
        return 1
    return code


def _explain(error: Exception) -> int:
    if os.environ.get("OPTIMIND_DEBUG"):
        raise error
    if isinstance(error, OptiMindError):
        told, code = str(error), error.exit_code
    elif isinstance(error, OSError):
        told, code = f"{error}\n  mend: look whether that disk is full, or the file may not be written", 1
    else:
        mend = "this is a mistake in OptiMind; run again with OPTIMIND_DEBUG=1 and report what it prints"
        told, code = f"unexpected {type(error).__name__}: {error}\n  mend: {mend}", 1
    print(f"error: {told}", file=sys.stderr)
    return code


def _nobody_reads() -> int:
    """The reader of our output (head, less) has seen enough: done, and nothing more is written to it."""
    # Without this Python complains when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
