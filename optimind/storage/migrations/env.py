"""Runs the migrations on the connection that the opener of the ledger hands over."""

from alembic import context

from optimind.storage import (  # their tables belong to the same metadata
    privacy_tables,  # noqa: F401 - see above
    school_tables,  # noqa: F401 - see above
    sheet_cells,  # noqa: F401 - see above
)
from optimind.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most of a table: alembic then copies it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
