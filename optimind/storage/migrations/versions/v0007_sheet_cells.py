"""What stands in a sink by its program, so that what people write there can be told from it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "sheet_cells",
        sa.Column("sink", sa.String(64), nullable=False),
        sa.Column("record_id", sa.String(40), nullable=False),
        sa.Column("statuses", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sink", "record_id"),
        sa.ForeignKeyConstraint(["record_id"], ["records.record_id"], name="fk_sheet_cells_record", ondelete="CASCADE"),
    )
    op.create_index("ix_sheet_cells_record_id", "sheet_cells", ["record_id"])
