"""A class's month on paper: one HTML file with nothing outside of it, for a browser to show, print or save as PDF.

A4 on its side. Long lists go on on further pages with the header repeated; many meetings are split into several tables.
Every text from outside is escaped, and each name is written in its own direction.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from optimind.exports.month import LETTERS, MeetingColumn, MonthRegister, PersonLine, totals_of
from optimind.exports.texts import visible
from optimind.plugin_api import AttendanceStatus, RecordRow

__all__ = ["month_page"]

_COLUMNS_A_PAGE = 26
_CLASSES = {status: str(status).replace("_", "-") for status in LETTERS}
_WORDS = {status: str(status).replace("_", " ") for status in LETTERS}
# Told apart without colour as well: by the letter, its weight, and how dark the cell is.
_STYLE = """
@page { size: A4 landscape; margin: 9mm }
* { box-sizing: border-box }
body { font: 9pt/1.25 "Noto Sans", "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans CJK SC", "Noto Sans Arabic",
  sans-serif; color: #111; margin: 6mm; -webkit-print-color-adjust: exact; print-color-adjust: exact }
thead th.title { font-size: 13pt; text-align: start; background: none; border: 0; padding: 0 0 1mm }
th.title small { font-weight: normal; font-size: 12pt; color: #444 }
table { border-collapse: collapse; margin: 0 0 3mm }
thead { display: table-header-group }
tr { break-inside: avoid }
table + table { break-before: page }
th, td { border: .2mm solid #777; padding: 0; text-align: center; height: 4.5mm; font-variant-numeric: tabular-nums }
thead th { background: #eee; font-size: 7pt; font-weight: 600; line-height: 1.2; padding: .3mm 0 }
thead th b { display: block; font-size: 9pt }
th.name { width: 52mm; max-width: 52mm; text-align: start; padding: 0 1mm; font-weight: normal; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis }
thead th.name { font-weight: 600 }
td.cell, th.meeting { width: 6.9mm; min-width: 6.9mm }
td.sum, th.sum { width: 6mm; min-width: 6mm; background: #f6f6f6 }
td.rate, th.rate { width: 11mm; min-width: 11mm; background: #f6f6f6; font-weight: 600 }
td.cell { font-weight: 600 }
tfoot td, tfoot th { font-size: 7pt; height: 3.8mm; border-color: #aaa }
.present { background: #e3f4e1; color: #1c5e20 }
.late { background: #fff1b8; color: #6b4e00; text-decoration: underline }
.left-early { background: #ffd9a8; color: #7a3d00; font-style: italic }
.absent { background: #8e1b1b; color: #fff }
.excused { background: #d6e6fb; color: #123f7a }
.needs-review { background: #fff; color: #000; outline: .5mm dashed #000; outline-offset: -.7mm }
.legend { display: flex; gap: 5mm; flex-wrap: wrap; font-size: 8pt; margin: 0 0 1mm; padding: 0; list-style: none }
.legend b { display: inline-block; width: 6mm; text-align: center; border: .2mm solid #777; margin-inline-end: 1mm }
p { font-size: 8pt; color: #444; margin: 0 }
@media print { body { margin: 0 } }
"""


def month_page(register: MonthRegister, *, printed_by: str, printed_at: datetime) -> str:
    """Return the page. ``printed_at`` is a time where the clocks of the register stand."""
    title = escape(visible(register.title))
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}, {register.month:%B %Y}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    foot = (
        f"{_legend()}<p>Rate: meetings in which somebody was there, of those that count; excused and open ones do not. "
        f"Printed {printed_at:%Y-%m-%d %H:%M} ({escape(printed_at.tzname() or '')}) by "
        f'<bdi dir="auto">{escape(visible(printed_by))}</bdi>.</p>\n</body>\n</html>\n'
    )
    return head + "".join(_tables(register)) + foot


def _tables(register: MonthRegister) -> Iterator[str]:
    if not register.lines:
        yield "<p>There is no record.</p>\n"
        return
    shown = Counter(_shown(line) for line in register.lines)
    starts = list(range(0, len(register.columns), _COLUMNS_A_PAGE)) or [0]
    for start in starts:
        places = range(start, min(start + _COLUMNS_A_PAGE, len(register.columns)))
        columns = [register.columns[place] for place in places]
        is_last = start == starts[-1]
        lines = "".join(
            _line(line, places, with_totals=is_last, with_id=shown[_shown(line)] > 1) for line in register.lines
        )
        yield (
            f"<table>\n<thead>{_title(register)}{_header(columns, with_totals=is_last)}</thead>\n"
            f"<tbody>\n{lines}</tbody>\n<tfoot>{_sums(register, places, with_totals=is_last)}</tfoot>\n</table>\n"
        )


def _title(register: MonthRegister) -> str:
    """The first row of each page's header."""
    title, most = escape(visible(register.title)), _COLUMNS_A_PAGE + len(LETTERS) + 2
    return (
        f'<tr><th class="title" colspan="{most}"><bdi dir="auto">{title}</bdi> '
        f"<small>{register.month:%B %Y}</small></th></tr>"
    )


def _header(columns: Sequence[MeetingColumn], *, with_totals: bool) -> str:
    cells = ['<th class="name" scope="col">Name</th>']
    for column in columns:
        start = "" if column.starts_at is None else f"{column.starts_at:%H:%M}"
        told = escape(visible(column.session), quote=True)
        cells.append(
            f'<th class="meeting" scope="col" title="{told}">{column.date:%a}<b>{column.date.day}</b>{start}</th>'
        )
    if with_totals:
        cells += [
            f'<th class="sum" scope="col" title="{_WORDS[status]}">{letter}</th>' for status, letter in LETTERS.items()
        ]
        cells.append('<th class="rate" scope="col">Rate</th>')
    return f"<tr>{''.join(cells)}</tr>"


def _shown(line: PersonLine) -> str:
    return visible(line.name) or visible(line.person_id)


def _line(line: PersonLine, places: range, *, with_totals: bool, with_id: bool) -> str:
    """``with_id``: there is somebody else of that name, and on paper nothing else tells who is who."""
    person = escape(visible(line.person_id), quote=True)
    name = escape(_shown(line), quote=True)
    if with_id:
        name += f" <small><bdi>{person}</bdi></small>"
    cells = [f'<th class="name" scope="row" dir="auto" title="{person}">{name}</th>']
    cells += [_cell(line.cells[place]) for place in places]
    if with_totals:
        cells += [f'<td class="sum">{count or ""}</td>' for count in line.totals.values()]
        cells.append(f'<td class="rate">{"" if line.rate is None else f"{line.rate:.0%}"}</td>')
    return f"<tr>{''.join(cells)}</tr>\n"


def _cell(record: RecordRow | None) -> str:
    if record is None:
        return '<td class="cell"></td>'
    status = AttendanceStatus(record.status)
    return f'<td class="cell {_CLASSES[status]}" title="{_WORDS[status]}">{LETTERS[status]}</td>'


def _sums(register: MonthRegister, places: range, *, with_totals: bool) -> str:
    """Below each meeting: how many were there, and how many were not."""
    rows = []
    came = (AttendanceStatus.PRESENT, AttendanceStatus.LATE, AttendanceStatus.LEFT_EARLY)
    for words, statuses in (("there", came), ("absent", (AttendanceStatus.ABSENT,))):
        counts = [sum(totals_of(register.lines, place)[status] for status in statuses) for place in places]
        cells = "".join(f"<td>{count}</td>" for count in counts)
        rest = f'<td colspan="{len(LETTERS) + 1}"></td>' if with_totals else ""
        rows.append(f'<tr><th class="name" scope="row">{words}</th>{cells}{rest}</tr>')
    return "".join(rows)


def _legend() -> str:
    items = [
        f'<li><b class="{_CLASSES[status]}">{letter}</b>{_WORDS[status]}</li>' for status, letter in LETTERS.items()
    ]
    return f'<ul class="legend">{"".join(items)}<li><b>&nbsp;</b>no record</li></ul>\n'
