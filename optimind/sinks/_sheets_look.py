"""How worksheets look: the requests that set headers, colours, protection, the summary and its charts. Pure.

Nothing here is a formula: a formula's separators and words depend on the spreadsheet's locale. The summary is made of
pivot tables, which Google computes anew whenever the log changes, so that it costs no request.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optimind.plugin_api import AttendanceStatus
from optimind.sinks._sheets_letters import LETTERS
from optimind.sinks._sheets_register import FIXED, HEAD_ROWS, Meeting, heading_cells
from optimind.sinks._sheets_table import COLUMNS, CORRECTED_BY, HEADER, KEY, STATUS

__all__ = [
    "CHARTS",
    "LOG_SIZE",
    "REGISTER_SIZE",
    "SUMMARY",
    "SUMMARY_HEAD",
    "SUMMARY_SIZE",
    "add_sheet",
    "charts",
    "colours",
    "header_cells",
    "heading_requests",
    "log_colours",
    "log_look",
    "log_protection",
    "pivots",
    "register_colours",
    "register_look",
    "register_protection",
    "summary_look",
]

Request = dict[str, Any]

SUMMARY = "Summary"
SUMMARY_HEAD = "Attendance"
"""What stands in its first cell."""
LOG_SIZE = (1000, len(HEADER))
REGISTER_SIZE = (HEAD_ROWS + 40, len(FIXED) + 40)
SUMMARY_SIZE = (1000, 30)
CHARTS = ("Attendance by class", "Attendance by day")
MARK = "OptiMind"
"""How the description of each protected range begins that is ours."""

_HEX = {
    AttendanceStatus.PRESENT: 0xD9EAD3,
    AttendanceStatus.LATE: 0xFFF2CC,
    AttendanceStatus.LEFT_EARLY: 0xFCE5CD,
    AttendanceStatus.ABSENT: 0xF4CCCC,
    AttendanceStatus.EXCUSED: 0xCFE2F3,
    AttendanceStatus.NEEDS_REVIEW: 0xEAD1DC,
}
_GREY = 0xEFEFEF
_WIDTHS = {KEY: 80, "session": 150, "name": 180, "first_seen_at": 190, "last_seen_at": 190, "reason": 260, "notes": 260}
_OPEN_COLUMNS = (STATUS, CORRECTED_BY, "notes")
_PIVOT_ROW = 23
_SUMMARY_STEP = 9
_CHART_ROWS = 400


def add_sheet(sheet_id: int, title: str, size: tuple[int, int], frozen: tuple[int, int], index: int | None) -> Request:
    """A new worksheet of ``size`` (rows, columns) with so many ``frozen`` rows and columns; ``index`` None: at last."""
    grid = {"rowCount": size[0], "columnCount": size[1], "frozenRowCount": frozen[0], "frozenColumnCount": frozen[1]}
    place = {} if index is None else {"index": index}
    return {"addSheet": {"properties": {"sheetId": sheet_id, "title": title, "gridProperties": grid, **place}}}


def log_look(sheet_id: int, columns: Mapping[str, int]) -> list[Request]:
    """Header, widths, and a list of the statuses to choose from; ``columns`` says where each column stands."""
    choices = [{"userEnteredValue": str(status)} for status in LETTERS]
    status = _columns(sheet_id, columns[STATUS], 1, top=1)
    rule = {"condition": {"type": "ONE_OF_LIST", "values": choices}, "showCustomUi": True, "strict": False}
    return [
        {
            "updateSheetProperties": {
                "properties": {"sheetId": sheet_id, "gridProperties": {"frozenRowCount": 1}},
                "fields": "gridProperties.frozenRowCount",
            }
        },
        _format({"sheetId": sheet_id, "startRowIndex": 0, "endRowIndex": 1}, _heading()),
        *(_width(sheet_id, columns[name], pixels) for name, pixels in _WIDTHS.items()),
        {"setDataValidation": {"range": status, "rule": rule}},
    ]


def log_protection(sheet_id: int, columns: Mapping[str, int], email: str) -> list[Request]:
    """The header for the owner and ``email`` alone; a warning before the data is changed by hand."""
    last = max(columns.values()) + 1
    found = [_strict({**_columns(sheet_id, 0, last), "startRowIndex": 0, "endRowIndex": 1}, email)]
    closed = sorted(columns[name] for name in COLUMNS if name not in _OPEN_COLUMNS)
    return [*found, *(_warning(_columns(sheet_id, start, width, top=1)) for start, width in _runs(closed))]


def header_cells(sheet_id: int) -> Request:
    """The log's header."""
    return _cells(sheet_id, 0, 0, [[_text(name) for name in HEADER]], "userEnteredValue")


def heading_requests(sheet_id: int, meeting: Meeting, head: int, column: int) -> list[Request]:
    """A new column before ``column`` (from 0) of a register, for ``meeting``; ``head`` is the row of keys."""
    place = {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": column, "endIndex": column + 1}
    lines = [[_value(value)] for value in heading_cells(meeting, head, column).values()]
    return [
        {"insertDimension": {"range": place, "inheritFromBefore": False}},
        _cells(sheet_id, head - HEAD_ROWS, column, lines, "userEnteredValue"),
    ]


def colours(sheet_id: int, area: Request, *, letters: bool) -> list[Request]:
    """A colour for each status in ``area``, where it stands as a letter or as a word."""
    rules = []
    for index, (status, letter) in enumerate(LETTERS.items()):
        text = letter if letters else str(status)
        condition = {"type": "TEXT_EQ", "values": [{"userEnteredValue": text}]}
        look = {"backgroundColorStyle": _colour(_HEX[AttendanceStatus(status)])}
        rule = {"ranges": [{"sheetId": sheet_id, **area}], "booleanRule": {"condition": condition, "format": look}}
        rules.append({"addConditionalFormatRule": {"rule": rule, "index": index}})
    return rules


def log_colours(sheet_id: int, columns: Mapping[str, int]) -> list[Request]:
    """A colour for each status in the log's column."""
    return colours(sheet_id, _columns(sheet_id, columns[STATUS], 1, top=1), letters=False)


def register_colours(sheet_id: int) -> list[Request]:
    """A colour for each letter in a register.

    From the column of notes on: of a column that is inserted before the first of an area Google makes no part of it.
    """
    return colours(sheet_id, {"startRowIndex": HEAD_ROWS, "startColumnIndex": len(FIXED) - 1}, letters=True)


def register_look(sheet_id: int) -> list[Request]:
    """Dates as dates of the spreadsheet's locale, colours, widths, a hidden row of keys. For a new register."""
    width = len(FIXED)
    dates = {"sheetId": sheet_id, "startRowIndex": 0, "endRowIndex": 1, "startColumnIndex": width}
    meetings = {"sheetId": sheet_id, "startRowIndex": HEAD_ROWS, "startColumnIndex": width}
    centre = {"horizontalAlignment": "CENTER"}
    # A type without a pattern is the locale's own way to write a date.
    date = {**_heading(), **centre, "numberFormat": {"type": "DATE"}}
    head = {"sheetId": sheet_id, "startRowIndex": 0, "endRowIndex": HEAD_ROWS}
    sessions = {"sheetId": sheet_id, "startRowIndex": 1, "endRowIndex": 2, "startColumnIndex": width}
    keys = {"sheetId": sheet_id, "dimension": "ROWS", "startIndex": HEAD_ROWS - 1, "endIndex": HEAD_ROWS}
    hidden = {"range": keys, "properties": {"hiddenByUser": True}, "fields": "hiddenByUser"}
    return [
        _format(head, {**_heading(), "wrapStrategy": "WRAP"}),
        _format(dates, date),
        _format(sessions, {**_heading(), **centre, "wrapStrategy": "WRAP"}),
        _format(meetings, centre),
        *register_colours(sheet_id),
        _width(sheet_id, 0, 90),
        _width(sheet_id, 1, 240),
        _width(sheet_id, 2, 200),
        {"updateDimensionProperties": hidden},
    ]


def register_protection(sheet_id: int, email: str) -> list[Request]:
    """The fixed headers for the owner and ``email`` alone; a warning for meetings' headers, ids and names."""
    width = len(FIXED)
    head = {"sheetId": sheet_id, "startRowIndex": 0, "endRowIndex": HEAD_ROWS}
    people = {"sheetId": sheet_id, "startRowIndex": HEAD_ROWS, "startColumnIndex": 0, "endColumnIndex": 2}
    return [
        _strict({**head, "startColumnIndex": 0, "endColumnIndex": width}, email),
        _warning({**head, "startColumnIndex": width}),
        _warning(people),
    ]


def summary_look(sheet_id: int) -> list[Request]:
    """The summary's title, its legend with the colours, and the captions of the tables."""
    legend = [
        {
            **_text(f"{letter} {status.replace('_', ' ')}"),
            "userEnteredFormat": {"backgroundColorStyle": _colour(_HEX[AttendanceStatus(status)])},
        }
        for status, letter in LETTERS.items()
    ]
    title = {**_text(SUMMARY_HEAD), "userEnteredFormat": _heading()}
    captions: list[Request] = []
    for index, text in enumerate(("Records", "Share of each status, by class", "Share of each status, by day")):
        cell = {**_text(text), "userEnteredFormat": _heading()}
        captions.append(_cells(sheet_id, _PIVOT_ROW - 1, index * _SUMMARY_STEP, [[cell]]))
    return [_cells(sheet_id, 0, 0, [[title]]), _cells(sheet_id, 1, 0, [legend]), *captions]


def pivots(sheet_id: int, log_id: int, columns: Mapping[str, int]) -> list[Request]:
    """The summary's tables: how many records of each status a class has, and which share, also by day."""
    left, right = min(columns.values()), max(columns.values()) + 1
    # No last row: what is delivered later belongs to it.
    source = {"sheetId": log_id, "startRowIndex": 0, "startColumnIndex": left, "endColumnIndex": right}
    there = {"condition": {"type": "NOT_BLANK"}, "visibleByDefault": True}

    def table(rows: str, *, share: bool) -> Request:
        value = {"sourceColumnOffset": columns[KEY] - left, "summarizeFunction": "COUNTA", "name": "records"}
        display = {"calculatedDisplayType": "PERCENT_OF_ROW_TOTAL"} if share else {}
        groups = [
            {"sourceColumnOffset": columns[name] - left, "showTotals": not share, "sortOrder": "ASCENDING"}
            for name in (rows, STATUS)
        ]
        return {
            "source": source,
            "rows": groups[:1],
            "columns": groups[1:],
            "values": [{**value, **display}],
            "filterSpecs": [{"columnOffsetIndex": columns[KEY] - left, "filterCriteria": there}],
            "valueLayout": "HORIZONTAL",
        }

    made = (table("class", share=False), table("class", share=True), table("date", share=True))
    return [
        _cells(sheet_id, _PIVOT_ROW, index * _SUMMARY_STEP, [[{"pivotTable": each}]], "pivotTable")
        for index, each in enumerate(made)
    ]


def charts(sheet_id: int, wanted: Iterable[str]) -> list[Request]:
    """Those of CHARTS that are ``wanted``, over the summary's tables."""
    kinds = {CHARTS[0]: ("COLUMN", 1), CHARTS[1]: ("AREA", 2)}
    return [_chart(sheet_id, title, *kinds[title]) for title in CHARTS if title in set(wanted)]


def _chart(sheet_id: int, title: str, kind: str, table: int) -> Request:
    start = table * _SUMMARY_STEP
    # The table's first row names the groups, its second one the columns.
    rows = {"sheetId": sheet_id, "startRowIndex": _PIVOT_ROW + 1, "endRowIndex": _PIVOT_ROW + _CHART_ROWS}

    def column(index: int) -> Request:
        return {"sourceRange": {"sources": [{**rows, "startColumnIndex": index, "endColumnIndex": index + 1}]}}

    basic = {
        "chartType": kind,
        "legendPosition": "BOTTOM_LEGEND",
        "stackedType": "PERCENT_STACKED",
        "headerCount": 1,
        "domains": [{"domain": column(start)}],
        "series": [{"series": column(start + 1 + index), "targetAxis": "LEFT_AXIS"} for index, _ in enumerate(LETTERS)],
    }
    anchor = {"sheetId": sheet_id, "rowIndex": 3, "columnIndex": (table - 1) * _SUMMARY_STEP}
    place = {"overlayPosition": {"anchorCell": anchor, "widthPixels": 760, "heightPixels": 370}}
    return {"addChart": {"chart": {"spec": {"title": title, "basicChart": basic}, "position": place}}}


def _cells(sheet_id: int, row: int, column: int, lines: Sequence[list[Request]], fields: str = "") -> Request:
    start = {"sheetId": sheet_id, "rowIndex": row, "columnIndex": column}
    rows = [{"values": line} for line in lines]
    return {"updateCells": {"start": start, "rows": rows, "fields": fields or "userEnteredValue,userEnteredFormat"}}


def _text(text: str) -> Request:
    return {"userEnteredValue": {"stringValue": text}}


def _value(value: str | int) -> Request:
    """A cell that holds a text as a text, whatever it starts with, or a number."""
    return _text(value) if isinstance(value, str) else {"userEnteredValue": {"numberValue": value}}


def _columns(sheet_id: int, start: int, width: int, *, top: int | None = None) -> Request:
    area = {"sheetId": sheet_id, "startColumnIndex": start, "endColumnIndex": start + width}
    return area if top is None else {**area, "startRowIndex": top}


def _width(sheet_id: int, column: int, pixels: int) -> Request:
    area = {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": column, "endIndex": column + 1}
    return {"updateDimensionProperties": {"range": area, "properties": {"pixelSize": pixels}, "fields": "pixelSize"}}


def _format(area: Request, look: Request) -> Request:
    fields = f"userEnteredFormat({','.join(look)})"
    return {"repeatCell": {"range": area, "cell": {"userEnteredFormat": look}, "fields": fields}}


def _heading() -> Request:
    return {"textFormat": {"bold": True}, "backgroundColorStyle": _colour(_GREY)}


def _strict(area: Request, email: str) -> Request:
    made = {"range": area, "description": f"{MARK}: the header", "editors": {"users": [email]}}
    return {"addProtectedRange": {"protectedRange": made}}


def _warning(area: Request) -> Request:
    made = {"range": area, "description": f"{MARK}: written by the program", "warningOnly": True}
    return {"addProtectedRange": {"protectedRange": made}}


def _colour(code: int) -> Request:
    red, green, blue = (round((code >> shift & 255) / 255, 4) for shift in (16, 8, 0))
    return {"rgbColor": {"red": red, "green": green, "blue": blue}}


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring numbers together: the first of each run, and how many it has."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][0] + found[-1][1] == number:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found
