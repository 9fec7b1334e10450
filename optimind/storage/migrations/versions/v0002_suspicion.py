"""Why a sighting's face may be a picture."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what was seen before, nobody was suspected."""
    op.add_column("sightings", sa.Column("suspicion", sa.Text(), nullable=False, server_default=""))
