"""The credential cache: passwords verified seconds ago, so that the ten requests of one pull do not hash ten times."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from threading import Lock

from common.cache import Cache

CAPACITY = 10_000


class CredentialCache:
    """Caches verified passwords for seconds, as keyed digests beside the stored hash each was verified against.

    A caller brings the hash stored now, so a changed password invalidates its entry in every process at once. A wrong
    password is never cached. A right one is cached twice: that it is right, so that hosts which share a login do not
    hash once each, and that a sign-in from a network is recorded, which elsewhere is a sign-in of its own.
    """

    def __init__(self, seconds: float) -> None:
        self._key = secrets.token_bytes(32)
        self._hashes: Cache[bytes, str] = Cache(CAPACITY, seconds)
        self._locks = [Lock() for _ in range(64)]

    def lock(self, name: str, password: str) -> Lock:
        """To be held while a credential is verified: of equal ones that arrive at once, one is hashed."""
        return self._locks[self._digest(name, password)[0] % len(self._locks)]

    def holds(self, name: str, password: str, password_hash: str, network: str = "") -> bool:
        """Whether the password is known to be right, and its sign-in from this network, if one is given, recorded."""
        return self._hashes.get(self._digest(name, password, network)) == password_hash

    def put(self, name: str, password: str, password_hash: str, network: str) -> None:
        for part in ("", network):
            self._hashes.put(self._digest(name, password, part), password_hash)

    def _digest(self, name: str, password: str, network: str = "") -> bytes:
        text = f"{len(name)}:{name}{len(network)}:{network}{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, hashlib.sha256)
