"""Passwords kept as argon2id hashes, and as much work for a name that does not exist as for one that does."""

from __future__ import annotations

import os
import secrets
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and compares; each takes tens of MiB and milliseconds, so only as many run at once as there are cores."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._turns = BoundedSemaphore(os.cpu_count() or 1)
        self._nobody = hasher.hash(secrets.token_bytes(16))

    def hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(_encoded(password))

    def match(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password of this hash. None, for no such account, costs the same and is never right."""
        with self._turns:
            try:
                self._hasher.verify(password_hash or self._nobody, _encoded(password))
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)


def _encoded(password: str) -> bytes:
    # JSON may spell half of a surrogate pair, which no strict encoding takes.
    return password.encode("utf-8", "surrogatepass")
