"""Renaming a repository, and what its registry still has under its former names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from sqlalchemy.orm import Session

from common.errors import NotFound
from common.names import RepositoryName, Tag
from common.tokens import Access, Token
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.images import jobs
from index_service.registry_client import RegistryClient
from index_service.repositories import catalogue, repository_settings
from index_service.repositories.models import Repository
from index_service.search import documents
from index_service.services.registry_tokens import RegistryTokens

LAST_NAMES = 3
"""Of a repository renamed several times before its registry answered; a registry tries few tokens of one request."""

logger = logging.getLogger(__name__)


class FormerNames:
    """Removes what a registry still has under former names of a repository; `details` are those of its move job."""

    def __init__(self, database: Database, tokens: RegistryTokens, registries: RegistryClient) -> None:
        self._database = database
        self._tokens = tokens
        self._registries = registries

    def tokens(self, details: Mapping[str, list[str]]) -> list[Token]:
        """Tokens that read under the former names that nobody has taken: under these the registry knows what the
        repository holds."""
        names = map(RepositoryName.parse, details.get("from", []))
        with self._database.reading() as session:
            free = [name for name in names if catalogue.find(session, name) is None]
        return [self._tokens.issue(name, Access.READ) for name in free[-LAST_NAMES:]]

    def leave_pending(self, endpoint: str, repository: Repository) -> None:
        """At once, for a repository that is about to be deleted with its queued move. Raises as the registry's client
        does."""
        with self._database.reading() as session:
            details = jobs.pending_details(session, jobs.MOVE, repository.id)
        self.leave_all(endpoint, details, repository)

    def leave_all(self, endpoint: str, details: Mapping[str, list[str]], repository: Repository) -> None:
        for old in details.get("from", []):
            self._leave(endpoint, RepositoryName.parse(old), repository)

    def _leave(self, endpoint: str, old: RepositoryName, repository: Repository) -> None:
        """Delete a former name at the registry, except what belongs to the repository that has it now."""
        with self._database.reading() as session:
            holder = catalogue.find(session, old)
        if holder is None:
            token = self._tokens.issue(old, Access.DELETE)
            self._forget(partial(self._registries.delete_repository, endpoint, token, old))
        elif holder.id != repository.id:
            self._forget_tags(endpoint, old)

    def _forget_tags(self, endpoint: str, name: RepositoryName) -> None:
        """Delete the tags that are not its own. A push announces its tags before it sets them, so none is lost
        meanwhile."""
        token = self._tokens.issue(name, Access.DELETE)
        try:
            told = self._registries.tags(endpoint, token, name)
        except NotFound:
            return
        for tag in sorted(told):
            if tag not in self._kept(name):
                self._forget(partial(self._registries.delete_tag, endpoint, token, name, tag))

    def _kept(self, name: RepositoryName) -> set[Tag]:
        with self._database.reading() as session:
            holder = catalogue.find(session, name)
            return set() if holder is None else set(catalogue.tags(session, holder.id, announced=True))

    def _forget(self, delete: Callable[[], None]) -> None:
        """A repository or tag that is gone already is a success."""
        try:
            delete()
        except NotFound:
            logger.debug("the registry had deleted it before")


def rename(session: Session, context: AuditContext, repository: Repository, target: RepositoryName) -> None:
    """Rename a repository and enqueue the move at its registry. Raises as `repository_settings.rename` does."""
    old = repository.full_name
    repository_settings.rename(session, context, repository, target)
    documents.refresh(session, repository.id)
    jobs.enqueue(session, jobs.MOVE, repository.id, {"from": str(old)}, context.at)
