"""What a run tells Prometheus."""

from __future__ import annotations

import socket
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from optimind.errors import OptiMindError
from optimind.pipeline.metrics import RunCollector, serving
from optimind.pipeline.replay import FrameCounts
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.standing import Standing

Samples = dict[tuple[str, tuple[str, ...]], float]


@dataclass
class Camera:
    camera: str
    counts: FrameCounts = field(default_factory=lambda: FrameCounts(100, 40))


@dataclass
class Looked:
    searched_px: int = 5_000_000
    deferred: int = 3
    starved: int = 2


@dataclass
class Recognised:
    following: int = 4
    waiting: int = 6
    looker: Looked = field(default_factory=Looked)
    counts: Counter[str] = field(
        default_factory=lambda: Counter(tracks=9, sightings=7, unknown_tracks=1, suspected_tracks=2)
    )


@dataclass
class Feed:
    """Stands in for a camera's feed."""

    capture: Camera
    state: str = "live"
    recogniser: Recognised = field(default_factory=Recognised)
    processed: int = 60
    failures: int = 5


@dataclass
class Named:
    name: str


@dataclass
class Worker:
    """Stands in for a delivery."""

    sink: Named

    def status(self) -> dict[str, Any]:
        waits = {"pending": 6, "oldest": None, "oldest_s": 42.5, "dead": 3}
        return {**waits, "last_error": "ana is refused", "delivered": 11, "failures": 2}


@dataclass
class Marks:
    unsaved: list[str]


def standing(**changes: Any) -> Standing:
    stages, delays = StageTimes(), StageTimes()
    stages.add("search", 0.25)
    stages.add("search", 0.75)
    delays.add("sighting", 0.5)
    given: dict[str, Any] = {
        "feeds": [Feed(Camera("door")), Feed(Camera("yard"), "stalled")],
        "stages": stages,
        "delays": delays,
        "people": {"ana", "bo"},
        "workers": [Worker(Named("sheets"))],
        "marks": Marks(["ana"]),
    }
    return Standing(**{**given, **changes})


@dataclass
class Keeper:
    visits: int = 8
    dropped: int = 1
    waiting: int = 2


def text_of(run: Standing) -> str:
    registry = CollectorRegistry()
    registry.register(RunCollector(run))
    return generate_latest(registry).decode()


def samples_of(text: str) -> Samples:
    """What a reader makes of it: the values by name and values of the labels."""
    families = text_string_to_metric_families(text)
    return {(each.name, tuple(each.labels.values())): each.value for family in families for each in family.samples}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("frames_read_total", ("door",), 100),
        ("frames_dropped_total", ("yard",), 40),
        ("frames_processed_total", ("door",), 60),
        ("frames_failed_total", ("door",), 5),
        ("frames_deferred_total", ("door",), 3),
        ("frames_starved_total", ("door",), 2),
        ("searched_pixels_total", ("door",), 5_000_000),
        ("tracks_total", ("door",), 9),
        ("unknown_tracks_total", ("door",), 1),
        ("suspected_tracks_total", ("door",), 2),
        ("sightings_total", ("door",), 7),
        ("faces_followed", ("door",), 4),
        ("faces_waiting", ("door",), 6),
        ("people_recognised", (), 2),
        ("marks_waiting", (), 1),
        ("stage_seconds_count", ("search",), 2),
        ("stage_seconds_sum", ("search",), 1.0),
        ("stage_p95_seconds", ("search",), 0.725),
        ("delay_seconds_sum", ("sighting",), 0.5),
        ("delay_p95_seconds", ("sighting",), 0.5),
        ("outbox_pending", ("sheets",), 6),
        ("outbox_delivered_total", ("sheets",), 11),
        ("outbox_failures_total", ("sheets",), 2),
        ("outbox_oldest_seconds", ("sheets",), 42.5),
        ("outbox_dead", ("sheets",), 3),
    ],
)
def test_values(name: str, labels: tuple[str, ...], value: float) -> None:
    assert samples_of(text_of(standing()))[f"optimind_{name}", labels] == pytest.approx(value)


def test_a_camera_is_in_exactly_one_state() -> None:
    samples = samples_of(text_of(standing()))
    states = {labels: value for (name, labels), value in samples.items() if name == "optimind_camera_state"}
    assert {labels for labels, value in states.items() if value} == {("door", "live"), ("yard", "stalled")}
    assert len(states) == 10


def test_memory_is_in_bytes() -> None:
    assert samples_of(text_of(standing()))["optimind_peak_memory_bytes", ()] > 10_000_000


def test_nobody_is_named() -> None:
    text = text_of(standing())
    assert "ana" not in text
    assert "python_info" not in text  # the library's own figures of the process


def test_a_run_of_nothing_is_readable() -> None:
    empty = standing(feeds=[], stages=StageTimes(), delays=StageTimes(), people=set(), workers=[], marks=Marks([]))
    assert samples_of(text_of(empty))["optimind_people_recognised", ()] == 0


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_served_inside_the_with_only(free_port: int) -> None:
    for _ in range(2):  # the port is free again afterwards
        with (
            serving(standing(), "127.0.0.1", free_port),
            urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics", timeout=10) as answer,
        ):
            assert samples_of(answer.read().decode())["optimind_people_recognised", ()] == 2
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", free_port), timeout=10)


def test_a_port_in_use_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(OptiMindError, match=rf"127\.0\.0\.1, port {port}") as caught,
            serving(standing(), "127.0.0.1", port),
        ):
            pass
    assert "metrics.port" in caught.value.mend


@pytest.mark.parametrize("address", ["192.0.2.1", "a" * 300])
def test_an_impossible_address_says_what_to_do(address: str, free_port: int) -> None:
    with pytest.raises(OptiMindError, match="cannot be served") as caught, serving(standing(), address, free_port):
        pass
    assert "metrics.address" in caught.value.mend


def test_visits_of_unknown_people_are_counted_where_they_are_kept() -> None:
    assert "visits" not in text_of(standing())
    told = samples_of(text_of(standing(visitors=Keeper())))
    names = ("visits_kept", "visits_dropped_total", "visits_waiting")
    assert [told[f"optimind_{name}", ()] for name in names] == [8, 1, 2]
