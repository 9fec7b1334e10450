"""Which worksheets there are, and making those that are missing, with their look, in one request."""

import logging
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from optimind.sinks import _sheets_look as look
from optimind.sinks._sheets_api import Overview, SheetsApi, Tab
from optimind.sinks._sheets_register import FIXED, HEAD_ROWS, RegisterKey
from optimind.sinks._sheets_table import HEADER, KEY, find_columns

__all__ = ["Tabs"]

log = logging.getLogger(__name__)

_BEFORE = "Attendance"
"""What the log was called by default before there were other worksheets."""
_MORE_ROWS = 1000
_MORE_COLUMNS = 20
_MOST_CELLS = 10_000_000
"""What a spreadsheet holds."""


class Tabs:
    """The worksheets of one spreadsheet, as they were when they were last looked at.

    ``title`` is the log's; where ``is_named`` is false a worksheet that was made by an older version is used on.
    """

    def __init__(self, api: SheetsApi, title: str, *, is_named: bool, protect: bool) -> None:
        self._api = api
        self._title = title
        self._is_named = is_named
        self._protect = protect
        self._overview: Overview | None = None
        self._log = title
        self._is_our_summary: dict[int, bool] = {}

    def forget(self) -> None:
        """Look again at the next question: somebody may have deleted, renamed or shrunk one."""
        self._overview = None

    @property
    def overview(self) -> Overview:
        """What there is; one request where it is not known."""
        if self._overview is None:
            self._overview = self._api.overview()
            self._log = self._log_title(self._overview)
        return self._overview

    @property
    def log(self) -> str:
        """The log's title."""
        return self._log if self.overview else self._title

    @property
    def has_log(self) -> bool:
        """Whether the log is there."""
        return self.log in self.overview.tabs

    @property
    def summary(self) -> str | None:
        """The title of the summary; None where there is none, or a worksheet of that title that is somebody else's.

        It is ours by a chart of ours or by its first cell; one request where no chart tells.
        """
        title = _same(look.SUMMARY, self.overview.tabs)
        if title is None:
            return None
        sheet_id = self.tab(title).sheet_id
        if sheet_id not in self._is_our_summary:
            charts = self.overview.details.get(title, {}).get("charts", [])
            is_ours = any(chart["spec"].get("title") in look.CHARTS for chart in charts)
            self._is_our_summary[sheet_id] = is_ours or self._api.read([(title, "A1:A1")])[0] == [[look.SUMMARY_HEAD]]
        return title if self._is_our_summary[sheet_id] else None

    @property
    def has_foreign_summary(self) -> bool:
        """Whether somebody else's worksheet has the summary's title, so that there is no summary."""
        return self.summary is None and _same(look.SUMMARY, self.overview.tabs) is not None

    def tab(self, title: str) -> Tab:
        """The worksheet called ``title``, which must be there."""
        return self.overview.tabs[title]

    def register_title(self, key: RegisterKey) -> str:
        """What the register of ``key`` is called, or will be: no two titles may differ in case alone."""
        return _title_among(key, self.overview.tabs)

    def has_register(self, key: RegisterKey) -> bool:
        """Whether the register of ``key`` is there."""
        return self.register_title(key) in self.overview.tabs

    def ensure(self, keys: Iterable[RegisterKey], *, summary: bool = False) -> list[str]:
        """Make what is missing of the log and the registers of ``keys``; return the titles. A new log has a summary."""
        tabs = self.overview.tabs
        made: dict[str, tuple[int, tuple[int, int]]] = {}
        requests: list[dict[str, Any]] = []
        if not self.has_log:
            made[self._log] = (self._new_id(), look.LOG_SIZE)
            requests += self._new_log(made[self._log][0])
        log_id = made[self._log][0] if self._log in made else tabs[self._log].sheet_id
        if (summary or made) and _same(look.SUMMARY, tabs) is None:
            made[look.SUMMARY] = (self._new_id(), look.SUMMARY_SIZE)
            columns = {name: index for index, name in enumerate(HEADER)}
            requests += self._new_summary(made[look.SUMMARY][0], log_id, columns)
        for key in keys:
            title = _title_among(key, {*tabs, *made})
            if title not in tabs and title not in made:
                made[title] = (self._new_id(), look.REGISTER_SIZE)
                requests += self._new_register(made[title][0], title)
        if requests:
            self._api.change(*requests)
            for title, (sheet_id, (rows, columns_)) in made.items():
                tabs[title] = Tab(sheet_id, rows, columns_)
                log.info("made the worksheet %r in the spreadsheet %s", title, self._api.spreadsheet)
            if look.SUMMARY in made:
                self._is_our_summary[made[look.SUMMARY][0]] = True
        return list(made)

    def grow(self, wanted: Mapping[str, tuple[int, int]], columns: Mapping[str, int] | None = None) -> bool:
        """Make grids large enough for ``wanted`` (rows, columns, by title).

        With ``columns``, those of the log, the summary is told of the log's new size, in the same request. True where a
        grid was not as it was thought to be, so that what was read of it may be less than there is.
        """
        if not any(self._lacks(title, size) != (0, 0) for title, size in wanted.items()):
            return False
        # The size may have changed since it was read: rows are added to what is there now.
        before = {title: self.tab(title) for title in wanted}
        self.forget()
        has_moved = any(self.tab(title) != tab for title, tab in before.items())
        requests = []
        for title, size in wanted.items():
            tab = self.tab(title)
            rows, wider = self._lacks(title, size)
            wider += self._spare(wider, _MORE_COLUMNS, tab.rows)
            more_rows = max(_MORE_ROWS, tab.rows // 4) if title == self._log else _MORE_COLUMNS
            rows += self._spare(rows, more_rows, tab.columns + wider)
            for dimension, length in (("ROWS", rows), ("COLUMNS", wider)):
                if length:
                    added = {"sheetId": tab.sheet_id, "dimension": dimension, "length": length}
                    requests.append({"appendDimension": added})
            self.overview.tabs[title] = Tab(tab.sheet_id, tab.rows + rows, tab.columns + wider)
        if requests:
            if columns is not None:
                requests += self.summary_of(columns)
            try:
                self._api.change(*requests)
            except BaseException:
                self.forget()
                raise
        return has_moved

    def summary_of(self, columns: Mapping[str, int]) -> list[dict[str, Any]]:
        """The requests by which the summary's tables read the log's ``columns``; none where there is no summary."""
        title = self.summary
        if title is None or not self.has_log:
            return []
        tabs = self.overview.tabs
        return look.pivots(tabs[title].sheet_id, tabs[self._log].sheet_id, columns)

    def _spare(self, needed: int, wished: int, length: int) -> int:
        """How many rows or columns of ``length`` cells to add to the ``needed`` ones: in a nearly full file fewer."""
        used = sum(tab.rows * tab.columns for tab in self.overview.tabs.values())
        return max(0, min(wished, (_MOST_CELLS - used) // max(1, length) - needed)) if needed else 0

    def _lacks(self, title: str, size: tuple[int, int]) -> tuple[int, int]:
        tab = self.tab(title)
        return max(0, size[0] - tab.rows), max(0, size[1] - tab.columns)

    def _log_title(self, overview: Overview) -> str:
        # Google knows no two worksheets whose titles differ in case alone.
        there = _same(self._title, overview.tabs)
        if there is not None or self._is_named or _BEFORE not in overview.tabs:
            return there or self._title
        header = self._api.read([(_BEFORE, "A1:1")])[0]
        return _BEFORE if KEY in find_columns(header[0] if header else []) else self._title

    def _new_log(self, sheet_id: int) -> list[dict[str, Any]]:
        columns = {name: index for index, name in enumerate(HEADER)}
        return [
            look.add_sheet(sheet_id, self._log, look.LOG_SIZE, (1, 0), 0),
            look.header_cells(sheet_id),
            *look.log_look(sheet_id, columns),
            *look.log_colours(sheet_id, columns),
            *(look.log_protection(sheet_id, columns, self._api.email) if self._protect else []),
        ]

    def _new_summary(self, sheet_id: int, log_id: int, columns: Mapping[str, int]) -> list[dict[str, Any]]:
        return [
            look.add_sheet(sheet_id, look.SUMMARY, look.SUMMARY_SIZE, (2, 0), 1),
            *look.summary_look(sheet_id),
            *look.pivots(sheet_id, log_id, columns),
            *look.charts(sheet_id, look.CHARTS),
        ]

    def _new_register(self, sheet_id: int, title: str) -> list[dict[str, Any]]:
        return [
            look.add_sheet(sheet_id, title, look.REGISTER_SIZE, (HEAD_ROWS, len(FIXED)), None),
            *look.register_look(sheet_id),
            *(look.register_protection(sheet_id, self._api.email) if self._protect else []),
        ]

    def _new_id(self) -> int:
        return secrets.randbelow(2**31 - 1) + 1


def _same(title: str, titles: Iterable[str]) -> str | None:
    """The one of ``titles`` that Google takes for ``title``."""
    return next((each for each in titles if each.casefold() == title.casefold()), None)


def _title_among(key: RegisterKey, titles: Collection[str]) -> str:
    """What the register of ``key`` is called where there are worksheets of these ``titles``."""
    title, apart = key.title(), key.title(apart=True)
    if title in titles or not (apart in titles or _same(title, titles)):
        return title
    # Also where the other one is gone: it stays what it is.
    return apart
