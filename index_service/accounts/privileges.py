"""Privileges in the index: administrator rights, and how long a reauthentication lasts; pure functions for every entry
point. `repositories.policy` decides on access to repositories.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from common.errors import Forbidden, Unauthenticated
from index_service.accounts.actor import Actor

REAUTHENTICATION_LASTS = timedelta(minutes=15)
"""A dangerous action requires the password to have been entered in the session no longer ago than this."""


def is_administrator(actor: Actor | None) -> bool:
    """Whether the actor is an administrator of the index; one with an access token never is."""
    return actor is not None and actor.is_admin and actor.limits is None


def require_administrator(actor: Actor | None) -> Actor:
    """Raises Unauthenticated or Forbidden."""
    if actor is None:
        raise Unauthenticated("Requires authorization")
    if not is_administrator(actor):
        raise Forbidden("Only administrators can do this")
    return actor


def is_reauthenticated(proved_at: datetime, now: datetime) -> bool:
    """Whether a password entered then still counts."""
    return now - proved_at <= REAUTHENTICATION_LASTS
