"""Visitors: people whom nobody enrolled, their visits and pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "visitors",
        sa.Column("visitor_id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.DateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("visitor_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_visitors_kept_at", "visitors", ["kept_at"])
    op.create_table(
        "visits",
        sa.Column("track_id", sa.String(128), nullable=False),
        sa.Column("visitor_id", sa.Integer(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("kept_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("track_id"),
        sa.ForeignKeyConstraint(["visitor_id"], ["visitors.visitor_id"], name="fk_visits_visitor", ondelete="CASCADE"),
    )
    op.create_index("ix_visits_last_seen_at", "visits", ["last_seen_at"])
    op.create_index("ix_visits_kept_at", "visits", ["kept_at"])
    op.create_index("ix_visits_visitor_id", "visits", ["visitor_id"])
    op.create_table(
        "visitor_shots",
        sa.Column("shot_id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("visitor_id", sa.Integer(), nullable=False),
        sa.Column("track_id", sa.String(128), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.Column("kept_at", sa.DateTime(), nullable=False),
        sa.Column("quality", sa.Float(53), nullable=False),
        sa.Column("face_px", sa.Float(53), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("picture", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.PrimaryKeyConstraint("shot_id"),
        sa.ForeignKeyConstraint(
            ["visitor_id"], ["visitors.visitor_id"], name="fk_visitor_shots_visitor", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_visitor_shots_visitor_id", "visitor_shots", ["visitor_id"])
    op.create_index("ix_visitor_shots_kept_at", "visitor_shots", ["kept_at"])
    op.create_index("ix_visitor_shots_track_id", "visitor_shots", ["track_id"])
