"""What is told of the people in front of one camera: events, and how many there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from optimind.core.tracking import Track
from optimind.core.zones import Line, Passage, Zones, middles
from optimind.pipeline.presentation import Presentation
from optimind.pipeline.strangers import Strangers
from optimind.pipeline.subject import Subject
from optimind.plugin_api import Event, FacesCounted, LineCrossed, Sighting, TrackEnded

__all__ = ["COUNT_INTERVAL", "Teller"]

COUNT_INTERVAL: Final = timedelta(seconds=10)
"""How often it is told how many faces are in view."""


class Teller:
    """Turns what is known of subjects into events, which :meth:`drain` hands over. Used by the recogniser's thread.

    ``prefix`` makes the ids of tracks and sightings unique over cameras and restarts; a track counts as one from
    ``least_detections`` on. For the others see :class:`~optimind.pipeline.recogniser.Recogniser`.
    """

    def __init__(
        self,
        camera: str,
        embedder_id: str,
        *,
        prefix: str,
        sighting_interval_s: float,
        least_detections: int,
        zones: Zones,
        line: Line | None,
        presentation: Presentation | None,
        strangers: Strangers | None,
    ) -> None:
        self._camera = camera
        self._embedder_id = embedder_id
        self._prefix = prefix
        self._sighting_interval = timedelta(seconds=sighting_interval_s)
        self._least_detections = least_detections
        self._zones = zones
        self._line = line
        self._presentation = presentation
        self._strangers = strangers
        self._size = (1, 1)
        self._events: list[Event] = []
        self._counted_at: datetime | None = None
        self.counts: Counter[str] = Counter(tracks=0, unknown_tracks=0, sightings=0, suspected_tracks=0)

    def drain(self) -> list[Event]:
        """Hand over the events since the last call, in the order in which they happened."""
        events, self._events = self._events, []
        return events

    def tell(self, subject: Subject, at: datetime, size: tuple[int, int]) -> None:
        """Tell what there is to say of ``subject`` at ``at``; ``size`` is the picture's width and height."""
        self._size = size
        self._watch_line(subject, at)
        self._report(subject, at)
        self._tell_stranger(subject, at)

    def count(self, subjects: Iterable[Subject], at: datetime) -> None:
        """Tell how many faces are in view at ``at``, if it is time."""
        if self._counted_at is not None and timedelta(0) <= at - self._counted_at < COUNT_INTERVAL:
            return
        self._counted_at = at
        seen = [each for each in subjects if not each.track.misses and each.track.detections >= self._least_detections]
        named = sum(each.is_identified for each in seen)
        self._events.append(FacesCounted(at=at, camera=self._camera, faces=len(seen), named=named))

    def end(self, subject: Subject) -> None:
        """Close the books of a track: its last sighting, and that it ended."""
        track = subject.track
        if subject.is_identified:
            self._sight(subject)
        self._tell_stranger(subject, track.last_seen_at, ended=True)
        person_id = subject.identity.person_id if subject.identity else None
        # A single look is as likely a shadow as a face: it is no track that anyone should count.
        if track.detections >= self._least_detections:
            self.counts["tracks"] += 1
            self.counts["unknown_tracks"] += person_id is None
        self.counts["sightings"] += person_id is not None
        if self._presentation is not None:
            self.counts["suspected_tracks"] += bool(self._presentation.suspicion(track.number))
            self._presentation.end(track.number)
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

    def _track_id(self, track: Track) -> str:
        return f"{self._prefix}-{track.number}"

    def _suspicion_of(self, track: Track) -> str:
        return self._presentation.suspicion(track.number) if self._presentation is not None else ""

    def _watch_line(self, subject: Subject, at: datetime) -> None:
        """Tell when the track goes over the line."""
        if self._line is None:
            return
        subject.passage = subject.passage or Passage(self._line)
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

    def _report(self, subject: Subject, at: datetime) -> None:
        """Tell of an identified track when it is new, and again when it is time."""
        if not subject.is_identified:
            return
        is_news = self._suspicion_of(subject.track) != subject.suspicion
        if subject.reported_at is None or is_news or at - subject.reported_at >= self._sighting_interval:
            subject.reported_at = at
            self._sight(subject)

    def _sight(self, subject: Subject) -> None:
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
                embedder=self._embedder_id,
                box=(left, top, right, bottom),
                place=self._zones.place_of(track.box[None], *self._size)[0],
                suspicion=subject.suspicion,
                shot=subject.portrait,
            )
        )

    def _tell_stranger(self, subject: Subject, at: datetime, *, ended: bool = False) -> None:
        """Tell of who is nobody enrolled, now and then and at the end; a picture of whoever is somebody is let go."""
        if self._strangers is None:
            return
        self._events += self._strangers.tell(
            subject.track,
            self._track_id(subject.track),
            subject.shots,
            at,
            is_stranger=subject.is_stranger,
            is_known=subject.identity is not None,
            ended=ended,
        )
