"""The database: an engine for each process, and short transactions.

Every query runs in `reading()` or `writing()`. `writing()` commits when its block ends and rolls back when it raises,
so a status under 400 means committed. On SQLite a writing transaction takes the one write lock at once (BEGIN
IMMEDIATE): two that began as readers could otherwise not both become writers. What is committed is on the disk there,
too, and survives a power failure. Passwords are hashed and tokens signed
outside of both. Only services open transactions; what stands below them takes the session of the transaction it is part
of.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from common.errors import Conflict, Failure, OutOfSpace, Unavailable
from index_service.db import PREPARED

BUSY_SECONDS = 30
"""How long a SQLite writer waits for the one before it."""

STATEMENT_SECONDS = 30.0
"""How long PostgreSQL may work on one statement of a request."""

LOCK_SECONDS = 10.0
"""How long a statement of a request waits there for a lock, behind which others then wait."""

RESTED_SECONDS = 1.0
"""How long a connection may be idle before it is tested on use. Testing it each time costs a tenth of a page."""

_READS = "wharfinger_reads"
_UNSYNCED = "wharfinger_unsynced"
_SYNCHRONOUS = "wharfinger_synchronous"
_USED = "wharfinger_used"
_LOST = (OperationalError, InterfaceError, PoolTimeout)
_READ_ONLY = ("25006", "SQLITE_READONLY")
_FULL = ("53100", "SQLITE_FULL")
"""SQLSTATE of PostgreSQL, and the beginning of SQLite's name for it."""

logger = logging.getLogger(__name__)


class ReadOnly(Unavailable):
    """The database takes no writes, as a standby or after a failure of its disk."""

    def __init__(self) -> None:
        super().__init__("The database can only be read now, try again later")


class Full(OutOfSpace):
    """The database has no space for a write."""

    def __init__(self) -> None:
        super().__init__("The database has no space left")


UNWRITABLE = (ReadOnly, Full)
"""What reads need not fail with: only what they would have noted down by the way is missing."""


class Database:
    """Sessions of two kinds: `reading()` without a transaction, `writing()` within one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite commits by itself where _begin opens no transaction.
        options = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {_READS: True}
        self._reading = sessionmaker(engine.execution_options(**options), expire_on_commit=False)
        self._writing = sessionmaker(engine, expire_on_commit=False)
        self._unsynced = sessionmaker(engine.execution_options(**{_UNSYNCED: True}), expire_on_commit=False)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Raises Unavailable when the database does not answer."""
        with _translated(), self._reading() as session:
            yield session

    @contextmanager
    def writing(self, *, is_lasting: bool = True) -> Iterator[Session]:
        """Commits at the end, rolls back on a raise. Raises Unavailable when the database does not answer, ReadOnly or
        Full when it can only be read.

        What is not `is_lasting` is of no use after a power failure, and SQLite does not wait for the disk for it.
        """
        kind = self._writing if is_lasting else self._unsynced
        with _translated(), kind.begin() as session:
            yield session


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (*_LOST, InternalError) as error:
        failure = _failure_of(error)
        if failure is None:
            raise
        logger.warning("database: %s", error.args[0] if error.args else error)
        raise failure from error


def _failure_of(error: Exception) -> Failure | None:
    """None for what is an error of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    code = str(getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", ""))
    if code.startswith(_READ_ONLY):
        return ReadOnly()
    if code.startswith(_FULL):
        return Full()
    return None if isinstance(error, InternalError) else Unavailable("The database does not answer, try again later")


@contextmanager
def conflict_on_duplicate(message: str) -> Iterator[None]:
    """Around a transaction: a violated unique constraint, as a concurrent duplicate causes, is a Conflict."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(message) from error


def open_engine(url: str, *, pool_size: int = 5, is_serving: bool = False) -> Engine:
    """An engine that connects on first use, so that each process after a fork opens its own connections.

    Where it is serving, no statement takes for ever; a command may.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url, pool_size)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, pool_size=pool_size, max_overflow=5, pool_timeout=15)
    if is_serving:
        event.listen(engine, "connect", _bound_statements)
    event.listen(engine, "do_execute", _execute_in_postgres)
    _watch(engine)
    return engine


def _bound_statements(connection: Any, _record: Any) -> None:
    """Unless whoever runs the database has bounded them already."""
    bounds = {"statement_timeout": STATEMENT_SECONDS, "lock_timeout": LOCK_SECONDS}
    with connection.cursor() as cursor:
        for name, seconds in bounds.items():
            cursor.execute(
                "SELECT set_config(%(name)s, %(value)s, false) WHERE current_setting(%(name)s) = '0'",
                {"name": name, "value": f"{int(seconds * 1000)}ms"},
            )
    connection.commit()


def _watch(engine: Engine) -> None:
    """An idle connection may be broken, as after a restart of the database: then the whole pool is replaced."""
    failure = engine.dialect.loaded_dbapi.Error

    def require_alive(connection: Any, record: ConnectionPoolEntry, _fairy: Any) -> None:
        if time.monotonic() - record.info.get(_USED, 0.0) < RESTED_SECONDS:
            return
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except failure as error:
            raise InvalidatePoolError from error

    def note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    event.listen(engine, "checkout", require_alive)
    event.listen(engine, "checkin", note_use)


def _execute_in_postgres(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    cursor.execute(statement, parameters, prepare=PREPARED in context.execution_options)
    return True


def _open_sqlite(url: str, pool_size: int) -> Engine:
    Path(str(make_url(url).database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        # The driver's own habit of opening transactions is switched off; _begin opens them.
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=pool_size,
        max_overflow=5,
        pool_timeout=BUSY_SECONDS,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log (set by `migrate`, kept in the file) each commit is synced; with NORMAL, what is committed
    # survives the death of a process, but not of the machine.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(_READS):
        return
    if options.get(_UNSYNCED):
        _put_off_sync(connection)
    elif _SYNCHRONOUS in connection.info:
        connection.exec_driver_sql(f"PRAGMA synchronous = {connection.info.pop(_SYNCHRONOUS)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _put_off_sync(connection: Connection) -> None:
    """Until the next commit that is synced, and takes this one along."""
    if _SYNCHRONOUS not in connection.info:
        connection.info[_SYNCHRONOUS] = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
