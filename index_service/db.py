"""The database: an engine for each process, short transactions, and what every table shares.

A question is asked in `reading()` or `writing()`. `writing()` commits when its block ends and rolls back
when it raises, so an answer under 400 is a committed one. On SQLite a writing transaction takes the one
write lock at once (BEGIN IMMEDIATE): two that began as readers could otherwise not both become writers.
Passwords are hashed and tokens signed outside of both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, DateTime, Dialect, Engine, Integer, MetaData, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from common.errors import Conflict, Unavailable

BUSY_SECONDS = 30
"""How long a SQLite writer waits for the one before it."""

RESTED_SECONDS = 1.0
"""After so long without work a connection is asked whether it still is one. To ask each time is a tenth of a page."""

LIKE_ESCAPE = "\\"

_PLANNED_ONCE = "wharfinger_planned_once"
PLANNED_ONCE = {_PLANNED_ONCE: True}
"""Options of a statement that is made once, for a page that many ask for, and looks by keys, or has its limits in its
text as the ranking of a search has: PostgreSQL keeps a plan of it on each connection. All others are planned for what
they are asked: a plan made for any word or anybody is a bad one for a word that is everywhere, and for whom few things
concern."""

_READS = "wharfinger_reads"
_USED = "wharfinger_used"
_LOST = (OperationalError, InterfaceError, PoolTimeout)

Clock = Callable[[], datetime]

logger = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Mother of all tables; constraints are named by rule, so that every migration can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


Serial = BigInteger().with_variant(Integer(), "sqlite")
"""The number of a row in a table whose numbers a busy index would use up if they had 32 bits."""


class Moment(TypeDecorator[datetime]):
    """A point in time, always aware and in UTC; SQLite, which keeps no zone, gets and gives UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """The two ways to ask: `reading()` without a transaction, `writing()` within one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite commits by itself where _begin opens no transaction.
        options = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {_READS: True}
        self._reading = sessionmaker(engine.execution_options(**options), expire_on_commit=False)
        self._writing = sessionmaker(engine, expire_on_commit=False)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Raises Unavailable when the database does not answer."""
        with _translated(), self._reading() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Commits at the end, rolls back on a raise. Raises Unavailable when the database does not answer."""
        with _translated(), self._writing.begin() as session:
            yield session


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        logger.warning("database: %s", error.args[0] if error.args else error)
        raise Unavailable("The database does not answer, try again later") from error


@contextmanager
def unique(message: str) -> Iterator[None]:
    """Around a transaction that another may forestall: what may be there only once is a Conflict of these words."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(message) from error


def literally(text: str) -> str:
    """A text as a part of a LIKE pattern, with LIKE_ESCAPE, in which every character stands for itself."""
    for special in (LIKE_ESCAPE, "%", "_"):
        text = text.replace(special, LIKE_ESCAPE + special)
    return text


def open_engine(url: str, *, pool_size: int = 5) -> Engine:
    """An engine that connects on first use, so that each process after a fork opens its own connections."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url, pool_size)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, pool_size=pool_size, max_overflow=5, pool_timeout=15)
    event.listen(engine, "do_execute", _execute_in_postgres)
    _watch(engine)
    return engine


def _watch(engine: Engine) -> None:
    """A connection that has rested may have ended, as when the database was started again: then all are made anew."""
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
    cursor.execute(statement, parameters, prepare=_PLANNED_ONCE in context.execution_options)
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
    # With a write-ahead log (set by `migrate`, kept in the file), NORMAL loses nothing when a process dies.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get(_READS):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def insert_missing(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that no unique constraint forbids and pass over the others."""
    if rows:
        session.execute(_insert(session, model).on_conflict_do_nothing(), rows)


def upsert(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    key: tuple[str, ...],
    changed: tuple[str, ...],
) -> None:
    """Insert the rows; where one with the same `key` exists, only its `changed` columns are set."""
    if rows:
        statement = _insert(session, model)
        values = {name: statement.excluded[name] for name in changed}
        session.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)


def _insert(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(model)
    return sqlite.insert(model)
