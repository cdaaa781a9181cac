"""Tokens at rest, sealed with the registry's keys: who reads the store, or a backup of it, cannot use them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Seal:
    """Seals with the first of its keys, and opens what any of them sealed."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in secret_keys])

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str | None:
        """None for what none of the keys has sealed."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            return None


def _derived(secret_key: str) -> bytes:
    """A key for this purpose alone."""
    return base64.urlsafe_b64encode(
        hashlib.blake2b(secret_key.encode(), digest_size=32, person=b"wharfinger.seal").digest()
    )
