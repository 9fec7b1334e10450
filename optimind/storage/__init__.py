"""The ledger and the outbox, in SQLite or any other database that SQLAlchemy speaks."""

from optimind.storage.audit import AuditLine, AuditReport
from optimind.storage.database import ledger_file
from optimind.storage.dead_letter import DeadRow
from optimind.storage.ledger import Correction, Ledger, Unseen, open_ledger
from optimind.storage.outbox import Outbox, Waiting
from optimind.storage.school import Excuse, Member, RosterChange, School, Watch
from optimind.storage.visitors import VisitorStore

__all__ = [
    "AuditLine",
    "AuditReport",
    "Correction",
    "DeadRow",
    "Excuse",
    "Ledger",
    "Member",
    "Outbox",
    "RosterChange",
    "School",
    "Unseen",
    "VisitorStore",
    "Waiting",
    "Watch",
    "ledger_file",
    "open_ledger",
]
