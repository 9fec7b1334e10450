"""The ledger and the outbox, in SQLite or any other database that SQLAlchemy speaks."""

from optimind.storage.audit import AuditLine, AuditReport
from optimind.storage.database import ledger_file
from optimind.storage.ledger import Correction, Ledger, SightingRow, Unseen, open_ledger
from optimind.storage.outbox import Outbox
from optimind.storage.record_shots import KeptPortrait
from optimind.storage.school import Excuse, Member, RosterChange, RosterEntry, School, Watch
from optimind.storage.visitors import VisitorStore

__all__ = [
    "AuditLine",
    "AuditReport",
    "Correction",
    "Excuse",
    "KeptPortrait",
    "Ledger",
    "Member",
    "Outbox",
    "RosterChange",
    "RosterEntry",
    "School",
    "SightingRow",
    "Unseen",
    "VisitorStore",
    "Watch",
    "ledger_file",
    "open_ledger",
]
