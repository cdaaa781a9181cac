"""Pull and push tokens in SQL: issued, redeemed, consumed, swept up. `accounts/access.py` revokes them.

A token can be presented any number of times and in parallel until it expires, is revoked, or its bearer loses the
permission it was issued for: a deactivated account, a repository made private or deleted. What reads a public
repository is nobody's, and no row: like all for reading it states itself when it expires. A delete token, and the
index's own for changing tags, is bound to one repository, not to a later one of the same name. Every function takes the
session of the caller's transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update, bindparam, delete, select, update
from sqlalchemy.orm import Session

from common import request_record
from common.names import RepositoryName
from common.statements import LISTING_BYTES, NONCE_BYTES, Statement, is_statement
from common.tokens import Access, Token, token_key
from index_service.accounts.access import begin
from index_service.accounts.actor import Actor, Limits
from index_service.accounts.models import AccessToken, ProtocolToken, User
from index_service.db import PREPARED_STATEMENT
from index_service.metrics import TOKENS_ISSUED
from index_service.repositories import catalogue
from index_service.repositories.models import Repository
from index_service.repositories.policy import GRANTED_BY, Action
from index_service.repositories.roles import AccessControl
from index_service.tokens.signing import Signer, TokenRefused, digest

DELETE_BATCH = 500

IDENTITY = RepositoryName("library", "_catalog")
"""What a token is for that opens no repository and only says whose it is; no repository can be created by this name."""

OWN_LIFETIME = timedelta(minutes=10)
"""The index's own tokens are used at once."""

_EPOCH = datetime.fromtimestamp(0, UTC)

TOKENS_AT_ONCE = 8
"""The limit of matching tokens in one header that are checked."""


_FIND = (
    select(ProtocolToken, User, AccessToken, Repository)
    .outerjoin(User, User.id == ProtocolToken.user_id)
    .outerjoin(AccessToken, AccessToken.id == ProtocolToken.access_token_id)
    .outerjoin(Repository, catalogue.IS_NAMED)
    .where(ProtocolToken.digest == bindparam("digest"))
    .execution_options(**PREPARED_STATEMENT)
)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that we issued and that is still valid; `repository` is None if it was deleted."""

    token: Token
    record: ProtocolToken
    user: User | None
    access_token: AccessToken | None
    repository: Repository | None

    @property
    def actor(self) -> Actor | None:
        if self.user is None:
            return None
        return Actor(self.user.id, self.user.name, self.user.is_admin, self._limits, self.user.reset_generation)

    @property
    def is_same_repository(self) -> bool:
        """Whether the name still belongs to the repository that the token was issued for."""
        if self.repository is None or self.repository.id != self.record.repository_id:
            return False
        # SQLite reuses the ids of deleted rows.
        return self.repository.created_at <= self.record.created_at

    @property
    def _limits(self) -> Limits | None:
        given = self.access_token
        return None if given is None else Limits(given.id, given.pattern, given.can_write)

    def has_ended(self, now: datetime) -> bool:
        """Whether it, or the access token it was issued for, has expired."""
        ends = [self.record.expires_at] + ([] if self.access_token is None else [self.access_token.expires_at])
        return self.record.consumed_at is not None or any(end is not None and end <= now for end in ends)


class ProtocolTokens:
    """The tokens of one index."""

    def __init__(self, signer: Signer, lifetime: timedelta, access_control: AccessControl) -> None:
        self.lifetime = lifetime
        self.public_keys = signer.public_keys
        self._signer = signer
        self._access_control = access_control

    def issue(
        self,
        session: Session,
        actor: Actor,
        repository: Repository,
        access: Access,
        now: datetime,
        client: str = "",
    ) -> Token:
        """Issue a token that changes something to an actor with this permission, using this client.

        Raises WrongCredential if the actor's access has ended meanwhile.
        """
        token = self._signer.sign(repository.full_name, access)
        _note_issued(token)
        values = self._values(token, now, self.lifetime)
        return _begin(session, actor, token, values | {"repository_id": repository.id, "client": client})

    def issue_for_reading(
        self,
        session: Session,
        actor: Actor | None,
        repository: Repository,
        listing: bytes,
        now: datetime,
        client: str = "",
    ) -> Token:
        """Issue a token for reading to an actor who may read, None for an anonymous reader; `listing` is a digest of
        what a registry would be told now of the repository's images. Raises as `issue`."""
        is_public = self._access_control.permits(session, None, repository, Action.READ)
        values = {"repository_id": repository.id, "client": client}
        return self._state(session, actor, repository.full_name, listing, now, values, is_public=is_public)

    def issue_identity(self, session: Session, actor: Actor | None, now: datetime, client: str = "") -> Token:
        """Issue a token that opens no repository, and says for as long as any other whose it is. Raises as `issue`."""
        return self._state(session, actor, IDENTITY, bytes(LISTING_BYTES), now, {"client": client})

    def _state(
        self,
        session: Session,
        actor: Actor | None,
        name: RepositoryName,
        listing: bytes,
        now: datetime,
        values: dict[str, Any],
        *,
        is_public: bool = False,
    ) -> Token:
        """A token for reading, with a row of these values for somebody known."""
        token = self._signer.state(
            Statement(
                repository=name,
                issued_at=_microseconds(now),
                expires_at=_microseconds(now + self.lifetime),
                repository_id=values.get("repository_id", 0),
                is_anonymous=actor is None,
                is_public=is_public,
                listing=listing,
                nonce=secrets.token_bytes(NONCE_BYTES),
            )
        )
        _note_issued(token)
        if actor is None:
            return token
        return _begin(session, actor, token, self._values(token, now, self.lifetime) | values)

    def issue_own(
        self,
        session: Session,
        repository: RepositoryName,
        access: Access,
        now: datetime,
        on_behalf_of: Actor | None = None,
        repository_id: int | None = None,
    ) -> Token:
        """Issue a token to the index itself, valid for minutes, whoever owns the repository.

        What is done with it is written down as done by `on_behalf_of`. With `repository_id` it is for that one alone.
        """
        token = self._signer.sign(repository, access)
        given = {"user_id": None if on_behalf_of is None else on_behalf_of.id, "repository_id": repository_id}
        session.add(ProtocolToken(**self._values(token, now, OWN_LIFETIME), **given, is_own=True))
        return token

    @staticmethod
    def _values(token: Token, now: datetime, lifetime: timedelta) -> dict[str, Any]:
        """The values of a token's row."""
        return {
            "digest": digest(token),
            "repository": str(token.repository),
            "access": token.access,
            "created_at": now,
            "expires_at": now + lifetime,
        }

    def is_permitted(self, session: Session, found: IssuedToken) -> bool:
        """Whether the bearer still has the permission that the token was issued for.

        The index itself may, also where the repository is gone: a registry can still have what bore its name. But what
        it does for one repository it does to no other.
        """
        if found.user is not None and not found.user.is_active:
            return False
        if found.record.is_own:
            return found.record.repository_id is None or found.is_same_repository
        access = Access(found.record.access)
        if found.repository is None or (access is Access.DELETE and not found.is_same_repository):
            return False
        return self._access_control.permits(session, found.actor, found.repository, GRANTED_BY[access])

    def find(self, session: Session, token: Token, now: datetime) -> IssuedToken:
        """Raises TokenRefused: not signed by us for this repository and access, or expired, consumed or revoked."""
        if not is_statement(token):
            self._signer.verify(token)
        elif (statement := self._signer.read(token)).is_anonymous:
            return _anonymous(session, token, statement, now)
        row = session.execute(_FIND, {"digest": digest(token)} | catalogue.name_parameters(token.repository)).first()
        if row is None or (found := IssuedToken(token, *row)).has_ended(now):
            raise TokenRefused
        return found

    def identify(self, session: Session, tokens: Iterable[Token], now: datetime) -> IssuedToken:
        """The first of some tokens that is still valid, whatever it is for. Raises TokenRefused if none is."""
        for token in list(tokens)[:TOKENS_AT_ONCE]:
            with suppress(TokenRefused):
                found = self.find(session, token, now)
                if found.user is None or found.user.is_active:
                    return found
        raise TokenRefused

    def redeem(
        self,
        session: Session,
        tokens: Iterable[Token],
        name: RepositoryName,
        accesses: Iterable[Access],
        now: datetime,
    ) -> IssuedToken:
        """The first of some tokens that is for this repository and one of these accesses, and still valid.

        Valid means: found, and its bearer still permitted. Raises TokenRefused if none is.
        """
        wanted = set(accesses)
        fitting = [token for token in tokens if token.repository == name and token.access in wanted]
        for token in fitting[:TOKENS_AT_ONCE]:
            with suppress(TokenRefused):
                found = self.find(session, token, now)
                if self.is_permitted(session, found):
                    return found
        raise TokenRefused


def _note_issued(token: Token) -> None:
    """In the metrics, and in the access log's line of the request that it is issued to."""
    TOKENS_ISSUED.add(token.access.value)
    request_record.note_token(token_key(token))


def _begin(session: Session, actor: Actor, token: Token, values: dict[str, Any]) -> Token:
    """Insert the row of an actor's token."""
    access_token_id = actor.limits and actor.limits.token_id
    begin(session, actor, ProtocolToken, values | {"user_id": actor.id, "access_token_id": access_token_id})
    return token


def _anonymous(session: Session, token: Token, statement: Statement, now: datetime) -> IssuedToken:
    """An anonymous reader's token, by what it states. Raises TokenRefused if it has expired."""
    record = ProtocolToken(
        digest=digest(token),
        repository=str(token.repository),
        repository_id=statement.repository_id,
        access=token.access,
        created_at=_moment(statement.issued_at),
        expires_at=_moment(statement.expires_at),
        is_own=False,
        client="",
    )
    found = IssuedToken(token, record, None, None, catalogue.find(session, token.repository))
    if found.has_ended(now):
        raise TokenRefused
    return found


def _microseconds(now: datetime) -> int:
    return (now - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def consume(session: Session, record: ProtocolToken, now: datetime) -> None:
    """Consume a single-use token. Raises TokenRefused if a concurrent request was faster."""
    unused = (ProtocolToken.digest == record.digest, ProtocolToken.consumed_at.is_(None))
    if _rows(session, update(ProtocolToken).where(*unused).values(consumed_at=now)) != 1:
        raise TokenRefused


def forget_consumed(session: Session, user_id: int, repository: RepositoryName, now: datetime) -> bool:
    """Forget a person's consumed delete token for this repository; returns whether there was one."""
    consumed = (
        ProtocolToken.user_id == user_id,
        ProtocolToken.repository == str(repository),
        ProtocolToken.consumed_at.is_not(None),
        ProtocolToken.expires_at > now,
    )
    return _rows(session, delete(ProtocolToken).where(*consumed)) > 0


def delete_expired(session: Session, now: datetime, limit: int = DELETE_BATCH) -> int:
    """Delete up to `limit` expired tokens, skipping those another process has locked; returns how many."""
    expired = select(ProtocolToken.digest).where(ProtocolToken.expires_at <= now).limit(limit)
    digests = list(session.scalars(expired.with_for_update(skip_locked=True)))
    return _rows(session, delete(ProtocolToken).where(ProtocolToken.digest.in_(digests))) if digests else 0


def _rows(session: Session, statement: Update | Delete) -> int:
    return cast("CursorResult[tuple[()]]", session.execute(statement)).rowcount
