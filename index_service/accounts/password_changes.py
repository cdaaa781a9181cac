"""A new password in place of the old one: changed, set by an operator, or reset by a link.

Every function takes the session of the caller's transaction; the password comes hashed, since that takes longer than a
transaction may.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from index_service.accounts import access, email_addresses, notices
from index_service.accounts.access import Kind
from index_service.accounts.actor import Actor
from index_service.accounts.email_links import EmailLinks, LinkExpired
from index_service.accounts.models import User
from index_service.audit.log import AuditContext, Change, Named


def change(
    session: Session, context: AuditContext, user: Named, password_hash: str, *, keeps_access_tokens: bool
) -> None:
    """Set a password, and end the access that came with the one before."""
    _replace(session, user, password_hash, Kind.ALL ^ Kind.ACCESS_TOKENS if keeps_access_tokens else Kind.ALL)
    context.record(session, Change.PASSWORD_CHANGED, user.name)
    notices.write(session, context, Change.PASSWORD_CHANGED, user)


def change_own(session: Session, context: AuditContext, actor: Actor, password_hash: str) -> Actor:
    """Set the actor's own password and keep the access tokens; returns the actor as authenticated by the new password.

    Raises WrongCredential if the password has changed since the actor gave it.
    """
    access.lock(session, actor)
    change(session, context, actor, password_hash, keeps_access_tokens=True)
    return replace(actor, generation=actor.generation + 1)


def record_request(session: Session, context: AuditContext, user: User) -> None:
    """Record that a link was asked for that sets a new password: by email, or for an administrator to hand over."""
    context.record(session, Change.PASSWORD_RESET_ASKED, user.name)


def resettable(session: Session, context: AuditContext, links: EmailLinks, link: str, *, hold: bool = False) -> User:
    """Whose password a link resets, with `hold` kept from other writers. Raises LinkExpired."""
    found = links.read_reset(link, context.at)
    wanted = select(User).where(User.id == found.user_id, User.is_active)
    user = session.scalar(wanted.with_for_update() if hold else wanted)
    if user is None or not found.is_for(user):
        raise LinkExpired
    if found.email_address is not None and not email_addresses.is_of(session, user.id, found.email_address):
        raise LinkExpired
    return user


def reset(session: Session, context: AuditContext, user: User, password_hash: str) -> None:
    """Set a password by a link, as the account's own doing; all access ends, for somebody else may have had it."""
    _replace(session, user, password_hash, Kind.ALL)
    own = replace(context, actor=user)
    own.record(session, Change.PASSWORD_RESET, user.name)
    notices.write(session, own, Change.PASSWORD_RESET, user)


def _replace(session: Session, user: Named, password_hash: str, ended: Kind) -> None:
    session.execute(update(User).where(User.id == user.id).values(password_hash=password_hash))
    access.end(session, user.id, ended)
