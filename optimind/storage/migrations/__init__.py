"""Changes of the ledger's tables, applied when it is opened. Every change is a new file in versions/."""
