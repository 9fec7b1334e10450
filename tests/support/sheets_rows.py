"""Rows for the tests of the Sheets sink, and what stands in the sheet afterwards."""

from __future__ import annotations

from typing import Any

from sheets_server import SheetsServer

from optimind.testing.sinks import make_row


def names(server: SheetsServer, title: str = "Log") -> dict[str, str]:
    """The name in each row by record_id; a record that stands twice fails."""
    records = server.sheets[title].records()
    found = {str(record["record_id"]): str(record["name"]) for record in records}
    assert len(found) == len(records), f"doubled: {[record['record_id'] for record in records]}"
    return found


def rows(*ids: str, **changes: Any) -> list[Any]:
    return [make_row(each, name=f"Name {each}", **changes) for each in ids]


def expected(*ids: str) -> dict[str, str]:
    return {each: f"Name {each}" for each in ids}
