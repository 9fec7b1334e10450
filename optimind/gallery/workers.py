"""Looking at photographs with several processes; a crash, Ctrl-C or a killed parent leaves no disorder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Protocol

import cv2

from optimind.errors import EngineError
from optimind.gallery.dataset import Photograph
from optimind.gallery.look import look_at
from optimind.gallery.outcome import Outcome
from optimind.plugin_api import Detector, Embedder, EmbedderInfo

__all__ = ["EngineFactory", "outcomes"]

_THE_PARENTS = {signal.SIGINT, signal.SIGTERM}
"""What the parent alone answers while it starts a process."""


class EngineFactory(Protocol):
    """Makes an engine; must be picklable, as it is sent to every worker."""

    def __call__(self) -> tuple[Detector, Embedder]:
        """Load the engine. Raises :class:`EngineError`."""
        ...

    def describe(self) -> tuple[str, EmbedderInfo]:
        """Return the detector's name and what the embedder is; nothing is loaded. Raises :class:`EngineError`."""
        ...


def outcomes(
    photographs: Iterable[Photograph], engine: EngineFactory, workers: int
) -> Generator[tuple[Photograph, Outcome], None, None]:
    """Yield each photograph with its outcome, in the order in which they are done.

    One worker is this process itself; more are processes of their own with an engine each. Closing the iterator (or
    ``KeyboardInterrupt``) stops all of them at once. Raises :class:`EngineError` where the engine cannot start, fails,
    or takes its process down.
    """
    if workers == 1:
        loaded = engine()
        for photograph in photographs:
            yield photograph, _look(photograph, *loaded)
    else:
        yield from _in_processes(iter(photographs), engine, workers)


def _in_processes(
    photographs: Iterator[Photograph], engine: EngineFactory, workers: int
) -> Generator[tuple[Photograph, Outcome], None, None]:
    others = set(multiprocessing.active_children())
    running: dict[Future[Outcome], Photograph] = {}
    finished = False
    with _one_thread_each():
        pool = ProcessPoolExecutor(workers, _context(), _prepare, (engine,))
        try:
            while True:
                # Two a worker: nobody waits for work, and little is lost when it stops.
                while len(running) < 2 * workers and (photograph := next(photographs, None)) is not None:
                    running[_submit(pool, photograph)] = photograph
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    yield running.pop(future), outcome
            finished = True
        except BrokenProcessPool as error:
            files = ", ".join(sorted(p.file for p in running.values()))
            raise EngineError(
                f"an encoding process died (out of memory, or killed) while looking at one of: {files}",
                mend="run the same command again, what was done is kept; with --workers 1 it needs less memory",
            ) from error
        finally:
            if not finished:
                for process in set(multiprocessing.active_children()) - others:
                    process.kill()
            pool.shutdown(wait=True, cancel_futures=True)


def _context() -> BaseContext:
    """How processes are started: forked where nothing speaks against it, which saves importing everything again.

    A fork has one thread only. Whatever another one held or was to do, a lock or a share of a sum, would be waited for
    for ever; so it must be the only one, by the count of Linux, which also knows those of libraries.
    """
    try:
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - the names are enough
    except OSError:
        threads = 0  # not Linux: elsewhere the system's own libraries do not bear a fork
    return multiprocessing.get_context("fork" if threads == 1 else "spawn")


def _submit(pool: ProcessPoolExecutor, photograph: Photograph) -> Future[Outcome]:
    """Hand over one photograph. A process that this starts never hears of Ctrl-C: the parent ends it."""
    if threading.current_thread() is not threading.main_thread():
        return pool.submit(_work, photograph)
    # The mask is inherited, so that not even the first moments of the new process print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _THE_PARENTS)
    try:
        return pool.submit(_work, photograph)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started in here use one thread for linear algebra: there are as many processes as cores already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Worker:
    """What one process keeps between photographs."""

    engine: EngineFactory
    loaded: tuple[Detector, Embedder] | None = None


def _prepare(engine: EngineFactory) -> None:
    """Set up a worker process; the engine is loaded with its first photograph, where an error finds its way back."""
    _Worker.engine = engine
    # A fork has the parent's handlers, and on a terminal its bar in place of these streams.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _THE_PARENTS - {signal.SIGINT})
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(parent_ended: Callable[[], None]) -> None:
    # A parent that was killed closes no pipe that this process does not hold itself: it would wait for ever.
    parent_ended()
    os._exit(1)


def _work(photograph: Photograph) -> Outcome:
    if _Worker.loaded is None:
        _Worker.loaded = _Worker.engine()
    return _look(photograph, *_Worker.loaded)


def _look(photograph: Photograph, detector: Detector, embedder: Embedder) -> Outcome:
    try:
        return look_at(photograph.path, detector, embedder)
    except EngineError:
        raise
    except Exception as error:
        # Whatever a third party's engine raises; the photograph itself was already decoded.
        raise EngineError(
            f"the engine failed on {photograph.file}: {type(error).__name__}: {error}",
            mend="what was done is kept; take this photograph out, run the same command again, and report the engine",
        ) from error
