"""Sets worksheets up that are there already, and compares what stands in them with the records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimind.plugin_api import RecordRow
from optimind.sinks import _sheets_look as look
from optimind.sinks._sheets_api import Overview
from optimind.sinks._sheets_register import RegisterKey, RegisterPlan
from optimind.sinks._sheets_table import COLUMNS, KEY, cells_of, column_letters, find_columns, text_of
from optimind.sinks._sheets_worksheet import Workbook

__all__ = ["Comparison", "SetUp", "compare", "refresh", "set_up"]

_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What setting up found and made: ``made`` are sentences for people, none where all was there."""

    locale: str
    time_zone: str
    made: tuple[str, ...]
    has_foreign_summary: bool = False


@dataclass(slots=True, kw_only=True)
class Comparison:
    """How a spreadsheet differs from the records: ids of records, and titles of worksheets.

    ``missing`` have no row, ``stale`` have other cells, ``doubled`` have several rows, ``misplaced`` are not in their
    register as they should be; ``foreign`` rows are of no record. ``unreadable`` are registers without a header,
    and ``unsure`` the records of these.
    """

    missing: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """The records that must be delivered again."""
        return sorted({*self.missing, *self.stale, *self.doubled, *self.misplaced})


def set_up(book: Workbook, keys: Sequence[RegisterKey], *, protect: bool) -> SetUp:
    """Make what is missing: worksheets, headers, colours, protection, the summary and its charts."""
    tabs = book.tabs
    tabs.forget()
    made = [f"the worksheet {title!r}" for title in tabs.ensure(keys, summary=True)]
    seen = book.look(keys)
    blank = [RegisterPlan.of(view, []) for view in seen.registers.values() if view.is_blank]
    blocks = [(plan.view.title, *block) for plan in blank for block in plan.blocks()]
    if blocks:
        book.api.write(blocks)
    tabs.forget()
    overview = tabs.overview
    requests: list[dict[str, Any]] = []
    for what, wanted in _lacking(book, overview, seen.log.columns, keys, protect=protect):
        requests += wanted
        made.append(what)
    requests += tabs.summary_of(seen.log.columns)
    if requests:
        book.api.change(*requests)
    return SetUp(
        locale=overview.locale,
        time_zone=overview.time_zone,
        made=tuple(made),
        has_foreign_summary=tabs.has_foreign_summary,
    )


def refresh(book: Workbook) -> None:
    """Let the summary's tables read the log's columns where they stand now; nothing where there is no summary."""
    book.tabs.forget()
    if book.tabs.summary is not None and book.tabs.has_log:
        book.api.change(*book.tabs.summary_of(book.look(()).log.columns))


def compare(book: Workbook, records: Sequence[RecordRow], waiting: frozenset[str]) -> Comparison:
    """Compare all of ``records``, which are all that there are, with the worksheets. Those ``waiting`` are left out."""
    result = Comparison()
    wanted = {record.record_id: record for record in records}
    groups = book.keys_of(records)
    rows = _log_rows(book) if book.tabs.has_log else {}
    for key, found in rows.items():
        if key not in wanted:
            result.foreign.append(key)
        elif key not in waiting:
            if len(found) > 1:
                result.doubled.append(key)
            if any(line != _texts(wanted[key]) for line in found):
                result.stale.append(key)
    result.missing += [key for key in wanted if key not in rows and key not in waiting]
    there = book.look(groups, mend=False).registers if book.tabs.has_log else {}
    for key_, group in groups.items():
        view = there.get(key_)
        if view is not None and not view.is_readable:
            result.unreadable.append(view.title)
            result.unsure += [record.record_id for record in group]
        else:
            wrong = group if view is None or view.is_blank else view.wrong(group)
            result.misplaced += [record.record_id for record in wrong if record.record_id not in waiting]
    return result


def _texts(record: RecordRow) -> tuple[str, ...]:
    return tuple(text_of(cell) for cell in cells_of(record).values())


def _log_rows(book: Workbook) -> dict[str, list[tuple[str, ...]]]:
    """The cells in each row of the log that has a record_id, in the order of COLUMNS."""
    title = book.tabs.log
    tab = book.tabs.tab(title)
    letters = column_letters(tab.columns - 1)
    found: dict[str, list[tuple[str, ...]]] = {}
    columns: Mapping[str, int] = {}
    for start in range(1, tab.rows + 1, _ROWS_AT_ONCE):
        part = book.api.read([(title, f"A{start}:{letters}{min(tab.rows, start + _ROWS_AT_ONCE - 1)}")])[0]
        if start == 1:
            columns = find_columns(part[0] if part else [])
            part = part[1:]
        for line in part:
            places = [columns.get(name, len(line)) for name in COLUMNS]
            cells = tuple(line[place] if place < len(line) else "" for place in places)
            if key := cells[COLUMNS.index(KEY)].strip():
                found.setdefault(key, []).append(cells)
    return found


def _lacking(
    book: Workbook, overview: Overview, columns: Mapping[str, int], keys: Iterable[RegisterKey], *, protect: bool
) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """What each worksheet lacks, in words, and the requests that give it."""
    title, email = book.tabs.log, book.api.email
    log_id, details = overview.tabs[title].sheet_id, overview.details
    if not details[title].get("conditionalFormats"):
        look_ = [*look.log_look(log_id, columns), *look.log_colours(log_id, columns)]
        yield f"the look of {title!r}", look_
    if protect and not _is_protected(details[title]):
        yield f"the protection of {title!r}", look.log_protection(log_id, columns, email)
    for key in keys:
        register = book.tabs.register_title(key)
        sheet_id, detail = overview.tabs[register].sheet_id, details[register]
        if not detail.get("conditionalFormats"):
            yield f"the colours of {register!r}", look.register_colours(sheet_id)
        if protect and not _is_protected(detail):
            yield f"the protection of {register!r}", look.register_protection(sheet_id, email)
    summary = book.tabs.summary
    if summary is None:
        return
    charts = [chart["spec"].get("title") for chart in details[summary].get("charts", [])]
    for chart in look.CHARTS:
        if chart not in charts:
            yield f"the chart {chart!r}", look.charts(overview.tabs[summary].sheet_id, [chart])


def _is_protected(detail: Mapping[str, Any]) -> bool:
    return any(str(each.get("description", "")).startswith(look.MARK) for each in detail.get("protectedRanges", []))
