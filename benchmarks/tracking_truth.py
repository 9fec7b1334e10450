"""How well tracks hold: what a tracker said, against a truth that was made by hand and eye.

CLEAR MOT of Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", 2008: in each frame a face
keeps the track that it had while the two still overlap, the others are assigned at the least cost; and IDF1 of Ristani
and others, "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016. A face that is small or
half hidden is not asked for: a track may have it or not.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from optimind.core.geometry import iou

__all__ = ["Change", "Face", "Figures", "Found", "compare", "read_truth"]

LEAST_IOU: Final = 0.3
"""A box and a face that overlap less are not the same: detectors draw boxes of different shapes around one face."""
_NEVER: Final = 1e6

Box = tuple[float, float, float, float]
"""xyxy pixels."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face of the truth in one frame, and whether it must be found there."""

    person: str
    box: Box
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """Where a tracker says that a track is in one frame."""

    track: int
    box: Box


@dataclass(frozen=True, slots=True)
class Change:
    """In ``frame`` (its place in the sequence) the ``person`` is found by ``track``, and before it was otherwise:
    ``before`` is their track until then, or the person that the track was on."""

    frame: int
    person: str
    track: int
    before: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """``wanted`` faces that should be found, how many were (``matched``), and how long the tracks held.

    ``switches``: a person got another track; ``takeovers``: a track went on to another person, which is what would mark
    the wrong one; ``fragmentations``: how often somebody was lost and found again; ``false_boxes`` are on no face, and
    ``false_tracks`` mostly so. ``lost``: the frames in which a person was wanted and not found.
    """

    wanted: int
    matched: int
    switches: tuple[Change, ...]
    takeovers: tuple[Change, ...]
    fragmentations: int
    tracks: int
    false_tracks: int
    false_boxes: int
    idf1: float
    lost: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Which part of the wanted faces was found: 0-1, 1 where none was wanted."""
        return self.matched / self.wanted if self.wanted else 1.0


def read_truth(path: Path, least_px: float = 0) -> list[list[Face]]:
    """The faces of each frame. Between the frames in which they were drawn, boxes are interpolated.

    Wanted is whoever is at least ``least_px`` wide and not marked as seen ``partly``.
    """
    document = json.loads(path.read_text("utf-8"))
    return [
        [face for person in document["people"] for face in _in_frame(person, frame, least_px)]
        for frame in range(document["frames"])
    ]


def _in_frame(person: dict[str, Any], frame: int, least_px: float) -> Iterator[Face]:
    drawn = sorted((int(key), box) for key, box in person["boxes"].items())
    frames = [key for key, _ in drawn]
    if not frames[0] <= frame <= frames[-1] or _within(frame, person["hidden"]):
        return
    left, top, right, bottom = (float(np.interp(frame, frames, [box[edge] for _, box in drawn])) for edge in range(4))
    wanted = right - left >= least_px and not _within(frame, person["partly"])
    yield Face(person["id"], (left, top, right, bottom), wanted)


def _within(frame: int, spans: Sequence[Sequence[int]]) -> bool:
    return any(first <= frame <= last for first, last in spans)


def compare(truth: Sequence[Sequence[Face]], found: Sequence[Sequence[Found]]) -> Figures:
    """Measure the tracks ``found`` in each frame. Raises ``ValueError`` where there is not an entry for each frame."""
    known: dict[str, int] = {}
    of_person: dict[str, int] = {}
    of_track: dict[int, str] = {}
    switches: list[Change] = []
    takeovers: list[Change] = []
    history: dict[str, list[bool]] = defaultdict(list)
    lost: dict[str, list[int]] = defaultdict(list)
    boxes: Counter[int] = Counter()
    right: Counter[int] = Counter()
    in_common: Counter[tuple[str, int]] = Counter()
    excused = 0
    for frame, (faces, tracks) in enumerate(zip(truth, found, strict=True)):
        overlap = _overlap(faces, tracks)
        matches = _matches(faces, tracks, overlap, known)
        boxes.update(each.track for each in tracks)
        for row, face in enumerate(faces):
            if face.wanted:
                history[face.person].append(row in matches)
                in_common.update(
                    (face.person, tracks[j].track) for j in np.nonzero(overlap[row] >= LEAST_IOU)[0].tolist()
                )
                if row not in matches:
                    lost[face.person].append(frame)
        for row, column in matches.items():
            person, track = faces[row].person, tracks[column].track
            known[person] = track
            right[track] += 1
            if not faces[row].wanted:
                excused += 1
                continue
            if of_person.setdefault(person, track) != track:
                switches.append(Change(frame, person, track, of_person[person]))
            if of_track.setdefault(track, person) != person:
                takeovers.append(Change(frame, person, track, of_track[track]))
            of_person[person], of_track[track] = track, person
    wanted = sum(len(seen) for seen in history.values())
    asked = wanted + boxes.total() - excused
    return Figures(
        wanted=wanted,
        matched=sum(sum(seen) for seen in history.values()),
        switches=tuple(switches),
        takeovers=tuple(takeovers),
        fragmentations=sum(_fragmentations(seen) for seen in history.values()),
        tracks=len(boxes),
        false_tracks=sum(2 * right[track] < count for track, count in boxes.items()),
        false_boxes=boxes.total() - right.total(),
        idf1=2 * _most_in_common(in_common) / asked if asked else 1.0,
        lost={person: tuple(frames) for person, frames in lost.items()},
    )


def _overlap(faces: Sequence[Face], tracks: Sequence[Found]) -> NDArray[np.float64]:
    """IoU of every face with every track: (len(faces), len(tracks))."""
    return iou(
        np.array([face.box for face in faces]).reshape(-1, 4), np.array([each.box for each in tracks]).reshape(-1, 4)
    )


def _matches(
    faces: Sequence[Face], tracks: Sequence[Found], overlap: NDArray[np.float64], known: dict[str, int]
) -> dict[int, int]:
    """Which face (its row) goes with which track (its column); ``known`` is the track that each person had last."""
    allowed = overlap >= LEAST_IOU
    kept = [
        (row, column)
        for row, column in np.argwhere(allowed).tolist()
        if known.get(faces[row].person) == tracks[column].track
    ]
    matches: dict[int, int] = {}
    for row, column in sorted(kept, key=lambda pair: -overlap[pair]):
        # Two people may have had the same track: it stays with the nearer one.
        if column not in matches.values():
            matches[row] = column
    allowed[list(matches)] = False
    allowed[:, list(matches.values())] = False
    rows, columns = linear_sum_assignment(np.where(allowed, 1 - overlap, _NEVER))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return matches | {row: column for row, column in pairs if allowed[row, column]}


def _fragmentations(seen: Sequence[bool]) -> int:
    """How often a face that was found is lost and found again."""
    gaps = "".join("+" if each else " " for each in seen).split()
    return max(0, len(gaps) - 1)


def _most_in_common(in_common: Counter[tuple[str, int]]) -> int:
    """In how many boxes people and tracks agree when each person is given one track, and each track one person."""
    if not in_common:
        return 0
    people = sorted({person for person, _ in in_common})
    tracks = sorted({track for _, track in in_common})
    table = np.array([[in_common[person, track] for track in tracks] for person in people])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return int(table[rows, columns].sum())
