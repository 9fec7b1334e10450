"""Finds the sessions before and after one in its room, however many there have been."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_sessions_room", "sessions", ["room", "ends_at"])
