"""Accounts: making them, proving them, changing them.

What an answer tells about names that exist is decided here. A wrong password and an unknown name raise the
same failure after the same work. Where sign-up is open the protocol itself tells a name that is taken
(§2.2: old daemons begin every login with a sign-up and go on only after one exact answer); where it is not,
that answer is given only to who knows the password.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, Forbidden, NotFound, Unauthenticated
from index_service.accounts import fields
from index_service.accounts.attempts import Attempts
from index_service.accounts.models import Email, Namespace, User
from index_service.accounts.passwords import Passwords
from index_service.accounts.remembered import RememberedCredentials
from index_service.db import Clock, Database

logger = logging.getLogger(__name__)


class WrongCredential(Unauthenticated):
    """The name or the password is wrong; which of the two is not told."""

    def __init__(self) -> None:
        super().__init__("Wrong username or password")


class AccountInactive(Forbidden):
    """The password is right, the account closed."""

    def __init__(self) -> None:
        super().__init__("Account is not active")


class SignUp(Enum):
    """How a sign-up ended."""

    CREATED = "created"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an access token opens: repositories whose full names match `pattern`, to write too or only to read.

    In the pattern `*` stands for any run of characters, slashes too, and everything else for itself.
    """

    token_id: int
    pattern: str
    can_write: bool

    def opens(self, repository: str) -> bool:
        """Whether the pattern matches this full name, `namespace/name`."""
        return re.fullmatch(".*".join(map(re.escape, self.pattern.split("*"))), repository) is not None


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who proved to be this active account, with `limits` where an access token was the proof."""

    id: int
    name: str
    is_admin: bool
    limits: Limits | None = None


class People:
    """The accounts of one index."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        remembered: RememberedCredentials,
        attempts: Attempts,
        *,
        sign_up: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._remembered = remembered
        self._attempts = attempts
        self._sign_up = sign_up
        self._clock = clock

    def sign_in(self, name: str, password: str, address: str) -> Actor:
        """Who this is. Raises WrongCredential, AccountInactive or TooMany."""
        user = self._find(name)
        if not self._is_remembered(user, password):
            with self._remembered.turn(name, password):
                if not self._is_remembered(user, password):
                    self._verify(user, name, password, address)
        if user is None:
            raise WrongCredential
        if not user.is_active:
            raise AccountInactive
        return Actor(user.id, user.name, user.is_admin)

    def sign_up(self, name: object, password: object, email: object, address: str) -> SignUp:
        """What a stranger asks who wants an account. Raises Invalid, WrongCredential or TooMany."""
        if self._sign_up != "open":
            return self._sign_up_closed(str(name), str(password), address)
        name, password, email = fields.check_name(name), fields.check_password(password), fields.check_email(email)
        user = self._find(name)
        with self._attempts.attempt(name, address) as attempt:
            if user is not None:
                attempt.failed = not self._passwords.match(user.password_hash, password)
                return SignUp.TAKEN
            made = self._insert(name, self._passwords.hash(password), email, is_admin=False)
            attempt.failed = not made
            return SignUp.CREATED if made else SignUp.TAKEN

    def create(self, name: str, password: str, email: str | None, *, is_admin: bool) -> None:
        """What an operator asks. Raises Invalid, Conflict, or Forbidden where nobody makes accounts."""
        if self._sign_up == "closed":
            raise Forbidden("sign-up is closed; set WHARFINGER_INDEX_SIGN_UP to admin to make accounts by command")
        name, password = fields.check_name(name), fields.check_password(password)
        checked = None if email is None else fields.check_email(email)
        if not self._insert(name, self._passwords.hash(password), checked, is_admin=is_admin):
            raise Conflict("Username or email already exists")

    def change(self, user_id: int, password: object, email: object) -> None:
        """Set a new password, add an address, or both; None leaves it. Raises Invalid or Conflict."""
        password_hash = None if password is None else self._passwords.hash(fields.check_password(password))
        checked = None if email is None else fields.check_email(email)
        try:
            with self._database.writing() as session:
                if password_hash is not None:
                    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
                if checked is not None and not _has_address(session, user_id, checked):
                    session.add(Email(user_id=user_id, address=checked, created_at=self._clock()))
        except IntegrityError as error:
            raise Conflict("Username or email already exists") from error

    def require(self, name: str) -> Actor:
        """An account by its name, for operators. Raises NotFound."""
        user = self._find(name)
        if user is None:
            raise NotFound(f"no account is named {name}")
        return Actor(user.id, user.name, user.is_admin)

    def set_active(self, user_id: int, *, is_active: bool) -> None:
        with self._database.writing() as session:
            session.execute(update(User).where(User.id == user_id).values(is_active=is_active))

    def _sign_up_closed(self, name: str, password: str, address: str) -> SignUp:
        self._verify(self._find(name), name, password, address)
        return SignUp.TAKEN

    def _is_remembered(self, user: User | None, password: str) -> bool:
        return user is not None and self._remembered.holds(user.name, password, user.password_hash)

    def _verify(self, user: User | None, name: str, password: str, address: str) -> None:
        password_hash = None if user is None else user.password_hash
        with self._attempts.attempt(name, address) as attempt:
            if not self._passwords.match(password_hash, password):
                attempt.failed = True
                logger.info("wrong password for %.40r from %s", name, address)
                raise WrongCredential
        if user is not None:
            self._remembered.remember(name, password, self._renewed(user, password))

    def _renewed(self, user: User, password: str) -> str:
        """The stored hash, made anew when it is of old parameters."""
        if not self._passwords.is_outdated(user.password_hash):
            return user.password_hash
        renewed = self._passwords.hash(password)
        with self._database.writing() as session:
            unchanged = update(User).where(User.id == user.id, User.password_hash == user.password_hash)
            session.execute(unchanged.values(password_hash=renewed))
        return renewed

    def _find(self, name: str) -> User | None:
        if not fields.may_be_name(name):
            return None
        with self._database.reading() as session:
            return session.scalar(select(User).where(User.name == name))

    def _insert(self, name: str, password_hash: str, email: str | None, *, is_admin: bool) -> bool:
        moment = self._clock()
        try:
            with self._database.writing() as session:
                user = User(name=name, password_hash=password_hash, is_admin=is_admin, created_at=moment)
                session.add(user)
                session.flush()
                session.add(Namespace(name=name, user_id=user.id))
                if email is not None:
                    session.add(Email(user_id=user.id, address=email, created_at=moment))
        except IntegrityError:
            return False
        return True


def _has_address(session: Session, user_id: int, address: str) -> bool:
    return session.scalar(select(Email.id).where(Email.user_id == user_id, Email.address == address)) is not None
