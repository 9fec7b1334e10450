"""Who agreed to be recognised: consents that were recorded, and those that were withdrawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from optimind.storage.audit import Said, append
from optimind.storage.database import Database
from optimind.storage.privacy_tables import StoredConsent
from optimind.storage.text import storable

__all__ = ["Consent", "Consents", "NewConsent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConsent:
    """Of whom, from which day on, and who signed it."""

    person_id: str
    given_on: date
    given_by: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent(NewConsent):
    """One that was recorded: by whom and when, and when it was withdrawn (None: it counts)."""

    recorded_by: str
    recorded_at: datetime
    withdrawn_at: datetime | None = None

    def counts_on(self, day: date) -> bool:
        """Whether the person may be recognised by it on ``day``."""
        return self.withdrawn_at is None and self.given_on <= day


class Consents:
    """Every method is one transaction; raises :class:`StorageError` when it fails."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def give(self, consents: Sequence[NewConsent], *, actor: str) -> None:
        """Record ``consents``, with a line in the audit log for each; ``actor`` is who records them."""
        now = self._clock()
        rows = [
            StoredConsent(
                person_id=storable(each.person_id),
                given_on=each.given_on,
                given_by=storable(each.given_by),
                recorded_by=storable(actor),
                recorded_at=now,
                note=storable(each.note),
            )
            for each in consents
        ]
        with self._database.writing() as session:
            session.add_all(rows)
            append(session, now, [_said(each, "consent given", actor) for each in rows])

    def withdraw(self, person_id: str, *, actor: str) -> int:
        """Withdraw all consents of a person that count; return how many those are."""
        now = self._clock()
        query = select(StoredConsent).where(
            StoredConsent.person_id == storable(person_id), StoredConsent.withdrawn_at.is_(None)
        )
        with self._database.writing() as session:
            rows = list(session.scalars(query))
            for each in rows:
                each.withdrawn_at = now
            append(session, now, [_said(each, "consent withdrawn", actor) for each in rows])
        return len(rows)

    def all(self) -> list[Consent]:
        """Every consent, also those that were withdrawn, in the order in which they were recorded."""
        with self._database.reading() as session:
            return [
                Consent(
                    person_id=each.person_id,
                    given_on=each.given_on,
                    given_by=each.given_by,
                    note=each.note,
                    recorded_by=each.recorded_by,
                    recorded_at=each.recorded_at,
                    withdrawn_at=each.withdrawn_at,
                )
                for each in session.scalars(select(StoredConsent).order_by(StoredConsent.consent_id))
            ]

    def consenting(self, day: date) -> frozenset[str]:
        """The ids of those of whom a consent counts on ``day``."""
        query = select(StoredConsent.person_id).where(
            StoredConsent.withdrawn_at.is_(None), StoredConsent.given_on <= day
        )
        with self._database.reading() as session:
            return frozenset(session.scalars(query))


def _said(consent: StoredConsent, action: str, actor: str) -> Said:
    detail = {"given_on": consent.given_on.isoformat(), "given_by": consent.given_by, "note": consent.note}
    return Said(actor=storable(actor), action=action, person_id=consent.person_id, detail=detail)
