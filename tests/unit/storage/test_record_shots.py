"""The best picture of each record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of

from optimind.storage import KeptPortrait, Ledger

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> list[datetime]:
    return [NOW]


@pytest.fixture
def ledger(tmp_path: Path, clock: list[datetime]) -> Iterator[Ledger]:
    with Ledger(url_of(tmp_path / "l.db"), clock=lambda: clock[0]) as opened:
        yield opened


def portrait(record_id: str, quality: float) -> KeptPortrait:
    data = f"jpeg {quality}".encode()
    return KeptPortrait(record_id=record_id, camera="c1", taken_at=NOW, quality=quality, face_px=80.0, picture=data)


def test_the_better_picture_stays(ledger: Ledger) -> None:
    key = ledger.record(make_mark()).record_id
    assert ledger.shots.of(key) is None
    kept = [ledger.shots.keep(portrait(key, quality)) for quality in (0.7, 0.6, 0.9, 0.9)]
    assert kept == [True, False, True, False]
    assert ledger.shots.of(key) == portrait(key, 0.9)


def test_a_picture_without_its_record_is_not_kept(ledger: Ledger) -> None:
    assert not ledger.shots.keep(portrait("r0", 0.9))
    assert ledger.shots.of("r0") is None


def test_pictures_go_after_their_days(ledger: Ledger, clock: list[datetime], tmp_path: Path) -> None:
    first, second = (ledger.record(make_mark(person)).record_id for person in ("1", "2"))
    ledger.shots.keep(replace(portrait(first, 0.9), picture=b"a face that is to be forgotten"))
    clock[0] += timedelta(days=10)
    ledger.shots.keep(portrait(second, 0.8))
    assert ledger.shots.sweep(NOW + timedelta(days=5)) == 1
    assert ledger.shots.sweep(NOW + timedelta(days=5)) == 0
    assert ledger.shots.of(first) is None
    assert ledger.shots.of(second) is not None
    assert all(b"to be forgotten" not in path.read_bytes() for path in tmp_path.iterdir())


def test_its_repr_shows_no_face() -> None:
    assert "jpeg" not in repr(portrait("r1", 0.9))
