"""What every table and every statement of the index shares: types of columns, upserts, prepared statements, a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

LIKE_ESCAPE = "\\"

PREPARED = "wharfinger_prepared"
"""The name of the execution option that PREPARED_STATEMENT sets."""

PREPARED_STATEMENT = {PREPARED: True}
"""Execution options of a prepared statement: PostgreSQL keeps its plan on each connection. For statements of popular
pages that look rows up by key, or have their limits in their text, as the ranking of a search. All others are planned
anew for their parameters: a generic plan is a bad one for a word that is everywhere, or a user few rows belong to."""

Clock = Callable[[], datetime]


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


class UTCDateTime(TypeDecorator[datetime]):
    """A timestamp, always aware and in UTC; SQLite, which keeps no zone, gets and gives UTC."""

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


def escape_like(text: str) -> str:
    """Escape a text for use in a LIKE pattern whose ESCAPE is LIKE_ESCAPE."""
    for special in (LIKE_ESCAPE, "%", "_"):
        text = text.replace(special, LIKE_ESCAPE + special)
    return text


def insert_missing(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that no unique constraint forbids and pass over the others."""
    if rows:
        session.execute(insert_for(session, model).on_conflict_do_nothing(), rows)


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
        statement = insert_for(session, model)
        values = {name: statement.excluded[name] for name in changed}
        session.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)


def insert_for(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """The dialect's INSERT, which knows ON CONFLICT."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(model)
    return sqlite.insert(model)
