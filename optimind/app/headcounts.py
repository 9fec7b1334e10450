"""The head count of each session: what the cameras counted beside the register and the roster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from optimind.app.corrections import meetings_on
from optimind.config import Config
from optimind.core.headcount import Counted, HeadCount, Listed, reconcile
from optimind.core.timetable import Meeting
from optimind.storage import Ledger

__all__ = ["SessionCount", "head_counts"]


@dataclass(frozen=True, slots=True)
class SessionCount:
    """The head count of one session."""

    date: date
    session: str
    class_id: str
    count: HeadCount


def head_counts(config: Config, ledger: Ledger, day: date, session: str | None = None) -> list[SessionCount]:
    """The head count of each session of ``day`` that a camera watched or in which somebody was seen, by start."""
    found = []
    for meeting in meetings_on(config, ledger, day):
        if session in {None, meeting.session}:
            count = _of(ledger, meeting)
            if count is not None:
                found.append(SessionCount(meeting.date, meeting.session, meeting.class_id, count))
    return found


def _of(ledger: Ledger, meeting: Meeting) -> HeadCount | None:
    rows = ledger.register(session=meeting.session, date=meeting.date)
    watches = ledger.school.watches(meeting.room, meeting.starts_at, meeting.ends_at)
    if not rows and not watches:
        return None
    return reconcile(
        ledger.school.roster(meeting.class_id, meeting.date),
        [Listed(row.person_id, row.name, row.status, row.rule, row.first_seen_at is not None) for row in rows],
        [Counted(each.camera, each.minute_at, each.faces, each.named, each.seconds) for each in watches],
        (meeting.ends_at - meeting.starts_at).total_seconds() / 60,
    )
