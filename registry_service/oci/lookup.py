"""Images by the digests of what they have. A digest is no authority: whoever asks has the gate decide on the image."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

from common.cache import Cache
from common.names import ImageId, RepositoryName
from registry_service.graph.errors import RepositoryNotFound
from registry_service.graph.images import CACHE_SECONDS
from registry_service.graph.tags import Tags
from registry_service.oci.digests import Digest
from registry_service.oci.manifests import layer_digests
from registry_service.oci.records import Kind, Named, Records
from registry_service.storage import paths
from registry_service.storage.driver import Driver, names_below
from registry_service.storage.paths import ApartImageId

SEARCH_SECONDS = 5.0
"""How long a repository is not searched again for digests that nothing hints at."""

_CACHED_HINTS = 16384
_CACHED_DIGESTS = 32768
_CACHED_SEARCHES = 4096


@dataclass(slots=True)
class _Repository:
    """What the images of a repository that were read so far have, by digest."""

    name: RepositoryName
    read: set[str] = field(default_factory=set)
    named: dict[Digest, Named] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return 64 + len(self.read) + len(self.named)


class Lookup:
    """Finds images of one store by digest."""

    def __init__(self, driver: Driver, tags: Tags, records: Records) -> None:
        self._driver = driver
        self._tags = tags
        self._records = records
        self._hints: Cache[Digest, Named] = Cache(_CACHED_HINTS, CACHE_SECONDS)
        self._repositories: Cache[RepositoryName, _Repository] = Cache(_CACHED_DIGESTS, CACHE_SECONDS)
        self._clock = time.monotonic
        # When the last search began.
        self._searched: Cache[RepositoryName, float] = Cache(_CACHED_SEARCHES, SEARCH_SECONDS)
        self._locks: Cache[RepositoryName, Lock] = Cache(_CACHED_SEARCHES)

    def find(self, repository: RepositoryName, digest: Digest) -> Iterator[Named]:
        """Images that may have something of this digest, the cheapest to find first: what the repository is known to
        have, by the hint at a shared image, by that at one which the repository keeps apart, and by all that the
        repository holds.

        A hint names whoever was first, perhaps a stranger in private: to find that out takes a question at the index.
        """
        known = self._known(repository, digest)
        yield from _some(known)
        shared = self._hint(digest)
        yield from _some(shared)
        apart = self._records.hint(digest, repository)
        yield from _some(apart)
        if known is None:
            yield from _some(self._search(repository, digest, waits=shared is not None or apart is not None))

    def note(self, repository: RepositoryName, image: ImageId) -> None:
        """An image of the repository has been translated: what it has need not be searched for."""
        known = self._repositories.get(repository) or _Repository(repository)
        if paths.image(image) not in known.read:
            self._add(known, image, frozenset(names_below(self._driver, paths.apart_images(repository))))
            self._repositories.put(repository, known, known.weight)

    def _known(self, repository: RepositoryName, digest: Digest) -> Named | None:
        known = self._repositories.get(repository)
        return None if known is None else known.named.get(digest)

    def _hint(self, digest: Digest) -> Named | None:
        known = self._hints.get(digest)
        if known is None:
            known = self._records.hint(digest)
            if known is not None:
                self._hints.put(digest, known)
        return known

    def _search(self, repository: RepositoryName, digest: Digest, *, waits: bool) -> Named | None:
        """As `_held`, at most once in SEARCH_SECONDS for all who ask: it reads every image that is not translated.

        With `waits`, for who may have to find what was translated a moment ago elsewhere, where a stranger's image is
        hinted at, the next search is waited for. Hints are written before records: without any, there is something to
        find only in a store that lost them.
        """
        arrived = self._clock()
        with self._locks.get_or_put(repository, Lock):
            last = self._searched.get(repository)
            if last is not None and (last > arrived or not waits):
                return self._known(repository, digest)
            if last is not None:
                time.sleep(max(0.0, last + SEARCH_SECONDS - self._clock()))
            self._searched.put(repository, self._clock())
            return self._held(repository, digest)

    def _held(self, repository: RepositoryName, digest: Digest) -> Named | None:
        """Reads what is recorded of images that were not translated the last time."""
        known = self._repositories.get(repository) or _Repository(repository)
        if digest not in known.named:
            apart = frozenset(names_below(self._driver, paths.apart_images(repository)))
            for id_ in self._ids(repository):
                image = ApartImageId(ImageId(id_), repository) if id_ in apart else ImageId(id_)
                if paths.image(image) not in known.read:
                    self._add(known, image, apart)
            self._repositories.put(repository, known, known.weight)
        return known.named.get(digest)

    def _add(self, known: _Repository, image: ImageId, apart: Set[str]) -> None:
        """What is apart is based on what is apart, if that is there."""
        record = self._records.image(image)
        if record is None:
            return
        known.read.add(paths.image(image))
        for kind, of_kind in record.digests().items():
            known.named[of_kind] = Named(image, kind)
        for blob, of in zip(layer_digests(record.content(Kind.OCI)), record.images, strict=True):
            is_apart = isinstance(image, ApartImageId) and of in apart
            known.named[blob] = Named(ApartImageId(of, known.name) if is_apart else of, Kind.LAYER)

    def _ids(self, repository: RepositoryName) -> set[str]:
        """What its tags name, and what was pushed to it."""
        held = set(names_below(self._driver, paths.all_held(repository)))
        with suppress(RepositoryNotFound):
            held.update(self._tags.all(repository).values())
        return held


def _some(named: Named | None) -> Iterator[Named]:
    if named is not None:
        yield named
