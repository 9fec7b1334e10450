"""What a worksheet looks like, and the requests that change it: as strict as Google where that can be known.

A request is refused that names a worksheet that is not there, leaves the grid, lacks ``fields``, overlaps a range that
is protected already, gives editors to a mere warning, or is of a kind that Google (or this server) does not know.
"""

from __future__ import annotations

import copy
import itertools
import re
from typing import Any

from sheets_model import ApiError, Formula, Sheet

__all__ = ["MOST_CELLS", "Layout", "pivot_lines"]

MOST_CELLS = 10_000_000
_FORBIDDEN_IN_TITLES = set("[]*?:/\\")
_ids = itertools.count(1)
_CHART_KINDS = {"BAR", "LINE", "AREA", "COLUMN", "SCATTER", "COMBO", "STEPPED_AREA"}
_FUNCTIONS = {"COUNTA", "COUNT", "SUM", "AVERAGE", "COUNTUNIQUE"}


class Layout:
    """Applies structural requests to ``sheets``, all or none."""

    def __init__(self, sheets: dict[str, Sheet], me: str) -> None:
        self.sheets = {title: clone(sheet) for title, sheet in sheets.items()}
        self._me = me

    def apply(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(request) != 1:
            raise _bad("a request must have exactly one kind")
        (kind, body), *_ = request.items()
        method = getattr(self, "_" + re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", kind), None)
        if method is None:
            raise _bad(f"Unknown name {kind!r}: Cannot find field.")
        return {kind: method(**body)} if kind in {"addSheet", "addChart", "addProtectedRange"} else method(**body) or {}

    # worksheets

    def _add_sheet(self, properties: dict[str, Any]) -> dict[str, Any]:
        title = properties["title"]
        if not title or len(title) > 100 or set(title) & _FORBIDDEN_IN_TITLES:
            raise _bad(f"Invalid sheet name: {title}")
        if title.casefold() in {known.casefold() for known in self.sheets}:
            raise _bad(f'A sheet with the name "{title}" already exists. Please enter another name.')
        known = {sheet.sheet_id for sheet in self.sheets.values()}
        sheet_id = properties.get("sheetId", next(each for each in itertools.count(100) if each not in known))
        if sheet_id in known or not 0 <= sheet_id < 2**31:
            raise _bad(f"Sheet with id {sheet_id} already exists.")
        grid = properties.get("gridProperties", {})
        sheet = Sheet(title, sheet_id, grid.get("rowCount", 1000), grid.get("columnCount", 26))
        sheet.frozen_rows = grid.get("frozenRowCount", 0)
        sheet.frozen_columns = grid.get("frozenColumnCount", 0)
        order = list(self.sheets.values())
        order.insert(properties.get("index", len(order)), sheet)
        self.sheets = {each.title: each for each in order}
        self._check_size()
        return {"properties": {**properties, "sheetId": sheet_id}}

    def _update_sheet_properties(self, properties: dict[str, Any], fields: str) -> None:
        sheet = self._sheet(properties["sheetId"])
        grid = properties.get("gridProperties", {})
        for name in _fields(fields):
            match name:
                case "gridProperties.frozenRowCount":
                    sheet.frozen_rows = grid.get("frozenRowCount", 0)
                case "gridProperties.frozenColumnCount":
                    sheet.frozen_columns = grid.get("frozenColumnCount", 0)
                case "index":
                    others = [each for each in self.sheets.values() if each is not sheet]
                    others.insert(properties["index"], sheet)
                    self.sheets = {each.title: each for each in others}
                case _:
                    raise _bad(f"Invalid field: {name}")

    # the grid

    def _append_dimension(self, sheetId: int, dimension: str, length: int) -> None:  # noqa: N803 - Google's names
        sheet = self._sheet(sheetId)
        if dimension == "ROWS":
            sheet.rows += length
        else:
            sheet.columns += length
        self._check_size()

    def _insert_dimension(self, range: dict[str, Any], inheritFromBefore: bool = False) -> None:  # noqa: A002, N803 - Google's names
        sheet = self._sheet(range["sheetId"])
        start, length = range["startIndex"], range["endIndex"] - range["startIndex"]
        is_column = range["dimension"] == "COLUMNS"
        if length <= 0 or start > (sheet.columns if is_column else sheet.rows) or (inheritFromBefore and start == 0):
            raise _bad("range is invalid")
        if is_column:
            sheet.columns += length
            sheet.cells = {(r, c + length if c > start else c): v for (r, c), v in sheet.cells.items()}
            sheet.rules = [_moved(rule, start, length) for rule in sheet.rules]
        else:
            sheet.rows += length
            sheet.cells = {(r + length if r > start else r, c): v for (r, c), v in sheet.cells.items()}
        self._check_size()

    def _update_dimension_properties(self, range: dict[str, Any], properties: dict[str, Any], fields: str) -> None:  # noqa: A002 - Google's name
        sheet = self._sheet(range["sheetId"])
        for name in _fields(fields):
            if name not in {"pixelSize", "hiddenByUser"}:
                raise _bad(f"Invalid field: {name}")
            for index in _span(range, sheet):
                sheet.dimensions[(range["dimension"], index, name)] = properties[name]

    def _repeat_cell(self, range: dict[str, Any], cell: dict[str, Any], fields: str) -> None:  # noqa: A002 - Google's name
        sheet = self._inside(range)
        if any(not name.startswith("userEnteredFormat") for name in _fields(fields)):
            raise _bad(f"Invalid field: {fields}")
        sheet.formats.append((range, cell["userEnteredFormat"]))

    def _update_cells(
        self, rows: list[dict[str, Any]], fields: str, start: dict[str, Any] | None = None, **more: Any
    ) -> None:
        if start is None or more:
            raise _bad("this server wants a start")
        names = _fields(fields)
        sheet = self._sheet(start["sheetId"])
        for row, line in enumerate(rows, start.get("rowIndex", 0) + 1):
            for column, cell in enumerate(line.get("values", []), start.get("columnIndex", 0) + 1):
                if row > sheet.rows or column > sheet.columns:
                    raise _bad("Attempting to write beyond the grid")
                self._set_cell(sheet, (row, column), cell, names)

    def _set_cell(self, sheet: Sheet, place: tuple[int, int], cell: dict[str, Any], names: list[str]) -> None:
        if "userEnteredValue" in names:
            (value,) = list(cell.get("userEnteredValue", {"stringValue": ""}).items())
            sheet.cells.pop(place, None)
            if value[0] == "formulaValue":
                sheet.cells[place] = Formula(value[1])
            elif value[1] != "":
                sheet.cells[place] = value[1]
        if "pivotTable" in names:
            sheet.pivots.pop(place, None)
            if "pivotTable" in cell:
                self._check_pivot(cell["pivotTable"])
                # Perhaps Google keeps a source without a last row so; at worst it is what the grid has now.
                source = cell["pivotTable"]["source"]
                whole = {"endRowIndex": self._sheet(source["sheetId"]).rows, **source}
                sheet.pivots[place] = {**cell["pivotTable"], "source": whole}
        if "userEnteredFormat" in names and "userEnteredFormat" in cell:
            row, column = place
            area = {"sheetId": sheet.sheet_id, "startRowIndex": row - 1, "endRowIndex": row}
            area |= {"startColumnIndex": column - 1, "endColumnIndex": column}
            sheet.formats.append((area, cell["userEnteredFormat"]))
        for run in cell.get("textFormatRuns", []):
            if run.get("startIndex", 0) >= len(str(sheet.cells.get(place, "")).encode("utf-16-le")) // 2:
                raise _bad("textFormatRuns: startIndex must be within the text")

    def _check_pivot(self, pivot: dict[str, Any]) -> None:
        source = self._inside(pivot["source"])
        left = pivot["source"].get("startColumnIndex", 0)
        width = pivot["source"].get("endColumnIndex", source.columns) - left
        groups = [*pivot.get("rows", []), *pivot.get("columns", []), *pivot["values"]]
        offsets = [each["sourceColumnOffset"] for each in groups]
        offsets += [each["columnOffsetIndex"] for each in pivot.get("filterSpecs", [])]
        if any(not 0 <= each < width for each in offsets):
            raise _bad("Invalid pivot table: a column offset is outside of the source range")
        if any(each["summarizeFunction"] not in _FUNCTIONS for each in pivot["values"]):
            raise _bad("Invalid summarizeFunction")

    # protection, colours, charts

    def _add_protected_range(self, protectedRange: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - Google's name
        sheet = self._inside(protectedRange["range"])
        if protectedRange.get("warningOnly") and protectedRange.get("editors"):
            raise _bad("Editors are not supported with warning only protection")
        if any(_overlap(protectedRange["range"], each["range"]) for each in sheet.protected):
            raise _bad("the range overlaps one that is protected")
        made = {**protectedRange, "protectedRangeId": next(_ids)}
        users = protectedRange.get("editors", {}).get("users", [])
        if not made.get("warningOnly") and self._me not in users:
            made["editors"] = {**made.get("editors", {}), "users": [*users, self._me]}
        sheet.protected.append(made)
        return {"protectedRange": made}

    def _delete_protected_range(self, protectedRangeId: int) -> None:  # noqa: N803 - Google's name
        for sheet in self.sheets.values():
            for each in sheet.protected:
                if each["protectedRangeId"] == protectedRangeId:
                    sheet.protected.remove(each)
                    return
        raise _bad(f"No protected range with id {protectedRangeId}")

    def _add_conditional_format_rule(self, rule: dict[str, Any], index: int) -> None:
        sheets = [self._inside(each) for each in rule["ranges"]]
        if any(sheet is not sheets[0] for sheet in sheets):
            raise _bad("all ranges of a rule must be on one sheet")
        condition = rule["booleanRule"]["condition"]
        if condition["type"] == "TEXT_EQ" and len(condition["values"]) != 1:
            raise _bad("TEXT_EQ wants one value")
        if index > len(sheets[0].rules):
            raise _bad("index is too high")
        sheets[0].rules.insert(index, rule)

    def _set_data_validation(self, range: dict[str, Any], rule: dict[str, Any]) -> None:  # noqa: A002 - Google's name
        self._inside(range).validations.append((range, rule))

    def _add_chart(self, chart: dict[str, Any]) -> dict[str, Any]:
        basic = chart["spec"]["basicChart"]
        if basic["chartType"] not in _CHART_KINDS:
            raise _bad(f"Invalid chartType {basic['chartType']}")
        sources = [*basic["domains"][0]["domain"]["sourceRange"]["sources"]]
        for series in basic["series"]:
            sources += series["series"]["sourceRange"]["sources"]
        for source in sources:
            self._inside(source)
            if source["endColumnIndex"] - source["startColumnIndex"] != 1:
                raise _bad("a series is one column")
        anchor = chart["position"]["overlayPosition"]["anchorCell"]
        made = {**chart, "chartId": next(_ids)}
        self._sheet(anchor["sheetId"]).charts.append(made)
        return {"chart": made}

    def _delete_embedded_object(self, objectId: int) -> None:  # noqa: N803 - Google's name
        for sheet in self.sheets.values():
            for each in sheet.charts:
                if each["chartId"] == objectId:
                    sheet.charts.remove(each)
                    return
        raise _bad(f"No embedded object with id {objectId}")

    # what is checked

    def _sheet(self, sheet_id: int) -> Sheet:
        for sheet in self.sheets.values():
            if sheet.sheet_id == sheet_id:
                return sheet
        raise _bad(f"No sheet with id: {sheet_id}")

    def _inside(self, area: dict[str, Any]) -> Sheet:
        sheet = self._sheet(area["sheetId"])
        for name, size in (("Row", sheet.rows), ("Column", sheet.columns)):
            start, end = area.get(f"start{name}Index", 0), area.get(f"end{name}Index", size)
            if not 0 <= start < end <= size:
                raise _bad(f"range {area} is not within the grid of {sheet.rows} x {sheet.columns}")
        return sheet

    def _check_size(self) -> None:
        if sum(sheet.rows * sheet.columns for sheet in self.sheets.values()) > MOST_CELLS:
            raise _bad(
                "This action would increase the number of cells in the workbook above the limit of 10000000 cells."
            )


def clone(sheet: Sheet) -> Sheet:
    """A copy whose cells and lists are its own."""
    made = copy.copy(sheet)
    for name, value in vars(sheet).items():
        if isinstance(value, dict | list):
            setattr(made, name, copy.copy(value))
    return made


def pivot_lines(sheets: dict[str, Sheet], pivot: dict[str, Any]) -> list[list[Any]]:
    """What a pivot table with one group of rows, one of columns and one counted value shows."""
    source = next(sheet for sheet in sheets.values() if sheet.sheet_id == pivot["source"]["sheetId"])
    left = pivot["source"].get("startColumnIndex", 0)
    rows, columns = pivot["rows"][0]["sourceColumnOffset"], pivot["columns"][0]["sourceColumnOffset"]
    wanted = [each["columnOffsetIndex"] for each in pivot.get("filterSpecs", [])]
    counts: dict[tuple[str, str], int] = {}
    bottom = pivot["source"].get("endRowIndex", source.rows)
    for line in source.lines()[1:bottom]:
        cells = [*line[left:], *[""] * 50]
        if all(cells[each] != "" for each in wanted):
            key = (str(cells[rows]), str(cells[columns]))
            counts[key] = counts.get(key, 0) + 1
    across = sorted({column for _, column in counts})
    share = pivot["values"][0].get("calculatedDisplayType") == "PERCENT_OF_ROW_TOTAL"
    found: list[list[Any]] = [["", *across]]
    for row in sorted({row for row, _ in counts}):
        line_ = [counts.get((row, column), 0) for column in across]
        found.append([row, *([each / sum(line_) for each in line_] if share else line_)])
    return found


def _moved(rule: dict[str, Any], start: int, length: int) -> dict[str, Any]:
    """A rule after ``length`` columns were inserted before ``start``: what begins there, or later, moves."""
    ranges = []
    for area in rule["ranges"]:
        sides = {
            name: area[name] + length
            for name, limit in (("startColumnIndex", start), ("endColumnIndex", start + 1))
            if area.get(name, 0) >= limit
        }
        ranges.append({**area, **sides})
    return {**rule, "ranges": ranges}


def _fields(text: str) -> list[str]:
    """``a,b(c,d)`` as ``a``, ``b.c``, ``b.d``."""
    if not text:
        raise _bad("fields: at least one field must be listed")
    found, prefix, word = [], "", ""
    for letter in f"{text},":
        if letter == "(":
            prefix, word = f"{word}.", ""
        elif letter in ",)":
            if word:
                found.append(prefix + word)
            word = ""
            prefix = "" if letter == ")" else prefix
        else:
            word += letter
    return found


def _span(area: dict[str, Any], sheet: Sheet) -> range:
    size = sheet.columns if area["dimension"] == "COLUMNS" else sheet.rows
    if not 0 <= area["startIndex"] < area.get("endIndex", size) <= size:
        raise _bad("range is not within the grid")
    return range(area["startIndex"], area.get("endIndex", size))


def _overlap(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return all(
        one.get(f"start{name}Index", 0) < two.get(f"end{name}Index", 10**9)
        and two.get(f"start{name}Index", 0) < one.get(f"end{name}Index", 10**9)
        for name in ("Row", "Column")
    )


def _bad(message: str) -> ApiError:
    return ApiError(400, "INVALID_ARGUMENT", f"Invalid requests: {message}")
