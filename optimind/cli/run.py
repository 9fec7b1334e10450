"""The command `run`, and what happens without a command: check, then run."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console

from optimind.app import running
from optimind.cli.check import print_report, report_problems
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.cli.status_line import status_line
from optimind.config import Config, load_config
from optimind.errors import SourceNotFound, UsageError
from optimind.pipeline.loop import Watcher
from optimind.pipeline.overlay import Snapshot, Window, can_show_window, draw
from optimind.pipeline.recogniser import TrackView
from optimind.plugin_api import Frame, RecordRow

__all__ = ["check_and_run", "run"]

log = logging.getLogger(__name__)


def check_and_run() -> None:
    """What happens without a command: the whole check, then the loop on config.yaml."""
    settings = load_config(None)
    _log_to_stderr(settings.log_level)
    print_report(None)
    _run(settings, running.RunOptions())


def run(
    *,
    config: ConfigOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="A device number, path, rtsp/http URL, or a camera id of the settings. May be repeated."),
    ] = None,
    gallery: Annotated[Path | None, typer.Option(help="The gallery file (default: what the settings say).")] = None,
    data: DataOption = None,
    session: Annotated[str | None, typer.Option(help="The name of the session, e.g. maths-7b.")] = None,
    pace: Annotated[
        Literal["live", "fast"],
        typer.Option(help="live: a recording runs in real time like a camera. fast: every frame, as fast as it goes."),
    ] = "live",
    start: Annotated[
        str | None, typer.Option(metavar="ISO8601", help="When a recording begins, e.g. 2026-09-01T08:00:00+02:00.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Open no window.")] = False,
    snapshot: Annotated[
        Path | None, typer.Option(help="At the end, write the picture with most names to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recognise live and keep the register, until the recordings end, or q or Ctrl-C is pressed."""
    settings = load_config(config)
    _log_to_stderr(settings.log_level)
    options = running.RunOptions(
        sources=source or [],
        gallery=gallery,
        data=data,
        session=_session(session),
        pace=pace,
        start_at=_start(start, settings),
        seconds=seconds,
    )
    report_problems(config, gallery=gallery, data=data)
    _run(settings, options, headless=headless, snapshot=snapshot, as_json=as_json)


def _run(
    settings: Config,
    options: running.RunOptions,
    *,
    headless: bool = False,
    snapshot: Path | None = None,
    as_json: bool = False,
) -> None:
    stop = threading.Event()
    _stop_on_signals(stop)
    picture = Snapshot(snapshot, settings.zone()) if snapshot else None
    window = None if as_json or headless else _window(settings)
    watchers = _watchers(window, picture, settings)
    with contextlib.ExitStack() as stack:
        if as_json:
            # What a plugin prints must not get into the document.
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        show = stack.enter_context(status_line(seconds=options.seconds, wanted=not (as_json or window)))
        try:
            result = running.run(
                settings, options, stop=stop, watchers=watchers, on_marked=_announce(settings), on_tick=show
            )
        finally:
            if window:
                window.close()
    _print(result, as_json=as_json)
    if picture:
        picture.write()
    code = _exit_code(result)
    if code:
        raise typer.Exit(code)


def _log_to_stderr(level: str) -> None:
    # Its notes about a database that is in order are nothing to read in a classroom.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )


def _session(text: str | None) -> str | None:
    if text is not None and not (text.strip() and len(text) <= 200):
        raise UsageError("--session must have 1 to 200 characters", mend="e.g. --session maths-7b")
    return text


def _start(text: str | None, settings: Config) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--start {text!r} is no ISO 8601 time", mend="write it as 2026-09-01T08:00:00+02:00"
        ) from error
    # In UTC, where adding seconds is right also on the night when the clocks change.
    return (moment if moment.tzinfo else moment.replace(tzinfo=settings.zone())).astimezone(UTC)


def _stop_on_signals(stop: threading.Event) -> None:
    """The first Ctrl-C or SIGTERM ends the run in order; a second one at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, None)
        stop.set()

    # SIGHUP: the terminal was closed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


def _window(settings: Config) -> Window | None:
    if settings.display.window == "off":
        return None
    if can_show_window():
        return Window()
    if settings.display.window == "on":
        log.warning("display.window is on, but there is no screen here: running without a window")
    return None


def _watchers(window: Window | None, snapshot: Snapshot | None, settings: Config) -> list[Watcher]:
    watchers: list[Watcher] = []
    zone = settings.zone()

    def show(frame: Frame, views: list[TrackView]) -> bool:
        caption = f"{frame.camera}  {frame.captured_at.astimezone(zone):%H:%M:%S}  q: stop"
        return window is None or window.show(frame.camera, draw(frame.image, views, caption))

    if window:
        watchers.append(show)
    if snapshot:
        watchers.append(snapshot.consider)
    return watchers


def _announce(settings: Config) -> Callable[[RecordRow], None]:
    zone = settings.zone()

    def announce(row: RecordRow) -> None:
        log.info(
            "%s  %s  %s (%s), %s",
            row.first_seen_at.astimezone(zone).strftime("%H:%M:%S") if row.first_seen_at else "--:--:--",
            row.status,
            printable(row.name),
            printable(row.person_id),
            row.camera,
        )

    return announce


def _print(result: running.RunResult, *, as_json: bool) -> None:
    for sentence in result.attention:
        print(f"attention: {sentence}", file=sys.stderr)
    if result.unsaved:
        print(f"error: {len(result.unsaved)} marks could not be saved: {result.ledger_error}", file=sys.stderr)
        for mark in result.unsaved:
            sighting = mark.sighting
            print(
                f"  {mark.date} {printable(mark.session)}: {printable(sighting.name)} ({printable(sighting.person_id)})"
                f" {sighting.first_seen_at.isoformat()} - {sighting.last_seen_at.isoformat()}",
                file=sys.stderr,
            )
    if as_json:
        print(json.dumps(result.summary, indent=1))
        return
    summary = result.summary
    frames = summary["frames"]
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{frames['processed']} of {frames['read']} frames in {summary['seconds']:.1f} s"
        f" ({frames['dropped']} dropped), {summary['tracks']} faces followed,"
        f" {_people(len(summary['people']))} recognised, {summary['unknown_tracks']} unknown"
    )
    cost = summary["detection"]
    if cost["searches"]:
        console.print(
            f"  searching a picture for faces from {cost['finds_from_px']} px took {cost['ms_a_picture']:.0f} ms,"
            f" following the known ones {cost['ms_a_follow']:.0f} ms, both together {cost['share']:.0%} of the time;"
            f" from {cost['larger_px']} px a search would take about {cost['larger_ms']:.0f} ms (detection.min_face_px)"
        )
        if cost["finds_from_px"] > 1.05 * cost["min_face_px"]:
            console.print(
                f"  smaller ones, down to the {cost['min_face_px']} px that are set, are missed:"
                f" the picture is larger than {cost['engine']} looks at so closely"
            )
    for camera in summary["cameras"]:
        console.print(f"  camera {camera['id']}: {camera['state']}", markup=False)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _exit_code(result: running.RunResult) -> int:
    if result.no_such_source:
        return SourceNotFound.exit_code
    if result.unsaved or result.no_picture:
        return 1
    return 3 if result.attention else 0
