"""Looking at photographs with several processes; a crash, Ctrl-C or a killed parent leaves no disorder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, MutableSequence, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Protocol

import cv2

from optimind.errors import EngineError
from optimind.gallery.batches import Batches
from optimind.gallery.dataset import Photograph
from optimind.gallery.look import look_at
from optimind.gallery.outcome import Outcome
from optimind.plugin_api import Detector, Embedder, EmbedderInfo

__all__ = ["EngineFactory", "outcomes"]

_THE_PARENTS = {signal.SIGINT, signal.SIGTERM}
"""What the parent alone answers while it starts a process."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What became of a batch of photographs, and how long that took, the engine being loaded."""

    outcomes: list[Outcome]
    seconds: float


class EngineFactory(Protocol):
    """Makes an engine; must be picklable, as it is sent to every worker."""

    def __call__(self) -> tuple[Detector, Embedder]:
        """Load the engine. Raises :class:`EngineError`."""
        ...

    def describe(self) -> tuple[str, EmbedderInfo]:
        """Return the detector's name and what the embedder is; nothing is loaded. Raises :class:`EngineError`."""
        ...


def outcomes(
    photographs: Sequence[Photograph], engine: EngineFactory, workers: int
) -> Generator[tuple[Photograph, Outcome], None, None]:
    """Yield each photograph with its outcome, in the order in which they are done.

    One worker is this process itself; more are processes of their own with an engine each. Closing the iterator (or
    ``KeyboardInterrupt``) stops all of them at once. Raises :class:`EngineError` where the engine cannot start, fails,
    or takes its process down.
    """
    if workers == 1:
        yield from _here(photographs, engine)
    else:
        yield from _in_processes(photographs, engine, workers)


def _here(
    photographs: Sequence[Photograph], engine: EngineFactory
) -> Generator[tuple[Photograph, Outcome], None, None]:
    loaded = engine()
    batches = Batches(len(photographs), 1)
    while numbers := batches.deal():
        batch = photographs[numbers.start : numbers.stop]
        try:
            looked = _look(batch, *loaded)
        except EngineError:
            for photograph in batch:
                yield photograph, _look([photograph], *loaded).outcomes[0]
            continue
        batches.took(len(batch), looked.seconds)
        yield from zip(batch, looked.outcomes, strict=True)


def _in_processes(
    photographs: Sequence[Photograph], engine: EngineFactory, workers: int
) -> Generator[tuple[Photograph, Outcome], None, None]:
    others = set(multiprocessing.active_children())
    running: dict[Future[_Looked], range] = {}
    batches = Batches(len(photographs), workers)
    context = _context()
    under_way = context.RawArray("b", len(photographs))
    finished = False
    with _one_thread_each():
        pool = ProcessPoolExecutor(workers, context, _prepare, (engine, under_way))
        try:
            while True:
                # Two a worker: nobody waits for work, and little is lost when it stops.
                while len(running) < 2 * workers and (numbers := batches.deal()):
                    running[_submit(pool, photographs, numbers)] = numbers
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    numbers = running[future]
                    if isinstance(future.exception(), EngineError) and len(numbers) > 1:
                        # One by one: what can be done is done, and the one that is to blame is blamed.
                        running |= {_submit(pool, photographs, range(n, n + 1)): range(n, n + 1) for n in numbers}
                        del running[future]
                        continue
                    looked = future.result()
                    del running[future]
                    batches.took(len(numbers), looked.seconds)
                    yield from zip(photographs[numbers.start : numbers.stop], looked.outcomes, strict=True)
            finished = True
        except BrokenProcessPool as error:
            files = ", ".join(sorted(p.file for p, at_work in zip(photographs, under_way, strict=True) if at_work))
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


def _submit(pool: ProcessPoolExecutor, photographs: Sequence[Photograph], numbers: range) -> Future[_Looked]:
    """Hand over a few photographs. A process that this starts never hears of Ctrl-C: the parent ends it."""
    batch = photographs[numbers.start : numbers.stop]
    with _later(_THE_PARENTS):
        return pool.submit(_work, batch, numbers.start)


@contextmanager
def _later(signals: Set[signal.Signals]) -> Iterator[None]:
    """Answer ``signals`` when this is over: a process that is started by halves would not be known to anybody.

    The mask is inherited, so that not even the first moments of a new process print a traceback. It does not hold for
    this process's other threads, and what they are sent is answered by the main one: hence the handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    usual = {number: signal.signal(number, lambda number, _: came.append(number)) for number in signals}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for late in came:
            signal.raise_signal(late)


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
    """What one process keeps between photographs; ``under_way`` has a one for each that a process works on now."""

    engine: EngineFactory
    under_way: MutableSequence[int]
    loaded: tuple[Detector, Embedder] | None = None


def _prepare(engine: EngineFactory, under_way: MutableSequence[int]) -> None:
    """Set up a worker process; the engine is loaded with its first photograph, where an error finds its way back."""
    _Worker.engine, _Worker.under_way = engine, under_way
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


def _work(photographs: Sequence[Photograph], first: int) -> _Looked:
    if _Worker.loaded is None:
        _Worker.loaded = _Worker.engine()
    here = slice(first, first + len(photographs))

    def watch(numbers: Sequence[int]) -> None:
        _Worker.under_way[here] = [number in numbers for number in range(len(photographs))]

    try:
        return _look(photographs, *_Worker.loaded, watch)
    finally:
        watch(())


def _look(
    photographs: Sequence[Photograph],
    detector: Detector,
    embedder: Embedder,
    watch: Callable[[Sequence[int]], None] = lambda _: None,
) -> _Looked:
    began = time.monotonic()
    try:
        found = look_at([photograph.path for photograph in photographs], detector, embedder, watch)
    except EngineError:
        raise
    except Exception as error:
        # Whatever a third party's engine raises; the photographs themselves were already decoded.
        files = ", ".join(photograph.file for photograph in photographs)
        raise EngineError(
            f"the engine failed on {files}: {type(error).__name__}: {error}",
            mend="what was done is kept; take this photograph out, run the same command again, and report the engine",
        ) from error
    return _Looked(found, time.monotonic() - began)
