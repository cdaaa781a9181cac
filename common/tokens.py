"""The grammar of tokens, `signature=…,repository="ns/name",access=read`, as the index issues and the registry reads it.

Twelve years of clients and servers spell it in many ways (protocol §5.1): a leading word `Token ` inside
the token, a lower-case scheme, blanks behind commas, several tokens joined by commas, none at all. One
tolerant parser reads them; what it reads is believed only after the index has compared it with what was signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from common.errors import Invalid
from common.names import RepositoryName

# Bounded, and tried at the beginning of words alone: anybody may send a header of nothing but letters.
_FIELD = re.compile(r'\b(\w{1,32})[:=][\s"]?([^",\s]+)"?')
_MAX_LENGTH = 32 * 1024
_SCHEME = re.compile(r"\s*token(?:\s+|$)", re.IGNORECASE)


class Access(StrEnum):
    """What a token lets its bearer do to one repository (protocol §5.2)."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"

    def allows(self, needed: Access) -> bool:
        """Every access reads; a push must be able to ask what is there already (protocol §5.4)."""
        return self is needed or needed is Access.READ


@dataclass(frozen=True, slots=True)
class Token:
    """One token: an opaque signature, and the repository and access it was signed for."""

    signature: str
    repository: RepositoryName
    access: Access

    def __str__(self) -> str:
        return f'signature={self.signature},repository="{self.repository}",access={self.access}'

    def __repr__(self) -> str:
        return f"<Token {self.access} {self.repository}>"


def read_authorization(value: str | None) -> list[Token] | None:
    """The tokens of an Authorization header, in the order sent.

    None where the header is absent or of another scheme; an empty list for `Token ` followed by nothing,
    which daemons without a token send. Unknown fields are passed over, incomplete tokens left out.
    """
    if value is None:
        return None
    scheme = _SCHEME.match(value)
    if scheme is None:
        return None
    tokens = []
    fields: dict[str, str] = {}
    for key, content in _FIELD.findall(value[scheme.end() : _MAX_LENGTH]):
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
