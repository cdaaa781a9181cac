"""The grammar of protocol tokens, `signature=…,repository="ns/name",access=read`, issued by the index.

Clients and servers vary in how they write them (protocol §5.1): the scheme repeated inside the token or in lower case,
blanks after commas, several tokens joined by commas, none at all. One tolerant parser accepts them all; a parsed token
is trusted only after the index has verified it.

Clients of `/v2/` bear the same tokens, as one opaque word: see `bearer`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from common.errors import Invalid
from common.names import RepositoryName

# Bounded, and anchored at word boundaries: the header is untrusted, and backtracking must stay linear.
_FIELD = re.compile(r'\b(\w{1,32})[:=][\s"]?([^",\s]+)"?')
_MAX_LENGTH = 32 * 1024
_SCHEME = re.compile(r"\s*token(?:\s+|$)", re.IGNORECASE)
_BEARER = re.compile(r"\s*bearer\s+(\S+)\s*", re.IGNORECASE)


class Access(StrEnum):
    """The access to one repository that a token grants (protocol §5.2)."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"

    def allows(self, needed: Access) -> bool:
        """Every access includes reading: a push looks up which images exist (protocol §5.4)."""
        return self is needed or needed is Access.READ


@dataclass(frozen=True, slots=True)
class Token:
    """A token: an opaque signature, and the repository and access that were signed."""

    signature: str
    repository: RepositoryName
    access: Access

    def __str__(self) -> str:
        return f'signature={self.signature},repository="{self.repository}",access={self.access}'

    def __repr__(self) -> str:
        return f"<Token {self.access} {self.repository}>"


def token_key(token: Token) -> bytes:
    """What stands for a token where it is cached: not to be told by it."""
    return hashlib.sha256(str(token).encode()).digest()[:16]


def read_authorization(value: str | None) -> list[Token] | None:
    """The tokens of an Authorization header, in order.

    None if the header is absent or has another scheme; an empty list for `Token ` without a token, which some daemons
    send. Unknown fields and incomplete tokens are ignored.
    """
    if value is None:
        return None
    scheme = _SCHEME.match(value)
    return None if scheme is None else _read(value[scheme.end() : _MAX_LENGTH])


def bearer(tokens: Iterable[Token]) -> str:
    """Tokens as clients of `/v2/` bear them: base64url without padding, one word to them."""
    return base64.urlsafe_b64encode(_join(tokens).encode()).decode().rstrip("=")


def authorization(tokens: Iterable[Token]) -> str:
    """Tokens as the value of an Authorization header of v1."""
    return f"Token {_join(tokens)}"


def read_bearer(word: str) -> list[Token]:
    """The tokens that `bearer` made a word of; none of a word that is not ours."""
    try:
        text = base64.b64decode(word[:_MAX_LENGTH] + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return []
    return _read(text.decode("latin-1"))


def read_bearer_header(value: str | None) -> list[Token] | None:
    """The tokens of an Authorization header of `/v2/`; None if it is absent or has another scheme."""
    match = _BEARER.fullmatch(value) if value else None
    return None if match is None else read_bearer(match[1])


def _join(tokens: Iterable[Token]) -> str:
    return ", ".join(map(str, tokens))


def _read(text: str) -> list[Token]:
    tokens = []
    fields: dict[str, str] = {}
    for key, content in _FIELD.findall(text):
        if key.lower() == "signature" and "signature" in fields:
            tokens.append(fields)
            fields = {}
        fields[key.lower()] = content
    tokens.append(fields)
    return [token for token in map(_complete, tokens) if token is not None]


def _complete(fields: dict[str, str]) -> Token | None:
    try:
        return Token(fields["signature"], RepositoryName.parse(fields["repository"]), Access(fields["access"]))
    except (KeyError, ValueError, Invalid):
        return None
