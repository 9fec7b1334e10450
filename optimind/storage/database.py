"""Opens the database of the ledger, brings its tables up to date, and turns its errors into words.

SQLite by default; every query is plain SQL that PostgreSQL and MariaDB understand too. A transaction that has been
committed survives a power cut (``synchronous=FULL``), and one that fails leaves nothing behind.
"""

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock
from filelock import Timeout as LockTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from optimind.errors import StorageError, UsageError
from optimind.secrets import mask_url

__all__ = ["Database", "ledger_file"]

_BUSY_S = 10
_OPENING_S = 60
_LEAST_BYTES = 64 * 1024
_WRITES = "optimind_writes"

_MENDS = {
    "SQLITE_FULL": ("the disk is full", "free space on that disk; what was committed is safe, and the work goes on"),
    "SQLITE_IOERR": (
        "the disk failed or is full",
        "look at the disk (df, dmesg); where needed, restore a backup",
    ),
    "SQLITE_READONLY": ("it may not be written", "let the user that runs OptiMind write the file and its folder"),
    "SQLITE_NOTADB": ("it is no SQLite database", "move that file away, or correct storage: url: in config.yaml"),
    "SQLITE_CORRUPT": ("it is damaged", "move it away and restore the newest backup (docs/register.md)"),
    "SQLITE_BUSY": ("another program kept it locked", "close the program that has it open"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "check that the folder exists and may be read and written"),
    "SQLITE_PERM": ("its permissions forbid it", "let the user that runs OptiMind read and write the file"),
}


class Database:
    """One open database. ``reading`` and ``writing`` give a session in one transaction; safe to use from many threads.

    ``place`` names it in messages, without a password; ``path`` is the file of an SQLite database, else None.
    """

    def __init__(self, url: str, *, create: bool = True, patience_s: float | None = None) -> None:
        """Open ``url``, creating what is missing. Raises :class:`StorageError`, which says how to mend it.

        Without ``create`` a missing SQLite file is not made, but raises :class:`UsageError`. ``patience_s`` is how long
        to wait for another program that writes (None: as long as a mark may).
        """
        parsed = _parsed(url)
        self._patience_s = _BUSY_S if patience_s is None else patience_s
        self.path = _file_of(parsed)
        self._read_only = parsed.query.get("mode") == "ro"
        if self.path is None:
            self.place = mask_url(parsed.render_as_string(hide_password=True))
        else:
            self.place = f"the ledger {self.path}"
            if not create:
                _require_file(self.path)
            elif not self._read_only:
                _create_file(self.path)
        self._engine = self._connectable(parsed)
        self._writing_engine = self._engine.execution_options(**{_WRITES: True})
        try:
            with self._explained("opened"):
                self._migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections. The object may not be used afterwards."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that sees one state of the database and changes nothing."""
        with self._explained("read"), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session whose changes are committed together when the block ends, or not at all when it raises."""
        with (
            self._explained("written"),
            Session(self._writing_engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def lock(self, purpose: str) -> Iterator[bool]:
        """Hold the lock on ``purpose`` during the block; gives whether it was free, without waiting.

        It keeps other processes on the same SQLite file out. A server database has none: it is always free there.
        """
        if self.path is None:
            yield True
            return
        lock = _lock(self.path, purpose, timeout_s=0)
        with self._explained("locked"), suppress(LockTimeout):
            lock.acquire()
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def scrub(self) -> bool:
        """Take what was deleted out of the files beside an SQLite database as well; False where a reader is in the way.

        Deleted rows are overwritten in the file itself when they are deleted. Raises :class:`StorageError`.
        """
        if self.path is None:
            return True
        with self._explained("written"), self._engine.connect() as connection:
            cursor = connection.connection.cursor()
            (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
        return not busy

    def compact(self) -> None:
        """Write an SQLite file anew, so that nothing is in it but what is in the tables. Raises :class:`StorageError`.

        It takes as long as copying the file, and others that write wait meanwhile.
        """
        if self.path is None:
            return
        with self._explained("written"), self._engine.connect() as connection:
            # Outside of any transaction, on the driver's own connection.
            connection.connection.cursor().execute("VACUUM").close()

    def _connectable(self, url: URL) -> Engine:
        arguments: dict[str, Any] = {"timeout": self._patience_s} if self.path is not None else {}
        try:
            engine = create_engine(url, connect_args=arguments, pool_pre_ping=self.path is None)
        except (NoSuchModuleError, ImportError) as error:
            raise StorageError(
                f"storage: url: {self.place} needs a driver that is not installed: {mask_url(str(error))}",
                mend='install it with pip, or use SQLite: "sqlite:///data/optimind.db"',
            ) from None
        if self.path is not None:
            event.listen(engine, "connect", _set_up_connection)
            event.listen(engine, "begin", _begin)
        return engine

    def _migrate(self) -> None:
        """Bring the tables to the newest form; of several processes that start at once one does it, the others wait."""
        with self._engine.begin() as connection:
            if self._is_current(connection) and not self._needs_wal(connection):
                return
        guard = nullcontext() if self.path is None else _lock(self.path, "opening", timeout_s=_OPENING_S)
        with guard:
            with self._engine.connect() as connection:
                if self._needs_wal(connection):
                    # Stays with the file. Set outside of any transaction, on the driver's own connection.
                    connection.connection.cursor().execute("PRAGMA journal_mode=WAL").close()
            # SQLite creates tables inside the transaction, so a process killed here leaves none.
            with self._writing_engine.connect() as connection, self._unlinked(connection), connection.begin():
                if not self._is_current(connection):
                    _upgrade(connection)

    @contextmanager
    def _unlinked(self, connection: Connection) -> Iterator[None]:
        """Hold SQLite back, during the block, from deleting what refers to a table that is being replaced.

        Where a column changes its kind the table is copied and the old one dropped, which would take the sightings of
        all records with it.
        """
        if self.path is None:
            yield
            return
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")
        try:
            yield
        finally:
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

    def _needs_wal(self, connection: Connection) -> bool:
        """Whether this SQLite file still makes readers and the writer wait for each other, and may be changed."""
        if self.path is None or self._read_only:
            return False
        cursor = connection.connection.cursor()
        (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
        cursor.close()
        return bool(mode != "wal")

    def _is_current(self, connection: Connection) -> bool:
        # Imported here because alembic takes longer to load than everything else of the ledger.
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - see above

        known = _scripts()
        current = MigrationContext.configure(connection).get_current_revision()
        if current is None and inspect(connection).get_table_names():
            raise StorageError(
                f"{self.place} holds tables that are not OptiMind's",
                mend="name a database of its own in storage: url: in config.yaml",
            )
        if current is not None and current not in {script.revision for script in known.walk_revisions()}:
            raise StorageError(
                f"{self.place} was made by a newer OptiMind (its tables have version {current})",
                mend="update OptiMind, or restore a backup made with this version",
            )
        return bool(current == known.get_current_head())

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            # SQLite's own: what a statement outside of any transaction raises.
            raise self._explanation(error, action) from error
        except (OSError, LockTimeout) as error:
            if _is_full(error):
                raise self._full(action) from error
            raise StorageError(
                f"{self.place} cannot be {action}: {error}", mend="check the disk, the folder and its permissions"
            ) from error

    def _full(self, action: str) -> StorageError:
        what, mend = _MENDS["SQLITE_FULL"]
        return StorageError(f"{self.place} cannot be {action}: {what}", mend=mend)

    def _explanation(self, error: SQLAlchemyError | sqlite3.Error, action: str) -> StorageError:
        cause = getattr(error, "orig", None) or error
        code = str(getattr(cause, "sqlite_errorname", ""))
        if code.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and self.path is not None and _no_room(self.path):
            return self._full(action)
        for prefix, (what, mend) in _MENDS.items():
            if code.startswith(prefix):
                return StorageError(f"{self.place} cannot be {action}: {what}", mend=mend)
        # The statement is left out: its parameters are people's names.
        return StorageError(
            f"{self.place} cannot be {action}: {mask_url(str(cause))}",
            mend="check storage: url: in config.yaml, and that the database is up and may be used",
        )


def ledger_file(url: str) -> Path | None:
    """Return the file of an SQLite ledger, None for a database server. Raises :class:`StorageError` for no ledger."""
    return _file_of(_parsed(url))


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageError(
            "storage: url: in config.yaml is no database URL",
            mend='write it like "sqlite:///data/optimind.db" (before an absolute path: four slashes)',
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StorageError(
            "the ledger must be a file, for a register in memory is lost at the end",
            mend='write storage: url: like "sqlite:///data/optimind.db"',
        )
    return parsed


def _file_of(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    name = str(url.database)
    if name.startswith("file:"):
        # A URL in the URL: SQLite decodes it once more.
        name = unquote(name.removeprefix("file:"), errors="surrogateescape")
    return Path(name).absolute()


def _require_file(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            f"there is no ledger at {path}",
            mend="name the right folder with --data or in config.yaml; the first run makes it: python main.py run",
        ) from None
    except OSError:
        return  # opening it says why


def _create_file(path: Path) -> None:
    """Create the file for its owner's eyes only; SQLite gives the files beside it the same permissions."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), stat.S_IRUSR | stat.S_IWUSR))
    except (OSError, ValueError) as error:
        if _is_full(error):
            what, mend = _MENDS["SQLITE_FULL"]
            raise StorageError(f"the ledger {path} cannot be opened: {what}", mend=mend) from None
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(
            f"the ledger {path} cannot be opened: {reason}",
            mend="let the user that runs OptiMind write it and its folder, or correct storage: url: in config.yaml",
        ) from None


def _is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}


def _no_room(path: Path) -> bool:
    """Whether the disk lacks the room for the files that SQLite keeps beside ``path``: it calls that a failing disk."""
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_BYTES
    except OSError:
        return False


def _lock(path: Path, purpose: str, *, timeout_s: float) -> FileLock:
    return FileLock(f"{path}.{purpose}.lock", timeout=timeout_s, mode=stat.S_IRUSR | stat.S_IWUSR)


def _set_up_connection(connection: Any, _record: object) -> None:
    # The driver would begin transactions on its own, and too late: _begin does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another process wrote in between; taking the
    # write lock at the start makes it wait its turn instead.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _configuration() -> Any:
    from alembic.config import Config  # noqa: PLC0415 - slow to load

    configuration = Config()
    configuration.set_main_option("script_location", "optimind.storage:migrations")
    return configuration


def _scripts() -> Any:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to load

    return ScriptDirectory.from_config(_configuration())


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to load

    configuration = _configuration()
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
