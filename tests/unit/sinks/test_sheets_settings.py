from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from optimind.sinks.sheets import SheetsSettings, SheetsSink

ID = "1AbC-dEf_0123456789"


def make_settings(**changes: object) -> SheetsSettings:
    return SheetsSettings.model_validate({"spreadsheet": ID, "credentials": {"env": "SHEETS_KEY"}, **changes})


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f" {ID} ",
        f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=0",
        f"https://docs.google.com/spreadsheets/d/{ID}",
        f"https://docs.google.com/spreadsheets/u/1/d/{ID}/edit?usp=sharing",
    ],
)
def test_an_id_or_an_address_names_the_spreadsheet(text: str) -> None:
    assert make_settings(spreadsheet=text).spreadsheet == ID


@pytest.mark.parametrize(
    "changes",
    [
        {"spreadsheet": ""},
        {"spreadsheet": "my register"},
        {"spreadsheet": "https://docs.google.com/document/d/123/edit"},
        {"spreadsheet": "../../etc"},
        {"endpoint": "sheets.googleapis.com"},
        {"endpoint": "ftp://x"},
        {"endpoint": "https://x?y=1"},
        {"worksheet": ""},
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"credentials": "the key itself"},
        {"unknown": 1},
        {"worksheet": "summary"},
        {"quota": {"reads_per_minute": 5}},
        {"quota": {"writes_per_minute": 100_001}},
        {"quota": {"per_minute": 60}},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make_settings(**changes)


def test_the_defaults_are_google() -> None:
    settings = make_settings()
    assert (settings.endpoint, settings.worksheet) == ("https://sheets.googleapis.com", "Log")
    assert (settings.quota.reads_per_minute, settings.quota.writes_per_minute) == (60, 60)


def test_closing_what_was_never_used_is_fine() -> None:
    sink = SheetsSink.create(make_settings())
    sink.deliver([])
    sink.close()
    sink.close()


def test_the_slow_libraries_are_loaded_only_to_deliver() -> None:
    slow = ("gspread", "google.auth", "requests")
    code = f"import sys, optimind.sinks.sheets; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
