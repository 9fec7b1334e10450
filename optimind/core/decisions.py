"""What a register says of a person in a session, decided from what was seen, and by which rule.

Pure: the same evidence gives the same decision, in whatever order it came. :func:`decide` is the whole of it; the
ledger only keeps what it is given and writes down what comes out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from optimind.core.events import AttendanceStatus
from optimind.core.registers import covered, seconds_seen
from optimind.core.timetable import Meeting
from optimind.core.types import require_aware

__all__ = [
    "LEAST_WATCHED",
    "Decision",
    "Evidence",
    "EvidenceKind",
    "Rule",
    "Watched",
    "decide",
    "first_suspicion",
    "presence",
]

LEAST_WATCHED = 0.5
"""A time of which less than this share was watched says nothing about who was not there."""

Span = tuple[datetime, datetime]
Watched = Sequence[Span]
"""When the cameras of the room gave pictures: ``(from, to)``, in any order, perhaps overlapping."""


class EvidenceKind(enum.StrEnum):
    """What was seen of a person: that they are there, that they came in, or that they went out."""

    SEEN = "seen"
    IN = "in"
    OUT = "out"


class Rule(enum.StrEnum):
    """By what a record was decided. ``docs/register.md`` says each in words."""

    SEEN = "seen"
    ON_TIME = "on_time"
    LATE = "late"
    TOO_LATE = "too_late"
    LEFT_EARLY = "left_early"
    NEVER_SEEN = "never_seen"
    WENT_OUT = "went_out"
    EXCUSED = "excused"
    SUSPECTED = "suspected"
    NOT_ON_ROSTER = "not_on_roster"
    NOT_WATCHED = "not_watched"
    LATENESS_UNKNOWN = "lateness_unknown"
    CORRECTED = "corrected"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that was seen of one person. Coming in and going out are moments: both times are the same.

    ``suspicion`` says why the face may be a picture; empty where nothing speaks for it.
    """

    first_at: datetime
    last_at: datetime
    kind: EvidenceKind = EvidenceKind.SEEN
    suspicion: str = ""

    def __post_init__(self) -> None:
        require_aware(self.first_at, "Evidence.first_at")
        require_aware(self.last_at, "Evidence.last_at")
        if self.last_at < self.first_at:
            raise ValueError("evidence cannot end before it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A status, the ``rule`` that gave it, and a sentence for people.

    ``arrived_at`` and ``left_at`` are None for somebody who was not there; ``seconds_present`` is how long they were.
    """

    status: AttendanceStatus
    rule: Rule
    reason: str
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    seconds_present: float = 0.0


def presence(meeting: Meeting, evidence: Iterable[Evidence], now: datetime) -> list[Span]:
    """When the person was in the room during ``meeting``, as far as is known at ``now``: apart, in order.

    Somebody who came in is there until they go out, else until the end. Somebody who goes out without having been seen
    to come was there in that moment. Who goes out before the start has not been there yet.
    """
    spans: list[Span] = []
    moves: list[tuple[datetime, EvidenceKind]] = []
    for each in evidence:
        if each.kind is not EvidenceKind.SEEN:
            moves.append((each.first_at, each.kind))
        elif meeting.overlaps(each.first_at, each.last_at):
            spans.append((max(each.first_at, meeting.opens_at), min(each.last_at, meeting.ends_at)))
    return covered([*spans, *_stays(meeting, moves, now)])


def _stays(meeting: Meeting, moves: list[tuple[datetime, EvidenceKind]], now: datetime) -> list[Span]:
    spans = []
    came_at: datetime | None = None
    # Of coming and going in one moment, the going is the older stay's.
    for at, kind in sorted(moves, key=lambda move: (move[0], move[1] is EvidenceKind.IN)):
        if not meeting.opens_at <= at < meeting.ends_at:
            continue
        if kind is EvidenceKind.IN:
            came_at = at if came_at is None else came_at
        elif at <= meeting.starts_at:
            came_at = None
        else:
            spans.append((at if came_at is None else came_at, at))
            came_at = None
    if came_at is not None:
        spans.append((came_at, max(came_at, min(now, meeting.ends_at))))
    return spans


def decide(
    meeting: Meeting,
    evidence: Sequence[Evidence],
    *,
    is_member: bool,
    excuse: str | None,
    watched: Watched,
    now: datetime,
) -> Decision | None:
    """Decide about one person in ``meeting`` as things stand at ``now``; None while there is nothing to say.

    ``is_member``: whether the person is on the class's roster that day. ``excuse`` is why they may be away, None where
    nobody excused them. ``watched`` is when cameras gave pictures of the room.
    """
    during = [each for each in evidence if meeting.overlaps(each.first_at, each.last_at)]
    if not during:
        return _about_absent(meeting, is_member=is_member, excuse=excuse, watched=watched, now=now)
    spans = presence(meeting, during, now)
    suspicion = first_suspicion(during)
    if suspicion:
        return _of(spans, AttendanceStatus.NEEDS_REVIEW, Rule.SUSPECTED, f"the face may be a picture: {suspicion}")
    if not is_member:
        text = f"was seen, but is not on the roster of {meeting.class_id}"
        return _of(spans, AttendanceStatus.NEEDS_REVIEW, Rule.NOT_ON_ROSTER, text)
    if not spans:
        return _about_gone(meeting, excuse=excuse, watched=watched, now=now)
    return _about_present(meeting, spans, excuse=excuse, watched=watched, now=now)


def first_suspicion(evidence: Iterable[Evidence]) -> str:
    """Why the earliest of ``evidence`` that is suspected may be a picture; empty where none is."""
    return min(((each.first_at, each.suspicion) for each in evidence if each.suspicion), default=(None, ""))[1]


def _about_absent(
    meeting: Meeting, *, is_member: bool, excuse: str | None, watched: Watched, now: datetime
) -> Decision | None:
    if not is_member or now < meeting.decided_at:
        return None
    if excuse is not None:
        return Decision(status=AttendanceStatus.EXCUSED, rule=Rule.EXCUSED, reason=_excused(excuse))
    share = _share(watched, meeting.starts_at, meeting.decided_at)
    if share < LEAST_WATCHED:
        return _not_watched("was not seen", share)
    return Decision(status=AttendanceStatus.ABSENT, rule=Rule.NEVER_SEEN, reason="was not seen")


def _about_gone(meeting: Meeting, *, excuse: str | None, watched: Watched, now: datetime) -> Decision:
    """About somebody who went out before the start, and of whom no more is known."""
    text = "went out before the start and was not seen after it"
    if excuse is not None:
        return Decision(status=AttendanceStatus.EXCUSED, rule=Rule.EXCUSED, reason=f"{_excused(excuse)}; {text}")
    share = _share(watched, meeting.starts_at, min(now, meeting.decided_at))
    if share < LEAST_WATCHED:
        return _not_watched(text, share)
    return Decision(status=AttendanceStatus.ABSENT, rule=Rule.WENT_OUT, reason=text)


def _not_watched(what: str, share: float) -> Decision:
    text = f"{what}, but only {share:.0%} of the time was watched: the camera was off or the run not started"
    return Decision(status=AttendanceStatus.NEEDS_REVIEW, rule=Rule.NOT_WATCHED, reason=text)


def _about_present(
    meeting: Meeting, spans: list[Span], *, excuse: str | None, watched: Watched, now: datetime
) -> Decision:
    rules = meeting.rules
    arrived_at, left_at = spans[0][0], spans[-1][1]
    late_by = arrived_at - meeting.starts_at
    is_late = rules.late_after is not None and late_by > rules.late_after
    is_too_late = rules.absent_after is not None and late_by > rules.absent_after
    if (is_late or is_too_late) and _share(watched, meeting.starts_at, arrived_at) < LEAST_WATCHED:
        text = f"first seen {_minutes(late_by)} after the start, but nobody watched before"
        return _of(spans, AttendanceStatus.PRESENT, Rule.LATENESS_UNKNOWN, text)
    if is_too_late:
        text = f"came {_minutes(late_by)} after the start; absent after {_minutes(rules.absent_after)}"
        if excuse is not None:
            return _of(spans, AttendanceStatus.EXCUSED, Rule.EXCUSED, f"{_excused(excuse)}; {text}")
        return _of(spans, AttendanceStatus.ABSENT, Rule.TOO_LATE, text)
    late_text = f"came {_minutes(late_by)} after the start; late after {_minutes(rules.late_after)}"
    if _left_early(meeting, left_at, watched, now):
        gone_by = _minutes(meeting.ends_at - left_at)
        text = f"last seen {gone_by} before the end; early where more than {_minutes(rules.leave_early)} are missing"
        reason = f"{text}; and {late_text}" if is_late else text
        return _of(spans, AttendanceStatus.LEFT_EARLY, Rule.LEFT_EARLY, reason)
    if is_late:
        return _of(spans, AttendanceStatus.LATE, Rule.LATE, late_text)
    is_over = now >= meeting.ends_at and left_at <= meeting.starts_at
    text = "came before the start; was not seen after it" if is_over else "was there in time"
    return _of(spans, AttendanceStatus.PRESENT, Rule.ON_TIME, text)


def _left_early(meeting: Meeting, left_at: datetime, watched: Watched, now: datetime) -> bool:
    limit = meeting.rules.leave_early
    if limit is None or now < meeting.ends_at or meeting.ends_at - left_at <= limit:
        return False
    # Whom a camera that was switched off did not see may have stayed.
    return _share(watched, left_at, meeting.ends_at) >= LEAST_WATCHED


def _of(spans: list[Span], status: AttendanceStatus, rule: Rule, reason: str) -> Decision:
    return Decision(
        status=status,
        rule=rule,
        reason=reason,
        arrived_at=spans[0][0] if spans else None,  # none of a guest who went out before the start
        left_at=spans[-1][1] if spans else None,
        seconds_present=seconds_seen(spans),
    )


def _share(watched: Watched, first_at: datetime, last_at: datetime) -> float:
    """Which part of that time, 0-1, was watched; 1 of a time that has no length."""
    if last_at <= first_at:
        return 1.0
    inside = [(max(first, first_at), min(last, last_at)) for first, last in watched]
    seconds = seconds_seen((first, last) for first, last in inside if last > first)
    return seconds / (last_at - first_at).total_seconds()


def _excused(why: str) -> str:
    return f"excused: {why}" if why else "excused"


def _minutes(length: timedelta | None) -> str:
    """``12 min``, or in hours where it is longer; a time under a minute in seconds."""
    seconds = 0 if length is None else int(length.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
