"""Importing this does once what the first use of a ledger and of the sink takes long for: whoever is forked has it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ledger_marks import make_mark, url_of

from optimind.sinks import _sheets_api, _sheets_worksheet
from optimind.storage import open_ledger

__all__ = ["LOADED"]

LOADED = (_sheets_api, _sheets_worksheet)

with tempfile.TemporaryDirectory() as folder, open_ledger(url_of(Path(folder) / "ledger.db")) as ledger:
    row = ledger.record(make_mark(), ["sheets"])
    ledger.outbox.due("sheets", 1)
    ledger.outbox.second_look.begin("sheets", [row.record_id])
    ledger.outbox.delivered("sheets", [(row.record_id, 1)], final=False)
