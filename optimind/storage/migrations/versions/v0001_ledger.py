"""The first tables: records, sightings, outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "records",
        sa.Column("record_id", sa.String(40), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("session", sa.String(255), nullable=False),
        sa.Column("person_id", sa.String(255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("seconds_seen", sa.Float(53), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("similarity", sa.Float(53), nullable=False),
        sa.Column("margin", sa.Float(53), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("record_id"),
        sa.UniqueConstraint("date", "session", "person_id", name="uq_records_key"),
    )
    op.create_table(
        "sightings",
        sa.Column("sighting_id", sa.String(128), nullable=False),
        sa.Column("record_id", sa.String(40), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("similarity", sa.Float(53), nullable=False),
        sa.Column("margin", sa.Float(53), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sighting_id", "record_id"),
        sa.ForeignKeyConstraint(["record_id"], ["records.record_id"], name="fk_sightings_record", ondelete="CASCADE"),
    )
    op.create_index("ix_sightings_record_id", "sightings", ["record_id"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("sink", sa.String(64), nullable=False),
        sa.Column("record_id", sa.String(40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("delivered_version", sa.Integer(), nullable=False),
        sa.Column("pending_since", sa.DateTime(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sink", "record_id", name="uq_outbox_sink_record"),
        sa.ForeignKeyConstraint(["record_id"], ["records.record_id"], name="fk_outbox_record", ondelete="CASCADE"),
    )
    op.create_index("ix_outbox_due", "outbox", ["sink", "pending_since"])
    op.create_index("ix_outbox_record_id", "outbox", ["record_id"])
