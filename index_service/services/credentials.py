"""Credentials as clients send them, and the caller that a verified one belongs to."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from common.errors import Unauthenticated
from common.tokens import Token
from index_service.accounts.actor import Actor
from index_service.repositories.catalogue import Pusher
from index_service.repositories.models import Repository


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No credential, or the empty one that daemons send without a login."""


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, from an address, sent by a client with this User-Agent."""

    name: str
    password: str
    client_ip: str
    client: str = ""

    def __repr__(self) -> str:
        return f"<Login {self.name!r}>"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Tokens; empty if a daemon sent the scheme alone."""

    tokens: tuple[Token, ...]


Credential = Anonymous | Login | Bearer


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a verified credential; with a token also the token, the repository it opens and its client.

    `is_index` is the index itself, whose own token a registry hands back.
    """

    actor: Actor | None = None
    token: Token | None = None
    repository: Repository | None = None
    client: str = ""
    is_index: bool = False

    @property
    def pusher(self) -> Pusher:
        return Pusher(None if self.actor is None else self.actor.id, self.client)

    def known(self) -> Actor:
        """Raises Unauthenticated for a caller without a login."""
        if self.actor is None:
            raise Unauthenticated("Requires authorization")
        return self.actor


def read_basic(encoded: str) -> tuple[str, str]:
    """The name and password of HTTP Basic authentication. Raises Unauthenticated."""
    name, colon, password = _decoded(encoded.strip()).partition(":")
    if not colon:
        raise Unauthenticated("Malformed Basic authorization")
    return name, password


def _decoded(encoded: str) -> str:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("Malformed Basic authorization") from error
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
