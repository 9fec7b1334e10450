"""What a run says at its end: `run --json`'s document, and what a person must look at."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from optimind.pipeline.delivery import DeliveryWorker
from optimind.pipeline.host import PluginState
from optimind.pipeline.looking import STARVED_S
from optimind.pipeline.loop import CameraFeed
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.visitors import VisitorKeeper

__all__ = ["attention", "peak_rss_mb", "summarise"]


def summarise(
    feeds: Sequence[CameraFeed],
    stages: StageTimes,
    delays: StageTimes,
    people: Iterable[str],
    *,
    seconds: float,
    cpu_s: float,
    workers: Sequence[DeliveryWorker],
    plugins: Sequence[PluginState],
    engine: str,
    min_face_px: int,
    visitors: VisitorKeeper | None = None,
) -> dict[str, Any]:
    """Build the summary. ``seconds`` is how long the loop ran, in real time, ``cpu_s`` the processor time it used.

    ``delays`` are those from a live frame's arrival until it was handled, and until who was seen in it was told.
    """
    cameras = [
        {
            "id": feed.capture.camera,
            "frames": _frames([feed]),
            "state": feed.state,
            "reason": feed.reason,
        }
        for feed in feeds
    ]
    return {
        "frames": _frames(feeds),
        "seconds": round(seconds, 3),
        "cpu_cores": round(cpu_s / seconds, 2) if seconds > 0 else 0.0,
        "cameras": cameras,
        "tracks": sum(feed.recogniser.counts["tracks"] for feed in feeds),
        "sightings": sum(feed.recogniser.counts["sightings"] for feed in feeds),
        "people": sorted(people),
        "unknown_tracks": sum(feed.recogniser.counts["unknown_tracks"] for feed in feeds),
        "suspected_tracks": sum(feed.recogniser.counts["suspected_tracks"] for feed in feeds),
        "stages_ms": stages.summary(),
        "delays_ms": delays.summary(),
        "detection": _detection(feeds, stages, engine, min_face_px, seconds),
        "peak_rss_mb": peak_rss_mb(),
        "plugins": {
            state.plugin.name: {
                "on": not state.switched_off,
                "failures": state.failures,
                "last_error": state.last_error,
            }
            for state in plugins
        },
        "sinks": {worker.sink.name: worker.status() for worker in workers},
        "visitors": _visitors(visitors),
    }


def _visitors(keeper: VisitorKeeper | None) -> dict[str, Any]:
    """What was kept of unknown people: ``visits``, of ``distinct`` visitors, and how many were ``dropped``."""
    if keeper is None:
        return {"on": False, "visits": 0, "distinct": 0, "dropped": 0}
    return {"on": True, "visits": keeper.visits, "distinct": keeper.visitors, "dropped": keeper.dropped}


def _detection(
    feeds: Sequence[CameraFeed], stages: StageTimes, engine: str, min_face_px: int, seconds: float
) -> dict[str, Any]:
    """What looking for faces of that size cost.

    ``finds_from_px`` is what the engine made of it: more than was asked for where it cannot look as closely.
    ``ms_a_picture`` is what searching a whole picture takes, in however many parts, and ``ms_a_follow`` looking again
    for the faces that are known; ``share`` is the part of the run that both took. ``deferred``: how many frames would
    have been looked at if there had been processor time. ``most_waiting``: how many faces of a camera waited for their
    embedding at most. ``larger_px`` and ``larger_ms``: what a search would take about for faces a third larger, as its
    time goes with the number of pixels and those with the square of the enlargement.
    """
    (searches, search_s), (follows, follow_s) = stages.total("search"), stages.total("follow")
    lookers = [feed.recogniser.looker for feed in feeds]
    searched_px = sum(looker.searched_px for looker in lookers)
    picture_px = max((looker.picture_px for looker in lookers), default=0)
    ms = 1000 * search_s * picture_px / searched_px if searched_px else 0.0
    finds_from_px = max([min_face_px, *(looker.finds_from_px for looker in lookers)])
    larger_px = round(finds_from_px * 4 / 3)
    return {
        "engine": engine,
        "min_face_px": min_face_px,
        "finds_from_px": round(finds_from_px),
        "searches": searches,
        "ms_a_picture": round(ms, 1),
        "follows": follows,
        "ms_a_follow": round(1000 * follow_s / follows, 1) if follows else 0.0,
        "share": round(min(1.0, (search_s + follow_s) / seconds), 3) if seconds > 0 else 0.0,
        "deferred": sum(looker.deferred for looker in lookers),
        "most_waiting": max((feed.recogniser.most_waiting for feed in feeds), default=0),
        "larger_px": larger_px,
        "larger_ms": round(ms * (finds_from_px / larger_px) ** 2, 1),
    }


def attention(
    feeds: Sequence[CameraFeed],
    plugins: Sequence[PluginState],
    workers: Sequence[DeliveryWorker],
    *,
    stopped: bool,
    visitors: VisitorKeeper | None = None,
) -> list[str]:
    """Say in sentences what needs a person: lost cameras, damaged recordings, failing plugins, rows that wait.

    ``stopped``: somebody ended the run, so a camera that had not answered yet is not to blame.
    """
    found = []
    for feed in feeds:
        found += [f"camera {feed.capture.camera}: {trouble}" for trouble in _troubles(feed, stopped=stopped)]
    for state in plugins:
        if state.failures:
            off = ", it was switched off" if state.switched_off else ""
            found.append(
                f"plugin {state.plugin.name}: failed {state.failures} times{off}, the last: {state.last_error}"
            )
    for worker in workers:
        status = worker.status()
        if status["pending"]:
            why = f": {status['last_error']}" if status["last_error"] else ""
            rows = "1 row waits" if status["pending"] == 1 else f"{status['pending']} rows wait"
            found.append(f"sink {worker.sink.name}: {rows} in the outbox{why}")
        if status["dead"]:
            rows = "1 row is" if status["dead"] == 1 else f"{status['dead']} rows are"
            found.append(f"sink {worker.sink.name}: {rows} not taken at all; optimind outbox list says why")
    if visitors is not None and (trouble := visitors.trouble()):
        found.append(f"visitors: {trouble}")
    return found


def _troubles(feed: CameraFeed, *, stopped: bool) -> Iterator[str]:
    """What a person should know of one camera."""
    # An ended recording's reason is what it did not give.
    if feed.state in ("failed", "stalled", "ended") and feed.reason:
        yield feed.reason
    elif feed.capture.error is not None:
        yield f"it was lost for a while: {feed.capture.error}"
    elif not feed.capture.counts.read and not stopped:
        yield "it gave no picture"
    starved = feed.recogniser.looker.starved
    if starved:
        often = "once" if starved == 1 else f"{starved} times"
        yield (
            f"{often} there was no processor time for {STARVED_S:g} s to look at its pictures; raise "
            "detection.cpu_cores or detection.min_face_px, or set the camera to a smaller picture"
        )
    suspected = feed.recogniser.counts["suspected_tracks"]
    if suspected:
        faces = "1 face" if suspected == 1 else f"{suspected} faces"
        yield f"{faces} may have been pictures of people; records that rest on them need review (docs/pad.md)"
    presentation = feed.recogniser.presentation
    if presentation is not None and presentation.failures:
        off = ", it was switched off" if presentation.is_off else ""
        yield (
            f"the check of presentation attacks failed {presentation.failures} times{off}, the last: "
            f"{presentation.last_error}"
        )
    if feed.failures:
        yield f"{feed.failures} frames could not be handled, the last: {feed.last_error}"


def peak_rss_mb() -> float:
    """The most memory this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _frames(feeds: Sequence[CameraFeed]) -> dict[str, int]:
    return {
        "read": sum(feed.capture.counts.read for feed in feeds),
        "processed": sum(feed.processed for feed in feeds),
        "dropped": sum(feed.capture.counts.dropped for feed in feeds),
    }
