"""The outbox: letters are written in the transaction of what they tell of, and sent once it is committed.

A worker leases a letter in a transaction of its own, sends it and deletes it. A letter that could not be sent is tried
again with exponential backoff, and given up after a day. A worker that dies between sending and deleting leaves a
letter that is sent twice, with one Message-ID. Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from index_service import leasing
from index_service.mail.models import Letter

FIRST_BACKOFF = timedelta(seconds=30)
KEPT = timedelta(days=1)
"""How long it is tried to send a letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedLetter:
    """A letter leased to this worker until `until`; `attempts` counts this one."""

    id: int
    user_id: int | None
    recipient: str
    kind: str
    language: str
    details: Mapping[str, str]
    created_at: datetime
    until: datetime
    attempts: int


def add(
    session: Session,
    kind: str,
    recipient: str,
    now: datetime,
    *,
    user_id: int | None = None,
    language: str = "",
    details: Mapping[str, str] | None = None,
) -> None:
    """Write a letter, to be sent once the transaction is committed."""
    session.add(
        Letter(
            user_id=user_id,
            recipient=recipient,
            kind=kind,
            language=language,
            details=json.dumps(details or {}, ensure_ascii=False),
            created_at=now,
            due_at=now,
            attempts=0,
        )
    )


def is_any_due(session: Session, now: datetime) -> bool:
    """Whether a letter is due: worth a writing transaction."""
    return leasing.is_any_due(session, Letter, now)


def lease(session: Session, now: datetime) -> LeasedLetter | None:
    """Lease the letter that has been due longest; None if there is none, or other workers are leasing them."""
    letter = leasing.take(session, Letter, now)
    if letter is None:
        return None
    return LeasedLetter(
        id=letter.id,
        user_id=letter.user_id,
        recipient=letter.recipient,
        kind=letter.kind,
        language=letter.language,
        details=json.loads(letter.details),
        created_at=letter.created_at,
        until=leasing.until(now),
        attempts=letter.attempts,
    )


def remove(session: Session, letter: LeasedLetter) -> None:
    """Delete a letter that was sent, or that has nothing to say any more."""
    session.execute(delete(Letter).where(leasing.is_leased_as(Letter, letter)))


def postpone(session: Session, letter: LeasedLetter, now: datetime) -> bool:
    """Try a letter again after a backoff; False if it is given up instead."""
    due_at = now + leasing.backoff(FIRST_BACKOFF, letter.attempts)
    if due_at - letter.created_at > KEPT:
        remove(session, letter)
        return False
    session.execute(update(Letter).where(leasing.is_leased_as(Letter, letter)).values(taken_until=None, due_at=due_at))
    return True
