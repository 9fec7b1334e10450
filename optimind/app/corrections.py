"""Finding the record that somebody means, and what they say of it."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from optimind.app.timetables import classes_of, timetable_of
from optimind.config import Config
from optimind.core.timetable import Meeting
from optimind.errors import OptiMindError, UsageError
from optimind.gallery import load_gallery, to_core
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger, PlainSession, Unseen

__all__ = ["find_class", "find_person", "find_record", "known_classes", "meetings_on", "operator", "sink_names"]

_DAY = timedelta(days=1)


def operator() -> str:
    """Who sits in front of this machine, by their account."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return "unknown"


def sink_names(config: Config) -> list[str]:
    """The sinks that must hear of a change."""
    return config.enabled_names("sink")


def meetings_on(config: Config, ledger: Ledger, day: date) -> list[Meeting]:
    """The meetings of ``day``: those that the ledger knows, and those of the timetable."""
    begins_at = datetime.combine(day, datetime.min.time(), UTC)
    found = {each.session: each for each in timetable_of(config).on(day)}
    known = ledger.school.meetings(begins_at - _DAY, begins_at + 2 * _DAY)
    found |= {each.session: each for each in known if each.date == day}
    return sorted(found.values(), key=lambda meeting: (meeting.starts_at, meeting.session))


def find_record(config: Config, ledger: Ledger, who: str, day: date, session: str | None) -> RecordRow | Unseen:
    """The record that ``who`` means: a record's id, or a person's id or name on ``day`` and in ``session``.

    Raises :class:`UsageError`, which lists what may be meant, where there is no such record or more than one.
    """
    by_id = ledger.row(who)
    if by_id is not None:
        return by_id
    rows = [row for row in ledger.register(session=session, date=day) if who in (row.person_id, row.name)]
    if len({row.person_id for row in rows}) > 1:
        people = ", ".join(f"{row.name} is {row.person_id}" for row in rows)
        raise UsageError(f"more than one person is called {who!r}", mend=f"name the person's id: {people}")
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise UsageError(
            f"{who} has several records on {day.isoformat()}",
            mend=f"add --session with one of: {_listed(row.session for row in rows)}",
        )
    return _unseen(config, ledger, who, day, session)


def find_person(config: Config, ledger: Ledger, who: str) -> str:
    """The id of the person whom ``who`` means, an id or a name. Raises :class:`UsageError`."""
    names = _enrolled(config) | {member.person_id: member.name for member in ledger.school.members()}
    if who in names:
        return who
    called = sorted(person_id for person_id, name in names.items() if name == who)
    if len(called) > 1:
        raise UsageError(f"more than one person is called {who!r}", mend=f"name the id: {', '.join(called)}")
    if called:
        return called[0]
    if ledger.personal.counts(who):
        return who  # of whom only the register knows
    raise UsageError(f"nobody has the id or the name {who!r}", mend="optimind person list shows who there is")


def known_classes(config: Config, ledger: Ledger) -> list[str]:
    """The classes that the timetable or a roster names, sorted."""
    return sorted({*classes_of(config), *(member.class_id for member in ledger.school.members())})


def find_class(config: Config, ledger: Ledger, class_id: str) -> str:
    """The class that ``class_id`` names; empty: none. Raises :class:`UsageError`."""
    known = known_classes(config, ledger)
    if class_id and class_id not in known:
        raise UsageError(f"there is no class {class_id!r}", mend=f"write one of: {_listed(known)}")
    return class_id


def _unseen(config: Config, ledger: Ledger, who: str, day: date, session: str | None) -> Unseen:
    plain = _plain_sessions(ledger, day)
    planned: list[Meeting | PlainSession] = [*meetings_on(config, ledger, day)]
    # What is in no timetable counts where it is named, or where there is nothing else.
    meetings = plain if not planned or session in {each.session for each in plain} else planned
    people = {
        (meeting.session, person_id): (meeting, name)
        for meeting in meetings
        if session in (None, meeting.session)
        for person_id, name in _people_of(config, ledger, meeting).items()
        if who in (person_id, name)
    }
    if len(people) == 1:
        ((_, person_id), (meeting, name)) = next(iter(people.items()))
        return Unseen(meeting=meeting, person_id=person_id, name=name)
    if people:
        raise UsageError(
            f"{who} belongs to several sessions on {day.isoformat()}",
            mend=f"add --session with one of: {_listed(name for name, _ in people)}",
        )
    if not meetings:
        raise UsageError(
            f"there is no record of {who} on {day.isoformat()}, and no session was held that day",
            mend="look at the register: optimind attendance --date " + day.isoformat(),
        )
    raise UsageError(
        f"nobody called {who!r} has a record or belongs to a class on {day.isoformat()}",
        mend=f"the sessions of that day: {_listed(meeting.session for meeting in meetings)}",
    )


def _plain_sessions(ledger: Ledger, day: date) -> list[Meeting | PlainSession]:
    """The sessions of ``day`` that are in no timetable and in which somebody was seen."""
    names = {row.session for row in ledger.register(date=day) if row.starts_at is None}
    return [PlainSession(day, name) for name in sorted(names)]


def _people_of(config: Config, ledger: Ledger, meeting: Meeting | PlainSession) -> dict[str, str]:
    """Who may have a record of ``meeting``: its roster or, where it has none, everybody who is enrolled."""
    roster = ledger.school.roster(meeting.class_id, meeting.date) if isinstance(meeting, Meeting) else {}
    return roster or _enrolled(config)


def _enrolled(config: Config) -> dict[str, str]:
    """The names of all in the gallery, by person; none where it cannot be read."""
    try:
        return {
            each.person_id: each.name
            for each in to_core(load_gallery(config.gallery, config.privacy.sealer())).templates
        }
    except OptiMindError:
        return {}


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(sorted({f'"{text}"' for text in texts}))
