"""One camera's frames in, events out: look, associate, embed, identify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import sizes
from optimind.core.identification import Identifier, Match, Verdict
from optimind.core.pose import frontality_in
from optimind.core.shots import BestShots, Shot, quality_of
from optimind.core.tracking import Track, Tracker
from optimind.core.types import Detections, Frame, Image, Vectors
from optimind.core.zones import Line, Passage, Zones, middles
from optimind.gallery.quality import sharpness
from optimind.pipeline.looking import Looker
from optimind.pipeline.presentation import Presentation
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.strangers import Strangers
from optimind.plugin_api import Embedder, Event, LineCrossed, Sighting, TrackEnded

__all__ = ["Recogniser", "RecogniserSettings", "TrackView", "Wanted"]


MOST_CONTESTED: Final = 8
"""So many faces are embedded at most to tell who is who where several cross."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserSettings:
    """How many samples of a track to take. Seconds are the recording's own in pace ``fast``.

    ``max_embeddings`` limits the work for one frame (0: no limit), so that a full room does not hold up a live camera.
    """

    min_samples: int = 3
    max_samples: int = 8
    recheck_s: float = 3.0
    sighting_interval_s: float = 5.0
    max_embeddings: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Faces of a frame whose embeddings are wanted; those of all cameras are computed together."""

    image: Image
    faces: Detections


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
    passage: Passage | None = None
    suspicion: str = ""

    @property
    def is_identified(self) -> bool:
        """Whether the track has an identity that its latest samples still support."""
        return self.identity is not None and self.match is not None and self.match.verdict is Verdict.ACCEPTED


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """What one look found: ``rows`` are those of ``subjects`` whose embeddings were asked for."""

    at: datetime
    subjects: list[_Subject]
    quality: NDArray[np.float64]
    rows: list[int]
    unchanged: list[_Subject]
    wanted: Wanted | None


class Recogniser:
    """Turns the frames of one camera into sightings. Used by one thread: :meth:`look`, then :meth:`conclude`.

    ``run_id`` makes the ids of tracks and sightings unique over restarts. ``zones`` name the seat or door of a
    sighting, and who crosses ``line`` is told. ``presentation`` says whose face may be a picture; None: nobody asks.
    Where there are ``strangers``, who is nobody enrolled is told as well.
    """

    def __init__(
        self,
        camera: str,
        looker: Looker,
        embedder: Embedder,
        identifier: Identifier,
        settings: RecogniserSettings,
        *,
        run_id: str,
        stages: StageTimes,
        zones: Zones = Zones(),  # noqa: B008 - it cannot be changed
        line: Line | None = None,
        presentation: Presentation | None = None,
        strangers: Strangers | None = None,
    ) -> None:
        self._camera = camera
        self._looker = looker
        self._embedder = embedder
        self._identifier = identifier
        self._settings = settings
        self._prefix = f"{run_id}-{camera}"
        self._stages = stages
        self._zones = zones
        self._line = line
        self.presentation = presentation
        self._strangers = strangers
        self._size = (1, 1)
        self._tracker = Tracker()
        self._subjects: dict[int, _Subject] = {}
        self._looked: _Looked | None = None
        self._events: list[Event] = []
        self.counts: Counter[str] = Counter(tracks=0, unknown_tracks=0, sightings=0, suspected_tracks=0)

    @property
    def looker(self) -> Looker:
        """What looks at this camera's frames, for what it counted."""
        return self._looker

    @property
    def following(self) -> int:
        """How many faces are followed now."""
        return len(self._subjects)

    def look(self, frame: Frame) -> Wanted | None:
        """Look at ``frame`` where that is due, and say which faces to embed for :meth:`conclude`; None for none."""
        self._looked = None
        unknown = {number for number, subject in self._subjects.items() if self._wants_looks(subject)}
        look = self._looker.look(frame, self._tracker.tracks, wanted=unknown)
        if look is None:
            self._check_presentation(frame)
            return None
        kept = [self._tracker.tracks[row] for row in look.unchanged]
        for track, box in zip(kept, look.unchanged.values(), strict=True):
            track.keep(box, frame.captured_at)
        with self._stages.measure("track"):
            unlikeness = self._unlikeness(frame, look.faces)
            tracks, ended = self._tracker.update(
                look.faces.xyxy, frame.captured_at, looked_for=look.looked_for, unlikeness=unlikeness
            )
        self._looker.found(frame, tracks)
        for track in ended:
            self._end(track)
        self._check_presentation(frame)
        self._size = (frame.image.shape[1], frame.image.shape[0])
        subjects = [self._subject_of(track) for track in tracks]
        with self._stages.measure("quality"):
            quality = _quality_of(frame.image, look.faces)
        rows = self._wanted(subjects, quality, frame.captured_at)
        unchanged = [self._subjects[track.number] for track in kept if track not in tracks]
        wanted = Wanted(frame.image, look.faces[np.array(rows)]) if rows else None
        self._looked = _Looked(frame.captured_at, subjects, quality, rows, unchanged, wanted)
        return wanted

    def conclude(self, vectors: Vectors | None) -> list[Event]:
        """Take the embeddings of what the last look wanted (None where it wanted none); return what happened."""
        looked, self._looked = self._looked, None
        if looked is None:
            return self._drain()
        if vectors is not None:
            with self._stages.measure("identify"):
                for number, (row, vector) in enumerate(zip(looked.rows, vectors, strict=True)):
                    shot = Shot(looked.at, vector, float(looked.quality[row]))
                    if self._strangers is not None and looked.wanted and looked.subjects[row].identity is None:
                        self._strangers.picture(shot, looked.wanted.image, looked.wanted.faces.xyxy[number])
                    self._learn(looked.subjects[row], shot)
        for subject in (*looked.subjects, *looked.unchanged):
            if subject.track.number in self._subjects:
                self._watch_line(self._subjects[subject.track.number], looked.at)
                self._report(self._subjects[subject.track.number], looked.at)
                self._tell_stranger(self._subjects[subject.track.number], looked.at)
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
            if subject.track.misses:
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

    def _check_presentation(self, frame: Frame) -> None:
        if self.presentation is not None:
            self.presentation.watch(frame, self._tracker.tracks)

    def _suspicion_of(self, track: Track) -> str:
        return self.presentation.suspicion(track.number) if self.presentation is not None else ""

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _subject_of(self, track: Track) -> _Subject:
        subject = self._subjects.get(track.number)
        if subject is None:
            shots = BestShots(least=self._settings.min_samples, most=self._settings.max_samples)
            subject = _Subject(track, shots, passage=Passage(self._line) if self._line else None)
            self._subjects[track.number] = subject
        return subject

    def _unlikeness(self, frame: Frame, faces: Detections) -> NDArray[np.float64] | None:
        """How far each track's samples are from each face, where it is not clear who is who; NaN elsewhere."""
        contested = np.nonzero(self._tracker.contested(faces.xyxy, frame.captured_at))[0]
        known = [len(self._subjects[track.number].shots) > 0 for track in self._tracker.tracks]
        if not len(contested) or len(contested) > MOST_CONTESTED or not any(known):
            return None
        vectors = self._embedder.embed(frame.image, faces[contested])
        unlikeness = np.full((len(known), len(faces)), np.nan)
        for index, track in enumerate(self._tracker.tracks):
            if known[index]:
                usual = self._subjects[track.number].shots.vectors().mean(axis=0)
                unlikeness[index, contested] = np.linalg.norm(vectors - usual, axis=1)
        return unlikeness

    def _wanted(self, subjects: list[_Subject], quality: NDArray[np.float64], at: datetime) -> list[int]:
        """The rows of the faces from which something is still to be learnt, those least known first."""
        wanted = [row for row, subject in enumerate(subjects) if self._wants_sample(subject, float(quality[row]), at)]
        wanted.sort(key=lambda row: (len(subjects[row].shots), -quality[row]))
        return wanted[: self._settings.max_embeddings or None]

    def _wants_looks(self, subject: _Subject) -> bool:
        """Whether a face is still so little known that it should be detected as often as it is followed."""
        return not subject.is_identified and len(subject.shots) < self._settings.max_samples

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

    def _watch_line(self, subject: _Subject, at: datetime) -> None:
        """Tell when the track goes over the line."""
        if subject.passage is None:
            return
        x, y = middles(subject.track.box[None], *self._size)[0].tolist()
        direction = subject.passage.update((x, y))
        if direction is not None:
            self._events.append(
                LineCrossed(
                    at=at,
                    camera=self._camera,
                    track_id=self._track_id(subject.track),
                    person_id=subject.identity.person_id if subject.identity else None,
                    direction=direction,
                )
            )

    def _track_id(self, track: Track) -> str:
        return f"{self._prefix}-{track.number}"

    def _report(self, subject: _Subject, at: datetime) -> None:
        """Tell of an identified track when it is new, and again when it is time."""
        if not subject.is_identified:
            return
        due_s = self._settings.sighting_interval_s
        is_news = self._suspicion_of(subject.track) != subject.suspicion
        if subject.reported_at is None or is_news or at - subject.reported_at >= timedelta(seconds=due_s):
            subject.reported_at = at
            self._sight(subject)

    def _sight(self, subject: _Subject) -> None:
        match, track = subject.identity, subject.track
        if match is None:
            return
        subject.suspicion = self._suspicion_of(track)
        left, top, right, bottom = (float(v) for v in track.box)
        self._events.append(
            Sighting(
                at=track.last_seen_at,
                camera=self._camera,
                sighting_id=self._track_id(track),
                person_id=match.person_id,
                name=match.name,
                first_seen_at=track.first_seen_at,
                last_seen_at=track.last_seen_at,
                similarity=match.similarity,
                margin=match.margin,
                samples=len(subject.shots.vectors()),
                embedder=self._embedder.info.embedder_id,
                box=(left, top, right, bottom),
                place=self._zones.place_of(track.box[None], *self._size)[0],
                suspicion=subject.suspicion,
            )
        )

    def _tell_stranger(self, subject: _Subject, at: datetime, *, ended: bool = False) -> None:
        """Tell of who is nobody enrolled, now and then and at the end; a picture of whoever is somebody is let go."""
        if self._strangers is None:
            return
        track, match = subject.track, subject.match
        is_stranger = subject.identity is None and match is not None and match.verdict is Verdict.REJECTED
        self._events += self._strangers.tell(
            track,
            self._track_id(track),
            subject.shots,
            at,
            is_stranger=is_stranger and subject.shots.are_good,
            is_known=subject.identity is not None,
            ended=ended,
        )

    def _end(self, track: Track) -> None:
        """Close the books of ``track``: its last sighting, and that it ended."""
        subject = self._subjects.pop(track.number, None)
        if subject is None:
            return
        if subject.is_identified:
            self._sight(subject)
        self._tell_stranger(subject, track.last_seen_at, ended=True)
        person_id = subject.identity.person_id if subject.identity else None
        # A single look is as likely a shadow as a face: it is no track that anyone should count.
        if track.detections >= self._settings.min_samples:
            self.counts["tracks"] += 1
            self.counts["unknown_tracks"] += person_id is None
        self.counts["sightings"] += person_id is not None
        if self.presentation is not None:
            self.counts["suspected_tracks"] += bool(self.presentation.suspicion(track.number))
            self.presentation.end(track.number)
        self._events.append(
            TrackEnded(
                at=track.last_seen_at,
                camera=self._camera,
                track_id=self._track_id(track),
                person_id=person_id,
                first_seen_at=track.first_seen_at,
                last_seen_at=track.last_seen_at,
            )
        )


def _quality_of(image: Image, faces: Detections) -> NDArray[np.float64]:
    """How good each face is to recognise somebody by: (n,), 0-1."""
    return quality_of(sizes(faces.xyxy), sharpness(image, faces.xyxy), frontality_in(faces))
