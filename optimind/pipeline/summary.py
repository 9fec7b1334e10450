"""What a run says at its end: `run --json`'s document, and what a person must look at."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from optimind.pipeline.delivery import DeliveryWorker
from optimind.pipeline.host import PluginState
from optimind.pipeline.loop import CameraFeed
from optimind.pipeline.stages import StageTimes

__all__ = ["attention", "peak_rss_mb", "summarise"]


def summarise(
    feeds: Sequence[CameraFeed],
    stages: StageTimes,
    people: Iterable[str],
    *,
    seconds: float,
    workers: Sequence[DeliveryWorker],
    plugins: Sequence[PluginState],
    engine: str,
    min_face_px: int,
) -> dict[str, Any]:
    """Build the summary. ``seconds`` is how long the loop ran, in real time."""
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
        "cameras": cameras,
        "tracks": sum(feed.recogniser.counts["tracks"] for feed in feeds),
        "sightings": sum(feed.recogniser.counts["sightings"] for feed in feeds),
        "people": sorted(people),
        "unknown_tracks": sum(feed.recogniser.counts["unknown_tracks"] for feed in feeds),
        "stages_ms": stages.summary(),
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
    }


def _detection(
    feeds: Sequence[CameraFeed], stages: StageTimes, engine: str, min_face_px: int, seconds: float
) -> dict[str, Any]:
    """What looking for faces of that size cost: how often, how long each time, and which share of the run it was.

    ``finds_from_px`` is what the engine made of it: more than was asked for where a camera's picture is too large.
    ``larger_px`` and ``larger_ms``: what it would be about for faces a third larger, as the time goes with the number
    of pixels and those with the square of the enlargement.
    """
    looks, spent_s = stages.total("detect")
    ms = 1000 * spent_s / looks if looks else 0.0
    finds_from_px = max([min_face_px, *(feed.recogniser.finds_from_px for feed in feeds)])
    larger_px = round(finds_from_px * 4 / 3)
    return {
        "engine": engine,
        "min_face_px": min_face_px,
        "finds_from_px": round(finds_from_px),
        "looks": looks,
        "ms_a_look": round(ms, 1),
        "share": round(min(1.0, spent_s / seconds), 3) if seconds > 0 else 0.0,
        "larger_px": larger_px,
        "larger_ms": round(ms * (finds_from_px / larger_px) ** 2, 1),
    }


def attention(
    feeds: Sequence[CameraFeed], plugins: Sequence[PluginState], workers: Sequence[DeliveryWorker], *, stopped: bool
) -> list[str]:
    """Say in sentences what needs a person: lost cameras, damaged recordings, failing plugins, rows that wait.

    ``stopped``: somebody ended the run, so a camera that had not answered yet is not to blame.
    """
    found = []
    for feed in feeds:
        camera = f"camera {feed.capture.camera}"
        # An ended recording's reason is what it did not give.
        if feed.state in ("failed", "ended") and feed.reason:
            found.append(f"{camera}: {feed.reason}")
        elif feed.capture.error is not None:
            found.append(f"{camera}: it was lost for a while: {feed.capture.error}")
        elif not feed.capture.counts.read and not stopped:
            found.append(f"{camera}: it gave no picture")
        if feed.failures:
            found.append(f"{camera}: {feed.failures} frames could not be handled, the last: {feed.last_error}")
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
            found.append(f"sink {worker.sink.name}: {status['pending']} rows wait in the outbox{why}")
    return found


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
