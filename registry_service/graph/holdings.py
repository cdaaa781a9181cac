"""Which repository holds which image: a push sealed it there, or one of the repository's tags reaches it.

An id is one name for all, and anybody may announce it; only what a repository holds may be read, built on or tagged by
it, or is there already when somebody pushes to it. Where the shared image of an id has other content than the one that
a repository pushed, the repository's own is kept apart, as are all images above it: shared images have shared ancestors
only.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from common.cache import Cache
from common.names import ImageId, RepositoryName
from registry_service.graph.copy_records import read_copy
from registry_service.graph.errors import ImageNotFound, RepositoryNotFound
from registry_service.graph.images import CACHE_SECONDS, Images
from registry_service.graph.publication import Publication, Publisher
from registry_service.graph.stages import Stage
from registry_service.graph.store_identity import StoreIdentity
from registry_service.graph.tags import Tags
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Offload, PathNotFound, directly, names_below
from registry_service.storage.paths import ApartImageId

_CACHED_IDS = 1024 * 1024

_ANY_APART_SECONDS = 60.0
"""How long it is cached that a store keeps no image apart at all."""


class Holder(Protocol):
    """For whom an image is pushed: a repository, or everybody where nobody asks for whom."""

    def find(self, image: ImageId) -> ImageId | None:
        """The image as it is held, shared or apart; None where it is not."""

    def apart(self, image: ImageId) -> ImageId | None:
        """The image as it would be kept apart; None where nothing is."""

    def keep(self, image: ImageId, checksums: Iterable[str]) -> None:
        """Hold an image from now on, shared or apart, as it was pushed with these checksums."""

    def pushed(self, image: ImageId) -> frozenset[str]:
        """The checksums with which an image was pushed."""


class Everybody:
    """The holder of all images in a registry without an index."""

    def find(self, image: ImageId) -> ImageId | None:
        return image

    def apart(self, image: ImageId) -> ImageId | None:
        return None

    def keep(self, image: ImageId, checksums: Iterable[str]) -> None:
        pass

    def pushed(self, image: ImageId) -> frozenset[str]:
        return frozenset()


EVERYBODY = Everybody()


class Nobody(Everybody):
    """The holder of no image: for whom everything is uploaded, whatever is there."""

    def find(self, image: ImageId) -> ImageId | None:
        return None


@dataclass(frozen=True, slots=True)
class _Mark:
    is_apart: bool
    checksums: frozenset[str]
    is_fetched: bool

    def locate(self, image: ImageId, repository: RepositoryName) -> ImageId:
        return ApartImageId(image, repository) if self.is_apart else ImageId(image)


class Holdings:
    """What the repositories of one store hold."""

    def __init__(self, driver: Driver, images: Images, tags: Tags, *, offload: Offload = directly) -> None:
        self.store = StoreIdentity(driver)
        self._driver = driver
        self._offload = offload
        self._images = images
        self._tags = tags
        self._publisher = Publisher(driver, images)
        self._reached: Cache[RepositoryName, tuple[Mapping[str, str], frozenset[str]]] = Cache(
            _CACHED_IDS, CACHE_SECONDS
        )
        self._any_apart: Cache[str, bool] = Cache(1, _ANY_APART_SECONDS)

    def find(self, repository: RepositoryName, image: ImageId) -> ImageId | None:
        """As `Holder.find`, from the store."""
        mark = self._mark(repository, image)
        if mark is not None and not mark.is_fetched:
            return mark.locate(image, repository)
        if image not in self.reached(repository):
            return None
        if mark is not None:
            return mark.locate(image, repository)
        return None if self.is_copy(repository) else image

    def keep(
        self, repository: RepositoryName, image: ImageId, checksums: Iterable[str], *, is_fetched: bool = False
    ) -> None:
        """As `Holder.keep`. That a mirror has fetched an image for a repository says which one of its id the
        repository has, and is no right to it.
        """
        mark = {"apart": isinstance(image, ApartImageId), "checksums": sorted(checksums)}
        if is_fetched:
            mark["fetched"] = True
        self._driver.put(paths.held(repository, image), json.dumps(mark).encode())

    def marked(self, repository: RepositoryName, image: ImageId) -> ImageId | None:
        """The image as a push or a mirror marked it for the repository, shared or apart; None without a mark."""
        mark = self._mark(repository, image)
        return None if mark is None else mark.locate(image, repository)

    def is_copy(self, repository: RepositoryName) -> bool:
        """Whether a mirror wrote the repository and marked what it fetched. Its tags are its source's word, and open
        nothing that is not marked.
        """
        record = read_copy(self._driver, repository)
        return record is not None and record.is_marked

    def keeps_apart(self, repository: RepositoryName, image: ImageId) -> bool:
        """Whether the repository keeps an image of its own under the id, as far as the store was looked at."""
        any_apart = self._any_apart.get(paths.APART)
        if any_apart is None:
            any_apart = self._driver.exists(paths.APART)
            self._any_apart.put(paths.APART, any_apart)
        return any_apart and self._driver.exists(paths.image_json(ApartImageId(image, repository)))

    def is_in_place(self, image: ImageId) -> bool:
        """Whether an image is where it is kept; of shared ones, nobody doubts it."""
        return not isinstance(image, ApartImageId) or self._images.is_complete(image)

    def is_there(self, image: ImageId) -> bool:
        """Whether an image is complete, or was when it was last read: what is read soon after costs nothing more."""
        try:
            self._images.describe(image)
        except ImageNotFound:
            return False
        return True

    def carry(self, image: ImageId, repository: RepositoryName) -> ImageId:
        """The image for a tag of this repository: what another keeps apart, with all it is based on, is copied."""
        if self.is_copy(repository):
            self._mark_shared(image, repository)
        if not isinstance(image, ApartImageId) or image.repository == repository:
            return image
        for ancestor in reversed(self._images.ancestry(image)):
            if isinstance(ancestor, ApartImageId) and self.find(repository, ancestor) is None:
                self._copy(ancestor, ApartImageId(ancestor, repository))
        return self.find(repository, image) or image

    def _mark_shared(self, image: ImageId, repository: RepositoryName) -> None:
        """For a copy that is no longer one: its tags alone open nothing, and this one was set here."""
        for each in self._images.ancestry(image):
            if not isinstance(each, ApartImageId) and self.find(repository, each) is None:
                self.keep(repository, each, self._images.checksums(each))

    def _copy(self, source: ApartImageId, target: ApartImageId) -> None:
        """Published as an upload is, in place of what nobody holds under the name."""
        stage = Stage(self._driver, source, f"copy {secrets.token_hex(8)}")
        path = self._copy_layer(source, stage)
        checksums = self._images.checksums(source)
        publication = Publication(
            subject=str(source.repository),
            description=self._images.json(source),
            ancestry=self._images.ancestry(source),
            checksums=checksums,
            bring_layer=partial(self._driver.move, path),
            hold=partial(self.keep, target.repository, target, checksums),
            is_leftover=lambda: self.find(target.repository, target) is None,
        )
        self._publisher.publish(target, publication)
        stage.drop()

    def _copy_layer(self, source: ApartImageId, stage: Stage) -> str:
        name, writer = stage.open_layer()
        with self._images.open_layer(self._images.layer(source)) as reader, writer:
            for block in reader:
                if self._driver.is_blocking:
                    self._offload(writer.write, block)
                else:
                    writer.write(block)
            writer.commit()
        return stage.path_of(name)

    def pushed(self, repository: RepositoryName, image: ImageId) -> frozenset[str]:
        """As `Holder.pushed`."""
        mark = self._mark(repository, image)
        return frozenset() if mark is None else mark.checksums

    def _mark(self, repository: RepositoryName, image: ImageId) -> _Mark | None:
        try:
            mark = json.loads(self._driver.get(paths.held(repository, image)))
        except PathNotFound:
            return None
        return _Mark(mark["apart"], frozenset(mark["checksums"]), mark.get("fetched", False))

    def reached(self, repository: RepositoryName) -> frozenset[str]:
        """The ids that the repository's tags reach, complete or not."""
        try:
            tags = self._tags.all(repository)
        except RepositoryNotFound:
            return frozenset()
        known = self._reached.get(repository)
        if known is None or known[0] != tags:
            known = tags, frozenset(self._ancestors(repository, set(tags.values())))
            self._reached.put(repository, known, 64 + len(known[0]) + len(known[1]))
        return known[1]

    def _ancestors(self, repository: RepositoryName, tagged: set[str]) -> Iterator[str]:
        apart = set(names_below(self._driver, paths.apart_images(repository)))
        for id_ in tagged:
            image = ImageId(id_)
            try:
                yield from self._images.ancestry(ApartImageId(image, repository) if id_ in apart else image)
            except ImageNotFound:
                # In an old store a tag may name an image that is not complete; it reaches that one and no other.
                yield id_


class RepositoryHolder:
    """One repository as a holder."""

    def __init__(self, holdings: Holdings, repository: RepositoryName) -> None:
        self._holdings = holdings
        self._repository = repository

    def find(self, image: ImageId) -> ImageId | None:
        return self._holdings.find(self._repository, image)

    def apart(self, image: ImageId) -> ImageId | None:
        return ApartImageId(image, self._repository)

    def keep(self, image: ImageId, checksums: Iterable[str]) -> None:
        self._holdings.keep(self._repository, image, checksums)

    def pushed(self, image: ImageId) -> frozenset[str]:
        return self._holdings.pushed(self._repository, image)
