"""What today's clients ask the index by `/v2/`: tokens, where a repository is, and which there are.

They bear the tokens of v1 (`common.tokens.bearer`), so that registries, revocation and permissions know no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from common.cache import Cache
from common.names import RepositoryName
from common.tokens import Access, Token
from index_service.accounts import rate_counts
from index_service.accounts.actor import Actor
from index_service.database import UNWRITABLE, Database
from index_service.db import Clock
from index_service.repositories import catalogue, holdings
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.holdings import EVERYWHERE
from index_service.repositories.models import Repository
from index_service.repositories.policy import Action
from index_service.repositories.pulls import PullCounter
from index_service.repositories.roles import AccessControl
from index_service.services import reading_tokens
from index_service.services.authentication import Authentication
from index_service.services.credentials import Anonymous, Credential
from index_service.services.token_sweep import TokenSweep
from index_service.tokens.protocol_tokens import ProtocolTokens
from index_service.tokens.signing import TokenRefused

PULL = timedelta(minutes=1)
"""Tokens for one repository that a caller takes within it are of one pull: some clients take two, a manifest by tag and
its blobs apart."""

_CALLERS = 65536


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """Tokens for what may be read of what was asked for, or one that opens nothing."""

    tokens: tuple[Token, ...]
    issued_at: datetime
    seconds: int


@dataclass(frozen=True, slots=True)
class Place:
    """The registry that has a repository, and the token that opens it there."""

    endpoint: str
    token: Token


class Distribution:
    """The requests of clients of `/v2/`. Every method commits before it returns; a raise rolls back."""

    def __init__(
        self,
        database: Database,
        authentication: Authentication,
        tokens: ProtocolTokens,
        access_control: AccessControl,
        endpoints: Endpoints,
        counted: PullCounter,
        sweep: TokenSweep,
        clock: Clock,
    ) -> None:
        self._database = database
        self._authentication = authentication
        self._tokens = tokens
        self._access_control = access_control
        self._endpoints = endpoints
        self._pulls = counted
        self._sweep = sweep
        self._clock = clock
        self._counted: Cache[str, bool] = Cache(_CALLERS, PULL.total_seconds(), timer=lambda: clock().timestamp())

    def issue(
        self, credential: Credential, client_ip: str, client: str, *, read: Sequence[RepositoryName], is_pull: bool
    ) -> IssuedTokens:
        """Tokens that open for reading what the caller may read of these repositories.

        What the caller may not read is left out, and so is what does not exist. Raises as `Authentication.person` does.
        """
        actor = self._actor(credential)
        self._sweep.run_periodically()
        caller = client_ip if actor is None else f"account {actor.id}"
        now = self._clock()
        opened, tokens = self._open(actor, read, now, client)
        if is_pull:
            for repository in self._new_pulls(caller, opened, now):
                self._pulls.count(repository.id, now)
        return IssuedTokens(tuple(tokens), now, max(60, int(self._tokens.lifetime.total_seconds())))

    def identify(self, tokens: Sequence[Token]) -> None:
        """Raises Unauthenticated unless one of the tokens is valid, whatever it is for."""
        with self._database.reading() as session:
            self._tokens.identify(session, tokens, self._clock())

    def locate(self, tokens: Sequence[Token], name: RepositoryName) -> Place:
        """Where to read a repository that one of the tokens opens. Raises Unauthenticated."""
        with self._database.reading() as session:
            found = self._tokens.redeem(session, tokens, name, [Access.READ], self._clock())
        if found.repository is None:
            raise TokenRefused
        return Place(self._endpoints.announced(found.repository.endpoint), found.token)

    def names(self, tokens: Sequence[Token], limit: int, last: RepositoryName | None) -> list[RepositoryName]:
        """The names of repositories with a tag that the bearer may read, in their order. Raises Unauthenticated."""
        with self._database.reading() as session:
            actor = self._tokens.identify(session, tokens, self._clock()).actor
            if actor is None and self._access_control.login_only:
                raise TokenRefused
            return catalogue.names_after(session, self._access_control.visible(actor), limit, last)

    def _actor(self, credential: Credential) -> Actor | None:
        if isinstance(credential, Anonymous):
            return None
        return self._authentication.person(credential)

    def _open(
        self, actor: Actor | None, read: Sequence[RepositoryName], now: datetime, client: str
    ) -> tuple[list[Repository], list[Token]]:
        """What the actor may read of this, and tokens for it, or where that is nothing one that says who this is."""
        with self._database.reading() as session:
            opened = self._readable(session, actor, read)
        if not opened:
            return [], [self._issue_identity(actor, now, client)]
        return reading_tokens.issue(
            self._database,
            actor,
            lambda session, who: self._issue(session, who, self._readable(session, who, read), now, client),
            lambda session: self._readable(session, actor, read) == self._readable(session, None, read),
        )

    def _issue(
        self, session: Session, actor: Actor | None, opened: list[Repository], now: datetime, client: str
    ) -> tuple[list[Repository], list[Token]]:
        return opened, [
            self._tokens.issue_for_reading(session, actor, each, _listing(session, each), now, client)
            for each in opened
        ]

    def _issue_identity(self, actor: Actor | None, now: datetime, client: str) -> Token:
        """Of nobody where the database takes no row."""
        if actor is not None:
            with suppress(*UNWRITABLE), self._database.writing() as session:
                return self._tokens.issue_identity(session, actor, now, client)
        with self._database.reading() as session:
            return self._tokens.issue_identity(session, None, now, client)

    def _readable(self, session: Session, actor: Actor | None, names: Sequence[RepositoryName]) -> list[Repository]:
        return [found for name in names if (found := self._find_readable(session, actor, name)) is not None]

    def _find_readable(self, session: Session, actor: Actor | None, name: RepositoryName) -> Repository | None:
        repository = catalogue.find(session, name)
        if repository is None or not self._access_control.permits(session, actor, repository, Action.READ):
            return None
        return repository

    def _new_pulls(self, caller: str, opened: Sequence[Repository], now: datetime) -> list[Repository]:
        """Those that the caller took no token for lately: remembered in this process for speed, and in the database for
        all of them, as far as it can be written to."""
        keys = {f"pull/{rate_counts.digest(f'{caller} {each.id}')}": each for each in opened}
        fresh = {key: each for key, each in keys.items() if not self._counted.get(key)}
        for key in fresh:
            self._counted.put(key, True)
        if not fresh:
            return []
        try:
            with self._database.writing(is_lasting=False) as session:
                return [each for key, each in fresh.items() if rate_counts.add(session, key, 1, PULL, now) == 0]
        except UNWRITABLE:
            return list(fresh.values())


def _listing(session: Session, repository: Repository) -> bytes:
    return holdings.digest(holdings.listed_for_registry(session, repository, EVERYWHERE, announced=False))
