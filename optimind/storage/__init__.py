"""The ledger and the outbox, in SQLite or any other database that SQLAlchemy speaks."""

from optimind.storage.database import ledger_file
from optimind.storage.ledger import Ledger, open_ledger
from optimind.storage.outbox import Outbox
from optimind.storage.visitors import VisitorStore

__all__ = ["Ledger", "Outbox", "VisitorStore", "ledger_file", "open_ledger"]
