"""The signature of a protocol token: opaque to clients, a signed statement of the token's purpose to the index, and of
tokens for reading to registries, too.
"""

from __future__ import annotations

import hashlib
import secrets

from itsdangerous import BadData, URLSafeSerializer

from common.errors import Unauthenticated
from common.names import RepositoryName
from common.statements import NotStated, PublicKeys, Statement, StatementKey
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

        stating = [StatementKey(key) for key in keys]
        self._stating = stating[0]
        self.public_keys = tuple(key.public for key in stating)
        self._stated = PublicKeys(*self.public_keys)

    def sign(self, repository: RepositoryName, access: Access) -> Token:
        """A new token; its signature is of A-Z a-z 0-9 - _ and dots only, and never comes twice."""
        signature = self._serializer.dumps([secrets.token_urlsafe(16), str(repository), access])
        return Token(str(signature), repository, access)

    def verify(self, token: Token) -> None:
        """Raises TokenRefused unless we signed exactly this repository and access."""
        try:
            _, repository, access = self._serializer.loads(token.signature)
        except (BadData, ValueError, TypeError) as error:
            raise TokenRefused from error
        if (repository, access) != (str(token.repository), token.access):
            raise TokenRefused

    def state(self, statement: Statement) -> Token:
        """A token for reading that registries can read, too; of the same characters."""
        return self._stating.sign(statement)

    def read(self, token: Token) -> Statement:
        """What a token states. Raises TokenRefused as `verify` does."""
        try:
            return self._stated.read(token)
        except NotStated as error:
            raise TokenRefused from error


def digest(token: Token) -> str:
    """The stored digest of a token, 64 hex digits: enough to recognise it, useless to present."""
    return hashlib.sha256(token.signature.encode()).hexdigest()
