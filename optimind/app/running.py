"""A run: sources, engine, plugins, sinks and the ledger are made and put together, and the loop is let go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from optimind.app.cameras import Camera, cameras_of, source_from
from optimind.app.configured import configured, ledger_url, limits_of
from optimind.app.enrolled import GalleryWatch
from optimind.app.feeds import Parts, cpu_cores, feed_of
from optimind.app.housekeeping import housekeeping
from optimind.app.presentation import configured_check
from optimind.app.register_keeping import RegisterKeeper
from optimind.app.sinks import enabled_sinks
from optimind.app.timetables import roles_of, rooms_of, timetable_of, warn_of_empty_rooms
from optimind.app.visitors import visitor_keeper
from optimind.config import Config
from optimind.core.calibration import Calibration
from optimind.core.identification import Identifier
from optimind.core.timetable import Timetable
from optimind.discovery import Catalogue, discover
from optimind.engines import engine_for_gallery
from optimind.errors import SourceNotFound
from optimind.gallery import GalleryFile, to_core
from optimind.pipeline.budget import CpuBudget
from optimind.pipeline.delivery import DeliveryWorker
from optimind.pipeline.host import PluginHost
from optimind.pipeline.loop import CameraFeed, Loop, Watcher
from optimind.pipeline.marks import MarkWriter
from optimind.pipeline.meetings import MeetingBook
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.standing import Standing
from optimind.pipeline.summary import attention, summarise
from optimind.pipeline.visitors import VisitorKeeper
from optimind.plugin_api import (
    AttendanceMarked,
    Embedder,
    Event,
    Plugin,
    PluginContext,
    RecordRow,
    Settings,
    Sighting,
)
from optimind.storage import open_ledger

__all__ = ["RunOptions", "RunResult", "run"]

log = logging.getLogger(__name__)

_FLUSH_S = 20.0
"""How long the end of a run waits for rows to leave; those that have not stay in the outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line adds to the settings. ``sources`` replaces ``cameras`` where it is not empty."""

    sources: Sequence[str] = ()
    gallery: Path | None = None
    data: Path | None = None
    session: str | None = None
    pace: Literal["live", "fast"] = "live"
    start_at: datetime | None = None
    seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class RunResult:
    """What came of a run: ``summary`` is `run --json`'s document, ``attention`` what a person must look at."""

    summary: dict[str, Any]
    attention: list[str] = field(default_factory=list)
    unsaved: list[AttendanceMarked] = field(default_factory=list)
    ledger_error: str = ""
    no_picture: bool = False
    no_such_source: bool = False


def run(
    config: Config,
    options: RunOptions,
    *,
    stop: threading.Event,
    watchers: Sequence[Watcher] = (),
    on_marked: Callable[[RecordRow], None] = lambda _row: None,
    on_tick: Callable[[Standing], None] = lambda _standing: None,
) -> RunResult:
    """Recognise until the recordings end or ``stop`` is set. Raises OptiMindError where it cannot begin.

    ``on_tick`` is called in every turn of the loop: many times a second, so what it does must be short.
    """
    catalogue = discover(config.plugins_folder)
    url = ledger_url(config, options.data)
    enrolled = GalleryWatch(config, options.gallery or config.gallery, url)
    cameras = cameras_of(config, options.sources)
    sources = [source_from(catalogue, camera.id, camera.spec) for camera in cameras]
    plugins, sinks = _plugins(config, catalogue), enabled_sinks(config, catalogue)
    timetable = _timetable(config, options, cameras)
    check = configured_check(config, catalogue)
    engine = engine_for_gallery(config, enrolled.gallery)
    detector, embedder = engine()
    stages, delays = StageTimes(), StageTimes()
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(url))
        stack.enter_context(housekeeping(config, ledger))
        sink_names = [sink.name for sink in sinks]
        writer = MarkWriter(ledger, sink_names, on_marked, sealer=config.privacy.sealer())
        book = MeetingBook(timetable, ledger.school)
        register = RegisterKeeper(config, ledger, book, sink_names)
        context = _context(config, options, cameras, book)
        host = PluginHost(
            [kind.create(settings, context) for kind, settings in plugins], lambda event: _keep(event, writer)
        )
        calibration = _calibration(embedder)
        identifier = _identifier(config, enrolled.gallery, calibration)
        stack.enter_context(enrolled.watching(lambda found: _identifier(config, found, calibration)))
        keeper = stack.enter_context(
            visitor_keeper(
                config,
                url,
                calibration,
                stages,
                identifier=identifier,
                embedder=embedder.info.embedder_id,
            )
        )
        parts = Parts(
            detector=detector,
            embedder=embedder,
            identifier=identifier,
            stages=stages,
            budget=CpuBudget(cpu_cores(config, len(sources))),
            check=check,
            watches_strangers=keeper is not None,
            pace=options.pace,
            start_at=options.start_at,
        )
        feeds = [feed_of(config, camera, source, parts) for camera, source in zip(cameras, sources, strict=True)]
        workers = _started([DeliveryWorker(ledger, sink, zone=config.zone()) for sink in sinks], stack)
        people: set[str] = set()
        standing = Standing(
            feeds=feeds, stages=stages, delays=delays, people=people, workers=workers, marks=writer, visitors=keeper
        )
        stack.enter_context(_metrics(config, standing))

        def dispatch(events: Sequence[Event]) -> None:
            people.update(event.person_id for event in events if isinstance(event, Sighting))
            register.take(events)
            known = keeper.take(events) if keeper else events
            with stages.measure("plugins"):
                host.dispatch(known)

        beside: list[Callable[[], object]] = [writer.retry, register.tick, *([keeper.tick] if keeper else [])]

        def tick() -> None:
            for work in beside:
                work()
            _know(enrolled, feeds)
            on_tick(standing)

        loop = Loop(
            feeds,
            embedder,
            dispatch,
            stages=stages,
            delays=delays,
            changed=parts.changed,
            stop=stop,
            seconds=options.seconds,
            watchers=watchers,
            tick=tick,
        )
        began_s, cpu_began_s = time.monotonic(), time.process_time()
        try:
            loop.run()
        finally:
            seconds, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_began_s
            _finish(host, writer, register, keeper, workers)
        return RunResult(
            summary=summarise(
                feeds,
                stages,
                delays,
                people,
                seconds=seconds,
                cpu_s=cpu_s,
                workers=workers,
                plugins=host.states,
                engine=engine.name,
                min_face_px=engine.min_face_px,
                visitors=keeper,
            ),
            attention=attention(feeds, host.states, workers, stopped=stop.is_set(), visitors=keeper),
            unsaved=writer.unsaved,
            ledger_error=writer.error,
            # A run that somebody stopped before a slow camera had answered has not failed.
            no_such_source=all(isinstance(feed.capture.error, SourceNotFound) for feed in feeds),
            no_picture=not stop.is_set() and all(feed.capture.counts.read == 0 for feed in feeds),
        )


def _timetable(config: Config, options: RunOptions, cameras: Sequence[Camera]) -> Timetable:
    timetable = timetable_of(config, rooms_of(cameras))
    if options.session is None:
        warn_of_empty_rooms(timetable)
    return timetable


def _know(enrolled: GalleryWatch, feeds: Sequence[CameraFeed]) -> None:
    """Let all cameras know those who are enrolled by now."""
    identifier = enrolled.take()
    if identifier is not None:
        for feed in feeds:
            feed.recogniser.know(identifier)


def _keep(event: Event, writer: MarkWriter) -> None:
    if isinstance(event, AttendanceMarked):
        writer.write(event)


def _calibration(embedder: Embedder) -> Calibration | None:
    calibration = embedder.calibration()
    if calibration is None:
        log.warning(
            "no calibration for %s: the limit is the plain distance recognition.max_distance, and recognition.fpir "
            "is not used; mend: optimind models calibrate --faces DIR",
            embedder.info.embedder_id,
        )
    return calibration


def _finish(
    host: PluginHost,
    writer: MarkWriter,
    register: RegisterKeeper,
    keeper: VisitorKeeper | None,
    workers: Sequence[DeliveryWorker],
) -> None:
    """Whatever ended the loop, what was seen is said, saved and sent."""
    host.close()
    writer.retry(now=True)
    register.finish()
    if keeper:
        keeper.finish()
    for worker in workers:
        worker.flush(_FLUSH_S)


def _started(workers: list[DeliveryWorker], stack: ExitStack) -> list[DeliveryWorker]:
    for worker in workers:
        stack.callback(worker.stop)
        worker.start()
    return workers


def _metrics(config: Config, standing: Standing) -> AbstractContextManager[None]:
    if config.metrics.port is None:
        return nullcontext()
    from optimind.pipeline.metrics import serving  # noqa: PLC0415 - only where it is switched on

    return serving(standing, config.metrics.address, config.metrics.port)


def _plugins(config: Config, catalogue: Catalogue) -> list[tuple[type[Plugin], Settings]]:
    """The classes of the plugins that are to run, with their settings, checked."""
    return [configured(config, catalogue, "plugin", name) for name in config.enabled_names("plugin")]


def _context(config: Config, options: RunOptions, cameras: Sequence[Camera], book: MeetingBook) -> PluginContext:
    return PluginContext(
        session=options.session,
        timezone=config.zone(),
        meetings=book,
        roles=roles_of(cameras),
        has_timetable=config.timetable is not None,
    )


def _identifier(config: Config, gallery: GalleryFile, calibration: Calibration | None) -> Identifier:
    limits = limits_of(config, min_samples=config.recognition.min_samples)
    return Identifier(to_core(gallery), limits, calibration)
