"""Proves that somebody is gone: searches every table, and the bytes of an SQLite database's files.

A word that stands for something else, as a class that is called like a person, is told apart by the column it stands
in, and somebody else of the same name by the id beside it; both are counted, and neither is a trace.
"""

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Column, LargeBinary, String, Table, cast, func, literal, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.types import JSON, TypeEngine

from optimind.core.naming import is_telling, name_key, tells_of
from optimind.storage.person_rows import NOT_THEIRS, tables_in
from optimind.storage.tables import Record

__all__ = ["Search", "Wanted", "search_files", "search_tables", "texts_about", "without_words"]

_MOST_OTHER = 100
"""So many places are listed where a word stands for something else."""
_SIGNED = frozenset({"actor", "given_by", "recorded_by"})
"""Who did or signed something: staff or parents, and part of the log's chain."""
_TOLD = frozenset({"reason", "why", "detail", "note", "last_error", "suspicion", "payload", "error", "message", "text"})
"""Columns in which people and rules tell of somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is searched for: an id, names, and pieces of pictures and templates that were deleted."""

    person_id: str
    names: tuple[str, ...] = ()
    pieces: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """The id and the names, each once."""
        return tuple(dict.fromkeys((self.person_id, *self.names)))


@dataclass(slots=True, kw_only=True)
class Search:
    """What came of searching one store: how much was looked at, what is ``left``, and what is of something else.

    ``unsure`` names words that could not be searched for in bytes, since they also stand for something else.
    """

    store: str
    searched: str = ""
    left: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)


def search_tables(session: Session, wanted: Wanted) -> Search:
    """Search every text column of every table for the words."""
    found = Search(store="ledger, tables")
    rows = 0
    tables = [table for table in tables_in(session) if table.name not in NOT_THEIRS]
    namesakes = _namesakes(session, tables, wanted)
    for table in tables:
        rows += session.scalar(select(func.count()).select_from(table)) or 0
        for column in table.columns:
            if _is_text(column.type):
                for key, _, is_left in _hits(session, table, column, wanted, namesakes):
                    place = f"{table.name}.{column.name} ({', '.join(map(str, key))})"
                    if is_left:
                        found.left.append(place)
                    elif len(found.other) < _MOST_OTHER:
                        found.other.append(place)
    found.searched = f"{len(tables)} tables, {rows} rows"
    return found


def texts_about(session: Session, wanted: Wanted) -> list[tuple[Table, Column[Any], tuple[Any, ...], str]]:
    """The texts, in rows of others, that tell of the person: table, column, the row's key, and the text."""
    tables = [table for table in tables_in(session) if table.name not in NOT_THEIRS]
    namesakes = _namesakes(session, tables, wanted)
    return [
        (table, column, key, text)
        for table in tables
        for column in table.columns
        if _is_text(column.type) and column.name in _TOLD
        for key, text, is_left in _hits(session, table, column, wanted, namesakes)
        if is_left
    ]


def without_words(text: str, words: Sequence[str], instead: str) -> str:
    """The text with ``instead`` where one of the words stands as a word of its own, whatever parts its words."""
    for word in _written(words):
        parts = r"[\s_]+".join(map(re.escape, word.replace("_", " ").split()))
        if parts:
            text = re.sub(rf"(?<!\w){parts}(?!\w)", lambda _: instead, text, flags=re.IGNORECASE)
    return text


def _namesakes(session: Session, tables: Sequence[Table], wanted: Wanted) -> frozenset[str]:
    """The ids of others who have one of the names."""
    found = set()
    names = {name_key(name) for name in wanted.names}
    for table in tables if names else ():
        if {"person_id", "name"} <= set(table.columns.keys()):
            query = select(table.columns["person_id"], table.columns["name"]).distinct()
            found |= {person_id for person_id, name in session.execute(query) if name and name_key(name) in names}
    return frozenset(found - {wanted.person_id})


def _hits(
    session: Session, table: Table, column: Column[Any], wanted: Wanted, namesakes: frozenset[str]
) -> Iterator[tuple[tuple[Any, ...], str, bool]]:
    """The cells in which a word stands: the row's key, the text, and whether that is about the person."""
    hits = [cast(column, String).ilike(_pattern(text), escape="/") for text in _written(wanted.words)]
    owner = table.columns["person_id"] if "person_id" in table.columns else literal(None)
    record = table.columns["record_id"] if "record_id" in table.columns else literal(None)
    keys = list(table.primary_key) or [column]
    for text, whose, of_record, *key in session.execute(select(column, owner, record, *keys).where(or_(*hits))):
        if whose is None and of_record is not None:
            whose = session.scalar(select(Record.person_id).where(Record.record_id == of_record))  # noqa: PLW2901
        verdict = _judged(column.name, str(text), wanted, is_of_namesake=whose in namesakes)
        if verdict is not None:
            yield tuple(key), str(text), verdict


def _judged(column: str, text: str, wanted: Wanted, *, is_of_namesake: bool) -> bool | None:
    """Whether a cell is about the person (True), about something else (False), or holds none of the words (None)."""
    if column == "person_id":
        return True if text == wanted.person_id else None
    if column == "name":
        is_named = any(name_key(text) == name_key(name) for name in wanted.names)
        return not is_of_namesake if is_named else None
    names = {name_key(name) for name in wanted.names}
    told = [word for word in wanted.words if any(tells_of(text, form) for form in _written([word]))]
    if not told:
        return None
    if column in _SIGNED or column not in _TOLD:
        return False
    # An id that is made of the name, as Anna_Berg, tells no more of whom is meant.
    return any(is_telling(word) and not (is_of_namesake and name_key(word) in names) for word in told)


def _written(words: Sequence[str]) -> list[str]:
    """The words as they stand in a text, and as they stand in JSON."""
    return list(dict.fromkeys(form for word in words for form in (word, json.dumps(word)[1:-1])))


def _pattern(text: str) -> str:
    """What LIKE finds a text by, however its words are parted; case is judged later, for databases know it of ASCII."""
    words = text.replace("/", "//").replace("%", "/%").replace("_", " ").split()
    return f"%{'%'.join(re.sub(r'[^ -~]', '_', word) for word in words)}%"


def _is_text(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, String | JSON)


def search_files(session: Session, files: Sequence[Path], wanted: Wanted) -> Search:
    """Search the bytes of an SQLite database's ``files`` for the words and pieces.

    A word that is also part of something that is still in a table, or that comes about by chance where numbers and
    checksums stand side by side, is not looked for: nobody could say whether its bytes are a trace.
    """
    found = Search(store="ledger, bytes of its files")
    tables = tables_in(session)
    texts = [*wanted.words, *(wanted.person_id + name for name in wanted.names)]
    words = {text.encode(): repr(text) for text in texts}
    unsure = {needle for needle in words if not _is_rare(needle)}
    unsure |= set(_standing(session, tables, [needle for needle in words if needle not in unsure]))
    found.unsure = [what for needle, what in words.items() if needle in unsure]
    needles = {needle: what for needle, what in words.items() if needle not in unsure}
    needles |= dict.fromkeys(wanted.pieces, "a piece of a picture or template")
    there = [path for path in files if path.exists()]
    for needle, what in needles.items():
        found.left += [f"{path.name}: {what} at byte {at}" for path in there for at in _places(path, needle)]
    size = sum(path.stat().st_size for path in there)
    found.searched = f"{', '.join(path.name for path in there)}: {size} bytes, {len(needles)} patterns"
    return found


def _is_rare(needle: bytes) -> bool:
    """Whether the bytes hardly come about by chance: digits and checksums stand beside each other without a gap."""
    return len(needle) >= (10 if re.fullmatch(rb"[0-9a-f.: -]*", needle) else 5)


def _standing(session: Session, tables: Sequence[Table], needles: Sequence[bytes]) -> list[bytes]:
    """Those of the ``needles`` that are in a cell of any table (SQLite); each table is read once."""
    stands = dict.fromkeys(needles, False)
    for table in tables:
        cells = [cast(column, LargeBinary) for column in table.columns]
        hits = [or_(*(func.instr(cell, needle) > 0 for cell in cells)) for needle in needles]
        answers = session.execute(select(*(func.max(hit) for hit in hits)).select_from(table)).one() if hits else ()
        for needle, answer in zip(needles, answers, strict=True):
            stands[needle] |= bool(answer)
    return [needle for needle, is_there in stands.items() if is_there]


def _places(path: Path, needle: bytes, most: int = 3) -> Iterator[int]:
    """The first places of ``needle`` in a file."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(needle)
        while at >= 0 and most:
            yield at
            most -= 1
            at = content.find(needle, at + 1)
