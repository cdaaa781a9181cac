"""Access of an account (sessions, tokens, links): the one function that revokes it, for every caller, and the one that
begins it, unless it was revoked meanwhile.

What each change revokes:

- closing an account, and opening it again: everything, so that nothing issued before becomes valid again; - a password
reset by a link, and a password set by an operator: everything, because somebody else may have had it (an operator may
keep the access tokens); - a password changed by its owner: everything except the access tokens, which are passwords of
their own; - revoking an account's tokens: its pull and push tokens and its access tokens; - an administrator's or
operator's choice: what is chosen.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Flag, auto
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Insert, Table, bindparam, delete, false, insert, select, update
from sqlalchemy.orm import Session

from common.errors import NotFound
from index_service.accounts import notices
from index_service.accounts.actor import Actor
from index_service.accounts.authentication import WrongCredential
from index_service.accounts.models import AccessToken, BrowserSession, ProtocolToken, User
from index_service.audit.log import AuditContext, Change

_Access = type[BrowserSession | ProtocolToken | AccessToken]


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


SELECTABLE = {
    "sessions": Kind.SESSIONS,
    "protocol-tokens": Kind.PROTOCOL_TOKENS,
    "access-tokens": Kind.ACCESS_TOKENS,
    "all": Kind.ALL,
}
"""What an administrator or an operator may choose to end."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to end: all access of some kinds, or with `id` the one session or token of a kind that has it.

    The id of a session and of a protocol token is its digest, that of an access token its number.
    """

    kinds: Kind
    id: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How much has ended; links are not kept, and so not counted."""

    sessions: int = 0
    protocol_tokens: int = 0
    access_tokens: int = 0


def begin(session: Session, actor: Actor, model: _Access, values: dict[str, Any]) -> None:
    """Insert a row of a session or token, unless the actor's access has ended since the actor was authenticated.

    One statement also locks the account, or the access token, until the transaction ends: whatever ends access at the
    same time comes before, and nothing is inserted, or after, and deletes this row too. Raises WrongCredential.
    """
    statement = _beginning(model, tuple(values), by_access_token=actor.limits is not None)
    given = {f"new_{name}": value for name, value in values.items()}
    if actor.limits is not None:
        given |= {"token": actor.limits.token_id}
    else:
        given |= {"actor": actor.id, "generation": actor.generation}
    result = session.execute(statement, given)
    if cast("CursorResult[tuple[()]]", result).rowcount != 1:
        raise WrongCredential


def lock(session: Session, actor: Actor) -> None:
    """Lock the account of an actor until the transaction ends. Raises WrongCredential if its access has ended since the
    actor was authenticated."""
    current = select(User.id).where(User.id == actor.id, User.reset_generation == actor.generation)
    if session.scalar(current.with_for_update(key_share=True)) is None:
        raise WrongCredential


@cache
def _beginning(model: _Access, names: tuple[str, ...], *, by_access_token: bool) -> Insert:
    """The statement of `begin`, for a row of these columns."""
    table = cast("Table", model.__table__)
    row = select(*(bindparam(f"new_{name}", type_=table.c[name].type) for name in names))
    if by_access_token:
        # Deleting it is all that ends it. A foreign key takes the same lock.
        current = row.where(AccessToken.id == bindparam("token")).with_for_update(read=True, key_share=True)
    else:
        # A foreign key's lock is not enough: a password may change beside it.
        is_current = (User.id == bindparam("actor"), User.reset_generation == bindparam("generation"))
        current = row.where(*is_current).with_for_update(read=True)
    return insert(table).from_select(list(names), current).execution_options(preserve_rowcount=True)


def end(session: Session, user_id: int, kinds: Kind = Kind.ALL, only: str = "") -> Ended:
    """End all access of these kinds that an account has; with `only`, the session or token of that id alone."""
    if Kind.RESET_LINKS in kinds:
        values = {"reset_generation": User.reset_generation + 1}
        session.execute(update(User).where(User.id == user_id).values(values))
    # Access tokens last: deleting one cascades to the protocol tokens issued for it, which have to be counted first.
    return Ended(
        sessions=_delete(session, BrowserSession, user_id, only) if Kind.SESSIONS in kinds else 0,
        protocol_tokens=_delete(session, ProtocolToken, user_id, only) if Kind.PROTOCOL_TOKENS in kinds else 0,
        access_tokens=_delete(session, AccessToken, user_id, only) if Kind.ACCESS_TOKENS in kinds else 0,
    )


def revoke_tokens(session: Session, context: AuditContext, user: User) -> Ended:
    """End all tokens of an account, and keep its browsers signed in."""
    ended = end(session, user.id, Kind.TOKENS)
    counts = {"protocol_tokens": ended.protocol_tokens, "access_tokens": ended.access_tokens}
    context.record(session, Change.TOKENS_REVOKED, user.name, **counts)
    notices.write(session, context, Change.TOKENS_REVOKED, user)
    return ended


def end_selected(session: Session, context: AuditContext, user: User, selection: Selection) -> Ended:
    """End what an administrator or an operator selected. Raises NotFound for an id that the account does not have."""
    details: dict[str, object] = {}
    if selection.id and selection.kinds is Kind.ACCESS_TOKENS:
        chosen = (AccessToken.user_id == user.id, _has_id(AccessToken, selection.id))
        details["token"] = session.scalar(select(AccessToken.name).where(*chosen))
    ended = end(session, user.id, selection.kinds, selection.id)
    if selection.id and ended == Ended():
        raise NotFound("This account has no such session or token")
    details |= {kind: number for kind, number in asdict(ended).items() if number}
    context.record(session, Change.ACCESS_ENDED, user.name, **details)
    notices.write(session, context, Change.ACCESS_ENDED, user)
    return ended


def _delete(session: Session, model: _Access, user_id: int, only: str) -> int:
    statement = delete(model).where(model.user_id == user_id)
    if only:
        statement = statement.where(_has_id(model, only))
    return cast("CursorResult[tuple[()]]", session.execute(statement)).rowcount


def _has_id(model: _Access, text: str) -> ColumnElement[bool]:
    if not issubclass(model, AccessToken):
        return model.digest == text
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return model.id == int(text) if is_number else false()
