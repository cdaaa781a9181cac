"""Access of an account (sessions, tokens, links), and the one function that revokes it, for every caller.

What each change revokes:

- closing an account, and opening it again: everything, so that nothing issued before becomes valid again; - a password
reset by a link, and a password set by an operator: everything, because somebody else may have had it (an operator may
keep the access tokens); - a password changed by its owner: everything except the access tokens, which are passwords of
their own; - revoking an account's tokens: its pull and push tokens and its access tokens.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from typing import cast

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.orm import Session

from index_service.accounts.models import AccessToken, BrowserSession, ProtocolToken, User
from index_service.audit.log import AuditContext, Change


class Kind(Flag):
    """The kinds of access."""

    SESSIONS = auto()
    """Browsers that are signed in."""

    PROTOCOL_TOKENS = auto()
    """Pull and push tokens: signed, for one repository, issued to daemons for minutes."""

    ACCESS_TOKENS = auto()
    """Passwords that people make for programs, `whp_…`."""

    RESET_LINKS = auto()
    """Links that set a new password."""

    TOKENS = PROTOCOL_TOKENS | ACCESS_TOKENS
    ALL = SESSIONS | TOKENS | RESET_LINKS


@dataclass(frozen=True, slots=True)
class Ended:
    """How much has ended; links are not kept, and so not counted."""

    sessions: int = 0
    protocol_tokens: int = 0
    access_tokens: int = 0


def end(session: Session, user_id: int, kinds: Kind = Kind.ALL) -> Ended:
    """End all access of these kinds that an account has."""
    if Kind.RESET_LINKS in kinds:
        values = {"reset_generation": User.reset_generation + 1}
        session.execute(update(User).where(User.id == user_id).values(values))
    # Access tokens last: deleting one cascades to the protocol tokens issued for it, which have to be counted first.
    return Ended(
        sessions=_delete(session, BrowserSession, user_id) if Kind.SESSIONS in kinds else 0,
        protocol_tokens=_delete(session, ProtocolToken, user_id) if Kind.PROTOCOL_TOKENS in kinds else 0,
        access_tokens=_delete(session, AccessToken, user_id) if Kind.ACCESS_TOKENS in kinds else 0,
    )


def revoke_tokens(session: Session, context: AuditContext, user: User) -> Ended:
    """End all tokens of an account, and keep its browsers signed in."""
    ended = end(session, user.id, Kind.TOKENS)
    counts = {"protocol_tokens": ended.protocol_tokens, "access_tokens": ended.access_tokens}
    context.record(session, Change.TOKENS_REVOKED, user.name, **counts)
    return ended


def _delete(session: Session, model: type[BrowserSession | ProtocolToken | AccessToken], user_id: int) -> int:
    statement = delete(model).where(model.user_id == user_id)
    return cast("CursorResult[tuple[()]]", session.execute(statement)).rowcount
