"""The tables of privacy: who agreed to be recognised, and which records the sinks must still forget."""

from datetime import date, datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from optimind.storage.tables import Base

__all__ = ["ForgottenRecord", "StoredConsent"]


class StoredConsent(Base):
    """A consent to be recognised, of ``given_on``, signed by ``given_by``. It counts until it is withdrawn."""

    __tablename__ = "consents"

    consent_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    person_id: Mapped[str] = mapped_column(String(255), index=True)
    given_on: Mapped[date]
    given_by: Mapped[str] = mapped_column(Text)
    recorded_by: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(Text, default="")
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)


class ForgottenRecord(Base):
    """A record that is no more and that ``sink`` must still forget. Nothing here says whose it was."""

    __tablename__ = "forgotten"

    sink: Mapped[str] = mapped_column(String(64), primary_key=True)
    record_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    noted_at: Mapped[datetime]
