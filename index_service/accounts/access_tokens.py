"""Access tokens in SQL: passwords that people create for programs, each with less access than the account has.

A token is `whp_` and 40 letters and digits, shown once; the table stores its digest. It is random enough to need no
slow hash. Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, true, update
from sqlalchemy.orm import Session

from common.errors import Conflict, Invalid, NotFound
from index_service.accounts import notices, validators
from index_service.accounts.access import begin
from index_service.accounts.actor import Actor
from index_service.accounts.models import AccessToken, User
from index_service.audit.log import AuditContext, Change, Named

PREFIX = "whp_"
LENGTH = 40
USED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a token was last used."""

MAX_TOKENS = 200
"""Of one person."""

_ALPHABET = string.ascii_letters + string.digits
_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9]{{{LENGTH}}}")
_PATTERN = re.compile(r"[a-z0-9*](?:[a-z0-9*._/-]{0,254})")


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to create; `expires_at` is None for one that is valid until it is revoked."""

    name: str
    pattern: str
    can_write: bool
    expires_at: datetime | None


class TooManyTokens(Conflict):
    def __init__(self) -> None:
        super().__init__(f"Limit of {MAX_TOKENS} access tokens per account reached; revoke one first")


def looks_like(password: str) -> bool:
    """Whether it has the form of a token; anything else is an account's password."""
    return _TOKEN.fullmatch(password) is not None


def validate_name(text: str) -> str:
    """Validates the token's name. Raises Invalid."""
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise Invalid("Enter a name of up to 100 characters")
    return text


MOST_STARS = 4
"""Of a pattern: a database that looks for one with many goes back and forth without end."""


def validate_pattern(text: str) -> str:
    """Validates the pattern of the repositories it opens. Raises Invalid."""
    if _PATTERN.fullmatch(text) is None or text.count("*") > MOST_STARS:
        raise Invalid("Use a repository's full name, with * for any run of characters: acme/* or acme/web-*")
    return text


def create(session: Session, context: AuditContext, user: Actor, asked: NewToken) -> str:
    """Create a token and return it; it is stored nowhere. Raises TooManyTokens, or WrongCredential if the actor's
    access has ended meanwhile."""
    held = select(func.count()).select_from(AccessToken).where(AccessToken.user_id == user.id)
    if (session.scalar(held) or 0) >= MAX_TOKENS:
        raise TooManyTokens
    secret = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))
    values = {
        "user_id": user.id,
        "name": asked.name,
        "digest": digest(secret),
        "can_write": asked.can_write,
        "pattern": asked.pattern,
        "created_at": context.at,
        "expires_at": asked.expires_at,
    }
    begin(session, user, AccessToken, values)
    details = {"token": asked.name, "pattern": asked.pattern, "write": asked.can_write}
    context.record(session, Change.ACCESS_TOKEN_MADE, user.name, **details)
    notices.write(session, context, Change.ACCESS_TOKEN_MADE, user, token=asked.name)
    return secret


def find(session: Session, name: str | None, secret: str, now: datetime) -> tuple[User, AccessToken] | None:
    """The token and its owner, of this name if one is given; None for an expired, unknown or another's token."""
    if name is not None and not validators.may_be_name(name):
        return None
    row = session.execute(
        select(User, AccessToken)
        .join(User, User.id == AccessToken.user_id)
        .where(AccessToken.digest == digest(secret), true() if name is None else User.name == name)
        .where(or_(AccessToken.expires_at.is_(None), AccessToken.expires_at > now))
    ).first()
    return None if row is None else (row[0], row[1])


def is_use_due(token: AccessToken, now: datetime) -> bool:
    """Whether the last recorded use is old enough to be updated."""
    return token.used_at is None or now - token.used_at >= USED_EVERY


def record_use(session: Session, token_id: int, now: datetime, client_ip: str) -> None:
    """Record a use of the token; of several workers that do so at once, one writes."""
    stale = or_(AccessToken.used_at.is_(None), AccessToken.used_at <= now - USED_EVERY)
    values = {"used_at": now, "used_from": client_ip[:45]}
    session.execute(update(AccessToken).where(AccessToken.id == token_id, stale).values(values))


def list_all(session: Session, user_id: int) -> list[AccessToken]:
    """A person's tokens, the newest first, including expired ones that are not revoked."""
    own = select(AccessToken).where(AccessToken.user_id == user_id)
    return list(session.scalars(own.order_by(AccessToken.id.desc()).limit(MAX_TOKENS)))


def revoke(session: Session, context: AuditContext, user: Named, token_id: int) -> str:
    """End a token of this person, and what was issued for it; returns its name. Raises NotFound."""
    name = session.scalar(select(AccessToken.name).where(AccessToken.user_id == user.id, AccessToken.id == token_id))
    if name is None:
        raise NotFound("Your account has no such access token")
    session.execute(delete(AccessToken).where(AccessToken.id == token_id))
    context.record(session, Change.ACCESS_TOKEN_REVOKED, user.name, token=name)
    return name


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
