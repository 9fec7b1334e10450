"""A run's figures for Prometheus: read from the run's own objects whenever somebody asks for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from optimind.errors import OptiMindError
from optimind.pipeline.loop import CameraFeed
from optimind.pipeline.replay import State
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.standing import Standing
from optimind.pipeline.summary import peak_rss_mb
from optimind.pipeline.visitors import VisitorKeeper

__all__ = ["RunCollector", "serving"]

log = logging.getLogger(__name__)

_CAMERA_COUNTERS: tuple[tuple[str, str, Callable[[CameraFeed], int]], ...] = (
    ("frames_read", "Frames that the camera gave.", lambda feed: feed.capture.counts.read),
    ("frames_dropped", "Frames passed over for a newer one.", lambda feed: feed.capture.counts.dropped),
    ("frames_processed", "Frames that were handled.", lambda feed: feed.processed),
    ("frames_failed", "Frames that could not be handled.", lambda feed: feed.failures),
    (
        "frames_deferred",
        "Frames that were due and for which there was no processor time.",
        lambda feed: feed.recogniser.looker.deferred,
    ),
    (
        "frames_starved",
        "Frames looked at without processor time for it, after seconds without a look.",
        lambda feed: feed.recogniser.looker.starved,
    ),
    ("searched_pixels", "Pixels searched for faces.", lambda feed: feed.recogniser.looker.searched_px),
    ("tracks", "Faces followed to their end.", lambda feed: feed.recogniser.counts["tracks"]),
    ("unknown_tracks", "Faces that nobody was recognised in.", lambda feed: feed.recogniser.counts["unknown_tracks"]),
    ("suspected_tracks", "Faces that may be pictures.", lambda feed: feed.recogniser.counts["suspected_tracks"]),
    ("sightings", "Faces in which somebody was recognised.", lambda feed: feed.recogniser.counts["sightings"]),
)


class RunCollector(Collector):
    """Gives the figures of ``standing`` as they are at that moment, from any thread.

    Labels are ids of cameras, names of stages and names of sinks: never a person, never an address.
    """

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        """Read everything once."""
        standing = self._standing
        yield from _cameras(standing.feeds)
        yield from _times("stage", "Time that a stage of the loop took", standing.stages)
        yield from _times("delay", "Time from a live frame's arrival to its end, or to a sighting", standing.delays)
        yield GaugeMetricFamily("optimind_people_recognised", "People recognised in this run.", len(standing.people))
        yield GaugeMetricFamily(
            "optimind_marks_waiting", "Marks that are not in the ledger yet.", len(standing.marks.unsaved)
        )
        yield from _outbox(standing)
        yield from _visitors(standing.visitors)
        yield GaugeMetricFamily(
            "optimind_peak_memory_bytes", "The most memory the process has had.", peak_rss_mb() * (1 << 20)
        )


def _cameras(feeds: Sequence[CameraFeed]) -> Iterator[Metric]:
    for name, words, value in _CAMERA_COUNTERS:
        counter = CounterMetricFamily(f"optimind_{name}", words, labels=["camera"])
        for feed in feeds:
            counter.add_metric([feed.capture.camera], value(feed))
        yield counter
    followed = GaugeMetricFamily("optimind_faces_followed", "Faces that are followed now.", labels=["camera"])
    waiting = GaugeMetricFamily("optimind_faces_waiting", "Faces that wait for their embedding.", labels=["camera"])
    states = GaugeMetricFamily(
        "optimind_camera_state", "1 for the state that the camera is in, 0 for the others.", labels=["camera", "state"]
    )
    for feed in feeds:
        followed.add_metric([feed.capture.camera], feed.recogniser.following)
        waiting.add_metric([feed.capture.camera], feed.recogniser.waiting)
        now = feed.state
        for state in get_args(State):
            states.add_metric([feed.capture.camera, state], state == now)
    yield from (followed, waiting, states)


def _times(name: str, words: str, times: StageTimes) -> Iterator[Metric]:
    """Count and sum of all, and the 95th percentile of the last 2000."""
    all_of_them = SummaryMetricFamily(f"optimind_{name}_seconds", f"{words}.", labels=[name])
    slow = GaugeMetricFamily(
        f"optimind_{name}_p95_seconds", f"{words}: the 95th percentile of the last 2000.", labels=[name]
    )
    for stage, figures in times.figures().items():
        all_of_them.add_metric([stage], count_value=figures.count, sum_value=figures.total_s)
        slow.add_metric([stage], figures.p95_s)
    yield from (all_of_them, slow)


def _outbox(standing: Standing) -> Iterator[Metric]:
    pending = GaugeMetricFamily("optimind_outbox_pending", "Rows that a sink lacks.", labels=["sink"])
    delivered = CounterMetricFamily("optimind_outbox_delivered", "Rows that a sink took.", labels=["sink"])
    failures = CounterMetricFamily("optimind_outbox_failures", "Deliveries that a sink did not take.", labels=["sink"])
    oldest = GaugeMetricFamily(
        "optimind_outbox_oldest_seconds", "For how long the longest waiting row does.", labels=["sink"]
    )
    dead = GaugeMetricFamily("optimind_outbox_dead", "Rows that a sink does not take at all.", labels=["sink"])
    for worker in standing.workers:
        status = worker.status()
        pending.add_metric([worker.sink.name], status["pending"])
        delivered.add_metric([worker.sink.name], status["delivered"])
        failures.add_metric([worker.sink.name], status["failures"])
        oldest.add_metric([worker.sink.name], status["oldest_s"])
        dead.add_metric([worker.sink.name], status["dead"])
    yield from (pending, delivered, failures, oldest, dead)


def _visitors(keeper: VisitorKeeper | None) -> Iterator[Metric]:
    """Nothing where unknown people are not kept. The visits may become fewer: one may turn out to be enrolled."""
    if keeper is not None:
        yield GaugeMetricFamily("optimind_visits_kept", "Visits of unknown people kept in this run.", keeper.visits)
        yield CounterMetricFamily("optimind_visits_dropped", "Visits that could not be kept.", keeper.dropped)
        yield GaugeMetricFamily("optimind_visits_waiting", "Visits that are not in the database yet.", keeper.waiting)


@contextmanager
def serving(standing: Standing, address: str, port: int) -> Iterator[None]:
    """Answer ``http://address:port/metrics`` inside a ``with``. Raises :class:`OptiMindError` where that cannot be."""
    # A registry of its own: the library's global one tells of the Python process and outlives the run.
    registry = CollectorRegistry()
    registry.register(RunCollector(standing))
    try:
        server, thread = start_http_server(port, address, registry)
    except (OSError, UnicodeError) as error:
        raise OptiMindError(
            f"the metrics cannot be served at {address}, port {port}: {getattr(error, 'strerror', None) or error}",
            mend="stop the program that uses the port, or correct metrics.port and metrics.address in config.yaml",
        ) from error
    log.info("metrics: http://%s:%d/metrics", f"[{address}]" if ":" in address else address, port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
