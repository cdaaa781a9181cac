"""The index's own tokens, with which it sends requests to registries.

A registry validates each of them here, so no request is sent within a transaction: a locked database could not serve
the validation.
"""

from __future__ import annotations

from common.names import RepositoryName
from common.tokens import Access, Token
from index_service.database import Database
from index_service.db import Clock
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository
from index_service.tokens.protocol_tokens import ProtocolTokens


class RegistryTokens:
    """Issues them, each in a transaction of its own."""

    def __init__(self, database: Database, tokens: ProtocolTokens, endpoints: Endpoints, clock: Clock) -> None:
        self._database = database
        self._tokens = tokens
        self._endpoints = endpoints
        self._clock = clock

    def issue(self, name: RepositoryName, access: Access, repository_id: int | None = None) -> Token:
        """Issue a token for any repository of the name, or with `repository_id` for that repository alone."""
        with self._database.writing(is_lasting=False) as session:
            return self._tokens.issue_own(session, name, access, self._clock(), repository_id=repository_id)

    def to_read(self, repository: Repository) -> tuple[str, Token]:
        """A repository's registry, and a token to read there, which lasts for some hundred requests."""
        endpoint = self._endpoints.announced(repository.endpoint)
        return endpoint, self.issue(repository.full_name, Access.READ)
