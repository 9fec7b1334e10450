"""A process of its own that keeps marks in a ledger and delivers them to a sheet, until it is done or killed.

``python delivering_child.py LEDGER KEY SPREADSHEET ENDPOINT MARKS FIRST``: it prints each mark's number, from FIRST on,
on a line of its own once the mark is in the ledger. With MARKS 0 it only delivers what is pending.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ledger_marks import make_mark, url_of

from optimind.pipeline.delivery import DeliveryWorker
from optimind.sinks import _sheets_worksheet
from optimind.sinks.sheets import SheetsSettings, SheetsSink
from optimind.storage import open_ledger


def main(arguments: list[str]) -> int:
    ledger_file, key, spreadsheet, endpoint = arguments[:4]
    marks, first = map(int, arguments[4:])
    _sheets_worksheet._SETTLE_S = 0.0
    settings = {"spreadsheet": spreadsheet, "credentials": {"file": key}, "endpoint": endpoint}
    many = {"reads_per_minute": 100_000, "writes_per_minute": 100_000, "folder": str(Path(ledger_file).parent)}
    settings["quota"] = many
    with open_ledger(url_of(Path(ledger_file))) as ledger:
        sink = SheetsSink.create(SheetsSettings.model_validate(settings))
        worker = DeliveryWorker(ledger, sink, interval_s=0.02, first_pause_s=0.02, longest_pause_s=0.1)
        worker.start()
        for number in range(first, first + marks):
            ledger.record(make_mark(str(number % 20), sighting=f"s{number}", last_s=10 + number), ["sheets"])
            print(number, flush=True)
            time.sleep(0.005)
        done = worker.flush(20)
        worker.stop()
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
