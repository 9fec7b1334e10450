"""Takes somebody who is forgotten out of what people wrote of others: works inside one transaction of the caller."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from optimind.storage.audit import Said, append, erase_lines
from optimind.storage.searching import Wanted, texts_about, without_words

__all__ = ["redact"]

INSTEAD = "[forgotten]"


def redact(session: Session, wanted: Wanted, *, is_decided: bool, now: datetime) -> tuple[int, list[str]]:
    """Write ``[forgotten]`` for the person in the texts of others' rows; return how many, and records to redecide.

    The reasons of records follow from those texts: they are left until that was done (``is_decided``). A line of the
    audit log cannot be changed: what it says is taken out, and the chain still holds.
    """
    touched: set[str] = set()
    lines: list[int] = []
    count = 0
    for table, column, key, text in texts_about(session, wanted):
        mine = [own == value for own, value in zip(table.primary_key, key, strict=True)]
        if "record_id" in table.columns and table.name != "audit":
            touched.add(session.execute(select(table.columns["record_id"]).where(*mine)).scalar_one())
        if table.name == "audit":
            lines.append(key[0])
        elif table.name != "records" or is_decided:
            new = without_words(text, wanted.words, INSTEAD)
            session.execute(update(table).where(*mine).values({column.name: new}))
            count += 1
    erased = erase_lines(session, lines)
    if erased:
        append(session, now, [Said(actor="person forget", action="redacted", detail={"audit_lines": erased})])
    return count + erased, sorted(touched)
