"""Registration: signing up, by a page or by `docker login`, and accounts that operators create.

What a response reveals about existing names is decided here. If sign-up is open, the protocol itself reveals a name
that is taken (§2.2: old daemons start every login with a sign-up and continue only after one exact response); if not,
that response requires the password.
"""

from __future__ import annotations

from enum import Enum

from sqlalchemy.exc import IntegrityError

from common.errors import Forbidden
from index_service.accounts import authentication, known_networks, registration, validators
from index_service.accounts.registration import NameTaken
from index_service.audit.log import AuditContext
from index_service.client_address import network_of
from index_service.database import Database
from index_service.db import Clock
from index_service.services.authentication import Authentication
from index_service.services.login_guard import LoginGuard


class SignUp(Enum):
    """How a sign-up ended."""

    CREATED = "created"
    TAKEN = "taken"


class Registration:
    """Creates accounts, as far as the setting `sign_up` allows."""

    def __init__(
        self,
        database: Database,
        authentication: Authentication,
        guard: LoginGuard,
        clock: Clock,
        *,
        sign_up: str,
    ) -> None:
        self._database = database
        self._authentication = authentication
        self._guard = guard
        self._clock = clock
        self._sign_up = sign_up

    def sign_up(self, name: object, password: object, email: object, client_ip: str) -> SignUp:
        """Sign up as a stranger. Raises Invalid, WrongCredential or TooMany."""
        if self._sign_up != "open":
            self._authentication.prove_client(str(name), str(password), client_ip)
            return SignUp.TAKEN
        known = self._authentication.account_name(name) if isinstance(name, str) else ""
        with self._database.reading() as session:
            user = authentication.find(session, known)
        if user is not None:
            # Old daemons sign up before every login: what is required of a new account is not of this one.
            with self._guard.attempt(known, client_ip, user) as attempt:
                attempt.failed = not self._authentication.is_right(user, str(password))
            return SignUp.TAKEN
        name = validators.validate_new_name(name)
        checked = validators.validate_email(email)
        validators.validate_password(password, name, checked)
        with self._guard.attempt(name, client_ip, None) as attempt:
            with self._guard.creation(client_ip) as making:
                hashed = self._authentication.hashed(password, name, checked)
                making.succeeded = self._create(name, hashed, checked, client_ip)
            attempt.failed = not making.succeeded
        return SignUp.CREATED if making.succeeded else SignUp.TAKEN

    def create(self, name: str, password: str, email: str | None, *, is_admin: bool) -> None:
        """Create an account as an operator. Raises Invalid, NameTaken, or Forbidden if the setting forbids it."""
        if self._sign_up == "closed":
            raise Forbidden("sign-up is closed; set WHARFINGER_INDEX_SIGN_UP to admin to make accounts by command")
        name, checked = validators.validate_name(name), None if email is None else validators.validate_email(email)
        hashed = self._authentication.hashed(password, name, *([] if checked is None else [checked]))
        context = AuditContext(None, "", self._clock())
        try:
            with self._database.writing() as session:
                registration.create(session, context, name, hashed, checked, is_admin=is_admin)
        except IntegrityError as error:
            raise NameTaken from error

    def _create(self, name: str, password_hash: str, email: str, client_ip: str) -> bool:
        """Returns whether the name was free."""
        context = AuditContext(None, client_ip, self._clock())
        try:
            with self._database.writing() as session:
                user = registration.create(session, context, name, password_hash, email, signs_up=True)
                network = network_of(client_ip)
                known_networks.record(session, user.id, known_networks.PASSWORD, network, context.at)
        except IntegrityError:
            return False
        return True
