"""Everything that the author of an extension imports, and nothing else is needed.

There are six kinds of extension, each a small protocol: :class:`Source` (a camera), :class:`Detector` and
:class:`Embedder` (an engine), :class:`PadCheck` (is a face a person or a picture of one), :class:`Plugin` (what is done
with what is seen) and :class:`Sink` (where events leave).
An extension is a class that names its protocol as a base and sets ``name``. It is found when it stands in the folder
of its kind inside OptiMind, when a package announces it under the entry point ``optimind.<kind>s``, or when it stands
in the folder that ``plugins_folder`` in config.yaml names. See docs/plugins.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from optimind.core.calibration import Calibration
from optimind.core.events import (
    AttendanceMarked,
    AttendanceStatus,
    Event,
    FacesCounted,
    FaceShot,
    LineCrossed,
    Sighting,
    TrackEnded,
    VisitorSeen,
    VisitorShot,
)
from optimind.core.pose import frontality_in
from optimind.core.presentation import PadState, PadVerdict
from optimind.core.registers import record_id, session_date
from optimind.core.timetable import CameraRole, Meeting
from optimind.core.types import Detections, Frame, Image, Vectors
from optimind.errors import (
    DeliveryDelayed,
    DeliveryRefused,
    EngineError,
    OptiMindError,
    SourceError,
    SourceNotFound,
    UsageError,
)
from optimind.secrets import Secret, mask_url
from optimind.weights.calibrations import calibration_of
from optimind.weights.sessions import open_session
from optimind.weights.store import Model, ModelStore, installed_model

__all__ = [
    "AttendanceMarked",
    "AttendanceStatus",
    "Calibration",
    "CameraRole",
    "DeliveryDelayed",
    "DeliveryRefused",
    "Detections",
    "Detector",
    "Embedded",
    "Embedder",
    "EmbedderInfo",
    "EngineError",
    "Event",
    "FaceShot",
    "FacesCounted",
    "Frame",
    "Image",
    "KnownStatuses",
    "LineCrossed",
    "Meeting",
    "Meetings",
    "Model",
    "ModelStore",
    "OptiMindError",
    "PadCheck",
    "PadState",
    "PadVerdict",
    "Plugin",
    "PluginContext",
    "RecordRow",
    "Secret",
    "Settings",
    "Sighting",
    "Sink",
    "Source",
    "SourceError",
    "SourceNotFound",
    "StatusChange",
    "TrackEnded",
    "UsageError",
    "Vectors",
    "VisitorSeen",
    "VisitorShot",
    "calibration_of",
    "installed_model",
    "mask_url",
    "open_session",
    "record_id",
    "session_date",
]


class Settings(BaseModel):
    """Base of every extension's settings: typed, and a key that it does not know is an error."""

    # What was written may be a password, so no error repeats it by itself.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Meetings(Protocol):
    """Says which sessions of the timetable are held in front of a camera."""

    def __call__(self, camera: str, first_at: datetime, last_at: datetime) -> Sequence[Meeting]:
        """The meetings in the room of ``camera`` between these moments, by their start."""
        ...


def no_meetings(camera: str, first_at: datetime, last_at: datetime) -> Sequence[Meeting]:  # noqa: ARG001 - the form
    """What there is without a timetable."""
    return ()


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin is told at its start.

    ``session`` is the one named on the command line (None: none was), ``roles`` what being seen by each camera means,
    ``meetings`` which sessions are held in front of it; without a timetable, none. ``has_timetable`` says which.
    """

    session: str | None
    timezone: ZoneInfo
    meetings: Meetings = no_meetings
    roles: Mapping[str, CameraRole] = field(default_factory=dict)
    has_timetable: bool = False


@runtime_checkable
class Source(Protocol):
    """A camera or recording. Used by one thread at a time: ``open``, then ``read`` until None, then ``close``.

    ``accepts`` says whether a ``source:`` setting is this kind's; exactly one kind may accept a given text.
    ``live`` is true for what runs in real time whether or not it is read (a camera), false for a recording.

    A recording may have two attributes more: ``ended_early`` (a text, or None) says at its end what of it could not be
    read, ``duration_s`` (a float, or None) once it is open how long it is, for the time left.
    """

    name: ClassVar[str]
    live: bool

    @classmethod
    def accepts(cls, spec: str) -> bool:
        """Whether ``spec`` (a device number, path or URL) is for this kind of source."""
        ...

    @classmethod
    def create(cls, camera: str, spec: str) -> Self:
        """Make the source of camera id ``camera``; opens nothing yet."""
        ...

    def open(self) -> None:
        """Connect. Raises :class:`SourceNotFound` or :class:`SourceError`; safe to call again after ``close``."""
        ...

    def read(self) -> Frame | None:
        """Return the next frame, waiting for it; None when a recording has ended.

        Raises :class:`SourceError` when the connection is lost or the file is damaged. A recording's frames carry
        ``position_s``, and ``captured_at`` is 1970-01-01 UTC plus that position: the loop sets the real time.
        """
        ...

    def close(self) -> None:
        """Release the device or file. May be called at any time, also twice."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds faces. Its settings stand in config.yaml under ``engines``, at its name."""

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]] = Settings

    @classmethod
    def create(cls, min_face_px: int, settings: Any) -> Self:
        """Load the detector; ``settings`` is a ``settings_type``.

        ``min_face_px`` is the smallest face worth finding, in pixels of the original picture. Raises
        :class:`EngineError` with the command that mends it.
        """
        ...

    def detect(self, image: Image) -> Detections:
        """Return the faces in ``image``, boxes in its pixels. Not thread-safe."""
        ...

    def glance(self, image: Image, largest_px: float | None = None) -> Detections:  # noqa: ARG002 - for those who can
        """As :meth:`detect`, for a live camera: a quicker way may be taken.

        It finds the same faces as surely; its boxes may be a little off. Faces wider than ``largest_px`` (None: than
        the picture) need not be found, which may spare time. Not thread-safe.
        """
        return self.detect(image)

    def pose(self, image: Image, faces: Detections) -> NDArray[np.float64] | None:  # noqa: ARG002 - for those who can
        """How far ``faces`` of ``image`` look into the camera, (n,) as in ``Detections``; None where it cannot tell.

        For a detector whose :meth:`glance` does not say that, as it takes time and is asked of few. Not thread-safe.
        """
        return frontality_in(faces)

    def find_portrait(self, image: Image) -> Detections:
        """Return the face of a portrait as quickly as can be: its box may be a little off, its pose need not be told.

        Only exactly one face is believed, so what may be another one is given as well, and one that may be none is not
        given alone; wherever there are several, :meth:`detect` decides. Not thread-safe.
        """
        return self.detect(image)

    def finds_from_px(self, width: int, height: int) -> float:  # noqa: ARG002 - not known here
        """How wide a face must be to be found surely in a picture of that size; 0 where that is not known.

        More than ``min_face_px`` where the picture is too large to be looked at closely enough.
        """
        return 0.0


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What a gallery remembers of the embedder that made it.

    ``embedder_id`` names the weights: embeddings of another one cannot be compared. ``dimension``: numbers a face.
    """

    embedder_id: str
    dimension: int


class Embedded(NamedTuple):
    """The faces of one picture: ``vectors`` (n, dimension) float64, and ``frontality`` (n,) as in ``Detections``.

    ``frontality`` is None where it cannot be told.
    """

    vectors: Vectors
    frontality: NDArray[np.float64] | None = None


@runtime_checkable
class Embedder(Protocol):
    """Turns faces into vectors. An engine that is both detector and embedder shares one ``settings_type``.

    Vectors are compared by Euclidean distance on dlib's scale: two pictures of one person are mostly nearer than 0.6,
    of two people mostly further. An embedder of another scale multiplies its vectors so that this holds.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]] = Settings
    info: EmbedderInfo

    @classmethod
    def describe(cls, settings: Any) -> EmbedderInfo:
        """What :meth:`create` would give ``info``, without loading the network.

        Raises :class:`EngineError` with the command that mends it where the network is not here.
        """
        ...

    @classmethod
    def settings_for(cls, embedder_id: str, settings: Any) -> Any | None:
        """Settings, otherwise like ``settings``, by which this engine is the embedder ``embedder_id``; None: it cannot.

        Its network need not be here: :meth:`describe` says so. Raises :class:`EngineError` where it cannot be said.
        """
        return settings if cls.describe(settings).embedder_id == embedder_id else None

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Load the network; ``settings`` is a ``settings_type``. Raises :class:`EngineError` as ``describe`` does."""
        ...

    def embed(self, image: Image, faces: Detections) -> Vectors:
        """Return a row a face: (n, dimension) float64, to be compared by Euclidean distance. Not thread-safe."""
        ...

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        """As :meth:`embed` for one or more pictures, and how far each face looks into the camera.

        For an engine that is quicker with many faces at once, or that looks for points of the face, which tell both.
        """
        return [Embedded(self.embed(image, faces), frontality_in(faces)) for image, faces in pictures]

    def calibration(self) -> Calibration | None:
        """What is known of these distances: a cohort of people who are in nobody's class, and how close strangers come.

        By it distances become comparable between people, and the limit follows the error rate that is wished for. None
        where nothing is known: then plain distances decide.
        """
        return None


@runtime_checkable
class PadCheck(Protocol):
    """Tells a person from a picture of one (ISO/IEC 30107-3). Made once for each camera; used by one thread.

    It is switched on by its name as ``check`` in the section ``pad`` of config.yaml, where its settings stand too.
    Nobody is refused for what it says: a suspicion only has a person look at the record.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]] = Settings
    interval_s: float = 0.3
    """A face is given to it about so often, in seconds of the pictures' own time, until its verdict is final."""

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Make the check; ``settings`` is a ``settings_type``. Raises :class:`EngineError` with what mends it."""
        ...

    def observe(self, track: str, image: Image, box: tuple[float, float, float, float], at: datetime) -> PadVerdict:
        """Take another picture of the face of ``track`` and return what is thought of it now.

        ``box`` (xyxy pixels) is about where it is: between detections it is predicted, and it may reach beyond the
        picture. ``image`` must not be changed nor kept. Where evidence is lacking the answer is ``undecided``.
        """
        ...

    def forget(self, track: str) -> None:
        """The track has ended: drop what is kept of it. One that is not known is no error."""
        ...


@runtime_checkable
class Plugin(Protocol):
    """Does something with what happened. Created once a run; called by one thread.

    What ``handle`` raises is counted and logged; after repeated failures the plugin is switched off, and neither the
    loop nor another plugin notices.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]]

    @classmethod
    def create(cls, settings: Any, context: PluginContext) -> Self:
        """Make the plugin; ``settings`` is a ``settings_type``."""
        ...

    def handle(self, event: Event) -> Iterable[Event]:
        """Take one event and return what follows from it. An event that is not the plugin's is answered with ``()``."""
        ...

    def close(self) -> Iterable[Event]:
        """The run ends: return what is still to be said."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One record of the register as it leaves through a sink and as ``attendance`` prints it.

    ``record_id`` is the same for the same person, session and date for ever, so a row can be written again safely.
    Who was never seen has no times, and neither similarity nor margin. ``COLUMNS`` are what every table shows; what
    comes after them says which class's meeting it is (empty and None: of no timetable), why the status is what it is,
    by whose vectors the person was known, and which version of the record this is, the first being 1.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "record_id",
        "date",
        "session",
        "person_id",
        "name",
        "status",
        "first_seen_at",
        "last_seen_at",
        "seconds_seen",
        "camera",
        "similarity",
        "margin",
        "source",
    )

    record_id: str
    date: date
    session: str
    person_id: str
    name: str
    status: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    seconds_seen: float
    camera: str
    similarity: float | None
    margin: float | None
    source: str
    class_id: str = ""
    starts_at: datetime | None = None
    rule: str = ""
    reason: str = ""
    embedder: str = ""
    version: int = 1

    def in_zone(self, zone: tzinfo) -> Self:
        """The same record with its times as the clocks of ``zone`` show them."""
        return replace(
            self,
            first_seen_at=self.first_seen_at and self.first_seen_at.astimezone(zone),
            last_seen_at=self.last_seen_at and self.last_seen_at.astimezone(zone),
            starts_at=self.starts_at and self.starts_at.astimezone(zone),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A status that a person wrote where a sink keeps its rows, and that nobody else put there.

    ``text`` is what was written, ``status`` what it means; None where that is no status. ``actor`` is the name that the
    person left beside it, empty where there is none.
    """

    record_id: str
    text: str
    status: AttendanceStatus | None
    actor: str = ""


class KnownStatuses(Protocol):
    """Says what a sink was given before."""

    def __call__(self, record_ids: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """The statuses that may stand there because the sink put them there, by record; others are left out."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Where records leave. Used by one thread; must be idempotent: the same ``record_id`` may come again.

    It is given at most ``batch_rows`` rows at once, which as JSON have at most about ``batch_bytes`` bytes.
    ``recheck_s``: where a write may still come about after nobody waits for its answer any more, so many seconds after
    a delivery :meth:`lacking` is asked whether all is there; None: never.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]]
    batch_rows: ClassVar[int] = 500
    batch_bytes: ClassVar[int] = 1_000_000
    recheck_s: ClassVar[float | None] = None

    @property
    def target(self) -> str:
        """Where it writes to, as far as the settings say: with another one, what was delivered before is elsewhere."""
        return ""

    @classmethod
    def create(cls, settings: Any) -> Self:
        """Make the sink; connects to nothing yet."""
        ...

    def deliver(self, rows: Sequence[RecordRow]) -> None:
        """Write ``rows``, each replacing an earlier one with its ``record_id``; return once they are safely there.

        Raises :class:`DeliveryDelayed` (try all of them again later) or :class:`DeliveryRefused` (a person must act).
        """
        ...

    def lacking(self, rows: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> Collection[str]:  # noqa: ARG002 - for those who can
        """Say which of ``rows``, by ``record_id``, are not there just once and whole. Raises like :meth:`deliver`.

        And which of those ``earlier``, which were found before: where none of them is there, nothing is any more.
        """
        return ()

    def may_come_late(self, seconds: float) -> None:  # noqa: ARG002 - for those who can
        """A delivery whose end nobody knows may still come about for so long: meanwhile move nothing that is there."""
        return

    def interrupt(self) -> None:
        """The run ends: whatever still waits should give up, as :class:`DeliveryDelayed`. Called by another thread."""
        return

    def collect(self, rows: Sequence[RecordRow], known: KnownStatuses) -> Sequence[StatusChange]:  # noqa: ARG002 - for those who can
        """Return what people changed where the rows went; called before a delivery of ``rows``, and now and then.

        For a sink in which people may correct a status. ``known`` says what it was given earlier: whatever else stands
        there is a person's. What is returned is taken as corrections, and the records are delivered again. Raises as
        :meth:`deliver` does.
        """
        return ()

    def unsettled(self) -> Collection[str]:
        """Return which records of the last delivery may still stand somewhere with an earlier status (record_id)."""
        return ()

    def forget(self, record_ids: Sequence[str], person_id: str) -> bool:  # noqa: ARG002 - what a sink of its own takes
        """Delete the rows of these records, and whatever else is there of the person; return whether that can be done.

        Called when somebody is to be forgotten. ``person_id`` is empty where only the records are known any more, as
        when the sink could not be reached before; it may be called again for the same ones, and for some that it never
        had. A sink that does not bring this itself cannot, and the user is told to do it by hand.

        Raises :class:`DeliveryDelayed` or :class:`DeliveryRefused` as :meth:`deliver` does.
        """
        return False

    def close(self) -> None:
        """Release connections."""
        ...
