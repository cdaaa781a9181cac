"""Reindexing: reads tags and images of a repository from its registry again, or takes them over, by command."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from common.errors import Conflict, Forbidden, NotFound
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access, Token
from index_service.accounts import authentication
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.db import Clock
from index_service.images import jobs, translations
from index_service.registry_client import Pushed, RegistryClient
from index_service.repositories import catalogue, repository_settings
from index_service.repositories.catalogue import Pusher
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository
from index_service.repositories.policy import RepositoryNotFound
from index_service.search import documents
from index_service.services.metadata_reader import MetadataReader
from index_service.services.registry_tokens import RegistryTokens


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What reindexing a repository found: how many tags and images, and how many images the registry lacks."""

    tags: int
    images: int
    missing: int


class Reindex:
    """The command `wharfinger-index reindex`."""

    def __init__(
        self,
        database: Database,
        tokens: RegistryTokens,
        endpoints: Endpoints,
        registries: RegistryClient,
        facts: MetadataReader,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._endpoints = endpoints
        self._registries = registries
        self._facts = facts
        self._clock = clock

    def run(self, name: RepositoryName, owner: str | None = None) -> Reindexed:
        """Read tags and metadata of a repository from its registry again, and add or update them.

        An unknown repository is taken over for `owner`, an account's name; without one it is refused. With an owner it
        is made private where its store marks it so, which before it had an index was the only place to say it. Raises
        NotFound, Conflict, Unavailable.
        """
        endpoint, token = self._endpoint_of(name, owner), self._tokens.issue(name, Access.READ)
        tags = self._registries.tags(endpoint, token, name)
        pushed = self._pushed(name, endpoint, token, tags)
        is_marked = owner is not None and self._registries.is_private(endpoint, token, name)
        repository = self._with_tags(name, owner, tags, pushed, make_private=is_marked)
        images, missing = self._facts.read(repository, tags.values(), everything=True, heartbeat=lambda: None)
        self._ask_for_translations(repository)
        return Reindexed(len(tags), images, missing)

    def repositories(self) -> list[RepositoryName]:
        """All repositories of the index, by name."""
        with self._database.reading() as session:
            return catalogue.names(session)

    def _ask_for_translations(self, repository: Repository) -> None:
        """A job does it: translating takes a registry as long as unpacking every layer."""
        with self._database.writing() as session:
            translations.read_anew(session, repository.id)
            jobs.enqueue(session, jobs.TRANSLATE, repository.id, {}, self._clock())

    def _endpoint_of(self, name: RepositoryName, owner: str | None) -> str:
        with self._database.reading() as session:
            found = catalogue.find(session, name)
        if found is None and owner is None:
            raise NotFound(f"the index knows no repository {name}")
        return self._endpoints.choose(name) if found is None else self._endpoints.announced(found.endpoint)

    def _pushed(self, name: RepositoryName, endpoint: str, token: Token, tags: dict[Tag, ImageId]) -> dict[Tag, Pushed]:
        """When the tags that the index does not know were pushed: a store remembers, and a take-over is no push."""
        with self._database.reading() as session:
            repository = catalogue.find(session, name)
            known = catalogue.tags(session, repository.id) if repository is not None else {}
        return {tag: self._registries.pushed(endpoint, token, name, tag) for tag in tags if tag not in known}

    def _with_tags(
        self,
        name: RepositoryName,
        owner: str | None,
        tags: dict[Tag, ImageId],
        pushed: dict[Tag, Pushed],
        *,
        make_private: bool,
    ) -> Repository:
        with self._database.writing() as session:
            is_new = catalogue.find(session, name) is None
            if is_new and owner is not None:
                self._allocate(session, name, owner)
            repository = catalogue.lock(session, name)
            if repository is None:
                raise RepositoryNotFound
            if make_private:
                context = AuditContext(None, "", self._clock())
                repository_settings.set_private(session, context, repository, is_private=True)
            updated_at, pushed_at = repository.updated_at, repository.pushed_at
            catalogue.record_images(session, repository, dict.fromkeys(tags.values()), None, self._clock())
            known = catalogue.tags(session, repository.id)
            for tag, image in tags.items():
                if known.get(tag) != image:
                    told = pushed.get(tag, Pushed(None, ""))
                    by, pushed_at = Pusher(None, told.client), told.at or self._clock()
                    catalogue.set_tag(session, repository, tag, image, by, pushed_at)
            repository.updated_at, repository.pushed_at = updated_at, pushed_at
            dates = [told.at for told in pushed.values() if told.at is not None]
            if is_new and dates:
                repository.created_at, repository.updated_at, repository.pushed_at = min(dates), max(dates), max(dates)
            documents.refresh(session, repository.id)
            return repository

    def _allocate(self, session: Session, name: RepositoryName, owner: str) -> None:
        user = authentication.require(session, owner)
        name.require_unambiguous()
        if not catalogue.namespace_exists(session, name.namespace):
            raise Conflict(f"no account or organisation is named {name.namespace}; create it first")
        if name.is_library and not user.is_admin:
            raise Forbidden(f"{owner} is not an administrator and cannot own {name}")
        context = AuditContext(None, "", self._clock())
        catalogue.allocate(session, context, name, user, self._endpoints.choose(name), "take-over")
