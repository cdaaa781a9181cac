"""The rate limit on logins: wrong passwords are counted per name and IP address, and per IP address.

New accounts are counted per IP address too, or a stranger could take all names and have email sent to anybody.

The counts live in the memory of one process, so each process has its own limit; `services/login_guard.py` adds the one
that all share.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from limits import RateLimitItem, RateLimitItemPerSecond, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from common.errors import TooMany
from index_service.client_address import network_of

HOUR_SECONDS = 3600

_Key = tuple[RateLimitItem, str]


@dataclass
class LoginAttempt:
    """A login attempt in progress; the verifier sets `failed` if the password is wrong."""

    failed: bool = False


@dataclass
class AccountCreation:
    """An account creation in progress; the caller reports success here."""

    succeeded: bool = False


class LoginRateLimit:
    """Counts failures within moving windows; attempts in progress count too, or a burst would slip through."""

    def __init__(self, name_rate: str, address_rate: str) -> None:
        self._name_rate = parse(name_rate)
        self._address_rate = parse(address_rate)
        self._making_rate = _creation_rate(self._address_rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._pending: Counter[_Key] = Counter()
        self._lock = Lock()

    @contextmanager
    def attempt(self, name: str, client_ip: str) -> Iterator[LoginAttempt]:
        """Wraps one verification. Raises TooMany after too many failures, whether or not the name exists."""
        keys = self._keys(name, client_ip)
        self._enter(keys)
        attempt = LoginAttempt()
        try:
            yield attempt
        finally:
            self._leave(keys, counts=attempt.failed)

    @contextmanager
    def creation(self, client_ip: str) -> Iterator[AccountCreation]:
        """Wraps the creation of one account. Raises TooMany after too many from this IP address."""
        keys = [(self._making_rate, f"making/{network_of(client_ip)}")]
        self._enter(keys)
        making = AccountCreation()
        try:
            yield making
        finally:
            self._leave(keys, counts=making.succeeded)

    def _enter(self, keys: list[_Key]) -> None:
        with self._lock:
            waits = [self._wait(key) for key in keys]
            if any(waits):
                raise TooMany("Too many attempts, try again later", max(waits))
            self._pending.update(keys)

    def _leave(self, keys: list[_Key], *, counts: bool) -> None:
        with self._lock:
            for item, identifier in keys:
                if counts:
                    self._limiter.hit(item, identifier)
                self._pending[item, identifier] -= 1
            self._pending = +self._pending

    def _wait(self, key: _Key) -> int:
        """Seconds until the next attempt is allowed; 0 if it is allowed now."""
        reset, remaining = self._limiter.get_window_stats(*key)
        if remaining > self._pending[key]:
            return 0
        return max(1, math.ceil(reset - time.time())) if remaining <= 0 else 1

    def _keys(self, name: str, client_ip: str) -> list[_Key]:
        network = network_of(client_ip)
        # Truncated: the limiter never drops a key, and this bounds how many a guesser can create.
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:4]
        return [(self._name_rate, f"name/{digest}/{network}"), (self._address_rate, f"address/{network}")]


def _creation_rate(address_rate: RateLimitItem) -> RateLimitItem:
    """A fifth as many accounts as wrong passwords, at least one, per hour or the passwords' window, if longer."""
    return RateLimitItemPerSecond(max(1, address_rate.amount // 5), max(address_rate.get_expiry(), HOUR_SECONDS))
