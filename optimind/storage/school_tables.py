"""The tables of the school: what is held when, who belongs to it, and what people and rules made of what was seen.

``sessions`` are the meetings as they were held, with the rules that held then; ``members`` says who was on a class's
roster from when to when, ``excuses`` who may be away, ``watched`` when a camera gave pictures and how many faces it
saw. ``corrections`` are what people said of a record, which counts more than what was seen. ``shots`` are the best
picture of each record, kept for some days. ``audit`` is the log to which lines are added and in which none is ever
changed; of a person who is forgotten, what it said of them is taken out, and it can still be verified.
"""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from optimind.storage.tables import MOST_PICTURE_BYTES, Base

__all__ = [
    "AuditEntry",
    "RecordShot",
    "StoredCorrection",
    "StoredExcuse",
    "StoredMember",
    "StoredSession",
    "WatchedMinute",
]


class StoredSession(Base):
    """A meeting as it was held. ``closed_at``: when all of its class had been decided about; None until then.

    The rules' times are in seconds; None where a rule did not hold.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_open", "closed_at", "ends_at"),
        Index("ix_sessions_room", "room", "ends_at"),
    )

    session_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    date: Mapped[date]
    session: Mapped[str] = mapped_column(String(255))
    class_id: Mapped[str] = mapped_column(String(64), index=True)
    room: Mapped[str] = mapped_column(String(64))
    opens_at: Mapped[datetime]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    late_after_s: Mapped[float | None]
    absent_after_s: Mapped[float | None]
    leave_early_s: Mapped[float | None]
    by_hand: Mapped[bool] = mapped_column(default=False)
    closed_at: Mapped[datetime | None] = mapped_column(default=None)


class StoredMember(Base):
    """Somebody who is on a class's roster from ``first_day`` to ``last_day`` (None: no end is known)."""

    __tablename__ = "members"
    __table_args__ = (UniqueConstraint("class_id", "person_id", "first_day", name="uq_members"),)

    member_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    class_id: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[str] = mapped_column(String(255), index=True)
    name: Mapped[str] = mapped_column(Text)
    first_day: Mapped[date]
    last_day: Mapped[date | None]


class StoredExcuse(Base):
    """Why somebody may be away from ``first_day`` to ``last_day``; ``class_id`` empty: from all classes."""

    __tablename__ = "excuses"

    excuse_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    person_id: Mapped[str] = mapped_column(String(255), index=True)
    class_id: Mapped[str] = mapped_column(String(64), default="")
    first_day: Mapped[date]
    last_day: Mapped[date]
    why: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)


class StoredCorrection(Base):
    """What a person said of a record. The newest that is not withdrawn counts, whatever is seen later."""

    __tablename__ = "corrections"

    correction_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    record_id: Mapped[str] = mapped_column(
        ForeignKey("records.record_id", ondelete="CASCADE", name="fk_corrections_record"), index=True
    )
    status: Mapped[str] = mapped_column(String(32))
    why: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)


class WatchedMinute(Base):
    """One minute of one camera: for how many seconds it gave pictures, and the most faces that were in one of them.

    ``room`` is where the camera hung; ``named`` how many of those faces had a name.
    """

    __tablename__ = "watched"
    __table_args__ = (Index("ix_watched_room_minute", "room", "minute_at"),)

    camera: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute_at: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    room: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float]
    faces: Mapped[int]
    named: Mapped[int]


class RecordShot(Base):
    """The best picture of the person of a record: a JPEG of the face and what is around it."""

    __tablename__ = "shots"

    record_id: Mapped[str] = mapped_column(
        ForeignKey("records.record_id", ondelete="CASCADE", name="fk_shots_record"), primary_key=True
    )
    camera: Mapped[str] = mapped_column(Text)
    taken_at: Mapped[datetime]
    kept_at: Mapped[datetime] = mapped_column(index=True)
    quality: Mapped[float]
    face_px: Mapped[float]
    picture: Mapped[bytes] = mapped_column(LargeBinary(MOST_PICTURE_BYTES))


class AuditEntry(Base):
    """One line of the log. ``hash`` covers the line and the hash before it; see :mod:`optimind.storage.audit`.

    ``record_id``, ``person_id``, ``detail`` and ``salt`` are what is taken out when the person is forgotten; ``digest``
    stands for them in the chain.
    """

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(32))
    record_id: Mapped[str | None] = mapped_column(String(40), index=True)
    person_id: Mapped[str | None] = mapped_column(String(255), index=True)
    detail: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[str | None] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
