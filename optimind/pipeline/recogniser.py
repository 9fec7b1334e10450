"""One camera's frames in, events out: look, associate, embed, identify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optimind.core.geometry import sizes
from optimind.core.identification import Identifier, Match, Verdict
from optimind.core.shots import GOOD, BestShots, Shot, quality_of
from optimind.core.tracking import Track, Tracker
from optimind.core.types import Detections, Frame, Vectors
from optimind.core.zones import Line, Zones
from optimind.gallery.quality import sharpness
from optimind.pipeline.candidates import Candidate, Candidates, Wanted, wanted_of
from optimind.pipeline.looking import Look, Looker
from optimind.pipeline.presentation import Presentation
from optimind.pipeline.stages import StageTimes
from optimind.pipeline.strangers import Strangers, cut
from optimind.pipeline.subject import Subject
from optimind.pipeline.telling import Teller
from optimind.plugin_api import Embedder, Event, FaceShot

__all__ = ["Recogniser", "RecogniserSettings", "TrackView"]


MOST_CONTESTED: Final = 8
"""So many faces are embedded at most to tell who is who where several cross."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserSettings:
    """How many samples of a track to take. Seconds are the recording's own in pace ``fast``.

    ``keep_shots``: whether the best picture of each track goes along with its sightings.
    """

    min_samples: int = 3
    max_samples: int = 8
    recheck_s: float = 3.0
    sighting_interval_s: float = 5.0
    keep_shots: bool = False


@dataclass(frozen=True, slots=True)
class TrackView:
    """What an overlay needs to know of a track: its box (xyxy pixels), and who it is, if anyone."""

    box: tuple[float, float, float, float]
    name: str | None
    similarity: float
    undecided: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Contest:
    """What the faces ``rows`` look like, ``vectors``, because it was in doubt who they are.

    ``unlikeness`` (tracks, faces) says how far each track's samples are from each face, NaN where that is not known.
    """

    rows: list[int]
    vectors: Vectors
    unlikeness: NDArray[np.float64]


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
        self._looker = looker
        self._embedder = embedder
        self._identifier = identifier
        self._settings = settings
        self._stages = stages
        self.presentation = presentation
        self._strangers = strangers
        self._teller = Teller(
            camera,
            embedder.info.embedder_id,
            prefix=f"{run_id}-{camera}",
            sighting_interval_s=settings.sighting_interval_s,
            least_detections=settings.min_samples,
            zones=zones,
            line=line,
            presentation=presentation,
            strangers=strangers,
        )
        self._tracker = Tracker()
        self._subjects: dict[int, Subject] = {}
        self._candidates = Candidates()
        # Of the frame that was looked at last, until it is concluded.
        self._frame: Frame | None = None
        self._seen: list[Subject] = []
        self._learnt: list[tuple[Candidate, NDArray[np.float64]]] = []
        self._asked: list[Candidate] = []

    @property
    def looker(self) -> Looker:
        """What looks at this camera's frames, for what it counted."""
        return self._looker

    @property
    def following(self) -> int:
        """How many faces are followed now."""
        return len(self._subjects)

    @property
    def waiting(self) -> int:
        """How many faces wait for their embedding."""
        return len(self._candidates)

    @property
    def most_waiting(self) -> int:
        """How many did at most, after a frame was done with."""
        return self._candidates.most

    @property
    def counts(self) -> Counter[str]:
        """How many tracks, sightings, unknown and suspected tracks have ended so far."""
        return self._teller.counts

    def look(self, frame: Frame, *, most: int | None = None, cameras: int = 1) -> list[Wanted]:
        """Look at ``frame`` where that is due, and say which faces to embed for :meth:`conclude`.

        ``most``: so many of them at most (None: all); the others wait for the next frame, whether or not that is looked
        at. ``cameras``: so many share the time that there is for looking.
        """
        self._frame, self._seen, self._learnt = frame, [], []
        unknown = {number for number, subject in self._subjects.items() if self._wants_looks(subject)}
        look = self._looker.look(frame, self._tracker.tracks, wanted=unknown, cameras=cameras)
        if look is not None:
            self._take(look, frame)
        if self.presentation is not None:
            self.presentation.watch(frame, self._tracker.tracks)
        if most is not None and not self._looker.has_time():
            most = 1
        self._asked = self._candidates.take(most, self._urgency)
        return wanted_of(self._asked)

    def conclude(self, vectors: Sequence[NDArray[np.float64] | None]) -> list[Event]:
        """Take the embedding of each face that the last look wanted, in that order; return what happened.

        None stands for one that could not be embedded: it is asked for again after the others.
        """
        frame, asked = self._frame, self._asked
        self._frame, self._asked = None, []
        if frame is None:
            return self._teller.drain()
        with self._stages.measure("identify"):
            for candidate, vector in (*self._learnt, *zip(asked, vectors, strict=True)):
                subject = self._subjects.get(candidate.number)
                if subject is None:  # the track has ended, or somebody else is in its place
                    continue
                if vector is None:
                    subject.failures += 1
                else:
                    self._learn(subject, candidate, vector)
        size = (frame.image.shape[1], frame.image.shape[0])
        for subject in self._seen:
            if subject.track.number in self._subjects:
                self._teller.tell(subject, frame.captured_at, size)
        self._teller.count(self._subjects.values(), frame.captured_at)
        return self._teller.drain()

    def know(self, identifier: Identifier) -> None:
        """Recognise by another gallery from now on: who is not in it any more is nobody, who is new has a name at once.

        Called between :meth:`conclude` and :meth:`look`.
        """
        self._identifier = identifier
        for subject in self._subjects.values():
            if subject.identity is not None:
                name = identifier.name_of(subject.identity.person_id)
                # The picture was kept as evidence of a mark that will not be made.
                if name is None:
                    subject.identity = subject.match = subject.portrait = None
                else:
                    subject.identity = replace(subject.identity, name=name)
            if subject.identity is None and len(subject.shots):
                self._identify(subject)

    def finish(self) -> list[Event]:
        """The camera stops: end every track and return what is left to say."""
        for track in self._tracker.finish():
            self._end(track)
        return self._teller.drain()

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

    # -- looking ----------------------------------------------------------------------------------------------------

    def _take(self, look: Look, frame: Frame) -> None:
        """Take in what was found: whose tracks go on, and of which faces samples are wanted."""
        at = frame.captured_at
        kept = [self._tracker.tracks[row] for row in look.unchanged]
        for track, box in zip(kept, look.unchanged.values(), strict=True):
            track.keep(box, at)
        missed = {track.number for track in self._tracker.tracks if track.misses}
        with self._stages.measure("track"):
            contest = self._contest(frame, look.faces)
            tracks, ended = self._tracker.update(
                look.faces.xyxy,
                at,
                looked_for=look.looked_for,
                unlikeness=None if contest is None else contest.unlikeness,
            )
        # First of all: what is raised below must leave no track without its subject, and no subject without its track.
        subjects = [self._subject_of(track) for track in tracks]
        for track in ended:
            self._end(track)
        for number in missed:  # it may be somebody else now, whom no earlier picture shows
            self._candidates.drop(number)
            if number in self._subjects:
                self._subjects[number].sampled_at = None
        unchanged = [track for track in kept if track in self._tracker.tracks and track not in tracks]
        self._seen = [*subjects, *(self._subjects[track.number] for track in unchanged)]
        self._looker.found(frame, tracks)
        known = {} if contest is None else dict(zip(contest.rows, contest.vectors, strict=True))
        for row, candidate in self._wanted(subjects, look.faces, frame):
            if row in known:
                self._candidates.drop(candidate.number)
                self._learnt.append((candidate, known[row]))
            else:
                self._candidates.offer(candidate)

    def _subject_of(self, track: Track) -> Subject:
        subject = self._subjects.get(track.number)
        if subject is None:
            shots = BestShots(least=self._settings.min_samples, most=self._settings.max_samples)
            subject = self._subjects[track.number] = Subject(track, shots)
        return subject

    def _contest(self, frame: Frame, faces: Detections) -> _Contest | None:
        """Embed the faces of which it is not clear whose they are, and compare; None where all is clear."""
        contested = np.nonzero(self._tracker.contested(faces.xyxy, frame.captured_at))[0]
        subjects = [self._subjects.get(track.number) for track in self._tracker.tracks]
        known = {
            row: subject.shots for row, subject in enumerate(subjects) if subject is not None and len(subject.shots)
        }
        if not len(contested) or len(contested) > MOST_CONTESTED or not known:
            return None
        vectors = self._embedder.embed(frame.image, faces[contested])
        unlikeness = np.full((len(subjects), len(faces)), np.nan)
        for row, shots in known.items():
            unlikeness[row, contested] = np.linalg.norm(vectors - shots.vectors().mean(axis=0), axis=1)
        return _Contest(contested.tolist(), vectors, unlikeness)

    def _wanted(self, subjects: list[Subject], faces: Detections, frame: Frame) -> Iterator[tuple[int, Candidate]]:
        """The faces, and their rows, from which something is still to be learnt."""
        at, image = frame.captured_at, frame.image
        with self._stages.measure("quality"):
            face_px, sharp = sizes(faces.xyxy), sharpness(image, faces.xyxy)
            # Whom nobody would want if they looked into the camera need not be asked whether they do.
            best = quality_of(face_px, sharp, None)
            rows = [row for row, subject in enumerate(subjects) if self._wants_sample(subject, float(best[row]), at)]
            if not rows:
                return
            frontality = self._looker.pose(image, faces[np.array(rows)])
            quality = quality_of(face_px[rows], sharp[rows], frontality).tolist()
        for row, of_row in zip(rows, quality, strict=True):
            if self._wants_sample(subjects[row], of_row, at):
                yield row, Candidate(subjects[row].track.number, image, faces[np.array([row])], at, of_row)

    def _urgency(self, candidate: Candidate) -> tuple[float, ...]:
        """The less, the sooner: first who may be somebody else, then who is nearest to a name; the better picture."""
        subject = self._subjects[candidate.number]
        missing = max(0, self._settings.min_samples - len(subject.shots))
        nearness = missing or self._settings.min_samples
        return (subject.failures, not subject.foreign, subject.is_identified, nearness, -candidate.quality)

    def _wants_looks(self, subject: Subject) -> bool:
        """Whether a face is still so little known that it should be detected as often as it is followed."""
        return not subject.is_identified and len(subject.shots) < self._settings.max_samples

    def _wants_sample(self, subject: Subject, quality: float, at: datetime) -> bool:
        if subject.sampled_at is None or subject.foreign or subject.shots.wants(quality, at):
            return True
        # However poor the picture: it may show that somebody else is in this place now.
        return at - subject.sampled_at >= timedelta(seconds=self._settings.recheck_s)

    # -- learning ---------------------------------------------------------------------------------------------------

    def _learn(self, subject: Subject, candidate: Candidate, vector: NDArray[np.float64]) -> None:
        shot = self._shot(subject, candidate, vector)
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
            self._portray(subject, candidate)
        subject = self._identify(subject)
        if subject not in self._seen:
            self._seen.append(subject)

    def _shot(self, subject: Subject, candidate: Candidate, vector: NDArray[np.float64]) -> Shot:
        shot = Shot(candidate.at, vector, candidate.quality)
        if self._strangers is not None and subject.identity is None:
            self._strangers.picture(shot, candidate.image, candidate.face.xyxy[0])
        return shot

    def _portray(self, subject: Subject, candidate: Candidate) -> None:
        """Keep the picture of the person where it is better than the one before: it becomes the record's evidence."""
        if not self._settings.keep_shots or candidate.quality < GOOD:
            return
        if subject.portrait is None or candidate.quality > subject.portrait.quality:
            picture, face_px = cut(candidate.image, candidate.face.xyxy[0])
            subject.portrait = FaceShot(candidate.at, picture, face_px, candidate.quality)

    def _looks_foreign(self, subject: Subject, vector: NDArray[np.float64]) -> bool:
        if len(subject.shots) < self._settings.min_samples:
            return False
        if subject.identity is not None:
            known = self._identifier.distance_to(vector, subject.identity.person_id)
            if known <= self._identifier.foreign_distance:
                return False
        usual = np.mean([shot.vector for shot in subject.shots], axis=0)
        return float(np.linalg.norm(vector - usual)) > self._identifier.foreign_distance

    def _replace(self, subject: Subject, shots: Sequence[Shot]) -> Subject:
        """End ``subject`` where ``shots`` began, which are of another person, and begin a new one with them."""
        began_at = shots[0].at
        successor = self._subject_of(self._tracker.split(subject.track, began_at))
        for shot in shots:
            successor.shots.add(shot)
        successor.sampled_at = subject.sampled_at
        subject.track.last_seen_at = max(subject.track.first_seen_at, began_at)
        self._end(subject.track)
        return successor

    def _identify(self, subject: Subject) -> Subject:
        """Say who it is by what is known now; returns it, or the new subject of a face that turned into another."""
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
        return subject

    def _match(self, subject: Subject) -> Match:
        taken = [
            other.identity.person_id
            for other in self._subjects.values()
            if other is not subject and other.identity is not None and other.is_identified
        ]
        shots = subject.shots
        return self._identifier.identify(shots.vectors(), taken=taken, good=shots.are_good)

    def _shots_of_another(self, subject: Subject, before: str, now: str) -> list[Shot]:
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

    def _end(self, track: Track) -> None:
        """Close the books of ``track``; what its last picture says of somebody who has no name yet still counts."""
        subject = self._subjects.pop(track.number, None)
        if subject is None:
            return
        candidate = self._candidates.drop(track.number)
        try:
            if candidate is not None and not subject.is_identified:
                self._learn_last(subject, candidate)
        finally:
            self._teller.end(subject)

    def _learn_last(self, subject: Subject, candidate: Candidate) -> None:
        vector = self._embedder.embed(candidate.image, candidate.face)[0]
        if self._looks_foreign(subject, vector):
            return
        subject.shots.add(self._shot(subject, candidate, vector))
        subject.match = self._match(subject)
        if subject.match.verdict is Verdict.ACCEPTED and subject.identity is None:
            subject.identity = subject.match
