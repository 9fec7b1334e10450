"""One camera's frames in, events out: detect, associate, embed, identify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import sizes
from optimind.core.identification import Identifier, Match, Verdict
from optimind.core.pose import frontality_in
from optimind.core.shots import BestShots, Shot, quality_of
from optimind.core.tracking import Track, Tracker
from optimind.core.types import Detections, Frame, Image
from optimind.gallery.quality import sharpness
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import Detector, Embedder, Event, Sighting, TrackEnded

__all__ = ["Recogniser", "RecogniserSettings", "TrackView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserSettings:
    """How often and how hard to look. Seconds are the recording's own in pace ``fast``.

    ``max_embeddings`` limits the work for one frame (0: no limit), so that a full room does not hold up a live camera.
    """

    scan_interval_s: float = 0.5
    min_samples: int = 3
    max_samples: int = 8
    recheck_s: float = 3.0
    sighting_interval_s: float = 5.0
    max_embeddings: int = 0


@dataclass(frozen=True, slots=True)
class TrackView:
    """What an overlay needs to know of a track: its box (xyxy pixels), and who it is, if anyone."""

    box: tuple[float, float, float, float]
    name: str | None
    similarity: float
    undecided: bool


@dataclass(slots=True, eq=False)
class _Subject:
    """What is known of one track besides where it is."""

    track: Track
    shots: BestShots
    sampled_at: datetime | None = None
    foreign: list[Shot] = field(default_factory=list)
    match: Match | None = None
    identity: Match | None = None
    reported_at: datetime | None = None

    @property
    def is_identified(self) -> bool:
        """Whether the track has an identity that its latest samples still support."""
        return self.identity is not None and self.match is not None and self.match.verdict is Verdict.ACCEPTED


class Recogniser:
    """Turns the frames of one camera into sightings. Used by one thread.

    ``run_id`` makes the ids of tracks and sightings unique over restarts.
    """

    def __init__(
        self,
        camera: str,
        detector: Detector,
        embedder: Embedder,
        identifier: Identifier,
        settings: RecogniserSettings,
        *,
        run_id: str,
        stages: StageTimes,
    ) -> None:
        self._camera = camera
        self._detector = detector
        self._embedder = embedder
        self._identifier = identifier
        self._settings = settings
        self._prefix = f"{run_id}-{camera}"
        self._stages = stages
        self._tracker = Tracker()
        self._subjects: dict[int, _Subject] = {}
        self._scanned_at: datetime | None = None
        self._events: list[Event] = []
        self.counts: Counter[str] = Counter(tracks=0, unknown_tracks=0, sightings=0)
        self.finds_from_px = 0.0
        """The narrowest face that is found surely in this camera's pictures; 0 until there was one, or not known."""

    def process(self, frame: Frame) -> list[Event]:
        """Handle one frame; between two scans a frame costs nothing, its tracks are carried forward."""
        if not self._is_due(frame.captured_at):
            return []
        self._scanned_at = frame.captured_at
        self.finds_from_px = self._detector.finds_from_px(*frame.image.shape[1::-1])
        with self._stages.measure("detect"):
            faces = self._detector.detect(frame.image)
        with self._stages.measure("track"):
            tracks, ended = self._tracker.update(faces.xyxy, frame.captured_at)
        for track in ended:
            self._end(track)
        subjects = [self._subject_of(track) for track in tracks]
        self._sample(frame, faces, subjects)
        for track in tracks:
            if track.number in self._subjects:
                self._report(self._subjects[track.number], frame.captured_at)
        return self._drain()

    def finish(self) -> list[Event]:
        """The camera stops: end every track and return what is left to say."""
        for track in self._tracker.finish():
            self._end(track)
        return self._drain()

    def views(self, at: datetime) -> list[TrackView]:
        """What to draw on a frame taken at ``at``."""
        views = []
        for subject in self._subjects.values():
            # A face that the last look did not find is not drawn where it may no longer be.
            if self._scanned_at is None or subject.track.last_seen_at < self._scanned_at:
                continue
            left, top, right, bottom = (float(v) for v in subject.track.box_at(at))
            match = subject.match
            views.append(
                TrackView(
                    (left, top, right, bottom),
                    name=match.name if match and subject.is_identified else None,
                    similarity=match.similarity if match else 0.0,
                    undecided=match is None or match.verdict is Verdict.NOT_SURE,
                )
            )
        return views

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _is_due(self, at: datetime) -> bool:
        if self._scanned_at is None or at < self._scanned_at:  # the first frame, or the clock was set back
            return True
        # A little tolerance, so that 0.5 s at 15 frames a second does not become 0.533 s.
        return at - self._scanned_at >= timedelta(seconds=self._settings.scan_interval_s - 0.04)

    def _subject_of(self, track: Track) -> _Subject:
        subject = self._subjects.get(track.number)
        if subject is None:
            shots = BestShots(least=self._settings.min_samples, most=self._settings.max_samples)
            subject = _Subject(track, shots)
            self._subjects[track.number] = subject
        return subject

    def _sample(self, frame: Frame, faces: Detections, subjects: list[_Subject]) -> None:
        """Embed the faces from which something is still to be learnt, those least known first."""
        with self._stages.measure("quality"):
            quality = _quality_of(frame.image, faces)
        at = frame.captured_at
        wanted = [row for row, subject in enumerate(subjects) if self._wants_sample(subject, float(quality[row]), at)]
        wanted.sort(key=lambda row: (len(subjects[row].shots), -quality[row]))
        if self._settings.max_embeddings:
            wanted = wanted[: self._settings.max_embeddings]
        if not wanted:
            return
        with self._stages.measure("embed"):
            vectors = self._embedder.embed(frame.image, faces[np.array(wanted)])
        with self._stages.measure("identify"):
            for row, vector in zip(wanted, vectors, strict=True):
                self._learn(subjects[row], Shot(at, vector, float(quality[row])))

    def _wants_sample(self, subject: _Subject, quality: float, at: datetime) -> bool:
        if subject.sampled_at is None or subject.foreign or subject.shots.wants(quality, at):
            return True
        # However poor the picture: it may show that somebody else is in this place now.
        return at - subject.sampled_at >= timedelta(seconds=self._settings.recheck_s)

    def _learn(self, subject: _Subject, shot: Shot) -> None:
        subject.sampled_at = shot.at
        if self._looks_foreign(subject, shot.vector):
            subject.foreign.append(shot)
            if len(subject.foreign) < 2:
                return
            # One odd sample is a blurred picture; two in a row are another person in the same place.
            subject = self._replace(subject, subject.foreign)
        else:
            subject.foreign.clear()
            subject.shots.add(shot)
        self._identify(subject)

    def _looks_foreign(self, subject: _Subject, vector: NDArray[np.float64]) -> bool:
        if len(subject.shots) < self._settings.min_samples:
            return False
        if subject.identity is not None:
            known = self._identifier.distance_to(vector, subject.identity.person_id)
            if known <= self._identifier.foreign_distance:
                return False
        usual = np.mean([shot.vector for shot in subject.shots], axis=0)
        return float(np.linalg.norm(vector - usual)) > self._identifier.foreign_distance

    def _replace(self, subject: _Subject, shots: Sequence[Shot]) -> _Subject:
        """End ``subject`` where ``shots`` began, which are of another person, and begin a new one with them."""
        began_at = shots[0].at
        successor = self._subject_of(self._tracker.split(subject.track, began_at))
        for shot in shots:
            successor.shots.add(shot)
        successor.sampled_at = subject.sampled_at
        subject.track.last_seen_at = max(subject.track.first_seen_at, began_at)
        self._end(subject.track)
        return successor

    def _identify(self, subject: _Subject) -> None:
        match = self._match(subject)
        if match.verdict is Verdict.ACCEPTED and subject.identity is not None:
            turned = self._shots_of_another(subject, subject.identity.person_id, match.person_id)
            if turned:
                # The face turned into another one so smoothly that no shot stood out: to each what is theirs.
                subject.match = subject.identity
                subject = self._replace(subject, turned)
                match = self._match(subject)
        subject.match = match
        if match.verdict is Verdict.ACCEPTED:
            subject.identity = match

    def _match(self, subject: _Subject) -> Match:
        taken = [
            other.identity.person_id
            for other in self._subjects.values()
            if other is not subject and other.identity is not None and other.is_identified
        ]
        shots = subject.shots
        return self._identifier.identify(shots.vectors(), taken=taken, good=shots.are_good)

    def _shots_of_another(self, subject: _Subject, before: str, now: str) -> list[Shot]:
        """The shots since the last one that is nearer to ``before`` than to ``now``; none where the two are one."""
        if before == now:
            return []
        shots, found = list(subject.shots), list[Shot]()
        for shot in shots:
            to_before = self._identifier.distance_to(shot.vector, before)
            if to_before < self._identifier.distance_to(shot.vector, now):
                found = []
            else:
                found.append(shot)
        return found or shots[-1:]

    def _report(self, subject: _Subject, at: datetime) -> None:
        """Tell of an identified track when it is new, and again when it is time."""
        if not subject.is_identified:
            return
        due_s = self._settings.sighting_interval_s
        if subject.reported_at is None or at - subject.reported_at >= timedelta(seconds=due_s):
            subject.reported_at = at
            self._sight(subject)

    def _sight(self, subject: _Subject) -> None:
        match, track = subject.identity, subject.track
        if match is None:
            return
        left, top, right, bottom = (float(v) for v in track.box)
        self._events.append(
            Sighting(
                at=track.last_seen_at,
                camera=self._camera,
                sighting_id=f"{self._prefix}-{track.number}",
                person_id=match.person_id,
                name=match.name,
                first_seen_at=track.first_seen_at,
                last_seen_at=track.last_seen_at,
                similarity=match.similarity,
                margin=match.margin,
                samples=len(subject.shots.vectors()),
                embedder=self._embedder.info.embedder_id,
                box=(left, top, right, bottom),
            )
        )

    def _end(self, track: Track) -> None:
        """Close the books of ``track``: its last sighting, and that it ended."""
        subject = self._subjects.pop(track.number, None)
        if subject is None:
            return
        if subject.is_identified:
            self._sight(subject)
        person_id = subject.identity.person_id if subject.identity else None
        # A single look is as likely a shadow as a face: it is no track that anyone should count.
        if track.detections >= self._settings.min_samples:
            self.counts["tracks"] += 1
            self.counts["unknown_tracks"] += person_id is None
        self.counts["sightings"] += person_id is not None
        self._events.append(
            TrackEnded(
                at=track.last_seen_at,
                camera=self._camera,
                track_id=f"{self._prefix}-{track.number}",
                person_id=person_id,
                first_seen_at=track.first_seen_at,
                last_seen_at=track.last_seen_at,
            )
        )


def _quality_of(image: Image, faces: Detections) -> NDArray[np.float64]:
    """How good each face is to recognise somebody by: (n,), 0-1."""
    return quality_of(sizes(faces.xyxy), sharpness(image, faces.xyxy), frontality_in(faces))
