"""Tokens for reading that state what they are for, signed by the index with a key whose public half registries know.

So a registry sees by itself that a token is the index's and how old it is, and need not ask. Whether it has been
revoked since only the index knows: a registry trusts a statement for no longer than it trusts an answer of the index,
counted from the moment the token was issued.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.errors import Invalid
from common.names import RepositoryName
from common.tokens import Access, Token

PREFIX = "r1."
"""Of the signature of a token that states something."""

LISTING_BYTES = 16
NONCE_BYTES = 8

_KEY_ID_BYTES = 4
_FIELDS = struct.Struct(f">{_KEY_ID_BYTES}sQQQ??{LISTING_BYTES}s{NONCE_BYTES}s")
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What the index states of a token for reading.

    Moments are microseconds since the epoch. `repository_id` is 0 for a token that opens no repository. `is_anonymous`:
    nobody is known by it, and the index has no row of it. `is_public`: whoever asks gets such a token. `listing` is a
    digest of what the index knew of the repository's images; `nonce` makes each token another one.
    """

    repository: RepositoryName
    issued_at: int
    expires_at: int
    repository_id: int
    is_anonymous: bool
    is_public: bool
    listing: bytes
    nonce: bytes


class NotStated(Exception):
    """Not a statement, or none that a known key has signed for this repository."""


class StatementKey:
    """The private half, derived from one of the index's secret keys."""

    def __init__(self, secret: str) -> None:
        derived = hashlib.blake2b(secret.encode(), digest_size=32, person=b"wharfinger.state").digest()
        self._private = Ed25519PrivateKey.from_private_bytes(derived)
        self.public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._id = _id_of(self.public)

    def sign(self, statement: Statement) -> Token:
        packed = _FIELDS.pack(
            self._id,
            statement.issued_at,
            statement.expires_at,
            statement.repository_id,
            statement.is_anonymous,
            statement.is_public,
            statement.listing,
            statement.nonce,
        )
        content = packed + str(statement.repository).encode()
        signature = f"{PREFIX}{_encode(content)}.{_encode(self._private.sign(content))}"
        return Token(signature, statement.repository, Access.READ)


class PublicKeys:
    """The public halves: each verifies what its own private half has signed."""

    def __init__(self, *keys: bytes) -> None:
        """Raises ValueError for what is no key."""
        self._keys = {_id_of(key): Ed25519PublicKey.from_public_bytes(key) for key in keys}

    def read(self, token: Token) -> Statement:
        """Raises NotStated, also for a token with another repository or access in its words than in its statement."""
        content, signature = _split(token)
        key = self._keys.get(content[:_KEY_ID_BYTES])
        if key is None:
            raise NotStated
        try:
            key.verify(signature, content)
            name = RepositoryName.parse(content[_FIELDS.size :].decode())
        except (InvalidSignature, UnicodeDecodeError, Invalid) as error:
            raise NotStated from error
        if name != token.repository or token.access is not Access.READ:
            raise NotStated
        _, issued_at, expires_at, repository_id, is_anonymous, is_public, listing, nonce = _FIELDS.unpack_from(content)
        return Statement(
            repository=name,
            issued_at=issued_at,
            expires_at=expires_at,
            repository_id=repository_id,
            is_anonymous=is_anonymous,
            is_public=is_public,
            listing=listing,
            nonce=nonce,
        )


def write_keys(keys: Iterable[bytes], now: float) -> dict[str, Any]:
    """Public keys, and the time of the index in seconds since the epoch, as the index tells registries."""
    return {"keys": [key.hex() for key in keys], "now": now}


def read_keys(told: Any) -> tuple[PublicKeys, float]:
    """The same as a registry reads it. Raises Invalid."""
    try:
        return PublicKeys(*map(bytes.fromhex, told["keys"])), float(told["now"])
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid("These are no keys") from error


def is_statement(token: Token) -> bool:
    """Whether a token looks like one that states something."""
    return token.signature.startswith(PREFIX)


def _split(token: Token) -> tuple[bytes, bytes]:
    """What was signed, and the signature."""
    if not is_statement(token):
        raise NotStated
    content, _, signature = token.signature.removeprefix(PREFIX).partition(".")
    parts = _decode(content), _decode(signature)
    if len(parts[0]) <= _FIELDS.size or len(parts[1]) != _SIGNATURE_BYTES:
        raise NotStated
    return parts


def _id_of(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:_KEY_ID_BYTES]


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Of the one way to write it, so that a token is recognised by its digest."""
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise NotStated from error
    if _encode(content) != text:
        raise NotStated
    return content
