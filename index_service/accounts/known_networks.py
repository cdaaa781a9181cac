"""The networks that an account, or one of its access tokens, was used from lately.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from index_service.accounts.models import KnownNetwork
from index_service.client_address import neighbourhood_of
from index_service.db import upsert

KEPT = timedelta(days=90)
PASSWORD = 0
"""In place of an access token's id."""


def is_known(session: Session, user_id: int, network: str, now: datetime) -> bool:
    """Whether the account's password was given there lately."""
    return _used_at(session, user_id, PASSWORD, network, now) is not None


def is_new(session: Session, user_id: int, network: str, now: datetime) -> bool:
    """Whether the account's password was given lately, and never in that neighbourhood; the first one is not new."""
    lately = (
        KnownNetwork.user_id == user_id,
        KnownNetwork.access_token_id == PASSWORD,
        KnownNetwork.used_at > now - KEPT,
    )
    near = KnownNetwork.network.startswith(neighbourhood_of(network), autoescape=True)
    given, given_near = exists().where(*lately), exists().where(*lately, near)
    return bool(session.scalar(select(given & ~given_near)))


def is_recorded(session: Session, user_id: int, access_token_id: int, network: str, now: datetime) -> bool:
    """Whether a use is recorded for this day in UTC."""
    used_at = _used_at(session, user_id, access_token_id, network, now)
    return used_at is not None and used_at.date() == now.date()


def record(session: Session, user_id: int, access_token_id: int, network: str, now: datetime) -> bool:
    """Record a use; returns whether it was the first of the day in UTC."""
    if is_recorded(session, user_id, access_token_id, network, now):
        return False
    session.execute(delete(KnownNetwork).where(KnownNetwork.user_id == user_id, KnownNetwork.used_at <= now - KEPT))
    row = {"user_id": user_id, "access_token_id": access_token_id, "network": network, "used_at": now}
    upsert(session, KnownNetwork, [row], key=("user_id", "access_token_id", "network"), changed=("used_at",))
    return True


def _used_at(session: Session, user_id: int, access_token_id: int, network: str, now: datetime) -> datetime | None:
    found = select(KnownNetwork.used_at).where(
        KnownNetwork.user_id == user_id,
        KnownNetwork.access_token_id == access_token_id,
        KnownNetwork.network == network,
        KnownNetwork.used_at > now - KEPT,
    )
    return session.scalar(found)
