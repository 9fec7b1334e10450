"""The commands `attendance show`, `history`, `verify` and `headcount`: why the register says what it does."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from optimind.app.configured import ledger_url
from optimind.app.corrections import find_record
from optimind.app.headcounts import SessionCount, head_counts
from optimind.cli.corrections import DayOption, SessionOption, Who
from optimind.cli.dates import day_or_today
from optimind.cli.options import ConfigOption, DataOption, JsonOption, printable
from optimind.config import load_config
from optimind.errors import OptiMindError, UsageError
from optimind.exports import replace_file
from optimind.plugin_api import RecordRow
from optimind.sealing import Purpose
from optimind.storage import CARRIED, AuditLine, KeptPortrait, Ledger, SightingRow, Unseen, open_ledger

__all__ = ["headcount", "history", "show", "verify"]


def show(
    *,
    who: Who,
    day: DayOption = None,
    session: SessionOption = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.jpg", help="Write the best picture of the person there.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Show what a mark rests on: rule, sightings, similarity, camera, embedder, best picture."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        wanted = day_or_today(day, "--date", settings.zone())
        row = find_record(settings, ledger, who, wanted, session)
        if isinstance(row, Unseen):
            raise UsageError(f"{who} has no record yet", mend="look at the register: optimind attendance")
        sightings, portrait = ledger.evidence(row.record_id), ledger.shots.of(row.record_id)
    if picture is not None:
        if portrait is None:
            raise UsageError(
                "no picture of this mark is kept", mend="privacy: keep_shots_days: says for how many days pictures stay"
            )
        sealer = settings.privacy.sealer()
        face = sealer.open(portrait.picture, Purpose.SHOT, "the picture of a record")
        replace_file(picture, face, is_private=True)
    if as_document:
        print(json.dumps(_evidence_document(row, sightings, portrait, settings.zone()), ensure_ascii=False, indent=1))
        return
    _print_evidence(row, sightings, portrait, settings.zone())


def history(
    *,
    who: Who,
    day: DayOption = None,
    session: SessionOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """List all that was ever decided and said of a record: by whom, when, and why."""
    settings = load_config(config)
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        wanted = day_or_today(day, "--date", settings.zone())
        meant = find_record(settings, ledger, who, wanted, session)
        lines = ledger.audit.lines(record_id=meant.record_id)
    if as_document:
        print(json.dumps([_line_document(line) for line in lines], ensure_ascii=False, indent=1))
        return
    for line in lines:
        print(printable(_line_sentence(line, settings.zone())))
    if not lines:
        print("nothing was decided or said of it yet")


def verify(
    *,
    head: Annotated[
        str | None, typer.Option(metavar="HASH", help="One that was printed before: it must still be in the log.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Verify the audit log: that no line was changed, removed or put in after it was written."""
    settings = load_config(config)
    wanted = None if head is None else head.strip().lower()
    if wanted is not None and not re.fullmatch("[0-9a-f]{64}", wanted):
        raise UsageError(f"--head {head!r} is no whole hash", mend="write all 64 letters that verify printed")
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        report = ledger.audit.verify()
        is_known = wanted is None or _has_head(ledger, wanted)
    fault = report.fault or (None if is_known else f"no line has the hash {head}: the end of the log was cut off")
    if as_document:
        document = {"ok": fault is None, "lines": report.lines, "erased": report.erased, "head": report.head}
        print(json.dumps({**document, "fault": fault}, indent=1))
    elif fault is None:
        gone = "say nothing any more: of people who were forgotten, or kept long enough"
        print(f"{report.lines} lines, none changed; {report.erased} of them {gone}")
        print(f"write this down to notice later if the end is cut off: {report.head}")
    if fault is not None:
        raise OptiMindError(
            f"the audit log is not as it was written: {fault}",
            mend="compare with a backup of the ledger (docs/register.md), and find out who could write the file",
        )


def headcount(
    *,
    day: DayOption = None,
    session: SessionOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_document: JsonOption = False,
) -> None:
    """Compare the faces that were seen with the register and the roster, and say what explains the difference."""
    settings = load_config(config)
    wanted = day_or_today(day, "--date", settings.zone())
    with open_ledger(ledger_url(settings, data), create=False) as ledger:
        counts = head_counts(settings, ledger, wanted, session)
    if as_document:
        print(json.dumps([_count_document(each) for each in counts], ensure_ascii=False, indent=1))
        return
    for each in counts:
        print(printable(_count_sentence(each)))
        for explanation in each.count.explanations:
            print(printable(f"  - {explanation}"))
    if not counts:
        print(f"no session was watched on {wanted.isoformat()}")


def _has_head(ledger: Ledger, head: str) -> bool:
    return any(line.hash == head for line in ledger.audit.lines())


def _moment(at: datetime | None, zone: tzinfo) -> str:
    return "-" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _print_evidence(row: RecordRow, sightings: list[SightingRow], portrait: KeptPortrait | None, zone: tzinfo) -> None:
    sure = "-" if row.similarity is None else f"similarity {row.similarity:.2f}, margin {row.margin:.2f}"
    lines = [
        f"{row.date.isoformat()}  {row.session}  {row.name} ({row.person_id}): {row.status.replace('_', ' ')}",
        f"  because: {row.reason or 'was seen'} ({row.rule or 'seen'}; {row.source})",
        f"  seen: {_moment(row.first_seen_at, zone)} to {_moment(row.last_seen_at, zone)}, {row.seconds_seen:.0f} s",
        f"  best: camera {row.camera or '-'}, {sure}, embedder {row.embedder or '-'}",
        f"  picture: {'none is kept' if portrait is None else _moment(portrait.taken_at, zone)}",
        f"  record {row.record_id}, version {row.version}",
    ]
    for each in sightings:
        what = {"in": "came in", "out": "went out"}.get(each.kind, f"until {_moment(each.last_seen_at, zone)}")
        if each.sighting_id == CARRIED:
            what = "still inside from the session before"
        doubt = f"; {each.suspicion}" if each.suspicion else ""
        lines.append(
            f"  {_moment(each.first_seen_at, zone)} {what}, camera {each.camera}, similarity {each.similarity:.2f}, "
            f"{each.samples} pictures{doubt}"
        )
    for line in lines:
        print(printable(line))


def _evidence_document(
    row: RecordRow, sightings: list[SightingRow], portrait: KeptPortrait | None, zone: tzinfo
) -> dict[str, Any]:
    document = {name: _plain(value, zone) for name, value in asdict(row).items()}
    document["picture"] = (
        None
        if portrait is None
        else {
            "taken_at": _plain(portrait.taken_at, zone),
            "camera": portrait.camera,
            "quality": round(portrait.quality, 4),
            "face_px": round(portrait.face_px, 1),
        }
    )
    document["sightings"] = [{name: _plain(value, zone) for name, value in asdict(each).items()} for each in sightings]
    return document


def _plain(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(timespec="milliseconds")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return round(value, 4) if isinstance(value, float) else value


def _line_document(line: AuditLine) -> dict[str, Any]:
    return {**asdict(line), "at": line.at.isoformat()}


def _line_sentence(line: AuditLine, zone: tzinfo) -> str:
    detail = line.detail
    if line.is_erased:
        return f"{_moment(line.at, zone)}  {line.actor}: {line.action} (of somebody who was forgotten)"
    was, status = detail.get("was"), detail.get("status")
    change = f" {was or 'nothing'} -> {status}" if status else ""
    why = detail.get("why") or detail.get("reason") or ""
    return f"{_moment(line.at, zone)}  {line.actor}: {line.action}{change}{f' ({why})' if why else ''}"


def _count_sentence(each: SessionCount) -> str:
    count = each.count
    roster = f"roster {count.roster}" if count.roster else "no roster"
    return f"{each.date.isoformat()}  {each.session}: {count.faces} faces, {count.named} named, {roster}"


def _count_document(each: SessionCount) -> dict[str, Any]:
    return {"date": each.date.isoformat(), "session": each.session, "class": each.class_id, **asdict(each.count)}
