"""Credentials verified a moment ago, so that the ten calls of one pull do not hash ten times."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

CAPACITY = 10_000


class RememberedCredentials:
    """Right passwords, kept for seconds as a keyed digest together with the stored hash they were right for.

    Who asks brings the stored hash of this moment: a changed password makes what is remembered worthless in
    every process at once. A wrong password is never remembered.
    """

    def __init__(self, seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._timer = timer
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._entries: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._turns = [Lock() for _ in range(64)]

    def turn(self, name: str, password: str) -> Lock:
        """Held while a credential is verified, so that of many equal ones arriving at once one is hashed."""
        return self._turns[self._digest(name, password)[0] % len(self._turns)]

    def holds(self, name: str, password: str, password_hash: str) -> bool:
        digest = self._digest(name, password)
        with self._lock:
            remembered, until = self._entries.get(digest, ("", 0.0))
        return remembered == password_hash and self._timer() < until

    def remember(self, name: str, password: str, password_hash: str) -> None:
        digest = self._digest(name, password)
        with self._lock:
            self._entries[digest] = (password_hash, self._timer() + self._seconds)
            self._entries.move_to_end(digest)
            while len(self._entries) > CAPACITY:
                self._entries.popitem(last=False)

    def _digest(self, name: str, password: str) -> bytes:
        text = f"{len(name)}:{name}{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, hashlib.sha256)
