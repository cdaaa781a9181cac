"""Deletion of tags and repositories: requested at the registry, between transactions, which then reports it to the
index.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import NotFound, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access
from index_service.accounts.actor import Actor
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.db import Clock
from index_service.images import versions
from index_service.registry_client import RegistryClient
from index_service.repositories import catalogue, holdings
from index_service.repositories.catalogue import Pusher
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository
from index_service.repositories.policy import Action
from index_service.repositories.roles import AccessControl
from index_service.services.former_names import FormerNames
from index_service.services.registry_tokens import RegistryTokens
from index_service.tokens import protocol_tokens
from index_service.tokens.protocol_tokens import ProtocolTokens

logger = logging.getLogger(__name__)


class RegistryUnavailable(Unavailable):
    """The registry does not respond, or refuses this index's token; the log says which."""

    def __init__(self) -> None:
        super().__init__("The registry is unavailable, so nothing more was deleted; try again later")


@dataclass(frozen=True, slots=True)
class DeletionPreview:
    """A preview of a deletion: the tags that exist, and the images that no tag of the repository will point at
    afterwards; only those that it holds `shared` have a page."""

    tags: list[Tag]
    untagged: list[ImageId]
    shared: set[str]


class Deletion:
    """The requests to delete tags and repositories."""

    def __init__(
        self,
        database: Database,
        access_control: AccessControl,
        tokens: ProtocolTokens,
        registry_tokens: RegistryTokens,
        endpoints: Endpoints,
        registries: RegistryClient,
        former_names: FormerNames,
        clock: Clock,
    ) -> None:
        self._database = database
        self._access_control = access_control
        self._tokens = tokens
        self._registry_tokens = registry_tokens
        self._endpoints = endpoints
        self._registries = registries
        self._former_names = former_names
        self._clock = clock

    def preview(self, actor: Actor, name: RepositoryName, tags: Sequence[Tag]) -> DeletionPreview:
        """The effect of deleting these tags. Raises as the policy does."""
        with self._database.reading() as session:
            repository = self._access_control.require(session, actor, name, catalogue.find(session, name), Action.WRITE)
            known = catalogue.tags(session, repository.id)
            shared = holdings.held(session, repository.id, known.values(), is_shared=True)
        preview = [tag for tag in versions.newest_first(set(tags)) if tag in known]
        left = {image for tag, image in known.items() if tag not in preview}
        untagged = dict.fromkeys(known[Tag(tag)] for tag in preview if known[Tag(tag)] not in left)
        return DeletionPreview([Tag(tag) for tag in preview], list(untagged), shared)

    def delete_tags(self, actor: Actor, name: RepositoryName, tags: Sequence[Tag]) -> None:
        """Delete tags at the registry, and so here. Raises as the policy does, and Unavailable: what was deleted until
        then stays deleted, all others stay."""
        repository, endpoint = self._deletable(actor, name, Action.WRITE)
        with self._database.writing() as session:
            before = catalogue.tags(session, repository.id)
            token = self._tokens.issue_own(session, name, Access.DELETE, self._clock(), actor, repository.id)
        for tag in tags:
            try:
                self._registries.delete_tag(endpoint, token, name, tag)
            except NotFound:
                logger.info("the registry had no tag %s:%s to delete", name, tag)
            except Unavailable as failure:
                raise RegistryUnavailable from failure
            self._drop_tag(repository.id, name, tag, before.get(tag), actor)

    def delete_repository(self, actor: Actor, name: RepositoryName, client_ip: str) -> None:
        """Delete a repository at its registry, and so here. Raises as the policy does, and Unavailable: nothing is
        deleted then."""
        repository, endpoint = self._deletable(actor, name, Action.DELETE)
        try:
            self._former_names.leave_pending(endpoint, repository)
        except Unavailable as failure:
            raise RegistryUnavailable from failure
        with self._database.writing() as session:
            token = self._tokens.issue(session, actor, repository, Access.DELETE, self._clock())
        try:
            self._registries.delete_repository(endpoint, token, name)
        except NotFound:
            self._drop(actor, repository.id, name, client_ip)
        except Unavailable as failure:
            if self._exists(repository.id):
                raise RegistryUnavailable from failure
            self._delete_again(endpoint, name)
        with self._database.writing() as session:
            protocol_tokens.forget_consumed(session, actor.id, name, self._clock())

    def _delete_again(self, endpoint: str, name: RepositoryName) -> None:
        """The registry had the index delete the repository, and then failed to delete it itself or to respond."""
        token = self._registry_tokens.issue(name, Access.DELETE)
        try:
            self._registries.delete_repository(endpoint, token, name)
        except NotFound:
            logger.info("the registry %s had deleted %s after all", endpoint, name)
        except Unavailable as failure:
            logger.error("%s is deleted here, its tags may be left at %s: %s", name, endpoint, failure.message)

    def _drop(self, actor: Actor, repository_id: int, name: RepositoryName, client_ip: str) -> None:
        """Delete a repository that the registry never had: a push began and sent nothing."""
        with self._database.writing() as session:
            repository = catalogue.lock(session, name)
            if repository is not None and repository.id == repository_id:
                catalogue.delete_repository(session, AuditContext(actor, client_ip, self._clock()), repository)

    def _drop_tag(
        self, repository_id: int, name: RepositoryName, tag: Tag, image_id: ImageId | None, actor: Actor
    ) -> None:
        """Delete a tag here even if the registry's report of its deletion, sent once, was lost."""
        with self._database.writing() as session:
            repository = catalogue.lock(session, name)
            if repository is None or repository.id != repository_id:
                return
            if catalogue.tags(session, repository_id).get(tag) == image_id:
                catalogue.delete_tag(session, repository, tag, Pusher(actor.id), self._clock())

    def _deletable(self, actor: Actor, name: RepositoryName, action: Action) -> tuple[Repository, str]:
        with self._database.reading() as session:
            repository = self._access_control.require(session, actor, name, catalogue.find(session, name), action)
        return repository, self._endpoints.announced(repository.endpoint)

    def _exists(self, repository_id: int) -> bool:
        with self._database.reading() as session:
            return session.get(Repository, repository_id) is not None
