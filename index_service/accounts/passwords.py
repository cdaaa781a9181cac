"""Password hashing with argon2id, with the same work for a name that does not exist as for one that does."""

from __future__ import annotations

import base64
import os
import secrets
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION


class Passwords:
    """Hashes and verifies; a call takes tens of MiB and milliseconds, so only one runs at once per core."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._turns = BoundedSemaphore(os.cpu_count() or 1)
        self._nobody = _hash_of_nothing(hasher)

    def hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(_encoded(password))

    def match(self, password_hash: str | None, password: str) -> bool:
        """Whether the password matches. A hash of None, for an unknown account, costs the same and never matches."""
        with self._turns:
            try:
                self._hasher.verify(password_hash or self._nobody, _encoded(password))
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash has other parameters than the current ones."""
        return self._hasher.check_needs_rehash(password_hash)


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """One that no password matches. It is made without hashing any: a command would take most of its time for that."""
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (_base64(secrets.token_bytes(length)) for length in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii").rstrip("=")


def _encoded(password: str) -> bytes:
    # JSON may contain half of a surrogate pair, which no strict encoding accepts.
    return password.encode("utf-8", "surrogatepass")
