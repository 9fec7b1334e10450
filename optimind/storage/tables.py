"""The ledger's tables.

``records`` is what a register shows: one row a person, session and date. ``sightings`` is the evidence, the newest
state of each. ``outbox`` says, for each sink, which version of a record it must get and which it has.

``visitors`` are people whom nobody enrolled, where they are kept: ``visits`` are their tracks, ``visitor_shots`` the
best pictures of them. Nothing in these three refers to the register, and nothing in the register to them.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from optimind.core.types import require_aware

__all__ = [
    "Base",
    "OutboxEntry",
    "Record",
    "SinkTarget",
    "StoredShot",
    "StoredSighting",
    "StoredVisit",
    "StoredVisitor",
    "UtcDateTime",
]


MOST_PICTURE_BYTES = 2**24 - 1
"""With a length, for MariaDB's plain BLOB ends at 64 kB."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC without its zone; a naive one is refused with ``ValueError``."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn an aware moment into UTC without a zone."""
        return None if value is None else require_aware(value, "a stored time").astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give the zone back: UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """All tables of the ledger."""

    type_annotation_map = {datetime: UtcDateTime, date: Date, float: Float(53), int: Integer, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's own name and form


class Record(Base):
    """One person in one session on one date. Who was never seen has no times and no similarity.

    ``class_id`` and ``session_id`` are empty, and ``starts_at`` is None, where the session is in no timetable. ``rule``
    and ``reason`` say why the status is what it is, ``embedder`` by whose vectors the person was known.
    """

    __tablename__ = "records"
    __table_args__ = (UniqueConstraint("date", "session", "person_id", name="uq_records_key"),)

    record_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    date: Mapped[date]
    session: Mapped[str] = mapped_column(String(255))
    person_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(32))
    first_seen_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    seconds_seen: Mapped[float]
    camera: Mapped[str] = mapped_column(Text)
    similarity: Mapped[float | None]
    margin: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    session_id: Mapped[str] = mapped_column(String(40), default="", server_default="", index=True)
    class_id: Mapped[str] = mapped_column(String(64), default="", server_default="")
    starts_at: Mapped[datetime | None] = mapped_column(default=None)
    rule: Mapped[str] = mapped_column(String(32), default="", server_default="")
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    embedder: Mapped[str] = mapped_column(Text, default="", server_default="")


class StoredSighting(Base):
    """The newest state of a sighting, as evidence for a record.

    The key is the pair: a face that stays in view while one lesson ends and the next begins is one sighting, and
    evidence for both records.
    """

    __tablename__ = "sightings"

    sighting_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    record_id: Mapped[str] = mapped_column(
        ForeignKey("records.record_id", ondelete="CASCADE", name="fk_sightings_record"), primary_key=True, index=True
    )
    camera: Mapped[str] = mapped_column(Text)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    similarity: Mapped[float]
    margin: Mapped[float]
    samples: Mapped[int]
    embedder: Mapped[str] = mapped_column(Text)
    suspicion: Mapped[str] = mapped_column(Text, default="", server_default="")
    kind: Mapped[str] = mapped_column(String(8), default="seen", server_default="seen")


class OutboxEntry(Base):
    """What one sink must get of one record. It is pending while ``delivered_version < version``.

    ``pending_since`` is when the oldest change that the sink does not have was made. While ``dead_version`` is the
    newest one, the sink does not take it and nobody tries; since ``dead_at``. ``doubt`` says of how many deliveries
    (0, 1, or 2 for more) it is not known how they ended, and ``confirmed_version`` which version was found there when
    it was looked at once more.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("sink", "record_id", name="uq_outbox_sink_record"),
        Index("ix_outbox_due", "sink", "pending_since"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    sink: Mapped[str] = mapped_column(String(64))
    record_id: Mapped[str] = mapped_column(
        ForeignKey("records.record_id", ondelete="CASCADE", name="fk_outbox_record"), index=True
    )
    version: Mapped[int]
    delivered_version: Mapped[int] = mapped_column(default=0)
    pending_since: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text, default=None)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
    dead_version: Mapped[int] = mapped_column(default=0, server_default="0")
    dead_at: Mapped[datetime | None] = mapped_column(default=None)
    doubt: Mapped[int] = mapped_column(default=0, server_default="0")
    confirmed_version: Mapped[int] = mapped_column(default=0, server_default="0")


class SinkTarget(Base):
    """Where a sink writes to (a worksheet, for example) since when: what it got before is somewhere else."""

    __tablename__ = "sink_targets"

    sink: Mapped[str] = mapped_column(String(64), primary_key=True)
    target: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class StoredVisitor(Base):
    """Somebody whom nobody enrolled. ``version`` rises with every change; ``embedder`` made all of the vectors.

    ``kept_at`` is when something of them was kept last, by this machine's clock and not by the recording's. The days of
    keeping are counted by each visit and picture for itself.

    A number is never given twice: who writes one down must not meet somebody else under it later.
    """

    __tablename__ = "visitors"
    __table_args__ = (Index("ix_visitors_kept_at", "kept_at"), {"sqlite_autoincrement": True})

    visitor_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    embedder: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class StoredVisit(Base):
    """One track of a visitor. ``kept_at``: when it was kept, by this machine's clock; its days count from then."""

    __tablename__ = "visits"
    __table_args__ = (Index("ix_visits_last_seen_at", "last_seen_at"), Index("ix_visits_kept_at", "kept_at"))

    track_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    visitor_id: Mapped[int] = mapped_column(
        ForeignKey("visitors.visitor_id", ondelete="CASCADE", name="fk_visits_visitor"), index=True
    )
    camera: Mapped[str] = mapped_column(Text)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    kept_at: Mapped[datetime]


class StoredShot(Base):
    """One picture of a visitor: a JPEG, and its embedding as little-endian float64.

    ``taken_at`` is the recording's time, ``kept_at`` the same moment by this machine's clock; its days count from then.
    """

    __tablename__ = "visitor_shots"
    __table_args__ = (Index("ix_visitor_shots_kept_at", "kept_at"),)

    shot_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    visitor_id: Mapped[int] = mapped_column(
        ForeignKey("visitors.visitor_id", ondelete="CASCADE", name="fk_visitor_shots_visitor"), index=True
    )
    track_id: Mapped[str] = mapped_column(String(128), index=True)
    camera: Mapped[str] = mapped_column(Text)
    taken_at: Mapped[datetime]
    kept_at: Mapped[datetime]
    quality: Mapped[float]
    face_px: Mapped[float]
    vector: Mapped[bytes]
    picture: Mapped[bytes] = mapped_column(LargeBinary(MOST_PICTURE_BYTES))
