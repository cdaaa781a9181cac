"""The signature of a protocol token: opaque to clients, a signed statement of the token's purpose to the index."""

from __future__ import annotations

import hashlib
import secrets

from itsdangerous import BadData, URLSafeSerializer

from common.errors import Unauthenticated
from common.names import RepositoryName
from common.tokens import Access, Token

_SALT = "wharfinger.index.token"


class TokenRefused(Unauthenticated):
    """Not a token of ours, or no longer valid; the answer does not say which."""

    def __init__(self) -> None:
        super().__init__("Requires authorization")


class Signer:
    """Signs with the first key and verifies with all of them, so that keys can be rotated."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        # itsdangerous signs with the last of its keys.
        self._serializer = URLSafeSerializer(
            list(reversed(keys)), salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )

    def sign(self, repository: RepositoryName, access: Access, *stated: int) -> Token:
        """A new token that states more besides; its signature is of A-Z a-z 0-9 - _ and dots only, and never comes
        twice."""
        signature = self._serializer.dumps([secrets.token_urlsafe(16), str(repository), access, *stated])
        return Token(str(signature), repository, access)

    def verify(self, token: Token) -> list[int]:
        """What else the token states. Raises TokenRefused unless we signed exactly this repository and access."""
        try:
            _, repository, access, *rest = self._serializer.loads(token.signature)
        except (BadData, ValueError, TypeError) as error:
            raise TokenRefused from error
        if (repository, access) != (str(token.repository), token.access):
            raise TokenRefused
        stated: list[int] = rest
        return stated


def digest(token: Token) -> str:
    """The stored digest of a token, 64 hex digits: enough to recognise it, useless to present."""
    return hashlib.sha256(token.signature.encode()).hexdigest()
