"""Tokens in SQL: issued, redeemed, consumed, revoked, swept up.

A token can be presented any number of times and in parallel until it expires, is revoked, or its bearer is no
longer permitted what it was issued for: a deactivated account, a repository made private or deleted. Every
function takes the session of the transaction it is part of.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import CursorResult, Delete, Update, and_, delete, select, update
from sqlalchemy.orm import Session

from common.names import RepositoryName
from common.tokens import Access, Token
from index_service.accounts.models import User
from index_service.accounts.people import Actor
from index_service.repositories import catalogue
from index_service.repositories.models import Repository
from index_service.repositories.policy import GRANTED_BY, permits
from index_service.tokens.models import TokenRecord
from index_service.tokens.signing import Signer, TokenRefused, digest

SWEEP_AT_ONCE = 500

TOKENS_AT_ONCE = 8
"""So many of the fitting tokens in one header are looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A token that we issued and that has not ended; `repository` is None when that is gone."""

    token: Token
    record: TokenRecord
    user: User | None
    repository: Repository | None

    @property
    def actor(self) -> Actor | None:
        return None if self.user is None else Actor(self.user.id, self.user.name, self.user.is_admin)

    def is_permitted(self) -> bool:
        """Whether the bearer may, at this moment, still do what the token was issued for."""
        if self.repository is None or (self.user is not None and not self.user.is_active):
            return False
        facts = catalogue.facts(self.repository.full_name, self.repository)
        return permits(self.actor, facts, GRANTED_BY[Access(self.record.access)])


class Tokens:
    """The tokens of one index."""

    def __init__(self, signer: Signer, lifetime: timedelta) -> None:
        self._signer = signer
        self._lifetime = lifetime

    def issue(
        self, session: Session, user_id: int | None, repository: RepositoryName, access: Access, moment: datetime
    ) -> Token:
        """A new token for somebody who is permitted this; `user_id` is None for an anonymous reader."""
        token = self._signer.sign(repository, access)
        record = TokenRecord(
            digest=digest(token),
            user_id=user_id,
            repository=str(repository),
            access=access,
            created_at=moment,
            expires_at=moment + self._lifetime,
        )
        session.add(record)
        return token

    def find(self, session: Session, token: Token, moment: datetime) -> Found:
        """Raises TokenRefused: not signed by us for this repository and access, or expired, consumed or revoked."""
        self._signer.verify(token)
        name = token.repository
        row = session.execute(
            select(TokenRecord, User, Repository)
            .outerjoin(User, User.id == TokenRecord.user_id)
            .outerjoin(Repository, and_(Repository.namespace == name.namespace, Repository.name == name.name))
            .where(TokenRecord.digest == digest(token))
        ).first()
        if row is None or row[0].expires_at <= moment or row[0].consumed_at is not None:
            raise TokenRefused
        return Found(token, *row)

    def redeem(
        self,
        session: Session,
        tokens: Iterable[Token],
        name: RepositoryName,
        accesses: Iterable[Access],
        moment: datetime,
    ) -> Found:
        """The first of some tokens that is for this repository and one of these accesses, and still good.

        Good is: found, and its bearer still permitted. Raises TokenRefused when none is.
        """
        wanted = set(accesses)
        fitting = [token for token in tokens if token.repository == name and token.access in wanted]
        for token in fitting[:TOKENS_AT_ONCE]:
            with suppress(TokenRefused):
                found = self.find(session, token, moment)
                if found.is_permitted():
                    return found
        raise TokenRefused


def consume(session: Session, record: TokenRecord, moment: datetime) -> None:
    """Use up a token that works once. Raises TokenRefused when another was quicker."""
    unused = (TokenRecord.digest == record.digest, TokenRecord.consumed_at.is_(None))
    if _rows(session, update(TokenRecord).where(*unused).values(consumed_at=moment)) != 1:
        raise TokenRefused


def forget_consumed(session: Session, user_id: int, repository: RepositoryName, moment: datetime) -> bool:
    """Whether this person's delete token for this repository was consumed and is not yet forgotten; now it is."""
    consumed = (
        TokenRecord.user_id == user_id,
        TokenRecord.repository == str(repository),
        TokenRecord.consumed_at.is_not(None),
        TokenRecord.expires_at > moment,
    )
    return _rows(session, delete(TokenRecord).where(*consumed)) > 0


def revoke(session: Session, user_id: int) -> int:
    """End every token of a person; returns how many."""
    return _rows(session, delete(TokenRecord).where(TokenRecord.user_id == user_id))


def sweep(session: Session, moment: datetime, limit: int = SWEEP_AT_ONCE) -> int:
    """Delete up to `limit` expired tokens, those another sweeper is at left out; returns how many."""
    expired = select(TokenRecord.digest).where(TokenRecord.expires_at <= moment).limit(limit)
    digests = list(session.scalars(expired.with_for_update(skip_locked=True)))
    return _rows(session, delete(TokenRecord).where(TokenRecord.digest.in_(digests))) if digests else 0


def _rows(session: Session, statement: Update | Delete) -> int:
    return cast("CursorResult[tuple[()]]", session.execute(statement)).rowcount
