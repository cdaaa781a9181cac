"""Tokens at rest, sealed with the registry's keys: who reads the store, or a backup of it, cannot use them.

A stream cipher of the standard library's parts: SHAKE-256 of key and nonce, XORed, and a keyed BLAKE2b over both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_NONCE_BYTES = 16
_MAC_BYTES = 16


class Seal:
    """Seals with the first of its keys, and opens what any of them sealed."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [hashlib.blake2b(key.encode(), person=b"wharfinger.seal").digest() for key in secret_keys]

    def seal(self, text: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + _masked(self._keys[0], nonce, text.encode())
        return base64.b64encode(sealed + _mac(self._keys[0], sealed)).decode()

    def open(self, sealed: str) -> str | None:
        """None for what none of the keys has sealed."""
        try:
            content = base64.b64decode(sealed, validate=True)
        except ValueError:
            return None
        body, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
        for key in self._keys:
            if hmac.compare_digest(_mac(key, body), mac):
                return _masked(key, body[:_NONCE_BYTES], body[_NONCE_BYTES:]).decode()
        return None


def _masked(key: bytes, nonce: bytes, content: bytes) -> bytes:
    stream = hashlib.shake_256(key + nonce).digest(len(content))
    return bytes(one ^ other for one, other in zip(content, stream, strict=True))


def _mac(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, key=key, digest_size=_MAC_BYTES, person=b"wharfinger.mac").digest()
