"""Brings records into a spreadsheet: read where everything is, write in one request, read back.

Nothing about rows is remembered between deliveries, for people sort and insert at any time. They may also do it between
the read and the write, and another machine may choose the same free row; Google has no condition for a write, so what
was written is read back. When it is not where it should be, the delivery is asked for again, together with the records
that were overwritten. The log and the registers of the records share each of the three requests.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

from optimind.plugin_api import DeliveryDelayed, KnownStatuses, RecordRow, StatusChange
from optimind.sinks._sheets_api import BadRequestError, SheetsApi
from optimind.sinks._sheets_judging import Judge
from optimind.sinks._sheets_lacking import lacking
from optimind.sinks._sheets_letters import letter_of
from optimind.sinks._sheets_log import LogReader
from optimind.sinks._sheets_look import heading_requests
from optimind.sinks._sheets_register import RegisterKey, RegisterPlan, RegisterView
from optimind.sinks._sheets_table import (
    KEY,
    Plan,
    View,
    column_letters,
    fitted,
    have_moved,
    homes_of,
    place,
    strayed,
)
from optimind.sinks._sheets_tabs import Tabs

__all__ = ["Seen", "Workbook"]

log = logging.getLogger(__name__)

_LOOKS = 5
_TABLE_COLUMNS = 26
_SETTLE_S = 2.0
"""How long after new rows were added they are read back: longer than others take between their read and their write."""
_FRESH_S = 2.0
_WIDE_S = 300.0
"""How often letters are looked for in all registers that were written, and not only in those that are written now."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read: the log, and registers."""

    log: View
    registers: dict[RegisterKey, RegisterView]


@dataclass(frozen=True, slots=True)
class _Planned:
    """What is written into the log and the registers, and the records of each register."""

    log: Plan
    registers: list[RegisterPlan]
    records: dict[RegisterKey, list[RecordRow]]


class Workbook:
    """The worksheets of one spreadsheet, made with their headers where they are missing. Used by one thread."""

    def __init__(self, api: SheetsApi, tabs: Tabs, *, registers: bool) -> None:
        self.api = api
        self.tabs = tabs
        self._registers = registers
        self._reader: LogReader | None = None
        self._judge = Judge()
        self._known_registers: set[RegisterKey] = set()
        self._next_wide_look = 0.0
        self.unsettled: frozenset[str] = frozenset()
        self._fresh: tuple[float, Seen] | None = None
        self._complained: set[str] = set()
        self._asked_for: set[RegisterKey] = set()
        self._torn: frozenset[int] = frozenset()
        self._homes: dict[str, tuple[int, str]] = {}

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def prepare(self) -> None:
        """Make sure that the log and its header are there."""
        self._again(lambda: self._ensured({}))

    def deliver(self, records: Sequence[RecordRow], late_until: float = 0.0) -> None:
        """Write ``records``, each to the row with its id or to a new one, and its letter into its register.

        Until ``late_until``, by the monotonic clock, an earlier write may still come about: no column is moved.
        """
        self._again(lambda: self._deliver(records, late_until))

    def collect(self, records: Sequence[RecordRow], known: KnownStatuses) -> list[StatusChange]:
        """Return what people changed in the log and the registers of ``records``, now and then in all registers."""
        return self._again(lambda: self._collect(records, known))

    def lacking(self, records: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> set[str]:
        """Return the ids of those that do not stand in the log once and whole, or, of ``records``, in no register.

        A register that somebody deleted is not missed.
        """
        return self._again(lambda: self._lacking(records, earlier))

    def look(self, keys: Iterable[RegisterKey], *, mend: bool = True) -> Seen:
        """Read the log, which must be there, and those of the registers ``keys`` that are there.

        Without ``mend`` nothing is written, and a log that lacks columns counts as empty.
        """
        return self._again(lambda: self._look([key for key in keys if self.tabs.has_register(key)], mend=mend))

    def table(self, title: str) -> list[list[str]]:
        """Return the texts of any worksheet's first columns, row by row; one request, more where it has fewer."""
        try:
            return self.api.read([(title, f"A1:{column_letters(_TABLE_COLUMNS - 1)}")])[0]
        except BadRequestError:
            tab = self.tabs.overview.tabs.get(title)
            if tab is None or not 0 < tab.columns < _TABLE_COLUMNS:
                raise
            return self.api.read([(title, f"A1:{column_letters(tab.columns - 1)}")])[0]

    def keys_of(self, records: Iterable[RecordRow]) -> dict[RegisterKey, list[RecordRow]]:
        """The records of each register."""
        found: dict[RegisterKey, list[RecordRow]] = {}
        if self._registers:
            for record in records:
                key = RegisterKey.of(record)
                if key is not None:
                    found.setdefault(key, []).append(record)
        return found

    def _again(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except BadRequestError:
            # Somebody may have deleted, renamed or shrunk a worksheet since it was opened, or made it meanwhile.
            self._forget()
            return work()

    def _forget(self) -> None:
        self.tabs.forget()
        self._reader, self._fresh = None, None

    def _collect(self, records: Sequence[RecordRow], known: KnownStatuses) -> list[StatusChange]:
        if not self.tabs.has_log:
            return []
        keys = set(self.keys_of(records))
        if not records or time.monotonic() >= self._next_wide_look:
            # Not each time: a school's registers are many.
            self._next_wide_look = time.monotonic() + _WIDE_S
            keys |= self._recent_registers()
        if records:
            # Waited for here, as whoever waits between the look and the write writes to where somebody else may be.
            self.api.reserve()
        seen = self._look([key for key in keys if self.tabs.has_register(key)], mend=False)
        self._fresh = (time.monotonic(), seen) if seen.log.ids else None
        return self._judge.changes(seen.log, seen.registers.values(), known)

    def _lacking(self, records: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> set[str]:
        if not self.tabs.has_log:
            return {record.record_id for record in (*records, *earlier)}
        groups = self.keys_of(records)
        seen = self._look([key for key in groups if self.tabs.has_register(key)])
        gone = {
            record.record_id
            for key, view in seen.registers.items()
            if view.is_readable
            for record in groups[key]
            if view.stands(record) <= {""}
        }
        return gone | lacking(self.api, self.tabs.log, seen.log, records, earlier)

    def _recent_registers(self) -> set[RegisterKey]:
        """The registers that were written, of the newest two months."""
        months = sorted({key.month for key in self._known_registers})[-2:]
        return {key for key in self._known_registers if key.month in months}

    def _deliver(self, records: Sequence[RecordRow], late_until: float) -> None:
        groups = self.keys_of(records)
        seen = self._ensured(groups)
        self._ask_for_the_emptied(seen, groups)
        for _ in range(_LOOKS):
            planned = self._planned(records, groups, seen)
            if not self._put_in_order(seen, groups, late_until) and not self.tabs.grow(
                self._sizes(planned), seen.log.columns
            ):
                break
            self.api.reserve()
            seen = self._look(groups)
        else:
            raise self._moving()
        self._judge.trusts = False
        self._judge.forget(record.record_id for record in records)
        self.api.write(self._blocks(planned, seen))
        last = max(planned.log.rows)
        self._log_reader().expect(max(len(seen.log.ids), last) + 1)
        if last >= len(seen.log.ids):
            # Another machine that looked for a free row before this write may still write to the same one.
            time.sleep(_SETTLE_S)
        self._verify(seen, planned)
        self._known_registers.update(groups)
        self._asked_for -= groups.keys()
        # In a register without its header an older letter may stand, and be found once the header is put back.
        skipped = [group for key, group in groups.items() if not seen.registers[key].is_readable]
        self.unsettled = frozenset(record.record_id for group in skipped for record in group)

    def _ask_for_the_emptied(self, seen: Seen, groups: dict[RegisterKey, list[RecordRow]]) -> None:
        """Where a register is empty of which the log has more records than are written now, ask for all of them.

        Once each: those of another machine's ledger do not come. Raises DeliveryDelayed.
        """
        empty = {key for key in groups if seen.registers[key].is_blank} - self._asked_for
        coming = {record.record_id for key in empty for record in groups[key]}
        if not empty or not set(seen.log.rows_of()) - coming:
            return
        letters = [column_letters(seen.log.columns[name]) for name in ("class", "date")]
        ids, *told = self.api.read(
            [(self.tabs.log, f"{letter}1:{letter}") for letter in (column_letters(seen.log.columns[KEY]), *letters)]
        )
        self._asked_for |= empty
        wanted = {(fitted(key.class_id), f"{key.month:%Y-%m}") for key in empty}
        lost = {
            row[0]
            for row, class_id, day in zip_longest(ids, *told, fillvalue=[])
            if row and row[0] not in coming and class_id and day and (class_id[0], day[0][:7]) in wanted
        }
        if lost:
            raise DeliveryDelayed(
                f"{len(lost)} records stand in the log, but not in the register, which is empty",
                mend="their letters are written again",
                missing=tuple(sorted(lost)),
                is_over=True,
            )

    def _ensured(self, groups: Iterable[RegisterKey]) -> Seen:
        """What is there, after what was missing was made: read a moment ago, or now."""
        fresh, self._fresh = self._fresh, None
        if self.tabs.ensure(groups):
            self._reader = None
        elif fresh is not None and time.monotonic() - fresh[0] < _FRESH_S and set(groups) <= set(fresh[1].registers):
            return fresh[1]
        self.api.reserve()
        return self._look(groups)

    def _look(self, keys: Iterable[RegisterKey], *, mend: bool = True) -> Seen:
        """One request, more when something has moved. Without ``mend`` a log that lacks columns counts as empty."""
        keys = list(keys)
        for _ in range(_LOOKS):
            reader = self._log_reader()
            tab = self.tabs.tab(reader.title)
            wanted = reader.ranges(tab)
            titles = {key: self.tabs.register_title(key) for key in keys}
            registers = [(title, f"A1:{column_letters(self.tabs.tab(title).columns - 1)}") for title in titles.values()]
            parts = self.api.read([*wanted, *registers])
            view = reader.view(parts[: len(wanted)])
            if isinstance(view, dict) and not mend:
                view = View(view, [], 0)
            if isinstance(view, View):
                lines = parts[len(wanted) :]
                found = {key: RegisterView.of(key, titles[key], part) for key, part in zip(keys, lines, strict=True)}
                self._complain(found.values())
                return Seen(view, found)
            if view is not None:
                start, missing = reader.header_for(self.api, tab, view)
                self.tabs.grow({reader.title: (1, start + len(missing))})
                self.api.write([reader.heading(start, missing)])
        raise self._moving()

    def _planned(
        self, records: Sequence[RecordRow], groups: dict[RegisterKey, list[RecordRow]], seen: Seen
    ) -> _Planned:
        plans = [
            RegisterPlan.of(seen.registers[key], group)
            for key, group in groups.items()
            if seen.registers[key].is_readable
        ]
        return _Planned(place(records, seen.log, self._torn, self._homes), plans, groups)

    def _put_in_order(self, seen: Seen, groups: dict[RegisterKey, list[RecordRow]], late_until: float) -> bool:
        """Make columns for meetings that were before others which have one; whether any were made."""
        requests = []
        for key, group in groups.items():
            view = seen.registers[key]
            early = view.early(group) if view.is_readable else []
            # From the right to the left, so that no column moves before it is used.
            for column, meeting in sorted(early, reverse=True):
                requests += heading_requests(self.tabs.tab(view.title).sheet_id, meeting, view.head, column)
        if requests:
            wait_s = late_until - time.monotonic()
            if wait_s > 0:
                # The letters of a write that comes late would be another lesson's.
                raise DeliveryDelayed(
                    "a column goes between others as soon as no earlier write can come late any more",
                    mend="the rows wait and are sent then",
                    retry_after_s=wait_s,
                    is_over=True,
                )
            self.api.change(*requests)
            self.tabs.forget()
        return bool(requests)

    def _sizes(self, planned: _Planned) -> dict[str, tuple[int, int]]:
        found = {plan.view.title: plan.size for plan in planned.registers}
        return {**found, self._log_reader().title: (max(planned.log.rows), 1)}

    def _blocks(self, planned: _Planned, seen: Seen) -> list[tuple[str, str, list[list[Any]]]]:
        title = self._log_reader().title
        found = [(title, cells, rows) for cells, rows in planned.log.blocks(seen.log)]
        return found + [(plan.view.title, *block) for plan in planned.registers for block in plan.blocks()]

    def _verify(self, before: Seen, planned: _Planned) -> None:
        """Read back. Raises DeliveryDelayed where the sheet was rearranged meanwhile, naming what was overwritten."""
        after = self._look(planned.records)
        counts = Counter(text for text in after.log.ids[1:] if text)
        written = {record.record_id for record in planned.log.rows.values()}
        wrong = _wrong_statuses(before.log, after.log, planned.log) | _wrong_letters(after, planned)
        if have_moved(before.log, after.log):
            # Their cells are in other columns than they were meant for.
            wrong |= written
        missing = ((set(before.log.rows_of()) | written) - set(counts)) | wrong
        if not missing and all(counts[key] == 1 for key in written):
            self._torn, self._homes = frozenset(), {}
            self._judge.trusts = True
            return
        self._torn = frozenset(planned.log.rows)
        self._homes = homes_of(before.log, after.log, self._torn, missing) | strayed(before.log, after.log, planned.log)
        raise DeliveryDelayed(
            f"the worksheet {self._log_reader().title!r} was rearranged while {len(written)} rows were written",
            mend="they are written again, with what was overwritten",
            missing=tuple(sorted(missing)),
            is_over=True,
        )

    def _log_reader(self) -> LogReader:
        if self._reader is None or self._reader.title != self.tabs.log:
            self._reader = LogReader(self.tabs.log)
        return self._reader

    def _complain(self, views: Iterable[RegisterView]) -> None:
        """Say once of a register that its header is gone; the log is written nevertheless."""
        bad = {view.title for view in views if not view.is_readable}
        for title in bad - self._complained:
            log.warning(
                "the worksheet %r has no row with person_id, name and notes, so it is left alone; put it back as the "
                "third row, or delete the worksheet, and then: optimind sheets sync",
                title,
            )
        self._complained |= bad

    def _moving(self) -> DeliveryDelayed:
        title = self._log_reader().title
        return DeliveryDelayed(
            f"the worksheet {title!r} changed while it was read", mend="the rows wait and are sent later", is_over=True
        )


def _wrong_statuses(before: View, after: View, plan: Plan) -> set[str]:
    """Records whose status was written and is not there, as after a column was moved."""
    rows = dict(after.told())
    return {
        record.record_id
        for row, record in plan.rows.items()
        if not plan.leaves_status(row, before)
        and record.record_id in rows
        and after.status_in(rows[record.record_id]) != record.status
    }


def _wrong_letters(after: Seen, planned: _Planned) -> set[str]:
    """Records whose letter is not in its register, and those whose cells were written instead."""
    found: set[str] = set()
    for plan in planned.registers:
        key = plan.view.key
        view, records = after.registers[key], planned.records[key]
        wrong = {each.record_id for each in records if view.stands(each) != {letter_of(each.status)}}
        found |= wrong
        if wrong:
            found |= plan.hit(view)
    return found
