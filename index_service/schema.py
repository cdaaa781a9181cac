"""The database's schema: what the models say, and the commands that bring a database there.

Migrations run here, by command, and never while serving. Several may start at once: one does the work while
the others wait, under an advisory lock of PostgreSQL or SQLite's own exclusive one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, MetaData, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

import migrations
from index_service.accounts import models as _accounts
from index_service.audit import models as _audit
from index_service.db import Base
from index_service.images import models as _images
from index_service.mail import models as _mail
from index_service.repositories import models as _repositories
from index_service.search import documents, engines
from index_service.social import models as _social

LOCK_SECONDS = 120
"""How long a SQLite file is waited for that others have open."""

_LOCK_NUMBER = 0x77686172

_MODELS = (_accounts, _audit, _images, _mail, _repositories, _social)


class SchemaError(Exception):
    """The database cannot be reached, or not be brought there; the message says it in one line."""


def metadata() -> MetaData:
    """Every table of the index that a model describes."""
    return Base.metadata


def is_modelled(name: str | None, kind: str, _parents: object = None) -> bool:
    """Whether a thing of the database is to be compared with the models: the tables of search are not."""
    return kind != "table" or name is None or not engines.is_search_table(name)


def upgrade(engine: Engine, revision: str = "head") -> None:
    """To a later revision. At head, write the search documents that are missing or of another version, in short
    transactions: a migration creates their table empty, a later release may tokenize differently, and an upgrade that
    was interrupted leaves some of them to the next one."""
    _run(engine, lambda config: command.upgrade(config, revision))
    if current(engine) == head():
        _refresh_documents(engine)


def downgrade(engine: Engine, revision: str) -> None:
    """To an earlier revision, or `base` for an empty database."""
    _run(engine, lambda config: command.downgrade(config, revision))


def current(engine: Engine) -> str | None:
    """The revision a database is at; None where it is empty."""
    with _explained(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The revision this version of the code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def steps() -> Iterator[Script]:
    """All migrations, the newest first."""
    return iter(ScriptDirectory.from_config(_config()).walk_revisions())


def _run(engine: Engine, work: Callable[[Config], None]) -> None:
    with _explained(), _alone(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        work(config)


def _refresh_documents(engine: Engine) -> None:
    after: int | None = 0
    while after is not None:
        with _explained(), _alone(engine) as connection, Session(connection) as session:
            after = documents.refresh_outdated(session, after)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return config


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise SchemaError(str(error)) from error
    except SQLAlchemyError as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        raise SchemaError(f"cannot use the database: {' '.join(reason.split())}") from error


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction beside which no other migration runs; committed at the end."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # What is set here is for migrations only: the connection is closed behind them, not used again.
            connection.detach()
            _prepare_sqlite(connection)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
            yield connection


def _prepare_sqlite(connection: Connection) -> None:
    """Switch the file to a write-ahead log, and this connection's foreign keys off: a table rebuilt in place
    would otherwise take its children along. Neither can be done within a transaction."""
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys = OFF")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            # Changing the journal, unlike all else, does not wait for other connections by itself.
            driver.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
