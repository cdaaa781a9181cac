"""The metadata reader: fetches the metadata of a repository's images from its registry."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import NotFound
from common.names import ImageId
from common.tokens import Access, Token
from index_service.database import Database
from index_service.db import Clock
from index_service.images import image_metadata, image_store
from index_service.images.image_metadata import ImageMetadata
from index_service.registry_client import RegistryClient
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.models import Repository
from index_service.services.registry_tokens import RegistryTokens

Heartbeat = Callable[[], None]
"""Called between two requests of a long task; an exception that it raises ends the task there."""


class MetadataReader:
    """Reads image metadata from registries and stores it."""

    def __init__(
        self, database: Database, tokens: RegistryTokens, endpoints: Endpoints, registries: RegistryClient, clock: Clock
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._endpoints = endpoints
        self._registries = registries
        self._clock = clock

    def read(self, repository: Repository, *, everything: bool, heartbeat: Heartbeat) -> tuple[int, int]:
        """Returns the number of images read, and of those that the registry lacks."""
        read = missing = at = 0
        while True:
            with self._database.reading() as session:
                wanted = image_store.unknown(session, repository.id, after=at, everything=everything)
            if not wanted:
                break
            found = self._ask_all(repository, [id_ for _, id_ in wanted], heartbeat)
            with self._database.writing() as session:
                image_store.record(session, found, self._clock())
            read, missing, at = read + len(found), missing + len(wanted) - len(found), wanted[-1][0]
        with self._database.writing() as session:
            image_store.sum_layers(session, [repository.id])
        return read, missing

    def _ask_all(self, repository: Repository, ids: list[str], heartbeat: Heartbeat) -> list[ImageMetadata]:
        token = self._tokens.issue(repository.full_name, Access.READ)
        endpoint = self._endpoints.announced(repository.endpoint)
        found = []
        for id_ in ids:
            heartbeat()
            fact = self._ask(endpoint, token, ImageId(id_))
            if fact is not None:
                found.append(fact)
        return found

    def _ask(self, endpoint: str, token: Token, image: ImageId) -> ImageMetadata | None:
        try:
            described = self._registries.describe(endpoint, token, image)
        except NotFound:
            return None
        return image_metadata.parse(image, described.json, described.size)
