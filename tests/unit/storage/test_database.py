from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from ledger_marks import START, make_mark, url_of
from sqlalchemy import create_engine, event
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from optimind.config import sqlite_url
from optimind.core.registers import record_id
from optimind.errors import StorageError, UsageError
from optimind.storage import ledger_file, open_ledger
from optimind.storage.tables import Base


def test_the_folder_and_file_are_made_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data" / "ledger.db"
    with open_ledger(url_of(path)) as ledger:
        ledger.record(make_mark())
        assert ledger.path == path
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_relative_path_starts_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_ledger("sqlite:///data/optimind.db") as ledger:
        assert ledger.path == tmp_path / "data" / "optimind.db"
    assert (tmp_path / "data" / "optimind.db").is_file()


@pytest.mark.parametrize(
    "name", ["what?", "no#1", "100%", "%20", "%3F?", "a b", "ü 王", "a+b", "file:x", ":memory:", "a\nb", "\udcff"]
)
def test_a_path_may_hold_any_character(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / f"{name}.db"
    try:
        path.parent.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    url = sqlite_url(path)
    assert ledger_file(url) == path
    with open_ledger(url) as ledger:
        assert ledger.path == path
        ledger.record(make_mark())
    assert [file.name for file in tmp_path.iterdir()] == [name]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)
    connection.close()
    shutil.copy(path, tmp_path / "backup?%20.db")
    with open_ledger(
        f"sqlite:///file:{quote(quote(os.fsencode(tmp_path / 'backup?%20.db')))}?mode=ro&uri=true"
    ) as ledger:
        assert ledger.path == tmp_path / "backup?%20.db"
        assert len(ledger.register()) == 1


@pytest.mark.parametrize("place", ["none/l.db", "l.db", "file/l.db"])
def test_reading_makes_no_ledger(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="there is no ledger at") as caught:
        open_ledger(url_of(tmp_path / place), create=False)
    assert str(tmp_path / place) in caught.value.message
    assert "--data" in caught.value.mend
    assert [file.name for file in tmp_path.rglob("*")] == ["file"]


def test_reading_opens_what_is_there(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        row = ledger.record(make_mark())
    with open_ledger(url_of(tmp_path / "l.db"), create=False) as ledger:
        assert ledger.register() == [row]
    with pytest.raises(StorageError, match="driver that is not installed"):
        open_ledger("postgresql+psycopg2://u:secret@host/db", create=False)


def test_a_server_has_no_file() -> None:
    assert ledger_file("postgresql+psycopg://u:secret@host/db") is None


def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger, ledger._database.reading() as session:
        pragmas = {
            name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    open_ledger(url_of(tmp_path / "l.db")).close()
    engine = create_engine(url_of(tmp_path / "l.db"))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


def test_a_visitors_picture_may_be_larger_than_64_kb_on_every_database() -> None:
    tables = str(CreateTable(Base.metadata.tables["visitor_shots"]).compile(dialect=mysql.dialect()))
    assert "picture BLOB(16777215)" in tables


def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        row = ledger.record(make_mark(), ["sheets"])
    for _ in range(2):
        with open_ledger(url_of(tmp_path / "l.db")) as ledger:
            assert ledger.register() == [row]
            assert ledger.outbox.due("sheets", 5) == [(row, 1)]


@pytest.mark.parametrize("version", ["0001", "0002", "0003", "0004"])
def test_an_older_ledger_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path, version: str) -> None:
    url = url_of(tmp_path / "l.db")
    make_older(url, version)
    with open_ledger(url) as ledger:
        (row,) = ledger.register()
        assert (row.name, row.similarity, row.class_id, row.rule) == ("Ana", 0.8, "", "")
        assert ledger.outbox.lag("sheets")[0] == 1
        # The sighting is still there: what comes now is added to it.
        mark = make_mark(sighting="s2", session="maths", first_s=60, last_s=70)
        row = ledger.record(mark)
        assert (row.seconds_seen, row.status, row.rule) == (20, "present", "seen")


def test_what_was_delivered_before_there_was_a_second_look_counts_as_looked_at(tmp_path: Path) -> None:
    url = url_of(tmp_path / "l.db")
    make_older(url, "0004")
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql(
            "UPDATE outbox SET delivered_version = 1, delivered_at = '2026-09-01 09:00:00.000000'"
        )
    with open_ledger(url) as ledger:
        assert ledger.outbox.second_look.due("sheets", datetime.now(UTC), 9) == []
        since = ledger.outbox.second_look.target_since("sheets", "here")
        assert len(ledger.outbox.second_look.sample("sheets", 9, since)) == 1


def make_older(url: str, version: str) -> None:
    """A ledger as an earlier version left it, with one record, its sighting and its outbox entry."""
    configuration = Config()
    configuration.set_main_option("script_location", "optimind.storage:migrations")
    key = record_id(START.date(), "maths", "17")
    with create_engine(url).begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, version)
        at = ("2026-09-01 08:00:00.000000", "2026-09-01 08:00:10.000000")
        for table, values in {
            "records": (key, "2026-09-01", "maths", "17", "Ana", "present", *at, 10, "c1", 0.8, 0.2, "camera", 1, *at),
            "sightings": ("s1", key, "room-101", *at, 0.8, 0.2, 3, "dlib"),
            "outbox": (1, "sheets", key, 1, 0, *at, 0, None, None),
        }.items():
            columns = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")][: len(values)]
            marks = ", ".join("?" * len(values))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - written above
            connection.exec_driver_sql(statement, values)


def make_text(path: Path) -> None:
    path.write_text("this is a letter, not a database, and it is long enough to be one " * 40, encoding="utf-8")


def make_foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (id INTEGER)")
    connection.close()


def make_newer(path: Path) -> None:
    open_ledger(url_of(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()


def make_torn(path: Path) -> None:
    with open_ledger(url_of(path)) as ledger:
        ledger.record_many([make_mark(str(number)) for number in range(300)])
    data = path.read_bytes()
    path.write_bytes(data[:60_000] + bytes(len(data) - 60_000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_text, "it is no SQLite database"),
        (make_foreign, "holds tables that are not OptiMind's"),
        (make_newer, "was made by a newer OptiMind"),
        (make_torn, "it is damaged"),
        (Path.mkdir, "Is a directory"),
    ],
    ids=lambda value: getattr(value, "__name__", "") or "message",
)
def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "l.db"
    make(path)  # type: ignore[operator] # a table of functions of a path
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StorageError, match=message) as caught, open_ledger(url_of(path)) as ledger:
        ledger.register()
    assert str(path) in caught.value.message
    assert caught.value.mend
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no database URL"),
        ("data/optimind.db", "no database URL"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("oracledb2://u:secret@host/db", "driver that is not installed"),
        ("postgresql+psycopg2://u:secret@host/db", "driver that is not installed"),
        ("postgresql+psycopg2://u:secret@host/db?password=secret2", "driver that is not installed"),
        ("sqlite:////dev/null/x/l.db", "cannot be opened"),
        ("sqlite:////proc/no/l.db", "cannot be opened"),
        ("sqlite:////tmp/a\0b.db", "cannot be opened"),
    ],
)
def test_a_wrong_url_is_explained(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        open_ledger(url)
    assert caught.value.mend
    assert "secret" not in str(caught.value)


def test_a_read_only_ledger_can_be_read_and_says_so_when_written(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        row = ledger.record(make_mark("1"))
    with open_ledger(f"sqlite:///file:{tmp_path / 'l.db'}?mode=ro&uri=true") as ledger:
        assert ledger.register() == [row]
        with pytest.raises(StorageError, match="may not be written") as caught:
            ledger.record(make_mark("2"))
    assert "let the user" in caught.value.mend


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_forbidden_folder_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        open_ledger(url_of(tmp_path / "l.db"))
    tmp_path.chmod(0o700)


def test_a_locked_database_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimind.storage.database._BUSY_S", 0.05)
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="kept it locked"):
            ledger.record(make_mark())
        other.execute("ROLLBACK")
        other.close()
        ledger.record(make_mark())
        assert len(ledger.register()) == 1


def test_a_full_disk_loses_nothing_and_the_ledger_goes_on(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        kept = [ledger.record(make_mark("first"), ["sheets"])]
        engine = ledger._database._engine
        limit = {"pages": 30}

        @event.listens_for(engine, "begin")
        def restrict(connection: object) -> None:
            # SQLite's own limit gives the same error as a disk without room.
            connection.exec_driver_sql(f"PRAGMA max_page_count={limit['pages']}")  # type: ignore[attr-defined] # a Connection

        def fill() -> None:
            kept.extend(ledger.record(make_mark(str(number), name="x" * 500), ["sheets"]) for number in range(1000))

        with pytest.raises(StorageError, match="the disk is full") as caught:
            fill()
        assert "free space" in caught.value.mend
        assert "xxx" not in str(caught.value)
        assert {row.record_id for row in ledger.register()} == {row.record_id for row in kept}
        assert ledger.outbox.lag("sheets")[0] == len(kept)
        limit["pages"] = 100_000
        kept.append(ledger.record(make_mark("after"), ["sheets"]))
        assert {row.record_id for row in ledger.register()} == {row.record_id for row in kept}


@pytest.mark.parametrize("step", ["PRAGMA journal_mode=WAL", "CREATE TABLE records", "BEGIN"])
def test_a_disk_that_is_full_at_the_first_opening_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *parameters: Any) -> Self:
            if step in statement:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorname = "SQLITE_FULL"
                raise error
            return super().execute(statement, *parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(sqlite3.dbapi2, "connect", lambda *a, **k: connect(*a, factory=Connection, **k))
    with pytest.raises(StorageError, match="the disk is full") as caught:
        open_ledger(url_of(tmp_path / "l.db"))
    assert str(tmp_path / "l.db") in caught.value.message
    assert "free space" in caught.value.mend


def test_a_disk_without_room_for_a_lock_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("optimind.storage.database._lock", full)
    with pytest.raises(StorageError, match="the disk is full"):
        open_ledger(url_of(tmp_path / "l.db"))
    monkeypatch.setattr("os.open", full)
    with pytest.raises(StorageError, match="the disk is full"):
        open_ledger(url_of(tmp_path / "other.db"))


def test_the_delivery_lock_is_held_by_one(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "l.db")) as one, open_ledger(url_of(tmp_path / "l.db")) as other:
        with (
            one.delivery_lock("sheets") as mine,
            other.delivery_lock("sheets") as its,
            other.delivery_lock("csv") as free,
        ):
            assert (mine, its, free) == (True, False, True)
        with other.delivery_lock("sheets") as now:
            assert now


def test_a_backup_made_during_a_run_is_a_whole_ledger(tmp_path: Path) -> None:
    copy = tmp_path / "backup.db"
    with open_ledger(url_of(tmp_path / "l.db")) as ledger:
        row = ledger.record(make_mark("1"), ["sheets"])
        # The command of docs/register.md.
        connection = sqlite3.connect(tmp_path / "l.db")
        connection.execute("VACUUM INTO ?", [str(copy)])
        connection.close()
    with open_ledger(url_of(copy)) as ledger:
        assert ledger.outbox.due("sheets", 5) == [(row, 1)]
        ledger.record(make_mark("2"))
        with ledger._database.reading() as session:
            assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
