"""Authentication: by a password, which is verified outside of transactions, or by an access token.

A wrong password and an unknown name raise the same failure after the same work. Every function that takes a session
takes that of the caller's transaction; `PasswordCheck` needs none.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from common.errors import Forbidden, NotFound, Unauthenticated
from index_service.accounts import validators
from index_service.accounts.actor import Actor, Limits
from index_service.accounts.credential_cache import CredentialCache
from index_service.accounts.login_rate_limit import LoginAttempt
from index_service.accounts.models import AccessToken, User
from index_service.accounts.passwords import Passwords
from index_service.client_address import network_of
from index_service.db import PREPARED_STATEMENT

logger = logging.getLogger(__name__)


class WrongCredential(Unauthenticated):
    """The name or the password is wrong; the answer does not say which."""

    def __init__(self) -> None:
        super().__init__("Wrong username or password")


class WrongPassword(Unauthenticated):
    """The account exists and the password is wrong."""

    def __init__(self) -> None:
        super().__init__("Wrong password")


class AccountInactive(Forbidden):
    """The password is right and the account is closed."""

    def __init__(self) -> None:
        super().__init__("Account is not active")


class Attempts(Protocol):
    """What counts attempts, and refuses those beyond its limits."""

    def attempt(
        self, name: str, client_ip: str, user: User | None, *, signed_in: bool = False, is_right: bool = False
    ) -> AbstractContextManager[LoginAttempt]:
        """Wraps one verification, or the use of a password that `is_right` for certain. Raises TooMany."""


class PasswordCheck:
    """Verifies passwords against stored hashes: a right one is cached for seconds, a wrong one counts against the rate
    limit."""

    def __init__(self, passwords: Passwords, cache: CredentialCache, attempts: Attempts) -> None:
        self._passwords = passwords
        self._cache = cache
        self._attempts = attempts

    def require(self, user: User | None, name: str, password: str, client_ip: str) -> str | None:
        """As `verify`, but cached and single-flight: of many equal credentials arriving at once one is hashed."""
        network = network_of(client_ip)
        if self._is_cached(user, password, network):
            return None
        with self._cache.lock(name, password):
            if user is None or not self._is_cached(user, password):
                return self.verify(user, name, password, client_ip)
        if not self._is_cached(user, password, network):
            # Refused as a guess would be, or the cache would tell a guesser beyond the limits which one is right.
            with self._attempts.attempt(name, client_ip, user, is_right=True):
                self._cache.put(user.name, password, user.password_hash, network)
        return None

    def verify(
        self, user: User | None, name: str, password: str, client_ip: str, *, signed_in: bool = False
    ) -> str | None:
        """Verify a password, again of somebody `signed_in`; returns a new hash to store if the stored one has outdated
        parameters.

        Raises WrongCredential or TooMany.
        """
        with self._attempts.attempt(name, client_ip, user, signed_in=signed_in) as attempt:
            if not self._passwords.match(None if user is None else user.password_hash, password):
                attempt.failed = True
                logger.info("wrong password for %.40r from %s", name, client_ip)
                raise WrongCredential
        if user is None:
            return None
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(user.password_hash) else None
        self._cache.put(user.name, password, renewed or user.password_hash, network_of(client_ip))
        return renewed

    def _is_cached(self, user: User | None, password: str, network: str = "") -> bool:
        return user is not None and self._cache.holds(user.name, password, user.password_hash, network)


_FIND = select(User).where(User.name == bindparam("name")).execution_options(**PREPARED_STATEMENT)


def find(session: Session, name: str) -> User | None:
    """An account by its name, including closed ones."""
    return session.scalar(_FIND, {"name": name}) if validators.may_be_name(name) else None


def require(session: Session, name: str) -> User:
    """The same. Raises NotFound."""
    user = find(session, name)
    if user is None:
        raise NotFound(f"no account is named {name}")
    return user


def replace_hash(session: Session, user: User, password_hash: str) -> None:
    """Store a new hash of the same password, unless the account has another password by now."""
    unchanged = update(User).where(User.id == user.id, User.password_hash == user.password_hash)
    session.execute(unchanged.values(password_hash=password_hash))


def actor_of(user: User, token: AccessToken | None = None) -> Actor:
    """The actor of an authenticated account. Raises AccountInactive."""
    if not user.is_active:
        raise AccountInactive
    limits = None if token is None else Limits(token.id, token.pattern, token.can_write)
    return Actor(user.id, user.name, user.is_admin, limits, user.reset_generation)
