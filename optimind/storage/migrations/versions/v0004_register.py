"""The register of a school: sessions, rosters, excuses, corrections, evidence and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the records and add the tables."""
    _widen_records()
    op.add_column("sightings", sa.Column("kind", sa.String(8), nullable=False, server_default="seen"))
    _create_school()
    _create_evidence()
    _create_audit()


def _widen_records() -> None:
    with op.batch_alter_table("records") as records:
        for name in ("first_seen_at", "last_seen_at"):
            records.alter_column(name, existing_type=sa.DateTime(), nullable=True)
        for name in ("similarity", "margin"):
            records.alter_column(name, existing_type=sa.Float(53), nullable=True)
    op.add_column("records", sa.Column("session_id", sa.String(40), nullable=False, server_default=""))
    op.add_column("records", sa.Column("class_id", sa.String(64), nullable=False, server_default=""))
    op.add_column("records", sa.Column("starts_at", sa.DateTime(), nullable=True))
    op.add_column("records", sa.Column("rule", sa.String(32), nullable=False, server_default=""))
    op.add_column("records", sa.Column("reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("records", sa.Column("embedder", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_records_session_id", "records", ["session_id"])


def _create_school() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("session", sa.String(255), nullable=False),
        sa.Column("class_id", sa.String(64), nullable=False),
        sa.Column("room", sa.String(64), nullable=False),
        sa.Column("opens_at", sa.DateTime(), nullable=False),
        sa.Column("starts_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("late_after_s", sa.Float(53), nullable=True),
        sa.Column("absent_after_s", sa.Float(53), nullable=True),
        sa.Column("leave_early_s", sa.Float(53), nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("closed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_index("ix_sessions_open", "sessions", ["closed_at", "ends_at"])
    op.create_index("ix_sessions_class_id", "sessions", ["class_id"])
    op.create_table(
        "members",
        sa.Column("member_id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("class_id", sa.String(64), nullable=False),
        sa.Column("person_id", sa.String(255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("member_id"),
        sa.UniqueConstraint("class_id", "person_id", "first_day", name="uq_members"),
    )
    op.create_index("ix_members_person_id", "members", ["person_id"])
    op.create_table(
        "excuses",
        sa.Column("excuse_id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("person_id", sa.String(255), nullable=False),
        sa.Column("class_id", sa.String(64), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("excuse_id"),
    )
    op.create_index("ix_excuses_person_id", "excuses", ["person_id"])


def _create_evidence() -> None:
    op.create_table(
        "corrections",
        sa.Column("correction_id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("record_id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("correction_id"),
        sa.ForeignKeyConstraint(["record_id"], ["records.record_id"], name="fk_corrections_record", ondelete="CASCADE"),
    )
    op.create_index("ix_corrections_record_id", "corrections", ["record_id"])
    op.create_table(
        "watched",
        sa.Column("camera", sa.String(64), nullable=False),
        sa.Column("minute_at", sa.DateTime(), nullable=False),
        sa.Column("room", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("faces", sa.Integer(), nullable=False),
        sa.Column("named", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("camera", "minute_at"),
    )
    op.create_index("ix_watched_minute_at", "watched", ["minute_at"])
    op.create_index("ix_watched_room_minute", "watched", ["room", "minute_at"])
    op.create_table(
        "shots",
        sa.Column("record_id", sa.String(40), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.Column("kept_at", sa.DateTime(), nullable=False),
        sa.Column("quality", sa.Float(53), nullable=False),
        sa.Column("face_px", sa.Float(53), nullable=False),
        sa.Column("picture", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.PrimaryKeyConstraint("record_id"),
        sa.ForeignKeyConstraint(["record_id"], ["records.record_id"], name="fk_shots_record", ondelete="CASCADE"),
    )
    op.create_index("ix_shots_kept_at", "shots", ["kept_at"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("record_id", sa.String(40), nullable=True),
        sa.Column("person_id", sa.String(255), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("salt", sa.String(32), nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_audit_record_id", "audit", ["record_id"])
    op.create_index("ix_audit_person_id", "audit", ["person_id"])
