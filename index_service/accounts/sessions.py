"""Browser sessions in SQL: who is signed in with which browser, and when the password was last entered.

The browser's cookie holds a random secret, the table its digest, so that nobody who reads the table can sign in. Every
sign-in creates a new secret. Every function takes the session of the caller's transaction, which is the database's, not
the browser's.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, select, update
from sqlalchemy.orm import Session

from common.errors import NotFound
from index_service.accounts.access import begin
from index_service.accounts.actor import Actor
from index_service.accounts.models import BrowserSession, User
from index_service.audit.log import AuditContext, Change, Named

LIFETIME = timedelta(days=30)
"""How long a session lasts that is not used."""

TOUCH_EVERY = timedelta(minutes=5)
"""How exactly it is kept when a session was last used: a page that is only read shall rarely write."""

MAX_SESSIONS = 100
"""Of one person; beyond it the longest unused one ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person who is signed in with a browser.

    `session` is the digest of the cookie, `proved_at` is when the password was given, `ends_at` is when the session
    ends however much it is used.
    """

    actor: Actor
    session: str
    proved_at: datetime
    seen_at: datetime
    ends_at: datetime
    language: str

    def is_due(self, now: datetime) -> bool:
        """Whether the session's last use should be updated."""
        return now - self.seen_at >= TOUCH_EVERY


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def create(session: Session, actor: Actor, now: datetime, client_ip: str, browser: str, old: str = "") -> str:
    """Create a session that replaces the browser's `old` one; returns the secret for the cookie, stored nowhere.

    Raises WrongCredential if the actor's access has ended meanwhile.
    """
    secret = secrets.token_urlsafe(32)
    values = {
        "digest": digest(secret),
        "user_id": actor.id,
        "created_at": now,
        "seen_at": now,
        "proved_at": now,
        "expires_at": now + LIFETIME,
        "address": client_ip,
        "browser": browser,
    }
    # First, because it locks the account: a password change locks that, then the sessions.
    begin(session, actor, BrowserSession, values)
    if old:
        _replace(session, old)
    _end_least_recently_used(session, actor.id)
    return secret


def find(session: Session, secret: str, now: datetime, longest: timedelta) -> SignedIn | None:
    """The signed-in person of a session; None if it has expired, is older than `longest`, or the account is closed."""
    row = session.execute(
        select(BrowserSession, User)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.digest == digest(secret), User.is_active)
        .where(BrowserSession.expires_at > now, BrowserSession.created_at > now - longest)
    ).first()
    if row is None:
        return None
    record, user = row
    actor = Actor(user.id, user.name, user.is_admin, generation=user.reset_generation)
    return SignedIn(
        actor=actor,
        session=record.digest,
        proved_at=record.proved_at,
        seen_at=record.seen_at,
        ends_at=record.created_at + longest,
        language=user.language,
    )


def touch(session: Session, found: SignedIn, now: datetime) -> None:
    """Record a use of the session and extend it, though not beyond its end."""
    values = {"seen_at": now, "expires_at": min(now + LIFETIME, found.ends_at)}
    session.execute(update(BrowserSession).where(BrowserSession.digest == found.session).values(values))


def record_reauthentication(session: Session, digest: str, now: datetime) -> None:
    """Record that the password was entered again."""
    session.execute(update(BrowserSession).where(BrowserSession.digest == digest).values(proved_at=now))


def list_active(session: Session, user_id: int, now: datetime) -> list[BrowserSession]:
    """A person's active sessions, the last used first."""
    own = select(BrowserSession).where(BrowserSession.user_id == user_id, BrowserSession.expires_at > now)
    return list(session.scalars(own.order_by(BrowserSession.seen_at.desc(), BrowserSession.digest).limit(MAX_SESSIONS)))


def end(session: Session, user_id: int, digest: str) -> bool:
    """End one of a person's sessions; returns whether it existed."""
    own = (BrowserSession.user_id == user_id, BrowserSession.digest == digest)
    return _rows(session, delete(BrowserSession).where(*own)) == 1


def _replace(session: Session, secret: str) -> None:
    """End the session of a cookie that is about to be replaced, whoever it belongs to."""
    session.execute(delete(BrowserSession).where(BrowserSession.digest == digest(secret)))


def revoke(session: Session, context: AuditContext, user: Named, digest: str) -> None:
    """End one of a person's sessions from another browser. Raises NotFound."""
    if not _revoke(session, context, user, BrowserSession.digest == digest):
        raise NotFound("Your account has no such session")


def revoke_others(session: Session, context: AuditContext, user: Named, own: str) -> int:
    """End all of a person's sessions except the one with this digest; returns how many."""
    return _revoke(session, context, user, BrowserSession.digest != own)


def _revoke(session: Session, context: AuditContext, user: Named, which: ColumnElement[bool]) -> int:
    count = _rows(session, delete(BrowserSession).where(BrowserSession.user_id == user.id, which))
    context.record(session, Change.SESSION_REVOKED, user.name, count=count)
    return count


def delete_expired(session: Session, now: datetime, limit: int = 500) -> int:
    """Delete up to `limit` expired sessions; returns how many."""
    expired = select(BrowserSession.digest).where(BrowserSession.expires_at <= now).limit(limit)
    digests = list(session.scalars(expired.with_for_update(skip_locked=True)))
    return _rows(session, delete(BrowserSession).where(BrowserSession.digest.in_(digests))) if digests else 0


def _end_least_recently_used(session: Session, user_id: int) -> None:
    own = select(BrowserSession.digest).where(BrowserSession.user_id == user_id)
    newest_first = own.order_by(BrowserSession.seen_at.desc(), BrowserSession.created_at.desc())
    beyond = list(session.scalars(newest_first.limit(MAX_SESSIONS).offset(MAX_SESSIONS)))
    if beyond:
        session.execute(delete(BrowserSession).where(BrowserSession.digest.in_(beyond)))


def _rows(session: Session, statement: Update | Delete) -> int:
    return cast("CursorResult[tuple[()]]", session.execute(statement)).rowcount
