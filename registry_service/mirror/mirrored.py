"""Images, tags and repositories of a mirror, as the views read them: from the store or from their source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.contents import Entry
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.images import Described, Images, Layer
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.mirror.mirror import Mirror
from registry_service.mirror.pull_through import PartialLayer
from registry_service.storage.driver import Driver, Reader

T = TypeVar("T")


class MirroredImages:
    """`Images` for one request: `repositories` are those whose sources may be queried."""

    def __init__(self, held: Images, mirror: Mirror, repositories: Sequence[RepositoryName]) -> None:
        self._held = held
        self._mirror = mirror
        self._repositories = repositories

    def describe(self, image: ImageId) -> Described:
        try:
            return self._stored(self._held.describe, image)
        except ImageNotFound:
            offer = self._mirror.offer(image, self._repositories)
        if offer.size is None:
            # Old daemons need the size, and this source tells it only by the layer itself.
            self._mirror.bring(offer)
            return self._stored(self._held.describe, image)
        return Described(offer.json, offer.size, 0.0, offer.checksums)

    def ancestry(self, image: ImageId) -> list[ImageId]:
        try:
            return self._stored(self._held.ancestry, image)
        except ImageNotFound:
            return self._mirror.ancestry(image, self._repositories)

    def layer(self, image: ImageId) -> Layer:
        """The layer; one that is not stored is then in download."""
        try:
            return self._stored(self._held.layer, image)
        except ImageNotFound:
            return self._mirror.layer(self._mirror.offer(image, self._repositories))

    def open_layer(self, layer: Layer, offset: int = 0, length: int | None = None) -> Reader:
        if isinstance(layer, PartialLayer):
            return layer.arriving.open(offset, length)
        return self._held.open_layer(layer, offset, length)

    def open_file(self, layer: Layer) -> FileIO | None:
        return None if isinstance(layer, PartialLayer) else self._held.open_file(layer)

    def local_path(self, layer: Layer) -> Path | None:
        return None if isinstance(layer, PartialLayer) else self._held.local_path(layer)

    def url_for(self, layer: Layer) -> str | None:
        return None if isinstance(layer, PartialLayer) else self._held.url_for(layer)

    def files(self, image: ImageId) -> list[Entry]:
        return self._brought(self._held.files, image)

    def diff(self, image: ImageId) -> dict[str, Any]:
        return self._brought(self._held.diff, image)

    def stored(self, image: ImageId) -> ImageId:
        """An image as it is kept, shared or apart. Raises ImageNotFound where it was not fetched yet."""
        return self._stored(self._complete, image)

    def bring(self, image: ImageId) -> ImageId:
        """Wait until an image is stored; returns it as it is kept, shared or apart. Raises ImageNotFound,
        SourceUnavailable.
        """
        return self._brought(self._complete, image)

    def _complete(self, image: ImageId) -> ImageId:
        if not self._held.is_complete(image):
            raise ImageNotFound
        return image

    def _brought(self, read: Callable[[ImageId], T], image: ImageId) -> T:
        try:
            return self._stored(read, image)
        except ImageNotFound:
            self._mirror.bring(self._mirror.offer(image, self._repositories))
        return self._stored(read, image)

    def _stored(self, read: Callable[[ImageId], T], image: ImageId) -> T:
        """Read from the store, as the first repository has the image. Raises ImageNotFound where none has it."""
        for found in self._mirror.find(image, self._repositories):
            with suppress(ImageNotFound):
                return read(found)
        raise ImageNotFound


class MirroredTags(Tags):
    """Tags that are brought up to date before they are read."""

    def __init__(self, driver: Driver, images: Images, mirror: Mirror) -> None:
        super().__init__(driver, images)
        self._mirror = mirror

    def all(self, repository: RepositoryName) -> Mapping[str, str]:
        self._mirror.follow(repository)
        return super().all(repository)

    def get(self, repository: RepositoryName, tag: Tag) -> ImageId:
        self._mirror.follow(repository)
        return super().get(repository, tag)

    def description(self, repository: RepositoryName, tag: Tag | None) -> dict[str, Any]:
        """Requested from the source each time: no pull needs it, so it is not cached."""
        described = self._mirror.tag_description(repository, tag) or {}
        return {**super().description(repository, tag), **described}


class MirroredRepositories(Repositories):
    """Lists of images that are brought up to date before they are read; a search finds what is held."""

    def __init__(self, driver: Driver, tags: Tags, mirror: Mirror) -> None:
        """`tags` are those of the store, or a search would ask the sources for every repository."""
        super().__init__(driver, tags)
        self._mirror = mirror

    def images(self, repository: RepositoryName) -> Sequence[Mapping[str, str]]:
        self._mirror.follow(repository)
        return super().images(repository)
