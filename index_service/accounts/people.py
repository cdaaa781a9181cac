"""Accounts: making them, proving them, changing them.

What an answer tells about names that exist is decided here. A wrong password and an unknown name raise the
same failure after the same work. Where sign-up is open the protocol itself tells a name that is taken
(§2.2: old daemons begin every login with a sign-up and go on only after one exact answer); where it is not,
that answer is given only to who knows the password.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, Forbidden, NotFound, Unauthenticated
from index_service.accounts import access_tokens, emails, fields, standing
from index_service.accounts.attempts import Attempts
from index_service.accounts.credential_cache import CredentialCache
from index_service.accounts.models import AccessToken, Email, Namespace, User
from index_service.accounts.models import Session as SessionRecord
from index_service.accounts.passwords import Passwords
from index_service.audit.log import Change, Deed
from index_service.db import Clock, Database

logger = logging.getLogger(__name__)


class WrongCredential(Unauthenticated):
    """The name or the password is wrong; which of the two is not told."""

    def __init__(self) -> None:
        super().__init__("Wrong username or password")


class WrongPassword(Unauthenticated):
    """The name is known; the password is not its."""

    def __init__(self) -> None:
        super().__init__("Wrong password")


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
        first, *pieces = self.pattern.split("*")
        if not pieces:
            return repository == first
        # Each piece where it comes first: a pattern cannot make this go back and try again.
        at = len(first) if repository.startswith(first) else -1
        for piece in pieces[:-1]:
            found = repository.find(piece, at) if at >= 0 else -1
            at = found + len(piece) if found >= 0 else -1
        return 0 <= at <= len(repository) - len(pieces[-1]) and repository.endswith(pieces[-1])


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
        credentials: CredentialCache,
        attempts: Attempts,
        *,
        sign_up: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._credentials = credentials
        self._attempts = attempts
        self._sign_up = sign_up
        self._clock = clock

    def sign_in(self, name: str, password: str, address: str) -> Actor:
        """Who this is. Raises WrongCredential, AccountInactive or TooMany."""
        user = self._find(name)
        if not self._is_cached(user, password):
            with self._credentials.lock(name, password):
                if not self._is_cached(user, password):
                    self._verify(user, name, password, address)
        if user is None:
            raise WrongCredential
        if not user.is_active:
            raise AccountInactive
        return Actor(user.id, user.name, user.is_admin)

    def sign_in_client(self, name: str, password: str, address: str) -> Actor:
        """Who this is, by the account's password or by one of its access tokens. Raises as `sign_in` does."""
        if access_tokens.looks_like(password):
            return self._sign_in_by_token(name, password, address, counted=name)
        return self.sign_in(name, password, address)

    def sign_in_bearer(self, secret: str, address: str) -> Actor:
        """Who this is by an access token alone. Raises as `sign_in` does."""
        # Counted by the token: who brings one wrong token after the other is stopped by the rate of the address.
        return self._sign_in_by_token(None, secret, address, counted=access_tokens.digest(secret))

    def prove(self, name: str, password: str, address: str) -> None:
        """Whoever is signed in gives the account's password again. Raises WrongPassword or TooMany."""
        try:
            self._verify(self._find(name), name, password, address)
        except WrongCredential as error:
            raise WrongPassword from error

    def count(self, what: str, address: str) -> None:
        """Count something that nobody has to be right about, such as letters asked for, as if it were a wrong password.

        Raises TooMany.
        """
        with self._attempts.attempt(what, address) as attempt:
            attempt.failed = True

    def hashed(self, password: object) -> str:
        """A new password as it is stored; takes a while, so it is asked outside of transactions. Raises Invalid."""
        return self._passwords.hash(fields.check_password(password))

    def sign_up(self, name: object, password: object, email: object, address: str) -> SignUp:
        """What a stranger asks who wants an account. Raises Invalid, WrongCredential or TooMany."""
        if self._sign_up != "open":
            return self._sign_up_closed(str(name), str(password), address)
        name, password, email = fields.check_name(name), fields.check_password(password), fields.check_email(email)
        user = self._find(name)
        with self._attempts.attempt(name, address) as attempt:
            if user is not None:
                attempt.failed = not self._is_right(user, password)
                return SignUp.TAKEN
            # Only here: old daemons ask for a name that is taken before every login.
            with self._attempts.making(address) as making:
                making.made = self._insert(name, self._passwords.hash(password), email, address=address)
            attempt.failed = not making.made
            return SignUp.CREATED if making.made else SignUp.TAKEN

    def create(self, name: str, password: str, email: str | None, *, is_admin: bool) -> None:
        """What an operator asks. Raises Invalid, Conflict, or Forbidden where nobody makes accounts."""
        if self._sign_up == "closed":
            raise Forbidden("sign-up is closed; set WHARFINGER_INDEX_SIGN_UP to admin to make accounts by command")
        name, password = fields.check_name(name), fields.check_password(password)
        checked = None if email is None else fields.check_email(email)
        if not self._insert(name, self._passwords.hash(password), checked, is_admin=is_admin):
            raise Conflict("Username or email already exists")

    def change(
        self, user_id: int, password: object, email: object, *, by: Actor | None = None, address: str = ""
    ) -> None:
        """Set a new password, which ends all sessions, add an address, or both; None leaves it.

        Raises Invalid, Conflict or TooManyAddresses.
        """
        deed = Deed(by, address, self._clock())
        password_hash = None if password is None else self.hashed(password)
        checked = None if email is None else fields.check_email(email)
        try:
            with self._database.writing() as session:
                if password_hash is not None:
                    set_password(session, user_id, password_hash)
                    deed.record(session, Change.PASSWORD_CHANGED, session.get_one(User, user_id).name)
                if checked is not None and not emails.is_of(session, user_id, checked):
                    _add_address(session, deed, user_id, checked)
        except IntegrityError as error:
            raise Conflict("Username or email already exists") from error

    def require(self, name: str) -> Actor:
        """An account by its name, for operators. Raises NotFound."""
        user = self._find(name)
        if user is None:
            raise NotFound(f"no account is named {name}")
        return Actor(user.id, user.name, user.is_admin)

    def set_active(self, user_id: int, *, is_active: bool) -> None:
        """What an operator asks. Raises LastAdministrator or SoleOwner."""
        with self._database.writing() as session:
            standing.set_active(session, self._operator(), standing.hold(session, user_id), is_active=is_active)

    def set_admin(self, user_id: int, *, is_admin: bool) -> None:
        """What an operator asks. Raises LastAdministrator."""
        with self._database.writing() as session:
            standing.set_admin(session, self._operator(), standing.hold(session, user_id), is_admin=is_admin)

    def _operator(self) -> Deed:
        return Deed(None, "", self._clock())

    def _sign_up_closed(self, name: str, password: str, address: str) -> SignUp:
        if access_tokens.looks_like(password):
            self._sign_in_by_token(name, password, address, counted=name)
        else:
            self._verify(self._find(name), name, password, address)
        return SignUp.TAKEN

    def _sign_in_by_token(self, name: str | None, secret: str, address: str, *, counted: str) -> Actor:
        with self._attempts.attempt(counted, address) as attempt:
            found = self._find_token(name, secret)
            if found is None:
                attempt.failed = True
                logger.info("wrong access token for %.40r from %s", name or "whoever", address)
                raise WrongCredential
        user, token = found
        if not user.is_active:
            raise AccountInactive
        self._note_use(token, address)
        return Actor(user.id, user.name, user.is_admin, Limits(token.id, token.pattern, token.can_write))

    def _find_token(self, name: str | None, secret: str) -> tuple[User, AccessToken] | None:
        if name is not None and not fields.may_be_name(name):
            return None
        with self._database.reading() as session:
            return access_tokens.find(session, name, secret, self._clock())

    def _note_use(self, token: AccessToken, address: str) -> None:
        moment = self._clock()
        if access_tokens.is_use_due(token, moment):
            with self._database.writing() as session:
                access_tokens.note_use(session, token.id, moment, address)

    def _is_right(self, user: User, password: str) -> bool:
        if access_tokens.looks_like(password):
            return self._find_token(user.name, password) is not None
        return self._passwords.match(user.password_hash, password)

    def _is_cached(self, user: User | None, password: str) -> bool:
        return user is not None and self._credentials.holds(user.name, password, user.password_hash)

    def _verify(self, user: User | None, name: str, password: str, address: str) -> None:
        password_hash = None if user is None else user.password_hash
        with self._attempts.attempt(name, address) as attempt:
            if not self._passwords.match(password_hash, password):
                attempt.failed = True
                logger.info("wrong password for %.40r from %s", name, address)
                raise WrongCredential
        if user is not None:
            self._credentials.put(name, password, self._renewed(user, password))

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

    def _insert(
        self, name: str, password_hash: str, email: str | None, *, is_admin: bool = False, address: str = ""
    ) -> bool:
        """Where an address is known it is the person's own doing, else an operator's."""
        moment = self._clock()
        try:
            with self._database.writing() as session:
                user = User(name=name, password_hash=password_hash, is_admin=is_admin, created_at=moment)
                session.add(user)
                session.flush()
                session.add(Namespace(name=name, user_id=user.id))
                if email is not None:
                    session.add(Email(user_id=user.id, address=email, created_at=moment))
                Deed(user if address else None, address, moment).record(session, Change.ACCOUNT_MADE, name)
        except IntegrityError:
            return False
        return True


def set_password(session: Session, user_id: int, password_hash: str) -> None:
    """A new password; every browser has to be told it."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
    session.execute(delete(SessionRecord).where(SessionRecord.user_id == user_id))


def _add_address(session: Session, deed: Deed, user_id: int, address: str) -> None:
    emails.require_room(session, user_id)
    session.add(Email(user_id=user_id, address=address, created_at=deed.moment))
    deed.record(session, Change.EMAIL_ADDED, session.get_one(User, user_id).name, email=address)
