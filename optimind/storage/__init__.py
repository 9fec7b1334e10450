"""The ledger and the outbox, in SQLite or any other database that SQLAlchemy speaks."""

from optimind.storage.audit import AuditLine, AuditReport
from optimind.storage.carrying import CARRIED
from optimind.storage.consents import Consent, NewConsent
from optimind.storage.database import ledger_file
from optimind.storage.dead_letter import DeadRow
from optimind.storage.forgetting import Erased
from optimind.storage.ledger import Correction, Ledger, SightingRow, Unseen, open_ledger
from optimind.storage.new_records import PlainSession
from optimind.storage.outbox import Outbox, Waiting
from optimind.storage.record_shots import KeptPortrait
from optimind.storage.school import Excuse, Member, RosterChange, RosterEntry, School, Watch
from optimind.storage.searching import Search, Wanted
from optimind.storage.visitors import VisitorStore

__all__ = [
    "CARRIED",
    "AuditLine",
    "AuditReport",
    "Consent",
    "Correction",
    "DeadRow",
    "Erased",
    "Excuse",
    "KeptPortrait",
    "Ledger",
    "Member",
    "NewConsent",
    "Outbox",
    "PlainSession",
    "RosterChange",
    "RosterEntry",
    "School",
    "Search",
    "SightingRow",
    "Unseen",
    "VisitorStore",
    "Waiting",
    "Wanted",
    "Watch",
    "ledger_file",
    "open_ledger",
]
