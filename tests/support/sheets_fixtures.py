"""The Sheets sink on a server of its own, for tests that name this module in ``pytest_plugins``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sheets_server import SheetsServer

from optimind.sinks.sheets import SheetsSettings, SheetsSink


@pytest.fixture
def server() -> Iterator[SheetsServer]:
    with SheetsServer() as running:
        yield running


@pytest.fixture
def make_sink(
    server: SheetsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., SheetsSink]]:
    monkeypatch.setattr("optimind.sinks._sheets_worksheet._SETTLE_S", 0.0)
    made: list[SheetsSink] = []
    key = server.write_key(tmp_path)

    def make(**changes: Any) -> SheetsSink:
        settings = {
            "spreadsheet": server.spreadsheet,
            "credentials": {"file": key},
            "endpoint": server.url,
            "timeout_s": 2.0,
            "quota": {"reads_per_minute": 100_000, "writes_per_minute": 100_000, "folder": tmp_path / "quota"},
            **changes,
        }
        made.append(SheetsSink.create(SheetsSettings.model_validate(settings)))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def sink(make_sink: Callable[..., SheetsSink]) -> SheetsSink:
    return make_sink()
