"""Rows that a sink never takes, attempts of which nobody knows the end, and what was looked at once more."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the outbox, where what was delivered before counts as looked at, and add the table of targets."""
    op.add_column("outbox", sa.Column("dead_version", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("outbox", sa.Column("dead_at", sa.DateTime(), nullable=True))
    op.add_column("outbox", sa.Column("doubt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("outbox", sa.Column("confirmed_version", sa.Integer(), nullable=False, server_default="0"))
    outbox = sa.table("outbox", sa.column("confirmed_version"), sa.column("delivered_version"))
    op.execute(outbox.update().values(confirmed_version=outbox.c.delivered_version))
    op.create_table(
        "sink_targets",
        sa.Column("sink", sa.String(64), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sink"),
    )
