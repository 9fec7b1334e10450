"""Whether tracks hold where people cross: OptiMind's loop and the tutorials' tracker, on a street scene.

``tests/accuracy/crowd_truth.json`` says who is where in its 105 frames; it was made by hand and eye. OptiMind searches
and follows as in a run of a recording; nobody in the scene is enrolled. The tutorials' tracker gets all faces of every
frame from the same detector, gives each to the track whose last box it overlaps most, and forgets a track in a second.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines_here import MIN_FACE_PX, engines_here
from benchmarks.split import embeddings
from benchmarks.tracking_truth import LEAST_IOU, Figures, Found, compare, read_truth
from optimind.config import Config
from optimind.core.geometry import Boxes, iou
from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.types import Frame, Gallery, Template
from optimind.pipeline.looking import Looker, LookSettings
from optimind.pipeline.recogniser import Recogniser, RecogniserSettings
from optimind.pipeline.replay import Replay
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Detector, Embedder
from optimind.sources.file import FileSource

__all__ = ["TRUTH", "Engine", "gallery_of_others", "measure", "our_figures"]

TRUTH = Path(__file__).resolve().parent.parent / "tests" / "accuracy" / "crowd_truth.json"
ENGINES = ("dlib", "arcface")
EVERY = (1, 3)
"""All frames, which are 25 a second, and every third."""
ENROLLED = 5
PHOTOGRAPHS = 8
PEER_FORGETS_S = 1.0
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

Engine = tuple[Detector, Embedder]


class _WatchedRecogniser(Recogniser):
    """Tells which track is where, as an overlay would draw it: without those that the last look did not find."""

    def tracks_at(self, at: datetime) -> list[Found]:
        return [_found(track.number, track.box_at(at)) for track in self._tracker.tracks if not track.misses]


@dataclass(slots=True)
class GreedyTracker:
    """What the tutorials show: a box goes to the track whose last box it overlaps most, the largest overlap first."""

    tracks: dict[int, tuple[np.ndarray[Any, np.dtype[np.float64]], datetime]] = field(default_factory=dict)
    number: int = 0

    def update(self, boxes: Boxes, at: datetime) -> list[Found]:
        known = list(self.tracks)
        last = np.array([box for box, _ in self.tracks.values()]).reshape(-1, 4)
        overlap = iou(last, boxes)
        owners: dict[int, int] = {}
        for place in np.argsort(-overlap, axis=None, kind="stable"):
            row, column = np.unravel_index(place, overlap.shape)
            if overlap[row, column] >= LEAST_IOU and column not in owners and known[row] not in owners.values():
                owners[int(column)] = known[row]
        for column in set(range(len(boxes))) - set(owners):
            self.number += 1
            owners[column] = self.number
        for column, track in owners.items():
            self.tracks[track] = (boxes[column], at)
        self.tracks = {
            track: (box, seen_at)
            for track, (box, seen_at) in self.tracks.items()
            if (at - seen_at).total_seconds() <= PEER_FORGETS_S
        }
        return [_found(track, boxes[column]) for column, track in owners.items()]


def gallery_of_others(faces: Path, engine: Engine) -> Gallery:
    """A gallery of a few people, none of whom is in the scene."""
    able = (folder.name for folder in sorted(faces.iterdir()) if len(list(folder.glob("*.jpg"))) >= PHOTOGRAPHS)
    chosen = set(itertools.islice(able, ENROLLED))
    people = embeddings(faces, engine, lambda name: name in chosen)
    templates = tuple(Template(name, name, vectors) for name, vectors in people.items())
    return Gallery(engine[1].info.embedder_id, templates)


def our_figures(shared: Path, engine: Engine, gallery: Gallery, every: int) -> tuple[Figures, float, int]:
    """Let the loop watch each ``every``-th frame; returns the figures, frames a second, and how many were named."""
    detector, embedder = engine
    stages = StageTimes()
    recogniser = _WatchedRecogniser(
        "crowd",
        Looker(detector, _look_settings(), stages=stages),
        embedder,
        _identifier(gallery, embedder),
        RecogniserSettings(),
        run_id="bench",
        stages=stages,
    )

    def tracks_in(frame: Frame) -> list[Found]:
        wanted = recogniser.look(frame)
        recogniser.conclude([row for each in wanted for row in embedder.embed(each.image, each.faces)])
        return recogniser.tracks_at(frame.captured_at)

    figures, speed = _watch(shared, every, tracks_in)
    recogniser.finish()
    return figures, speed, recogniser.counts["sightings"]


def peer_figures(shared: Path, detector: Detector, every: int) -> tuple[Figures, float]:
    """The same for the tutorials' tracker."""
    tracker = GreedyTracker()
    return _watch(shared, every, lambda frame: tracker.update(detector.detect(frame.image).xyxy, frame.captured_at))


def _watch(shared: Path, every: int, tracks_in: Callable[[Frame], list[Found]]) -> tuple[Figures, float]:
    found: list[list[Found]] = []
    spent_s = 0.0
    for frame in _frames(shared, every):
        began_s = time.perf_counter()
        found.append(tracks_in(frame))
        spent_s += time.perf_counter() - began_s
    return compare(read_truth(TRUTH, MIN_FACE_PX)[::every], found), len(found) / spent_s


def _frames(shared: Path, every: int) -> Iterator[Frame]:
    source = FileSource.create("crowd", str(shared / "data" / "video" / "crowd.mp4"))
    for frame in Replay(source, "crowd", start_at=START):
        if frame.index % every == 0:
            yield frame


def _look_settings() -> LookSettings:
    detection = Config().detection
    return LookSettings(
        min_face_px=MIN_FACE_PX,
        scan_interval_s=detection.scan_interval_s,
        quiet_interval_s=detection.quiet_interval_s,
        follow_interval_s=detection.follow_interval_s,
    )


def _identifier(gallery: Gallery, embedder: Embedder) -> Identifier:
    recognition = Config().recognition
    limits = IdentificationLimits(
        fpir=recognition.fpir,
        max_distance=recognition.max_distance,
        min_margin=recognition.min_margin,
        min_samples=recognition.min_samples,
    )
    return Identifier(gallery, limits, embedder.calibration())


def _found(track: int, box: np.ndarray[Any, np.dtype[np.float64]]) -> Found:
    left, top, right, bottom = (float(edge) for edge in box)
    return Found(track, (left, top, right, bottom))


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Both trackers on ``shared/data/video/crowd.mp4``, with each engine and frame rate; returns figures and table."""
    result: dict[str, Any] = {}
    lines = [
        "| 1080p street scene, 4.2 s | frames/s | ID switches | taken over | lost and found | faces covered | IDF1 "
        "| tracks, false ones |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with engines_here(shared, ENGINES) as factories:
        for name, factory in factories.items():
            engine = factory()
            gallery = gallery_of_others(shared / "data" / "faces", engine)
            for every in EVERY:
                figures, speed, named = our_figures(shared, engine, gallery, every)
                peer, peer_speed = peer_figures(shared, engine[0], every)
                rate = f"{name}, {'every frame' if every == 1 else f'every {every}rd frame'}"
                for side, it, speed_of in (("OptiMind", figures, speed), ("the tutorials' tracker", peer, peer_speed)):
                    result[f"{side}, {rate}"] = {"frames_per_s": speed_of, **_as_json(it)}
                    lines.append(_row(f"{side}, {rate}", it, speed_of))
                result[f"OptiMind, {rate}"]["named"] = named
    return result, "\n".join(lines)


def _as_json(figures: Figures) -> dict[str, Any]:
    return {
        "id_switches": len(figures.switches),
        "taken_over": len(figures.takeovers),
        "fragmentations": figures.fragmentations,
        "coverage": figures.coverage,
        "idf1": figures.idf1,
        "tracks": figures.tracks,
        "false_tracks": figures.false_tracks,
        "false_boxes": figures.false_boxes,
    }


def _row(side: str, figures: Figures, speed: float) -> str:
    return (
        f"| {side} | {speed:.1f} | {len(figures.switches)} | {len(figures.takeovers)} | {figures.fragmentations} "
        f"| {figures.coverage:.0%} | {figures.idf1:.3f} | {figures.tracks}, {figures.false_tracks} |"
    )
