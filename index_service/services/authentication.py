"""Authentication for every entry point of the index. A wrong credential is refused, never treated as anonymous.

Passwords are verified between transactions: that takes longer than a transaction may last.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from common import request_record
from common.errors import Unauthenticated
from common.names import RepositoryName
from common.tokens import Access, token_key
from index_service.accounts import access_tokens, authentication, email_addresses, validators
from index_service.accounts.actor import Actor
from index_service.accounts.authentication import PasswordCheck, WrongCredential, WrongPassword
from index_service.accounts.credential_cache import CredentialCache
from index_service.accounts.models import AccessToken, User
from index_service.accounts.passwords import Passwords
from index_service.audit.log import Named
from index_service.database import UNWRITABLE, Database
from index_service.db import Clock
from index_service.services.credentials import Bearer, Caller, Credential, Login
from index_service.services.login_guard import LoginGuard
from index_service.tokens.protocol_tokens import ProtocolTokens
from index_service.tokens.signing import TokenRefused

logger = logging.getLogger(__name__)


class Authentication:
    """Authenticates by a password, an access token or a protocol token."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        cache: CredentialCache,
        guard: LoginGuard,
        tokens: ProtocolTokens,
        clock: Clock,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._check = PasswordCheck(passwords, cache, guard)
        self._guard = guard
        self._tokens = tokens
        self._clock = clock

    def sign_in(self, name: str, password: str, client_ip: str) -> Actor:
        """The actor, by the account's password. Raises WrongCredential, AccountInactive or TooMany."""
        name = self.account_name(name)
        user = self._find(name)
        self._store(user, self._check.require(user, name, password, client_ip))
        if user is None:
            raise WrongCredential
        request_record.note_account(user.name, None)
        return authentication.actor_of(user)

    def sign_in_client(self, name: str, password: str, client_ip: str) -> Actor:
        """The actor, by the account's password or by one of its access tokens. Raises as `sign_in` does."""
        if access_tokens.looks_like(password):
            name = self.account_name(name)
            return self._sign_in_by_token(name, password, client_ip, counted=name)
        return self.sign_in(name, password, client_ip)

    def sign_in_bearer(self, secret: str, client_ip: str) -> Actor:
        """The actor, by an access token alone. Raises as `sign_in` does."""
        # Counted per token: a client that tries one wrong token after the other is stopped by the limit of its IP
        # address.
        return self._sign_in_by_token(None, secret, client_ip, counted=access_tokens.digest(secret))

    def person(self, credential: Credential) -> Actor:
        """The account behind a password or an access token. Raises Unauthenticated, Forbidden (inactive) or TooMany."""
        if not isinstance(credential, Login):
            raise Unauthenticated("Requires authorization")
        return self.sign_in_client(credential.name, credential.password, credential.client_ip)

    def bearer(self, credential: Credential, name: RepositoryName, *accesses: Access) -> Caller:
        """The bearer of a token for this repository and one of these accesses. Raises Unauthenticated."""
        if not isinstance(credential, Bearer):
            raise TokenRefused
        with self._database.reading() as session:
            found = self._tokens.redeem(session, credential.tokens, name, accesses, self._clock())
        request_record.note_token(token_key(found.token), str(name))
        if found.actor is not None:
            limits = found.actor.limits
            request_record.note_account(found.actor.name, None if limits is None else limits.token_id)
        return Caller(found.actor, found.token, found.repository, found.record.client, found.record.is_own)

    def caller(self, credential: Credential, name: RepositoryName, *accesses: Access) -> Caller:
        """The caller, by any kind of credential or none. Raises as `person` and `bearer` do."""
        if isinstance(credential, Login):
            return Caller(self.person(credential), client=credential.client)
        if isinstance(credential, Bearer) and credential.tokens:
            return self.bearer(credential, name, *accesses)
        return Caller()

    def prove(self, name: str, password: str, client_ip: str) -> None:
        """Reauthenticate a signed-in person with the account's password. Raises WrongPassword or TooMany."""
        user = self._find(name)
        try:
            self._store(user, self._check.verify(user, name, password, client_ip, signed_in=True))
        except WrongCredential as error:
            raise WrongPassword from error

    def prove_client(self, name: str, password: str, client_ip: str) -> None:
        """Verify the password, even of a closed account, or an access token. Raises as `sign_in_client` does."""
        name = self.account_name(name)
        if access_tokens.looks_like(password):
            self._sign_in_by_token(name, password, client_ip, counted=name)
        else:
            user = self._find(name)
            self._store(user, self._check.verify(user, name, password, client_ip))

    def is_right(self, user: User, password: str) -> bool:
        """Whether a password or an access token is this account's; counts no attempt."""
        if access_tokens.looks_like(password):
            return self._find_token(user.name, password) is not None
        return self._passwords.match(user.password_hash, password)

    def account_name(self, entered: str) -> str:
        """The account that somebody enters to log in: its name in any case, or a confirmed email address.

        Attempts are counted by the result, so that another spelling is no further guess.
        """
        name = validators.fold_name(entered)
        if not validators.may_be_email(name):
            return name
        with self._database.reading() as session:
            return email_addresses.confirmed_owner(session, name) or name

    def hashed(self, password: object, *owner: str) -> str:
        """The hash of a new password of somebody with this name and these email addresses; slow, so it is computed
        outside of transactions. Raises WeakPassword."""
        return self._passwords.hash(validators.validate_password(password, *owner))

    def hashed_for(self, password: object, user: Named) -> str:
        """The hash of another password of an account. Raises WeakPassword."""
        with self._database.reading() as session:
            addresses = [email.address for email in email_addresses.listed(session, user.id)]
        return self.hashed(password, user.name, *addresses)

    def _sign_in_by_token(self, name: str | None, secret: str, client_ip: str, *, counted: str) -> Actor:
        with self._guard.token_attempt(counted, client_ip) as attempt:
            found = self._find_token(name, secret)
            if found is None:
                attempt.failed = True
                logger.info("wrong access token for %.40r from %s", name or "whoever", client_ip)
                raise WrongCredential
        actor = authentication.actor_of(*found)
        request_record.note_account(actor.name, found[1].id)
        self._guard.record_use(*found, client_ip)
        return actor

    def _find(self, name: str) -> User | None:
        with self._database.reading() as session:
            return authentication.find(session, name)

    def _find_token(self, name: str | None, secret: str) -> tuple[User, AccessToken] | None:
        with self._database.reading() as session:
            return access_tokens.find(session, name, secret, self._clock())

    def _store(self, user: User | None, renewed: str | None) -> None:
        """Store the recomputed hash, if any."""
        if user is not None and renewed is not None:
            with suppress(*UNWRITABLE), self._database.writing() as session:
                authentication.replace_hash(session, user, renewed)
