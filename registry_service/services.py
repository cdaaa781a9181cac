"""The services of the registry, built once by `app` and used by every view."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from common.agents import Agent
from common.errors import NotFound
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access
from registry_service.grants import Credentials, Gate
from registry_service.graph.condemned import Intents
from registry_service.graph.contents import Entry
from registry_service.graph.errors import ImageNotFound, TagNotFound
from registry_service.graph.holdings import Holdings
from registry_service.graph.images import Described, Images, Layer
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.health import Health
from registry_service.index_client import IndexClient, IndexUnreachable
from registry_service.mirror.mirror import Mirror
from registry_service.mirror.mirrored import MirroredImages
from registry_service.oci.background import BackgroundTranslations
from registry_service.oci.lookup import Lookup
from registry_service.oci.translation import Translated, Translations
from registry_service.pending_tags import PendingTags, TagChange
from registry_service.storage.driver import Reader
from registry_service.storage.paths import ApartImageId

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
    """The services behind the views. `index` and `pending_tags` are None in a standalone registry, `mirror` where it
    mirrors nothing.
    """

    gate: Gate
    index: IndexClient | None
    health: Health
    images: Images
    push: Push
    tags: Tags
    intents: Intents
    pending_tags: PendingTags | None
    holdings: Holdings
    repositories: Repositories
    translations: Translations
    background_translations: BackgroundTranslations
    lookup: Lookup
    mirror: Mirror | None = None

    def reading(self, credentials: Credentials) -> ReadableImages:
        """The images as an authorized request may read them."""
        return self._mirrored(credentials) or self.images

    def require_promised(self, credentials: Credentials, image: ImageId) -> None:
        """Who pushes is told only of what no collection takes meanwhile. Raises ImageNotFound; a mirror may have from
        its sources what it lacks.
        """
        if self.gate.is_pushing(credentials) and not self.push.promise(image) and self.mirror is None:
            raise ImageNotFound

    def located(self, credentials: Credentials, image: ImageId) -> ImageId:
        """The image as the bearer may read it and as it is kept; a mirror's as it was fetched for the request's
        repository. Raises NotFound.
        """
        readable, images = self.gate.readable(credentials, image), self._mirrored(credentials)
        return readable if images is None else images.stored(readable)

    def translated(self, credentials: Credentials, repository: RepositoryName, image: ImageId) -> Translated:
        """An image of a repository in the words of the OCI distribution protocol. A mirror fetches the layers that it
        lacks first.
        """
        images = self._mirrored(credentials)
        if images is not None:
            for each in images.ancestry(image):
                images.bring(each)
            image = images.bring(image)
        translated = self.translations.of(image)
        self.lookup.note(repository, image)
        return translated

    def image_of(self, credentials: Credentials, digest: str) -> ImageId:
        """The image of a manifest of this digest, where a mirror has not come to know it yet. Raises NotFound."""
        if self.mirror is None:
            raise NotFound("No image has this digest")
        repositories = self.gate.repositories(credentials, Access.READ)
        image = self.mirror.image_of(digest, repositories)
        for repository in repositories:
            # What its tags reach may be read.
            self.mirror.follow(repository)
        return image

    def _mirrored(self, credentials: Credentials) -> MirroredImages | None:
        if self.mirror is None:
            return None
        return MirroredImages(self.images, self.mirror, self.gate.repositories(credentials, Access.READ))

    def require_creatable(self, repository: RepositoryName, tag: Tag | None = None) -> None:
        """Raises Invalid for a name that newer clients refuse, unless the store has it already; always for one whose
        push would end at another repository.
        """
        repository.require_unambiguous()
        if not repository.is_creatable and not self.tags.exists(repository):
            repository.require_creatable()
        if tag is not None and not tag.is_creatable and not self.tags.has(repository, tag):
            tag.require_creatable()

    def require_writable(self, *repositories: RepositoryName) -> None:
        """Raises Forbidden for a repository that is only mirrored here."""
        if self.mirror is not None:
            for repository in repositories:
                self.mirror.require_writable(repository)

    def set_tag(
        self, credentials: Credentials, repository: RepositoryName, tag: Tag, image: ImageId, agent: Agent
    ) -> None:
        """Set a tag with the consent of the index. Raises ImageNotFound unless the image is complete, ImageBusy."""
        with self.intents.reaching(self._reached(image, repository)):
            self.tags.require_taggable(image)
            image = self.holdings.carry(image, repository)
            before = self.tags.find(repository, tag)
            change = TagChange(repository=repository, tag=tag, now=image, before=before, agent=agent)
            self._change_tag(credentials, change, partial(self.gate.set_tag, credentials, repository, tag, image))

    def _reached(self, image: ImageId, repository: RepositoryName) -> list[ImageId]:
        """What a tag of the repository will reach, also as the repository keeps it apart."""
        ancestry = self.images.ancestry(image)
        return ancestry + [ApartImageId(each, repository) for each in ancestry if isinstance(each, ApartImageId)]

    def delete_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag, agent: Agent) -> None:
        """Delete a tag with the consent of the index. Raises TagNotFound."""
        before = self.tags.find(repository, tag)
        if before is None:
            raise TagNotFound(f"Tag not found: {tag}")
        change = TagChange(repository=repository, tag=tag, now=None, before=before, agent=agent)
        self._change_tag(credentials, change, partial(self.gate.delete_tag, credentials, repository, tag))

    def _change_tag(self, credentials: Credentials, change: TagChange, ask: Callable[[], None]) -> None:
        pending, is_asked = self.pending_tags, self._ask(change, ask)
        if pending is not None and not is_asked:
            access = Access.WRITE if change.now else Access.DELETE
            pending.add(change, self.gate.authorization(credentials, access, change.repository))
        self.tags.change(change.repository, change.tag, change.now, change.agent)
        if pending is not None and is_asked:
            pending.settle(change.repository, change.tag)

    def _ask(self, change: TagChange, ask: Callable[[], None]) -> bool:
        """Whether the index has consented; not where it cannot be reached. Raises what it refuses with."""
        try:
            ask()
        except IndexUnreachable as failure:
            logger.warning("%s:%s is changed without the index: %s", change.repository, change.tag, failure.message)
            return False
        return True
