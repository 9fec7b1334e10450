"""Whom a correction means where there is no timetable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ledger_marks import make_mark, url_of
from school_person import ANNA, BO, NAMES, gallery_of

from optimind.app.corrections import find_record
from optimind.config import Config, load_config
from optimind.core.events import AttendanceStatus
from optimind.errors import UsageError
from optimind.gallery import save_gallery
from optimind.storage import Correction, Ledger, Unseen, open_ledger


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "gallery.pickle"
    save_gallery(path, gallery_of(path))
    (tmp_path / "config.yaml").write_text(f"gallery: {path}\n")
    return load_config(tmp_path / "config.yaml")


def test_who_was_not_seen_on_a_day_on_which_others_were_can_be_corrected(config: Config, tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        others = make_mark(BO)
        ledger.record(others)
        meant = find_record(config, ledger, ANNA, others.date, None)
        assert isinstance(meant, Unseen)
        assert (meant.person_id, meant.name, meant.meeting.session) == (ANNA, NAMES[ANNA], others.session)
        said = Correction(record_id=meant.record_id, status=AttendanceStatus.EXCUSED, actor="a", why="dentist")
        ledger.correct([said], unseen=[meant])
        assert status_of(ledger, ANNA) == ("excused", "corrected")
        theirs = replace(others.sighting, person_id=ANNA, sighting_id="later")
        ledger.record(replace(others, sighting=theirs))
        assert status_of(ledger, ANNA) == ("excused", "corrected")
        ledger.withdraw(meant.record_id, actor="a")
        assert status_of(ledger, ANNA) == ("present", "seen")


def test_of_a_day_on_which_nobody_was_seen_nothing_is_known(config: Config, tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        with pytest.raises(UsageError, match="no session was held"):
            find_record(config, ledger, ANNA, make_mark(BO).date, None)
        ledger.record(make_mark(BO))
        with pytest.raises(UsageError, match="nobody called 'Zed'"):
            find_record(config, ledger, "Zed", make_mark(BO).date, None)


def status_of(ledger: Ledger, person_id: str) -> tuple[str, str]:
    return next((row.status, row.rule) for row in ledger.register() if row.person_id == person_id)
