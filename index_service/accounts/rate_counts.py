"""Counts within windows of time, in the database: all processes of the index share them.

A window begins with the first event and has a fixed length. Every function takes the session of the caller's
transaction.
"""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from index_service.accounts.models import RateCount
from index_service.db import insert_for

DELETE_BATCH = 20


def add(session: Session, key: str, limit: int, period: timedelta, now: datetime) -> int:
    """Count an event; returns 0, or the seconds until the window ends if it holds more than `limit` of them."""
    _delete_ended(session, now)
    new = {"key": key, "count": 1, "ends_at": now + period}
    statement = insert_for(session, RateCount).values(new)
    has_ended = RateCount.ends_at <= now
    counted = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((has_ended, 1), else_=RateCount.count + 1),
            "ends_at": case((has_ended, statement.excluded.ends_at), else_=RateCount.ends_at),
        },
    ).returning(RateCount.count, RateCount.ends_at)
    count, ends_at = session.execute(counted).one()
    return 0 if count <= limit else _seconds(ends_at - now)


def wait(session: Session, key: str, limit: int, now: datetime) -> int:
    """What `add` would return, without counting."""
    full = select(RateCount.ends_at).where(RateCount.key == key, RateCount.count >= limit, RateCount.ends_at > now)
    ends_at = session.scalar(full)
    return 0 if ends_at is None else _seconds(ends_at - now)


def digest(text: str) -> str:
    """A part of a key for a name or an address, of any length, which the table does not tell."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def take_back(session: Session, key: str) -> None:
    """Uncount one event."""
    session.execute(
        update(RateCount).where(RateCount.key == key, RateCount.count > 0).values(count=RateCount.count - 1)
    )


def _seconds(left: timedelta) -> int:
    return max(1, math.ceil(left.total_seconds()))


def _delete_ended(session: Session, now: datetime) -> None:
    """A few at a time, so that the table holds little more than the windows that last."""
    ended = select(RateCount.key).where(RateCount.ends_at <= now).limit(DELETE_BATCH)
    keys = list(session.scalars(ended.with_for_update(skip_locked=True)))
    if keys:
        session.execute(delete(RateCount).where(RateCount.key.in_(keys)))
