"""What happened, in the past tense: the values that plugins receive and return.

Every event is immutable and knows when (``at``, aware UTC) and where (``camera``) it happened.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optimind.core.timetable import Meeting
from optimind.core.types import Image, require_aware

__all__ = [
    "AttendanceMarked",
    "AttendanceStatus",
    "Event",
    "FaceShot",
    "FacesCounted",
    "LineCrossed",
    "Sighting",
    "TrackEnded",
    "VisitorSeen",
    "VisitorShot",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at ``at`` in front of ``camera``."""

    at: datetime
    camera: str

    def __post_init__(self) -> None:
        require_aware(self.at, f"{type(self).__name__}.at")


@dataclass(frozen=True, slots=True, eq=False)
class FaceShot:
    """The best picture of a track so far: when it was taken, the face with as much around it again, how good it is.

    ``picture`` (height, width, 3) BGR, ``face_px`` the face's width in it, ``quality`` 0-1, higher is better. Its repr
    does not show the picture.
    """

    at: datetime
    picture: Image = field(repr=False)
    face_px: float
    quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesCounted(Event):
    """How many faces the camera sees just now, and how many of them have a name.

    Sent every few seconds while the camera gives pictures, with 0 as well: so it also says that somebody watched.
    """

    faces: int
    named: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting(Event):
    """A track got, or still has, an identity.

    Sent when a track is first identified, again every few seconds while it is in view, and when it ends; each one
    replaces the earlier ones with the same ``sighting_id``, which is the track's id. ``similarity`` is 0-1, higher is
    closer; ``margin`` is by how much the person is closer than the runner-up, in the same units (1 when nobody else is
    enrolled). ``samples`` is how many pictures of the track decided it. ``box`` is where the face was last, in xyxy
    pixels, and ``place`` the seat or door of the camera's zones that this is at; None where it is at none.
    ``suspicion`` says in a sentence why the face may be a picture and no person; empty where nothing speaks for it.
    ``shot`` is the best picture so far, None where none is kept (``privacy.keep_shots_days``).
    """

    sighting_id: str
    person_id: str
    name: str
    first_seen_at: datetime
    last_seen_at: datetime
    similarity: float
    margin: float
    samples: int
    embedder: str
    box: tuple[float, float, float, float]
    place: str | None = None
    suspicion: str = ""
    shot: FaceShot | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        require_aware(self.first_seen_at, "Sighting.first_seen_at")
        require_aware(self.last_seen_at, "Sighting.last_seen_at")
        if self.last_seen_at < self.first_seen_at:
            raise ValueError("a sighting cannot end before it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackEnded(Event):
    """A face left the view. ``person_id`` is None where it was nobody that is enrolled."""

    track_id: str
    person_id: str | None
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCrossed(Event):
    """A face went over the camera's line, ``in`` or ``out``. ``person_id`` is None where nobody is known yet."""

    track_id: str
    person_id: str | None
    direction: Literal["in", "out"]


@dataclass(frozen=True, slots=True, eq=False)
class VisitorShot:
    """One good picture of somebody whom nobody enrolled.

    ``vector`` (dimension,) float64 is its embedding, ``picture`` (height, width, 3) BGR the face with as much around
    it again, ``face_px`` the face's width in it, ``quality`` 0-1, higher is better. Its repr shows neither of the first
    two.
    """

    at: datetime
    vector: NDArray[np.float64] = field(repr=False)
    picture: Image = field(repr=False)
    face_px: float
    quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorSeen(Event):
    """Somebody whom nobody enrolled was seen: enough good pictures, and like nobody in the gallery.

    Sent only where ``visitors.keep_days`` is above 0: when the track ends (``ended``), and of one that stays, after
    half a minute and every few minutes; each replaces the earlier ones with the same ``track_id``. ``samples`` is how
    many pictures decided it, ``shots`` the best of them. ``visitor_id`` is which of the visitors it is, the same one
    whenever that person comes again, or None where the visitor could not be kept. Its repr shows no face and no vector.
    """

    track_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    embedder: str
    samples: int
    shots: tuple[VisitorShot, ...] = field(repr=False)
    ended: bool
    visitor_id: int | None = None

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        require_aware(self.first_seen_at, "VisitorSeen.first_seen_at")
        require_aware(self.last_seen_at, "VisitorSeen.last_seen_at")
        if self.last_seen_at < self.first_seen_at:
            raise ValueError("a visitor cannot leave before they come")


class AttendanceStatus(enum.StrEnum):
    """What the register says of a person in a session."""

    PRESENT = "present"
    LATE = "late"
    LEFT_EARLY = "left_early"
    ABSENT = "absent"
    EXCUSED = "excused"
    NEEDS_REVIEW = "needs_review"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendanceMarked(Event):
    """A sighting counted for a session: the ledger keeps it, one record a person a session and date.

    ``date`` is the session's date where the camera hangs. The sighting is the evidence; ``kind`` is ``in`` or ``out``
    where it is that of somebody who came or went at its first moment. With a ``meeting`` of the timetable, whose date
    and session these are then, its rules decide the status from all the evidence; ``status`` is what is said without.
    """

    date: date
    session: str
    status: AttendanceStatus
    sighting: Sighting
    kind: Literal["seen", "in", "out"] = "seen"
    meeting: Meeting | None = None
