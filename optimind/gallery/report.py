"""What an encoder's run tells the person who started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["EncodeReport", "EncodeWarning", "Rejection"]

MENDS = {
    "no_face": "use a picture that shows the face from the front, upright and lit",
    "several_faces": "cut the picture down to the one person",
    "too_small": "use a picture in which the face is larger",
    "too_blurred": "use a sharper picture",
    "unreadable": "open it in an image program and save it as JPEG, or remove it",
    "duplicate": "remove the copy that does not belong there",
}
FOR_INFORMATION = frozenset({"small_faces_ignored", "person_removed"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """A photograph that was not enrolled. ``reason`` is one of ``MENDS``; ``file`` is below the dataset folder."""

    file: str
    reason: str
    detail: str

    @property
    def mend(self) -> str:
        """What the photograph's owner can do."""
        return MENDS[self.reason]


@dataclass(frozen=True, slots=True)
class EncodeWarning:
    """Something that was enrolled, or not, and that a person should look at."""

    kind: str
    files: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class EncodeReport:
    """The outcome of a run. ``enrolled`` samples are new, ``reused`` ones were known; together they are ``samples``."""

    people: int
    samples: int
    enrolled: int
    reused: int
    rejected: tuple[Rejection, ...]
    warnings: tuple[EncodeWarning, ...]
    seconds: float
    output: str

    @property
    def needs_a_person(self) -> bool:
        """Whether anything was rejected or is to be looked at; what is for information is not."""
        return bool(self.rejected) or any(w.kind not in FOR_INFORMATION for w in self.warnings)

    def as_json(self) -> dict[str, Any]:
        """Return the document that ``encode --json`` prints."""
        return {
            "people": self.people,
            "samples": self.samples,
            "enrolled": self.enrolled,
            "reused": self.reused,
            "rejected": [{"file": r.file, "reason": r.reason, "detail": r.detail} for r in self.rejected],
            "warnings": [{"kind": w.kind, "files": list(w.files), "detail": w.detail} for w in self.warnings],
            "seconds": round(self.seconds, 3),
            "output": self.output,
        }
