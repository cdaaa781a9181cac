"""What access an account holds now, as administrators and operators see it.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from index_service.accounts import access_tokens, sessions
from index_service.accounts.models import AccessToken, BrowserSession, ProtocolToken

MAX_LISTED = 200
"""Of the protocol tokens: a busy daemon holds one for each pull of the last hours."""


@dataclass(frozen=True, slots=True)
class HeldAccess:
    """Sessions, the last used first; protocol tokens, of which `protocol_tokens_total` are valid, and access tokens,
    the newest first."""

    sessions: list[BrowserSession]
    protocol_tokens: list[ProtocolToken]
    protocol_tokens_total: int
    access_tokens: list[AccessToken]


def find(session: Session, user_id: int, now: datetime) -> HeldAccess:
    """All access that an account has; the index's own tokens are not the account's."""
    valid = (
        ProtocolToken.user_id == user_id,
        ProtocolToken.expires_at > now,
        ProtocolToken.consumed_at.is_(None),
        ProtocolToken.is_own.is_(False),
    )
    newest = select(ProtocolToken).where(*valid).order_by(ProtocolToken.created_at.desc(), ProtocolToken.digest)
    unexpired = or_(AccessToken.expires_at.is_(None), AccessToken.expires_at > now)
    own = select(AccessToken).where(AccessToken.user_id == user_id, unexpired).order_by(AccessToken.id.desc())
    return HeldAccess(
        sessions.list_active(session, user_id, now),
        list(session.scalars(newest.limit(MAX_LISTED))),
        session.scalar(select(func.count()).select_from(ProtocolToken).where(*valid)) or 0,
        list(session.scalars(own.limit(access_tokens.MAX_TOKENS))),
    )
