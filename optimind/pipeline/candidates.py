"""Faces that wait for their embedding: as many are computed at once as a live camera's next picture can wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from optimind.core.geometry import pixels_around
from optimind.core.types import Detections, Image

__all__ = ["Candidate", "Candidates", "Wanted", "wanted_of"]

_SAME_MOMENT: Final = timedelta(seconds=1)
"""Of two pictures of a face no further apart than this the better one waits; else the newer one."""
_AROUND: Final = 1.0
"""What is kept around a face that has to wait, in face sizes: more than any embedder looks at."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """The one ``face`` in ``image``, of the track ``number``, may be a sample of it.

    ``is_cut_out``: the image is no whole frame.
    """

    number: int
    image: Image
    face: Detections
    at: datetime
    quality: float
    is_cut_out: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Faces of one picture whose embeddings are wanted; those of all cameras are computed together."""

    image: Image
    faces: Detections


class Candidates:
    """The candidates of one camera, one a track at most; those that wait hold no whole frame."""

    def __init__(self) -> None:
        self._waiting: dict[int, Candidate] = {}
        self.most = 0
        """How many waited at most after some were taken."""

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, candidate: Candidate) -> None:
        """Take in what a look found."""
        before = self._waiting.get(candidate.number)
        same_moment = before is not None and abs(candidate.at - before.at) < _SAME_MOMENT
        if before is None or not same_moment or candidate.quality >= before.quality:
            self._waiting[candidate.number] = candidate

    def drop(self, number: int) -> Candidate | None:
        """Return the candidate of a track, which waits no more; None where there is none."""
        return self._waiting.pop(number, None)

    def take(self, most: int | None, order: Callable[[Candidate], tuple[float, ...]]) -> list[Candidate]:
        """Give out up to ``most`` (None: all), the least by ``order`` first; what is left is cut out of its frame."""
        chosen = sorted(self._waiting.values(), key=order)[:most]
        for candidate in chosen:
            del self._waiting[candidate.number]
        self._waiting = {number: _cut_out(candidate) for number, candidate in self._waiting.items()}
        self.most = max(self.most, len(self._waiting))
        # Faces of one picture beside each other are looked at together.
        return sorted(chosen, key=lambda candidate: id(candidate.image))


def wanted_of(candidates: Iterable[Candidate]) -> list[Wanted]:
    """Put the faces of one picture together; the order stays."""
    parts = []
    for _, group in groupby(candidates, key=lambda candidate: id(candidate.image)):
        members = list(group)
        parts.append(Wanted(members[0].image, Detections.joined([candidate.face for candidate in members])))
    return parts


def _cut_out(candidate: Candidate) -> Candidate:
    """The same without the rest of the frame."""
    if candidate.is_cut_out:
        return candidate
    box = candidate.face.xyxy[0]
    height, width = candidate.image.shape[:2]
    low, high = pixels_around(box, _AROUND * float((box[2:] - box[:2]).max()), (width, height))
    image = candidate.image[low[1] : high[1], low[0] : high[0]].copy()
    return replace(candidate, image=image, face=candidate.face.moved(-low), is_cut_out=True)
