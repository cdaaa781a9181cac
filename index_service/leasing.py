"""Rows that workers lease: a queue in a table, whose rows are due at a time, and taken until another by one worker.

A worker leases a row in a transaction of its own, and only its lease changes the row after it. Every function takes the
session of the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from index_service.db import Base, Serial, UTCDateTime

LEASE = timedelta(minutes=2)
"""How long a lease protects a row whose worker has fallen silent: longer than any one thing that it waits for."""

MAX_BACKOFF = timedelta(hours=1)


class Leased(Base):
    """The columns of such a table. The worker that is at a row keeps others away until `taken_until`: where it dies,
    another takes over then. `attempts` counts the leases.
    """

    __abstract__ = True

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    taken_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0)


class Lease(Protocol):
    """What a worker has of a row."""

    @property
    def id(self) -> int: ...

    @property
    def until(self) -> datetime: ...


L = TypeVar("L", bound=Leased)


def is_any_due(session: Session, model: type[Leased], now: datetime) -> bool:
    """Whether a row is due: worth a writing transaction."""
    return session.scalar(select(model.id).where(_is_free(model, now)).limit(1)) is not None


def until(now: datetime) -> datetime:
    """When a lease ends that is taken or renewed now."""
    return now + LEASE


def take(session: Session, model: type[L], now: datetime) -> L | None:
    """Lease the row that has been due longest; None if none is, or other workers are leasing them."""
    free = select(model).where(_is_free(model, now)).order_by(model.due_at, model.id).limit(1)
    row = session.scalar(free.with_for_update(skip_locked=True))
    if row is not None:
        row.taken_until, row.attempts = until(now), row.attempts + 1
    return row


def is_leased_as(model: type[Leased], lease: Lease) -> ColumnElement[bool]:
    """Whether a row is leased to the worker that has this lease."""
    return and_(model.id == lease.id, model.taken_until == lease.until)


def backoff(first: timedelta, attempts: int) -> timedelta:
    """The exponential backoff after so many failures, up to an hour."""
    return min(first * 2 ** min(attempts - 1, 20), MAX_BACKOFF)


def _is_free(model: type[Leased], now: datetime) -> ColumnElement[bool]:
    return and_(model.due_at <= now, or_(model.taken_until.is_(None), model.taken_until <= now))
