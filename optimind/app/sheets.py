"""What the commands `sheets` do: set the worksheets up, bring them in step with the ledger, tell who may see them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from optimind.app.configured import ledger_url, make_sheets_sink
from optimind.config import Config
from optimind.errors import DeliveryDelayed, DeliveryError, OptiMindError, UsageError
from optimind.pipeline.delivery import DeliveryWorker
from optimind.pipeline.peoples_changes import PickedUp, sort_out, take_up
from optimind.plugin_api import RecordRow
from optimind.storage import Ledger, open_ledger

__all__ = ["Setup", "SyncResult", "set_up_sheets", "sheets_sink", "synchronise", "wide_accesses"]

log = logging.getLogger(__name__)

_LOCK_S = 60.0
_PATIENCE_S = 90.0
"""For how long nothing may leave: longer than Google's quota takes to fill up."""
_ALL = 10**9
_NO_SUMMARY = (
    "the worksheet 'Summary' is somebody else's, so it is left alone and there is no summary; mend: rename it, then: "
    "optimind sheets init"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What `sheets init` found and made; ``warnings`` are for people."""

    locale: str
    time_zone: str
    made: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class SyncResult:
    """What `sheets sync` found and did.

    ``waiting`` rows were due, ``picked_up`` is what people had changed, ``difference`` how the sheet differed, ``left``
    how many rows are still not as they should be; None where nothing was done (a dry run). ``error`` says why.
    ``whose`` says of the records that were picked up whose they are, for people.
    """

    records: int = 0
    waiting: int = 0
    picked_up: PickedUp = field(default_factory=PickedUp)
    whose: Mapping[str, str] = field(default_factory=dict)
    difference: Any = None
    left: int | None = None
    error: str = ""


def sheets_sink(config: Config) -> Any:
    """The Sheets sink. Raises :class:`UsageError` where the settings name no spreadsheet."""
    sink = make_sheets_sink(config)
    if sink is None:
        raise UsageError(
            "config.yaml names no spreadsheet", mend="fill in sheets: spreadsheet: and credentials: (docs/sheets.md)"
        )
    return sink


def set_up_sheets(config: Config, data: Path | None) -> Setup:
    """Make what is missing, also this month's registers of the classes in the ledger. Raises DeliveryError."""
    today = datetime.now(config.zone()).date()
    with _closing(sheets_sink(config)) as sink:
        found = sink.set_up([(name, today) for name in _classes(config, data)])
    return Setup(
        locale=found.locale,
        time_zone=found.time_zone,
        made=found.made,
        warnings=(*_zone_warnings(config, found.time_zone), *([_NO_SUMMARY] if found.has_foreign_summary else [])),
    )


def synchronise(config: Config, data: Path | None, *, dry_run: bool = False, ask_drive: bool = False) -> SyncResult:
    """Take up what people changed, send what waits, and repair what differs. Raises DeliveryError, StorageError.

    ``ask_drive``: where nobody put a name to a change, it is by who changed the spreadsheet last.
    """
    with open_ledger(ledger_url(config, data), create=False) as ledger, _closing(sheets_sink(config)) as sink:
        if not dry_run:
            ledger.backfill(sink.name)
        result = SyncResult(waiting=len(_waiting(ledger, sink.name)))
        with _alone(ledger, sink.name):
            result.picked_up = _pick_up(ledger, sink, dry_run=dry_run, ask_drive=ask_drive)
        rows = _rows(ledger, config)
        result.records = len(rows)
        result.whose = _whose(result.picked_up, rows)
        waiting = _waiting(ledger, sink.name)
        result.difference = sink.compare(rows, waiting)
        if dry_run:
            return result
        wrong = result.difference.wrong
        # What stands there as it should is ours, also where an older version wrote it.
        _note(ledger, sink.name, rows, {*wrong, *waiting, *result.difference.unsure})
        ledger.outbox.redeliver(sink.name, wrong)
        if wrong or waiting:
            result.error = _send(ledger, config) or _given_up(ledger, sink.name)
            sink.close()
            left = sink.compare(_rows(ledger, config), frozenset())
            result.left = len(left.wrong)
        else:
            result.left = 0
        sink.refresh()
    return result


def wide_accesses(accesses: Sequence[Any]) -> list[str]:
    """What is wrong with who may see the spreadsheet, one sentence each."""
    found = []
    for each in accesses:
        if each.type == "anyone":
            where = "anyone who finds it in a search" if each.is_found else "anyone who has the link"
            found.append(
                f"{where} can open it as {each.role}, without signing in; mend: in the spreadsheet press Share and set "
                "General access to Restricted"
            )
        elif each.is_wide:
            found.append(
                f"everybody in {each.domain or 'the organisation'} can open it as {each.role}; mend: in the "
                "spreadsheet press Share and set General access to Restricted"
            )
    return found


def _pick_up(ledger: Ledger, sink: Any, *, dry_run: bool, ask_drive: bool) -> PickedUp:
    name = sink.name
    changes = sink.collect(ledger.register(), lambda ids: ledger.cells.known(name, ids))
    nameless = _last_editor(sink) if ask_drive and any(not change.actor for change in changes) else ""
    found = sort_out(changes, nameless)
    return found if dry_run else take_up(ledger, name, found)


def _whose(found: PickedUp, rows: Sequence[RecordRow]) -> dict[str, str]:
    wanted = {each.record_id for each in found.corrections} | {each.record_id for each in found.put_back}
    return {row.record_id: f"{row.name}, {row.date}, {row.session}" for row in rows if row.record_id in wanted}


def _last_editor(sink: Any) -> str:
    try:
        name = sink.sharing().last_editor()
    except DeliveryError as error:
        log.warning("who changed the spreadsheet last is not known: %s", error)
        return ""
    return f"{name} (changed the spreadsheet last)" if name else ""


def _send(ledger: Ledger, config: Config) -> str:
    """Send all that waits, as long as rows leave; return why not, where that is so."""
    worker = DeliveryWorker(ledger, sheets_sink(config), zone=config.zone())
    worker.start()
    try:
        before: float = math.inf
        while (left := worker.status()["pending"]) < before:
            before = left
            if worker.flush(_PATIENCE_S):
                return ""
        return str(worker.status()["last_error"] or "not everything could be sent")
    finally:
        worker.stop()


def _given_up(ledger: Ledger, sink: str) -> str:
    count = ledger.outbox.dead_letter.count(sink)
    rows = "1 row is" if count == 1 else f"{count} rows are"
    return f"{rows} in the dead letter; `optimind outbox list` says why" if count else ""


def _note(ledger: Ledger, sink: str, rows: Sequence[RecordRow], without: set[str]) -> None:
    ledger.cells.wrote(sink, {row.record_id: row.status for row in rows if row.record_id not in without})


def _waiting(ledger: Ledger, sink: str) -> frozenset[str]:
    return frozenset(row.record_id for row, _ in ledger.outbox.due(sink, _ALL))


def _rows(ledger: Ledger, config: Config) -> list[RecordRow]:
    zone = config.zone()
    return [row.in_zone(zone) for row in ledger.register()]


def _classes(config: Config, data: Path | None) -> list[str]:
    today = datetime.now(config.zone()).date()
    try:
        with open_ledger(ledger_url(config, data), create=False) as ledger:
            members = ledger.school.members()
    except UsageError:  # there is no ledger yet
        return []
    return sorted({m.class_id for m in members if m.first_day <= today and (m.last_day is None or today <= m.last_day)})


def _zone_warnings(config: Config, time_zone: str) -> Iterator[str]:
    now = datetime.now(UTC)
    try:
        theirs = ZoneInfo(time_zone)
    except (OSError, ValueError, ZoneInfoNotFoundError):  # Google also has zones of its own, such as GMT-07:00
        return
    # Also in half a year, as one of the two may know no summer time.
    moments = (now, now + timedelta(days=182))
    if any(each.astimezone(theirs).utcoffset() != each.astimezone(config.zone()).utcoffset() for each in moments):
        yield (
            f"the spreadsheet's time zone is {time_zone}, the register's is {config.zone()}: dates and times in the "
            "sheet are the register's; mend: in the spreadsheet, File, Settings, Time zone"
        )


@contextmanager
def _alone(ledger: Ledger, sink: str) -> Iterator[None]:
    """Wait until no run is delivering, so that what it writes is not taken for somebody's change."""
    deadline = time.monotonic() + _LOCK_S
    while True:
        with ledger.delivery_lock(sink) as is_mine:
            if is_mine:
                yield
                return
        if time.monotonic() > deadline:
            raise DeliveryDelayed("a run is delivering all the time", mend="try again in a minute")
        time.sleep(0.1)


@contextmanager
def _closing(sink: Any) -> Iterator[Any]:
    try:
        yield sink
    finally:
        try:
            sink.close()
        except OptiMindError as error:
            log.debug("the sink did not close: %s", error)
