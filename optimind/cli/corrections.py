"""The commands `attendance correct`, `withdraw`, `excuse` and `excuses`: what people say of the register."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from optimind.app.configured import ledger_url
from optimind.app.corrections import find_class, find_person, find_record, operator, sink_names
from optimind.cli.dates import day_or_today, parse_day
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.config import Config, load_config
from optimind.errors import UsageError
from optimind.plugin_api import AttendanceStatus, RecordRow
from optimind.storage import Correction, Excuse, Ledger, Unseen, open_ledger

__all__ = ["correct", "excuse", "excuses", "withdraw"]

Who = Annotated[str, typer.Argument(metavar="WHO", help="A person's id or name, or a record's id.")]
Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person's id or name.")]
DayOption = Annotated[
    str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="The day of the session (default: today).")
]
SessionOption = Annotated[str | None, typer.Option("--session", help="Which session, where there are several.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who says so (default: this account's name).")]
WhyOption = Annotated[str, typer.Option("--why", help="Why; it is kept in the audit log.")]


def correct(
    *,
    who: Who,
    status: Annotated[AttendanceStatus, typer.Option("--status", help="What is right.")],
    why: WhyOption,
    by: ByOption = None,
    day: DayOption = None,
    session: SessionOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Correct what the register says of somebody. Whatever a camera sees later does not undo it."""
    with _opened(config, data) as (settings, ledger):
        meant = find_record(settings, ledger, who, day_or_today(day, "--date", settings.zone()), session)
        said = Correction(record_id=meant.record_id, status=status, actor=by or operator(), why=why)
        unseen = [meant] if isinstance(meant, Unseen) else []
        (row,) = ledger.correct([said], sink_names(settings), unseen=unseen)
    was = "no record" if isinstance(meant, Unseen) else _words(meant.status)
    _print(row, f"was: {was}", as_document=as_document)


def withdraw(
    *,
    who: Who,
    why: WhyOption = "",
    by: ByOption = None,
    day: DayOption = None,
    session: SessionOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Take the newest correction of a record back: what was said or seen before counts again."""
    with _opened(config, data) as (settings, ledger):
        meant = find_record(settings, ledger, who, day_or_today(day, "--date", settings.zone()), session)
        row = ledger.withdraw(meant.record_id, actor=by or operator(), why=why, sinks=sink_names(settings))
    if row is None:
        raise UsageError(
            f"nobody corrected the record of {who}", mend="optimind attendance history shows what was said"
        )
    _print(row, "the correction is taken back", as_document=as_document)


def excuse(
    *,
    person: Person,
    first: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="The first day.")] = None,
    last: Annotated[
        str | None, typer.Option("--until", metavar="YYYY-MM-DD", help="The last day (default: the first).")
    ] = None,
    why: WhyOption = "",
    by: ByOption = None,
    class_id: Annotated[str, typer.Option("--class", help="Only from this class (default: from all).")] = "",
    withdrawn: Annotated[
        int | None, typer.Option("--withdraw", metavar="NUMBER", help="Take this excuse of theirs back instead.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Note that somebody may be away: where they are not seen they are excused, and not absent."""
    with _opened(config, data) as (settings, ledger):
        person = find_person(settings, ledger, person)
        if withdrawn is not None:
            if withdrawn not in {each.excuse_id for each in ledger.school.excuses(person)}:
                raise UsageError(
                    f"{person} has no excuse number {withdrawn}", mend="optimind attendance excuses shows the numbers"
                )
            touched = ledger.school.withdraw_excuse(withdrawn, actor=by or operator())
            told = f"excuse {withdrawn} of {person} is taken back"
        else:
            first_day = day_or_today(first, "--from", settings.zone())
            last_day = parse_day(last, "--until") or first_day
            if last_day < first_day:
                raise UsageError("--until is before --from", mend="name the first day before the last")
            noted, touched = ledger.school.excuse(
                person,
                first_day,
                last_day,
                why=why,
                actor=by or operator(),
                class_id=find_class(settings, ledger, class_id),
            )
            told = _sentence(noted)
        changed = ledger.redecide(touched, sink_names(settings))
    print(printable(f"{told}; {len(changed)} record{'' if len(changed) == 1 else 's'} changed"))


def excuses(
    *,
    person: Annotated[str | None, typer.Option("--person", help="Only of this person.")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """List who may be away, and why."""
    with _opened(config, data) as (_, ledger):
        found = ledger.school.excuses(person)
    if as_document:
        print(json.dumps([_document(each) for each in found], ensure_ascii=False, indent=1))
        return
    for each in found:
        print(printable(_sentence(each)))
    if not found:
        print("nobody is excused")


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[tuple[Config, Ledger]]:
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        yield settings, ledger


def _words(status: str) -> str:
    return status.replace("_", " ")


def _print(row: RecordRow, note: str, *, as_document: bool) -> None:
    if as_document:
        document = {
            "record_id": row.record_id,
            "person_id": row.person_id,
            "date": row.date.isoformat(),
            "session": row.session,
            "status": row.status,
            "rule": row.rule,
            "reason": row.reason,
            "version": row.version,
        }
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    told = f"{row.date.isoformat()}  {row.session}  {row.name}: {_words(row.status)} ({note})"
    print(printable(told))


def _sentence(excuse: Excuse) -> str:
    days = excuse.first_day.isoformat()
    if excuse.last_day != excuse.first_day:
        days += f" to {excuse.last_day.isoformat()}"
    where = f" from {excuse.class_id}" if excuse.class_id else ""
    why = f": {excuse.why}" if excuse.why else ""
    return f"{excuse.excuse_id}  {excuse.person_id} is excused{where}, {days}{why} (by {excuse.actor})"


def _document(excuse: Excuse) -> dict[str, object]:
    return {
        "excuse_id": excuse.excuse_id,
        "person_id": excuse.person_id,
        "class": excuse.class_id,
        "from": excuse.first_day.isoformat(),
        "until": excuse.last_day.isoformat(),
        "why": excuse.why,
        "by": excuse.actor,
    }
