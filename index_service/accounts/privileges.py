"""Who is an administrator of the index, and how long a password that was given counts: pure functions, asked by every
door. What may be done with a repository is `repositories.policy`'s to say.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from common.errors import Forbidden, Unauthenticated
from index_service.accounts.actor import Actor

REAUTHENTICATION_LASTS = timedelta(minutes=15)
"""What is dangerous wants the password to have been given to the session no longer ago than this."""


def is_administrator(actor: Actor | None) -> bool:
    """Whether this is an administrator of the index; an access token never is."""
    return actor is not None and actor.is_admin and actor.limits is None


def require_administrator(actor: Actor | None) -> Actor:
    """Raises Unauthenticated or Forbidden."""
    if actor is None:
        raise Unauthenticated("Requires authorization")
    if not is_administrator(actor):
        raise Forbidden("Only administrators may do this")
    return actor


def is_reauthenticated(proved_at: datetime, now: datetime) -> bool:
    """Whether a password given then still counts."""
    return now - proved_at <= REAUTHENTICATION_LASTS
