"""What the registry can do, put together once by `app` and handed to every door."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from common.errors import Failure
from common.names import ImageId, RepositoryName, Tag
from registry_service.grants import Gate
from registry_service.graph.agents import Agent
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.health import Health
from registry_service.index_client import IndexClient

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registry:
    """The rooms behind the doors. `index` is None where the registry stands alone."""

    gate: Gate
    index: IndexClient | None
    health: Health
    images: Images
    push: Push
    tags: Tags
    repositories: Repositories

    def set_tag(self, repository: RepositoryName, tag: Tag, image: ImageId, agent: Agent, authorization: str) -> None:
        """Set a tag and tell the index. It stands even where the index could not be told: a push's end tells it too."""
        self.tags.set(repository, tag, image, agent)
        if self.index is not None:
            try:
                self.index.tag_was_set(repository, tag, image, authorization)
            except Failure as failure:
                logger.warning("The index was not told of %s:%s: %s", repository, tag, failure.message)

    def delete_tag(self, repository: RepositoryName, tag: Tag, authorization: str) -> None:
        """Delete a tag and tell the index."""
        self.tags.delete(repository, tag)
        if self.index is not None:
            try:
                self.index.tag_was_deleted(repository, tag, authorization)
            except Failure as failure:
                logger.warning("The index was not told of %s:%s: %s", repository, tag, failure.message)
