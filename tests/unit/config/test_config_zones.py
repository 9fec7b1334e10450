"""The machine's time zone, however it is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from optimind.config import Config
from optimind.config.zones import local_zone, zone_of

SUMMER_AT = datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("environ", "timezone", "link", "key"),
    [
        ({"TZ": "Asia/Tokyo"}, "Europe/Rome", "Europe/Paris", "Asia/Tokyo"),
        ({"TZ": ":Asia/Tokyo"}, None, None, "Asia/Tokyo"),
        ({"TZ": ":/usr/share/zoneinfo/Asia/Tokyo"}, None, None, "Asia/Tokyo"),
        ({"TZ": ""}, "Europe/Rome", None, "UTC"),
        ({"TZ": "CET-1CEST"}, "Europe/Rome", None, "Europe/Rome"),
        ({}, "Europe/Rome\n", "Europe/Paris", "Europe/Rome"),
        ({}, "nonsense", "Europe/Paris", "Europe/Paris"),
        ({}, None, "Europe/Paris", "Europe/Paris"),
        ({}, "", "nonsense", "UTC"),
        ({}, None, None, "UTC"),
    ],
)
def test_local(environ: dict[str, str], timezone: str | None, link: str | None, key: str, tmp_path: Path) -> None:
    if timezone is not None:
        (tmp_path / "timezone").write_text(timezone)
    if link is not None:
        (tmp_path / "localtime").symlink_to(f"../usr/share/zoneinfo/{link}")
    assert local_zone(environ, tmp_path).key == key


def test_a_copied_zone_file_has_no_name_but_the_right_time(tmp_path: Path) -> None:
    (tmp_path / "localtime").write_bytes(files("tzdata").joinpath("zoneinfo/Asia/Tokyo").read_bytes())
    assert SUMMER_AT.astimezone(local_zone({}, tmp_path)).utcoffset() == timedelta(hours=9)


def test_a_damaged_zone_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_bytes(b"\xff")
    (tmp_path / "localtime").write_bytes(b"TZif")
    assert local_zone({}, tmp_path).key == "UTC"


@pytest.mark.parametrize("name", ["", "..", "/etc/passwd", "Europe", "a\0", "\ud800", "x" * 5000, "Mars/Base"])
def test_no_zone(name: str) -> None:
    assert zone_of(name) is None


def test_the_settings_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert Config(timezone="America/Lima").zone().key == "America/Lima"
    assert Config().zone().key == "Asia/Tokyo"
