"""Complete images as they are read: JSON, layer, ancestry, checksums, files and differences.

An image is complete when its JSON and a layer of at least one byte are there and its mark is not, or is a lease
of ours (see push); anything less is answered as absent. A store of docker-registry 0.5 to 0.9.1 is read as it is
(protocol §6.1).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from common.cache import Cache
from common.checksums import Checksum
from common.errors import Invalid, NotFound
from common.names import ImageId
from registry_service.graph.checksums import is_checksum
from registry_service.graph.contents import Contents, Entry
from registry_service.graph.description import stored_parent
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.leases import is_lease
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Offload, PathNotFound, Reader, Stat, directly
from registry_service.storage.paths import ApartImageId

CACHE_BYTES = 8 * 1024 * 1024
CACHE_SECONDS = 300.0
"""TTL of the caches. A complete image never changes, but another process may delete it: its JSON lives on so long."""

_CACHED_CHECKS = 65536

_ID_BYTES = 128


@dataclass(frozen=True, slots=True)
class Described:
    """The small things of a complete image: raw JSON, layer bytes and when they were stored, checksums."""

    json: bytes
    size: int
    modified: float
    checksums: tuple[str, ...]

    @property
    def weight(self) -> int:
        return 512 + len(self.json) + sum(map(len, self.checksums))


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that was there a moment ago: path in the store, bytes, quoted entity tag, epoch seconds."""

    path: str
    size: int
    etag: str
    modified: float


class Images:
    """The images of one store. Every method raises ImageNotFound for an image that is not complete."""

    def __init__(self, driver: Driver, *, offload: Offload = directly, check_seconds: float = 0) -> None:
        """`check_seconds`: how long the existence of a layer is cached; 0 checks the store each time."""
        self._driver = driver
        self._check_seconds = check_seconds
        self._checked: Cache[str, bool] = Cache(_CACHED_CHECKS, check_seconds)
        self._contents = Contents(driver, offload)
        self._described: Cache[str, Described] = Cache(CACHE_BYTES, CACHE_SECONDS)
        self._ancestries: Cache[str, tuple[ImageId, ...]] = Cache(CACHE_BYTES, CACHE_SECONDS)

    def is_complete(self, image: ImageId) -> bool:
        """Checked in the store, for writers: the cache may not know yet of a deletion by another process."""
        try:
            self._check(image)
        except ImageNotFound:
            return False
        return True

    def describe(self, image: ImageId) -> Described:
        """JSON, size and checksums at once, from the cache where they were requested recently."""
        known = self._described.get(paths.image(image))
        if known is None:
            known = self._describe(image)
            self._described.put(paths.image(image), known, known.weight)
        return known

    def json(self, image: ImageId) -> bytes:
        """The bytes that were pushed."""
        return self.describe(image).json

    def size(self, image: ImageId) -> int:
        """Bytes of the stored layer, as X-Docker-Size says."""
        return self.describe(image).size

    def checksums(self, image: ImageId) -> list[str]:
        """As stored: usually one payload checksum; of old perhaps a tarsum, or none."""
        return list(self.describe(image).checksums)

    def stored_checksums(self, image: ImageId) -> tuple[str, ...]:
        """As `checksums`, from the store, whether the image is complete or not."""
        try:
            raw = self._driver.get(paths.image_checksum(image)).decode(errors="replace").strip()
        except PathNotFound:
            return ()
        try:
            stored = json.loads(raw)
        except ValueError:
            # Up to 0.6 it was the bare checksum.
            stored = raw
        several = stored if isinstance(stored, list) else [stored]
        return tuple(one for one in several if isinstance(one, str) and is_checksum(one))

    def ancestry(self, image: ImageId) -> list[ImageId]:
        """The image first, its base last; found by way of the parents where it was never stored."""
        known = self._ancestries.get(paths.image(image))
        if known is None:
            self.describe(image)
            known = tuple(self._located(image, self._stored_ancestry(image) or self._walk(image)))
            self._ancestries.put(paths.image(image), known, _ID_BYTES * len(known))
        return list(known)

    def layer(self, image: ImageId) -> Layer:
        """The layer, checked in the store: the cache entry of an image that was deleted or replaced is dropped."""
        known = self.describe(image) if self._is_checked(image) else self._check(image)
        return Layer(paths.image_layer(image), known.size, _etag(image, known), known.modified)

    def open_layer(self, layer: Layer, offset: int = 0, length: int | None = None) -> Reader:
        """The layer's bytes from `offset` on, at most `length`."""
        try:
            return self._driver.open_reader(layer.path, offset, length)
        except PathNotFound as error:
            raise ImageNotFound from error

    def open_file(self, layer: Layer) -> FileIO | None:
        """The layer as an open file of this machine, if it is one, for the server to send itself."""
        path = self._driver.local_path(layer.path)
        try:
            return None if path is None else FileIO(path)
        except FileNotFoundError as error:
            raise ImageNotFound from error

    def local_path(self, layer: Layer) -> Path | None:
        """The file the server may send itself, if the layer is one."""
        return self._driver.local_path(layer.path)

    def url_for(self, layer: Layer) -> str | None:
        """Where the client may fetch the layer itself, if the store has such an address."""
        return self._driver.url_for(layer.path)

    def files(self, image: ImageId) -> list[Entry]:
        """`[name, type, is_deleted, size, mtime, mode, uid, gid]` of each file in the layer (protocol §3.8).

        Raises LayerUnreadable.
        """
        self.layer(image)
        return self._contents.files(image)

    def diff(self, image: ImageId) -> dict[str, Any]:
        """`deleted`, `changed` and `created`: each a name → what `files` says of it, name left out (protocol §3.8).

        Raises LayerUnreadable.
        """
        self.layer(image)
        return self._contents.diff(image, self.ancestry)

    def forget(self, image: ImageId) -> None:
        """Drop the cache entries of an image."""
        path = paths.image(image)
        self._described.discard(path)
        self._ancestries.discard(path)
        self._checked.discard(path)
        self._contents.forget(image)

    def _is_checked(self, image: ImageId) -> bool:
        return bool(self._check_seconds and self._checked.get(paths.image(image)))

    def _check(self, image: ImageId) -> Described:
        known = self.describe(image)
        if self._stat(image) != Stat(known.size, known.modified):
            self.forget(image)
            known = self.describe(image)
        self._checked.put(paths.image(image), True)
        return known

    def _describe(self, image: ImageId) -> Described:
        # The order matters beside a publisher, who makes the mark first, drops a JSON left over before it brings the
        # layer, and writes the JSON last: what is read after JSON and mark were seen is of one publication.
        complete = self._has(paths.image_json(image)) and self._is_published(image)
        found = self._stat(image)
        if not complete or not found.size:
            raise ImageNotFound
        return Described(
            self._get(image, paths.image_json(image)), found.size, found.modified, self.stored_checksums(image)
        )

    def _is_published(self, image: ImageId) -> bool:
        """Whether what is there is meant to be seen. Behind a lease of ours JSON and layer together lack nothing but
        its release; a second publisher may hold it for a moment, only to see that all is done.
        """
        try:
            return is_lease(self._driver.get(paths.image_mark(image)))
        except PathNotFound:
            return True

    def _stat(self, image: ImageId) -> Stat:
        try:
            return self._driver.stat(paths.image_layer(image))
        except PathNotFound as error:
            self.forget(image)
            raise ImageNotFound from error

    def _has(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True

    def _get(self, image: ImageId, path: str) -> bytes:
        try:
            return self._driver.get(path)
        except PathNotFound as error:
            self.forget(image)
            raise ImageNotFound from error

    def _stored_ancestry(self, image: ImageId) -> list[ImageId] | None:
        try:
            stored = json.loads(self._driver.get(paths.image_ancestry(image)))
            ancestry = [ImageId(one) for one in stored]
        except (PathNotFound, NotFound, TypeError, ValueError):
            return None
        return ancestry if ancestry[:1] == [image] else None

    def _located(self, image: ImageId, ancestry: list[ImageId]) -> list[ImageId]:
        """The same ancestry; of an image kept apart, with its first ancestors as they are kept apart, too."""
        if not isinstance(image, ApartImageId):
            return ancestry
        located: list[ImageId] = [image]
        for ancestor in ancestry[1:]:
            apart = ApartImageId(ancestor, image.repository)
            if not self._has(paths.image_json(apart)):
                break
            located.append(apart)
        return located + ancestry[len(located) :]

    def _walk(self, image: ImageId) -> list[ImageId]:
        ancestry = [image]
        while True:
            parent = self._stored_parent(ancestry[-1])
            if parent is None:
                return ancestry
            stored = self._stored_ancestry(parent) or [parent]
            if set(stored) & set(ancestry):
                raise ImageNotFound(f"Image depends on itself, by way of {parent}")
            ancestry += stored
            if len(stored) > 1:
                return ancestry

    def _stored_parent(self, image: ImageId) -> ImageId | None:
        try:
            return stored_parent(self._get(image, paths.image_json(image)))
        except Invalid as error:
            raise ImageNotFound from error


def _etag(image: ImageId, known: Described) -> str:
    payload = next((one for one in known.checksums if Checksum(one).algorithm == "sha256"), None)
    return f'"{payload or f"{image}-{known.size:x}-{int(known.modified * 1000):x}"}"'
