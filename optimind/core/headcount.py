"""Does the number of faces agree with the register? And where it does not, who or what explains it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from optimind.core.decisions import Rule
from optimind.core.events import AttendanceStatus

__all__ = ["Counted", "HeadCount", "Listed", "reconcile"]


@dataclass(frozen=True, slots=True)
class Counted:
    """One minute of one camera: the most faces at once, how many of them had a name, and the seconds watched."""

    camera: str
    minute_at: datetime
    faces: int
    named: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Listed:
    """What the register says of one person; ``was_seen``: whether a camera saw them."""

    person_id: str
    name: str
    status: str
    rule: str
    was_seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCount:
    """The three numbers, and what lies between them.

    ``faces`` is the most that one camera saw at once, ``unnamed`` how many of those had no name then. ``named`` is how
    many people were recognised over the whole session, ``roster`` how many belong to the class, ``expected`` those
    without the excused. ``explanations`` are sentences, the weightiest first; empty where everything agrees.
    """

    faces: int
    unnamed: int
    named: int
    roster: int
    expected: int
    absent: tuple[str, ...]
    excused: tuple[str, ...]
    guests: tuple[str, ...]
    to_review: tuple[str, ...]
    minutes_watched: float
    minutes_long: float
    explanations: tuple[str, ...]


def reconcile(
    roster: Mapping[str, str], listed: Sequence[Listed], counted: Iterable[Counted], minutes_long: float
) -> HeadCount:
    """Compare what was counted in a session of ``minutes_long`` with ``roster`` (names by person) and the register."""
    minutes = list(counted)
    busiest = max(minutes, key=lambda minute: (minute.faces, -minute.named), default=None)
    faces, unnamed = (busiest.faces, busiest.faces - busiest.named) if busiest else (0, 0)
    seen = [each for each in listed if each.was_seen]
    absent = [each.name for each in listed if each.status == AttendanceStatus.ABSENT]
    excused = [each.name for each in listed if each.status == AttendanceStatus.EXCUSED and not each.was_seen]
    guests = [each.name for each in seen if roster and each.person_id not in roster]
    review = [
        each.name for each in listed if each.status == AttendanceStatus.NEEDS_REVIEW and each.rule != Rule.NOT_ON_ROSTER
    ]
    count = HeadCount(
        faces=faces,
        unnamed=unnamed,
        named=len(seen),
        roster=len(roster),
        expected=len(roster) - len(excused),
        absent=tuple(sorted(absent)),
        excused=tuple(sorted(excused)),
        guests=tuple(sorted(guests)),
        to_review=tuple(sorted(review)),
        minutes_watched=_minutes_watched(minutes),
        minutes_long=minutes_long,
        explanations=(),
    )
    return _explained(count)


def _minutes_watched(minutes: Sequence[Counted]) -> float:
    """How long at least one camera watched: of two in the same minute the longer one counts."""
    longest: dict[datetime, float] = {}
    for minute in minutes:
        longest[minute.minute_at] = max(longest.get(minute.minute_at, 0.0), minute.seconds)
    return sum(longest.values(), 0.0) / 60


def _explained(count: HeadCount) -> HeadCount:
    said = []
    if count.minutes_watched < 0.9 * count.minutes_long:
        said.append(
            f"the cameras watched {count.minutes_watched:.0f} of {count.minutes_long:.0f} minutes: who was there in "
            "the others is not known"
        )
    if count.unnamed:
        said.append(
            f"{_faces(count.unnamed)} had no name when most were in view: somebody who is not enrolled, or an enrolled "
            "person who is not recognised (small, turned away, poor photographs)"
        )
    if count.absent:
        said.append(f"{len(count.absent)} absent: {', '.join(count.absent)}")
    if count.excused:
        said.append(f"{len(count.excused)} excused: {', '.join(count.excused)}")
    if count.guests:
        said.append(f"{len(count.guests)} from outside the class: {', '.join(count.guests)}")
    if count.to_review:
        said.append(f"{len(count.to_review)} to be looked at: {', '.join(count.to_review)}")
    if count.named > count.faces > 0:
        said.append(
            f"{count.named} people were recognised, but at most {_faces(count.faces)} were in view at once: some came "
            "and went, or one hides another"
        )
    return replace(count, explanations=tuple(said))


def _faces(number: int) -> str:
    return "1 face" if number == 1 else f"{number} faces"
