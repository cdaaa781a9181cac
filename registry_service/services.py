"""The services of the registry, built once by `app` and used by every view."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from common.errors import Failure
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access
from registry_service.grants import Credentials, Gate
from registry_service.graph.agents import Agent
from registry_service.graph.contents import Entry
from registry_service.graph.images import Described, Images, Layer
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.health import Health
from registry_service.index_client import IndexClient
from registry_service.mirror.mirror import Mirror
from registry_service.mirror.mirrored import MirroredImages
from registry_service.storage.driver import Reader

logger = logging.getLogger(__name__)


class ReadableImages(Protocol):
    """The reading side of images, from the store or through a mirror; see `graph.images.Images`."""

    def describe(self, image: ImageId) -> Described: ...

    def ancestry(self, image: ImageId) -> list[ImageId]: ...

    def layer(self, image: ImageId) -> Layer: ...

    def open_layer(self, layer: Layer, offset: int = 0, length: int | None = None) -> Reader: ...

    def open_file(self, layer: Layer) -> FileIO | None: ...

    def local_path(self, layer: Layer) -> Path | None: ...

    def url_for(self, layer: Layer) -> str | None: ...

    def files(self, image: ImageId) -> list[Entry]: ...

    def diff(self, image: ImageId) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The services behind the views. `index` is None in a standalone registry, `mirror` where nothing is mirrored."""

    gate: Gate
    index: IndexClient | None
    health: Health
    images: Images
    push: Push
    tags: Tags
    repositories: Repositories
    mirror: Mirror | None = None

    def reading(self, credentials: Credentials) -> ReadableImages:
        """The images as an authorized request may read them."""
        if self.mirror is None:
            return self.images
        return MirroredImages(self.images, self.mirror, self.gate.repositories(credentials, Access.READ))

    def require_writable(self, *repositories: RepositoryName) -> None:
        """Raises Forbidden for a repository that is only mirrored here."""
        if self.mirror is not None:
            for repository in repositories:
                self.mirror.require_writable(repository)

    def set_tag(self, repository: RepositoryName, tag: Tag, image: ImageId, agent: Agent, authorization: str) -> None:
        """Set a tag and notify the index. A failed notification is only logged: the end of the push repeats it."""
        self.tags.set(repository, tag, image, agent)
        if self.index is not None:
            try:
                self.index.tag_was_set(repository, tag, image, authorization)
            except Failure as failure:
                logger.warning("The index was not told of %s:%s: %s", repository, tag, failure.message)

    def delete_tag(self, repository: RepositoryName, tag: Tag, authorization: str) -> None:
        """Delete a tag and notify the index."""
        self.tags.delete(repository, tag)
        if self.index is not None:
            try:
                self.index.tag_was_deleted(repository, tag, authorization)
            except Failure as failure:
                logger.warning("The index was not told of %s:%s: %s", repository, tag, failure.message)
