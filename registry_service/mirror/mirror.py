"""The facade of the mirror: which repositories have a source, what the source offers, and its download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, TypeVar

from common import headers
from common.cache import Cache
from common.errors import Forbidden, Invalid
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.description import read_parent
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.holdings import Holdings
from registry_service.graph.images import CACHE_BYTES, CACHE_SECONDS, Images, Layer
from registry_service.graph.push import Push
from registry_service.graph.tags import Tags
from registry_service.mirror.client import NotAtSource, Source, SourceUnavailable, SourceWrong, via_mirrors
from registry_service.mirror.copies import Copies
from registry_service.mirror.download import Offer
from registry_service.mirror.pull_through import PullThrough
from registry_service.mirror.sources import EVERY, MirrorSource
from registry_service.mirror.tag_sync import TagSync
from registry_service.storage.driver import Driver, Offload, directly

_ID_BYTES = 128

T = TypeVar("T")


class Mirror:
    """The sources of one registry."""

    def __init__(
        self,
        sources: Sequence[MirrorSource],
        driver: Driver,
        held: Images,
        push: Push,
        tags: Tags,
        holdings: Holdings,
        *,
        timeout: float,
        tag_seconds: float,
        proxy: str = "",
        offload: Offload = directly,
    ) -> None:
        """`held`, `push`, `tags` and `holdings` are the store's own; `timeout` bounds each silence of a source."""
        # Alike in all processes of a mirror. Mirrors that share it have the same sources, so none is another's.
        self._name = hashlib.sha256(repr(sources).encode()).hexdigest()[:16]
        self._sources = {source.namespace: Source(source, timeout, self._name, proxy) for source in sources}
        self._holdings = holdings
        self._copies = Copies(driver, held, tags, holdings)
        self._tag_sync = TagSync(driver, self._copies, tags, tag_seconds)
        self._pull_through = PullThrough(driver, held, push, self._copies, self._offer_of, offload)
        self._offers: Cache[tuple[RepositoryName, ImageId], Offer] = Cache(CACHE_BYTES, CACHE_SECONDS)
        self._ancestries: Cache[tuple[RepositoryName, ImageId], tuple[ImageId, ...]] = Cache(CACHE_BYTES, CACHE_SECONDS)
        self._locks: Cache[tuple[RepositoryName, ImageId], Lock] = Cache(4096)

    def require_writable(self, repository: RepositoryName) -> None:
        """Raises Forbidden for a repository that is, or would be, a copy."""
        source = self._source(repository)
        if source is not None and not self._copies.is_own(repository):
            raise Forbidden(f"{repository} is mirrored here: push to {source.host}")

    def follow(self, repository: RepositoryName) -> None:
        """Bring a repository's tags and list up to date, if they are a copy. Raises SourceUnavailable."""
        source = self._asked_source(repository)
        if source is not None:
            self._tag_sync.follow(repository, source)

    def tag_description(self, repository: RepositoryName, tag: Tag | None) -> dict[str, Any] | None:
        """What the source says of who pushed a tag; None where it says nothing, or the repository is our own."""
        source = self._asked_source(repository)
        if source is None or self._copies.is_own(repository):
            return None
        try:
            return source.tag_description(repository, tag)
        except (NotAtSource, SourceUnavailable):
            return None

    def find(self, image: ImageId, repositories: Sequence[RepositoryName]) -> Iterator[ImageId]:
        """The image in the store as these repositories have it, in turn: copies by what was fetched for them, others
        as the gate found it.
        """
        if not repositories:
            yield image
        for repository in repositories:
            found = None if self._source(repository) is None else self._copies.find(repository, image)
            if found is not None:
                yield found
            elif self._source(repository) is None or self._copies.is_own(repository):
                yield image

    def is_offered(self, repository: RepositoryName, image: ImageId) -> bool:
        """Whether a copy's tags reach an image. It is read as the copy's source has it, whatever the store has."""
        return self.is_mirrored(repository) and image in self._holdings.reached(repository)

    def is_mirrored(self, repository: RepositoryName) -> bool:
        """Whether a repository is a source's, and not one that is pushed to here."""
        return self._source(repository) is not None and not self._copies.is_own(repository)

    def offer(self, image: ImageId, repositories: Iterable[RepositoryName]) -> Offer:
        """An image that is not held, as the first source that has it describes it.

        Raises ImageNotFound, or SourceUnavailable where one that may have it does not answer.
        """
        return self._first(ImageId(image), repositories, self._offers, self._describe, _weigh_offer)

    def ancestry(self, image: ImageId, repositories: Iterable[RepositoryName]) -> list[ImageId]:
        """The ancestry of an image that is not held. Raises as `offer` does."""
        found: tuple[ImageId, ...] = self._first(
            ImageId(image), repositories, self._ancestries, self._ask_ancestry, _weigh_ancestry
        )
        return list(found)

    def image_of(self, digest: str, repositories: Iterable[RepositoryName]) -> ImageId:
        """The image of a manifest that is not known here. Raises as `offer` does."""
        failure: ImageNotFound | SourceUnavailable = ImageNotFound()
        for repository in self._mirrored(repositories):
            try:
                return self._require_source(repository).image_of(repository, digest)
            except SourceUnavailable as error:
                failure = error
            except NotAtSource:
                continue
        raise failure

    def layer(self, offer: Offer) -> Layer:
        """The layer of an offered image, as it comes. Raises ImageNotFound, SourceUnavailable."""
        try:
            return self._pull_through.layer(offer)
        except NotAtSource as error:
            raise ImageNotFound from error

    def bring(self, offer: Offer) -> None:
        """Wait until an offered image is stored. Raises ImageNotFound, SourceUnavailable."""
        try:
            self._pull_through.bring(offer)
        except NotAtSource as error:
            raise ImageNotFound from error

    def _first(
        self,
        image: ImageId,
        repositories: Iterable[RepositoryName],
        cache: Cache[tuple[RepositoryName, ImageId], T],
        ask: Callable[[ImageId, RepositoryName], T],
        weigh: Callable[[T], int],
    ) -> T:
        failure: ImageNotFound | SourceUnavailable = ImageNotFound()
        for repository in self._mirrored(repositories):
            try:
                return self._cached(image, repository, cache, ask, weigh)
            except SourceUnavailable as error:
                failure = error
            except NotAtSource:
                continue
        raise failure

    def _cached(
        self,
        image: ImageId,
        repository: RepositoryName,
        cache: Cache[tuple[RepositoryName, ImageId], T],
        ask: Callable[[ImageId, RepositoryName], T],
        weigh: Callable[[T], int],
    ) -> T:
        return cache.compute((repository, image), self._locks, lambda: ask(image, repository), weigh)

    def _offer_of(self, image: ImageId, repository: RepositoryName) -> Offer:
        return self._cached(image, repository, self._offers, self._describe, _weigh_offer)

    def _mirrored(self, repositories: Iterable[RepositoryName]) -> Iterator[RepositoryName]:
        for repository in repositories:
            if self._asked_source(repository) is not None and not self._copies.is_own(repository):
                yield repository

    def _describe(self, image: ImageId, repository: RepositoryName) -> Offer:
        source = self._require_source(repository)
        described = source.describe(repository, image)
        try:
            parent = read_parent(image, described.json)
        except Invalid as error:
            raise SourceWrong(f"{source.host} answered with something other than this image's JSON") from error
        return Offer(
            image=image,
            parent=parent,
            json=described.json,
            size=described.size,
            checksums=described.checksums,
            source=source,
            repository=repository,
        )

    def _ask_ancestry(self, image: ImageId, repository: RepositoryName) -> tuple[ImageId, ...]:
        return tuple(self._require_source(repository).ancestry(repository, image))

    def _source(self, repository: RepositoryName) -> Source | None:
        return self._sources.get(repository.namespace) or self._sources.get(EVERY)

    def _require_source(self, repository: RepositoryName) -> Source:
        source = self._source(repository)
        if source is None:
            raise NotAtSource(f"{repository} has no source")
        return source

    def _asked_source(self, repository: RepositoryName) -> Source | None:
        """None also where the question came from ourselves, by way of other mirrors or of an index that names us, and
        where an index asks for what is held here.
        """
        return None if {self._name, headers.EVERY_MIRROR} & set(via_mirrors.get()) else self._source(repository)


def _weigh_offer(offer: Offer) -> int:
    return 512 + len(offer.json)


def _weigh_ancestry(ancestry: tuple[ImageId, ...]) -> int:
    return _ID_BYTES * len(ancestry)
