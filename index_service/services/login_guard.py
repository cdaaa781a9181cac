"""The guard of logins and letters: the rate limits of one process and those that all processes share.

Wrong passwords are counted per IP address in the memory of a process, and per account in the database. The shared limit
stops one who guesses from many addresses; so that nobody locks an owner out with it, it does not hold for networks from
which the account's password was given lately, nor for whoever is signed in. Access tokens are too long to be guessed.
While the database can only be read, whoever the shared limit does not hold for logs in, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

from limits import parse
from sqlalchemy.orm import Session

from common.errors import TooMany
from index_service.accounts import access_tokens, known_networks, notices, rate_counts
from index_service.accounts.login_rate_limit import AccountCreation, LoginAttempt, LoginRateLimit
from index_service.accounts.models import AccessToken, User
from index_service.audit.log import AuditContext, Change
from index_service.client_address import network_of
from index_service.database import UNWRITABLE, Database
from index_service.db import Clock
from index_service.metrics import LOGINS

FAILURES = 10
FAILURES_PERIOD = timedelta(days=1)
"""How many failed sign-ins of one account the audit log takes."""

LETTERS = 5
LETTERS_PERIOD = timedelta(hours=1)
"""How many letters that strangers can ask for go to one address."""


class LoginGuard:
    """The limits on guessing, on new accounts and on letters."""

    def __init__(self, database: Database, limit: LoginRateLimit, clock: Clock, *, account_rate: str) -> None:
        rate = parse(account_rate)
        self._database = database
        self._limit = limit
        self._clock = clock
        self._guesses = rate.amount
        self._period = timedelta(seconds=rate.get_expiry())

    @contextmanager
    def attempt(
        self, name: str, client_ip: str, user: User | None, *, signed_in: bool = False, is_right: bool = False
    ) -> Iterator[LoginAttempt]:
        """Wraps the verification of a password. Raises TooMany after too many failures, whether or not the name exists.

        With `signed_in` for whoever gives the password again, whom the attempts of strangers do not stop; with
        `is_right` for a password that is known to be right, which is refused as others are and is no guess to count.
        """
        network = network_of(client_ip)
        with _counted(self._limit.attempt(name, client_ip)) as attempt:
            key = self._enter(name, network, user, signed_in=signed_in, is_right=is_right)
            try:
                yield attempt
            except BaseException:
                self._leave(key, client_ip, user, failed=attempt.failed)
                raise
            self._leave(key, client_ip, user, failed=attempt.failed)
            if not attempt.failed:
                self._record_success(client_ip, user)

    def creation(self, client_ip: str) -> AbstractContextManager[AccountCreation]:
        """Wraps the creation of one account. Raises TooMany after too many from this IP address."""
        return self._limit.creation(client_ip)

    def count(self, what: str, client_ip: str) -> None:
        """Count a request without a password, such as one for a letter, against the rate limit of wrong passwords.

        Raises TooMany.
        """
        with self._limit.attempt(what, client_ip) as attempt:
            attempt.failed = True

    def token_attempt(self, counted: str, client_ip: str) -> AbstractContextManager[LoginAttempt]:
        """Wraps the verification of an access token. Raises TooMany."""
        return _counted(self._limit.attempt(counted, client_ip))

    def may_write_to(self, session: Session, recipient: str) -> bool:
        """Count a letter that is about to be written to an email address; whether there were not too many already."""
        key = f"letter/{rate_counts.digest(recipient)}"
        return rate_counts.add(session, key, LETTERS, LETTERS_PERIOD, self._clock()) == 0

    def record_use(self, user: User, token: AccessToken, client_ip: str) -> None:
        """Record the use of an access token: when, and once a day and network in the audit log."""
        now, network = self._clock(), network_of(client_ip)
        with self._database.reading() as session:
            is_first = not known_networks.is_recorded(session, user.id, token.id, network, now)
        if not is_first and not access_tokens.is_use_due(token, now):
            return
        with suppress(*UNWRITABLE), self._database.writing() as session:
            access_tokens.record_use(session, token.id, now, client_ip)
            if is_first and known_networks.record(session, user.id, token.id, network, now):
                context = AuditContext(user, client_ip, now)
                context.record(session, Change.ACCESS_TOKEN_USED, user.name, token=token.name)

    def _enter(self, name: str, network: str, user: User | None, *, signed_in: bool, is_right: bool) -> str | None:
        """Count an attempt before it is made, so that a burst exceeds no limit; returns what it is counted under."""
        now = self._clock()
        with self._database.reading() as session:
            is_known = known_networks.is_known(session, 0 if user is None else user.id, network, now)
        if is_known and not signed_in:
            return None
        key = f"{'prove' if signed_in else 'login'}/{rate_counts.digest(name)}"
        if is_right:
            with self._database.reading() as session:
                wait = rate_counts.wait(session, key, self._guesses, now)
        else:
            with self._database.writing() as session:
                wait = rate_counts.add(session, key, self._guesses, self._period, now)
        if wait:
            raise TooMany("Too many attempts, try again later", wait)
        return None if is_right else key

    def _leave(self, key: str | None, client_ip: str, user: User | None, *, failed: bool) -> None:
        """Keep the count of a failure, of which the first of a day are in the audit log, and no other."""
        if failed and user is not None:
            now, counted = self._clock(), f"failed/{rate_counts.digest(user.name)}"
            with suppress(*UNWRITABLE), self._database.writing() as session:
                if rate_counts.add(session, counted, FAILURES, FAILURES_PERIOD, now) == 0:
                    AuditContext(None, client_ip, now).record(session, Change.SIGN_IN_FAILED, user.name)
        elif not failed and key is not None:
            with suppress(*UNWRITABLE), self._database.writing() as session:
                rate_counts.take_back(session, key)

    def _record_success(self, client_ip: str, user: User | None) -> None:
        if user is None or not user.is_active:
            return
        now, network = self._clock(), network_of(client_ip)
        with self._database.reading() as session:
            if known_networks.is_recorded(session, user.id, known_networks.PASSWORD, network, now):
                return
        with suppress(*UNWRITABLE), self._database.writing() as session:
            is_new = known_networks.is_new(session, user.id, network, now)
            if known_networks.record(session, user.id, known_networks.PASSWORD, network, now):
                context = AuditContext(user, client_ip, now)
                context.record(session, Change.SIGNED_IN, user.name)
                if is_new:
                    notices.write(session, context, Change.SIGNED_IN, user)


@contextmanager
def _counted(verification: AbstractContextManager[LoginAttempt]) -> Iterator[LoginAttempt]:
    """One verification, in the metrics."""
    outcome = "right"
    try:
        with verification as attempt:
            try:
                yield attempt
            finally:
                outcome = "wrong" if attempt.failed else outcome
    except TooMany:
        outcome = "limited"
        raise
    finally:
        LOGINS.add(outcome)
