"""How often somebody may guess: wrong passwords are counted for a name from an address, and for an address.

Accounts made are counted for an address too, or a stranger could take all names and have letters sent to anybody.

The counts live in the memory of one process, so that a limit holds for each process by itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
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

HOUR_SECONDS = 3600

_Key = tuple[RateLimitItem, str]


@dataclass
class Attempt:
    """One attempt under way; whoever finds the password wrong says so here."""

    failed: bool = False


@dataclass
class Making:
    """One account about to be made; whoever made it says so here."""

    made: bool = False


class Attempts:
    """Counts failures within moving windows; those under way count too, or a burst would slip through."""

    def __init__(self, name_rate: str, address_rate: str) -> None:
        self._name_rate = parse(name_rate)
        self._address_rate = parse(address_rate)
        self._making_rate = _making_rate(self._address_rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._pending: Counter[_Key] = Counter()
        self._lock = Lock()

    @contextmanager
    def attempt(self, name: str, address: str) -> Iterator[Attempt]:
        """Surrounds one verification. Raises TooMany when enough have failed, whether or not the name exists."""
        keys = self._keys(name, address)
        self._enter(keys)
        attempt = Attempt()
        try:
            yield attempt
        finally:
            self._leave(keys, counts=attempt.failed)

    @contextmanager
    def making(self, address: str) -> Iterator[Making]:
        """Surrounds the making of one account. Raises TooMany when enough were made from this address."""
        keys = [(self._making_rate, f"making/{_network(address)}")]
        self._enter(keys)
        making = Making()
        try:
            yield making
        finally:
            self._leave(keys, counts=making.made)

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
        """Seconds until one more attempt may be made; 0 when it may be made now."""
        reset, remaining = self._limiter.get_window_stats(*key)
        if remaining > self._pending[key]:
            return 0
        return max(1, math.ceil(reset - time.time())) if remaining <= 0 else 1

    def _keys(self, name: str, address: str) -> list[_Key]:
        network = _network(address)
        # Cut short: the limiter keeps a key for ever, and this bounds how many a guesser can make it keep.
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:4]
        return [(self._name_rate, f"name/{digest}/{network}"), (self._address_rate, f"address/{network}")]


def _making_rate(address_rate: RateLimitItem) -> RateLimitItem:
    """A fifth as many accounts as wrong passwords, one at least, in an hour, or in the passwords' time if longer."""
    return RateLimitItemPerSecond(max(1, address_rate.amount // 5), max(address_rate.get_expiry(), HOUR_SECONDS))


def _network(address: str) -> str:
    """One customer's addresses: a single IPv4 address, or 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    # A listener for both families sees every IPv4 client in one and the same /64.
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
