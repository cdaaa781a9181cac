"""Who asks: a credential as it came, and the caller it proves to be."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from common.errors import Unauthenticated
from common.names import RepositoryName
from common.tokens import Access, Token
from index_service.accounts.people import Actor, People
from index_service.db import Clock, Database
from index_service.repositories.catalogue import Pusher
from index_service.repositories.models import Repository
from index_service.tokens.passes import Tokens
from index_service.tokens.signing import TokenRefused


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No credential, or the empty one that daemons without a login send."""


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, from an address, sent by a client with this User-Agent."""

    name: str
    password: str
    address: str
    client: str = ""

    def __repr__(self) -> str:
        return f"<Login {self.name!r}>"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Tokens; none at all where a daemon sent the scheme alone."""

    tokens: tuple[Token, ...]


Credential = Anonymous | Login | Bearer


@dataclass(frozen=True, slots=True)
class Caller:
    """A credential proved; with a token come the token, the repository it opens and the client it was issued to.

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
    """Name and password, as the scheme Basic carries them. Raises Unauthenticated."""
    name, colon, password = _decoded(encoded.strip()).partition(":")
    if not colon:
        raise Unauthenticated("Malformed Basic authorization")
    return name, password


class Callers:
    """Proves credentials. A wrong one is refused, never taken for none."""

    def __init__(self, database: Database, people: People, tokens: Tokens, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._tokens = tokens
        self._clock = clock

    def person(self, credential: Credential) -> Actor:
        """Who logs in with a password or an access token. Raises Unauthenticated, Forbidden (inactive) or TooMany."""
        if not isinstance(credential, Login):
            raise Unauthenticated("Requires authorization")
        return self._people.sign_in_client(credential.name, credential.password, credential.address)

    def bearer(self, credential: Credential, name: RepositoryName, *accesses: Access) -> Caller:
        """Who brings a token for this repository and one of these accesses. Raises Unauthenticated."""
        if not isinstance(credential, Bearer):
            raise TokenRefused
        with self._database.reading() as session:
            found = self._tokens.redeem(session, credential.tokens, name, accesses, self._clock())
        return Caller(found.actor, found.token, found.repository, found.record.client, found.record.is_own)

    def anyone(self, credential: Credential, name: RepositoryName, *accesses: Access) -> Caller:
        """Who asks, by whichever way of asking. Raises as `person` and `bearer` do."""
        if isinstance(credential, Login):
            return Caller(self.person(credential), client=credential.client)
        if isinstance(credential, Bearer) and credential.tokens:
            return self.bearer(credential, name, *accesses)
        return Caller()


def _decoded(encoded: str) -> str:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("Malformed Basic authorization") from error
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
