"""What an operator does about a poisoned or broken image: see what refers to it, remove it, or replace it.

An id is immutable for clients. Who put a bad image there, or a disk that lost its layer, would otherwise have the last
word for every repository that holds the image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from common.errors import Invalid
from common.names import ImageId, RepositoryName
from registry_service.graph.description import stored_parent
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.holdings import Holdings, Nobody
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound
from registry_service.storage.paths import ApartImageId

UPLOADER = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """How a repository refers to an image: the tags that reach it, whether a push marked it as held, and whether the
    repository keeps an image of its own under the id, which the shared one does not concern."""

    repository: RepositoryName
    tags: tuple[str, ...]
    is_marked: bool
    is_apart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An image and what refers to it. `size` is of the layer in bytes, None where the image is not complete;
    `children` are the shared images based on it, directly or not."""

    image: ImageId
    size: int | None
    checksums: tuple[str, ...]
    references: tuple[Reference, ...]
    children: tuple[ImageId, ...]


class ImageRepair:
    """Looks at, removes and replaces images of one store."""

    def __init__(
        self,
        driver: Driver,
        images: Images,
        push: Push,
        holdings: Holdings,
        tags: Tags,
        repositories: Repositories,
    ) -> None:
        self._driver = driver
        self._images = images
        self._push = push
        self._holdings = holdings
        self._tags = tags
        self._repositories = repositories

    def report(self, image: ImageId) -> Report:
        """What is there, and what refers to it: reads every tag and every ancestry of the store."""
        described = None
        with suppress(ImageNotFound):
            described = self._images.describe(image)
        return Report(
            image=image,
            size=described.size if described else None,
            checksums=described.checksums if described else (),
            references=tuple(self._references(image)),
            children=tuple(self._children(image)),
        )

    def remove(self, image: ImageId) -> None:
        """Remove an image, shared or apart. The JSON goes first: without it nothing is served. Raises ImageNotFound."""
        if not self._driver.exists(paths.image(image)):
            raise ImageNotFound
        for path in (paths.image_json(image), paths.image(image)):
            with suppress(PathNotFound):
                self._driver.delete(path)
        if isinstance(image, ApartImageId):
            with suppress(PathNotFound):
                self._driver.delete(paths.held(image.repository, image))
        self._images.forget(image)

    def replace(self, image: ImageId, description: bytes, blocks: Iterable[bytes]) -> None:
        """Put this JSON and this layer in place of the shared image, or where it is missing; whoever holds the image
        gets it. What is there stays until the new one has come whole. Raises Invalid, also for another parent than that
        of the image, on which ancestries rely.
        """
        self._require_same_parent(image, description)
        nobody = Nobody()
        self._push.begin(image, description, UPLOADER, holder=nobody)
        received = self._push.receive(image, UPLOADER, blocks, holder=nobody)
        with suppress(ImageNotFound):
            self.remove(image)
        self._push.seal(image, UPLOADER, payload=received.payload, tarsum=None, holder=nobody)

    def replace_by(self, image: ImageId, repository: RepositoryName) -> None:
        """Replace the shared image by the one that a repository keeps apart, which keeps it. Raises ImageNotFound."""
        apart = ApartImageId(image, repository)
        with self._images.open_layer(self._images.layer(apart)) as reader:
            self.replace(image, self._images.json(apart), reader)

    def _require_same_parent(self, image: ImageId, description: bytes) -> None:
        with suppress(ImageNotFound):
            if stored_parent(self._images.json(image)) != self._push.parent_of(image, description):
                raise Invalid("The JSON names another parent than that of the image it is to replace")

    def _references(self, image: ImageId) -> Iterator[Reference]:
        for repository in sorted(self._repositories.all()):
            reference = self._reference(repository, image)
            if reference is not None:
                yield reference

    def _reference(self, repository: RepositoryName, image: ImageId) -> Reference | None:
        tags = tuple(
            sorted(tag for tag, id_ in self._tags.all(repository).items() if self._reaches(repository, id_, image))
        )
        is_marked = self._driver.exists(paths.held(repository, image))
        is_apart = self._driver.exists(paths.image_json(ApartImageId(image, repository)))
        if not (tags or is_marked):
            return None
        return Reference(repository=repository, tags=tags, is_marked=is_marked, is_apart=is_apart)

    def _reaches(self, repository: RepositoryName, tagged: str, image: ImageId) -> bool:
        plain = ImageId(tagged)
        try:
            return image in self._images.ancestry(self._holdings.find(repository, plain) or plain)
        except ImageNotFound:
            return tagged == image

    def _children(self, image: ImageId) -> Iterator[ImageId]:
        for name in self._driver.list(paths.IMAGES):
            with suppress(PathNotFound, ValueError):
                ancestry = json.loads(self._driver.get(f"{paths.IMAGES}/{name}/ancestry"))
                if image in ancestry[1:]:
                    yield ImageId(name)
