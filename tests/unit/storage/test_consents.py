from __future__ import annotations

from datetime import date
from pathlib import Path

from ledger_marks import url_of

from optimind.storage import Ledger, NewConsent, open_ledger

DAY = date(2026, 9, 1)


def consent(person: str, day: date = DAY, note: str = "") -> NewConsent:
    return NewConsent(person_id=person, given_on=day, given_by=f"parent of {person}", note=note)


def actions(ledger: Ledger) -> list[tuple[str, str | None, str]]:
    return [(line.action, line.person_id, line.actor) for line in ledger.audit.lines()]


def test_a_consent_counts_from_its_day_until_it_is_withdrawn(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        ledger.consents.give([consent("1"), consent("2", date(2026, 9, 5), "paper 17")], actor="office")
        assert ledger.consents.consenting(date(2026, 8, 31)) == frozenset()
        assert ledger.consents.consenting(DAY) == {"1"}
        assert ledger.consents.consenting(date(2026, 9, 5)) == {"1", "2"}
        assert ledger.consents.withdraw("1", actor="head") == 1
        assert ledger.consents.withdraw("1", actor="head") == 0
        assert ledger.consents.withdraw("9", actor="head") == 0
        assert ledger.consents.consenting(date(2026, 9, 5)) == {"2"}
        ledger.consents.give([consent("1", date(2026, 9, 2))], actor="office")
        assert ledger.consents.consenting(date(2026, 9, 5)) == {"1", "2"}
        kept = ledger.consents.all()
        assert [(c.person_id, c.given_by, c.recorded_by, c.note, c.withdrawn_at is None) for c in kept] == [
            ("1", "parent of 1", "office", "", False),
            ("2", "parent of 2", "office", "paper 17", True),
            ("1", "parent of 1", "office", "", True),
        ]
        assert actions(ledger) == [
            ("consent given", "1", "office"),
            ("consent given", "2", "office"),
            ("consent withdrawn", "1", "head"),
            ("consent given", "1", "office"),
        ]
        assert ledger.audit.lines()[1].detail == {
            "given_on": "2026-09-05",
            "given_by": "parent of 2",
            "note": "paper 17",
        }
        assert ledger.audit.verify().fault is None
