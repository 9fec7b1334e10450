"""All rows of one person, in whatever tables the database has: by ``person_id``, and by the ``record_id`` of theirs.

The tables are read from the database itself, so that one that a later version added is not forgotten.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, MetaData, Table, func, select
from sqlalchemy.orm import Session

from optimind.storage.chunks import chunks
from optimind.storage.tables import Record

__all__ = ["count_rows", "names_of", "record_ids_of", "rows_of", "tables_in", "wheres"]

NOT_THEIRS = frozenset({"alembic_version", "forgotten"})
"""What is of nobody: ``forgotten`` says of no record whose it was."""


def tables_in(session: Session) -> list[Table]:
    """The tables that are there, those that others refer to first."""
    metadata = MetaData()
    metadata.reflect(bind=session.connection())
    return list(metadata.sorted_tables)


def record_ids_of(session: Session, person_id: str) -> list[str]:
    """The ids of the person's records."""
    return list(session.scalars(select(Record.record_id).where(Record.person_id == person_id)))


def wheres(table: Table, person_id: str, record_ids: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """What selects the person's rows of ``table``, in pieces that may overlap."""
    if table.name in NOT_THEIRS:
        return
    if "person_id" in table.columns:
        yield table.columns["person_id"] == person_id
    if "record_id" in table.columns and table.name != "records":
        for ids in chunks(record_ids):
            yield table.columns["record_id"].in_(ids)


def rows_of(session: Session, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of the person by table; tables without any are left out."""
    record_ids = record_ids_of(session, person_id)
    found: dict[str, list[dict[str, Any]]] = {}
    for table in tables_in(session):
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for where in wheres(table, person_id, record_ids):
            for row in session.execute(select(table).where(where)).mappings():
                rows[tuple(row[column] for column in table.primary_key)] = dict(row)
        if rows:
            found[table.name] = list(rows.values())
    return found


def count_rows(session: Session, person_id: str) -> dict[str, int]:
    """How many rows of the person each table has; tables without any are left out."""
    record_ids = record_ids_of(session, person_id)
    counts: dict[str, int] = {}
    for table in tables_in(session):
        for where in wheres(table, person_id, record_ids):
            number = session.scalar(select(func.count()).select_from(table).where(where)) or 0
            counts[table.name] = counts.get(table.name, 0) + number
    return {name: number for name, number in counts.items() if number}


def names_of(session: Session, person_id: str) -> list[str]:
    """What the tables call the person."""
    names: set[str] = set()
    for table in tables_in(session):
        if {"person_id", "name"} <= set(table.columns.keys()):
            query = select(table.columns["name"]).where(table.columns["person_id"] == person_id).distinct()
            names.update(name for name in session.scalars(query) if name)
    return sorted(names)
