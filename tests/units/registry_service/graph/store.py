"""A store with everything the graph has, and images to push into it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.checksums import Checksum
from common.names import ImageId, RepositoryName
from registry_service.graph.holdings import Holdings, RepositoryHolder
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound


def image_id(name: str) -> ImageId:
    return ImageId(hashlib.sha256(name.encode()).hexdigest())


def tar(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar; a name that ends in a slash is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@dataclass(frozen=True)
class Image:
    """An image as a daemon holds it before it pushes; another framing is the same tar in other bytes."""

    name: str
    parent: Image | None = None
    files: Mapping[str, bytes] = field(default_factory=lambda: {"./file": b"content"})
    framing: int = 0

    @property
    def id(self) -> ImageId:
        return image_id(self.name)

    @property
    def json(self) -> bytes:
        described: dict[str, Any] = {"created": "2015-05-10T12:00:00.123456789Z", "id": self.id, "Size": 7}
        if self.parent is not None:
            described["parent"] = self.parent.id
        return json.dumps(described, indent=1).encode()

    @property
    def layer(self) -> bytes:
        return gzip.compress(tar(self.files), mtime=self.framing)

    @property
    def payload(self) -> str:
        return payload_of(self.json, self.layer)

    @property
    def ancestry(self) -> list[str]:
        return [self.id, *(self.parent.ancestry if self.parent else [])]


def payload_of(description: bytes, layer: bytes) -> str:
    return Checksum("sha256:" + hashlib.sha256(description + b"\n" + layer).hexdigest())


class Store:
    """Everything the graph has over one driver, as one process would hold it."""

    def __init__(self, driver: Driver, **push: Any) -> None:
        self.driver = driver
        self.images = Images(driver)
        self.push = Push(driver, self.images, 3600, **push)
        self.tags = Tags(driver, self.images)
        self.holdings = Holdings(driver, self.images, self.tags)
        self.repositories = Repositories(driver, self.tags)

    def describe(self, image: Image, uploader: str = "uploader") -> None:
        self.push.begin(image.id, image.json, uploader)

    def receive(self, image: Image, uploader: str = "uploader") -> None:
        self.push.receive(image.id, uploader, in_blocks(image.layer))

    def seal(self, image: Image, uploader: str = "uploader") -> None:
        self.push.seal(image.id, uploader, payload=image.payload, tarsum=None)

    def add(self, *images: Image, uploader: str = "uploader") -> None:
        for image in images:
            self.describe(image, uploader)
            self.receive(image, uploader)
            self.seal(image, uploader)

    def push_to(self, repository: RepositoryName, *images: Image) -> None:
        """As behind an index: the repository holds the images."""
        holder, uploader = RepositoryHolder(self.holdings, repository), str(repository)
        for image in images:
            self.push.begin(image.id, image.json, uploader, holder=holder)
            self.push.receive(image.id, uploader, in_blocks(image.layer), holder=holder)
            self.push.seal(image.id, uploader, payload=image.payload, tarsum=None, holder=holder)

    def layer_of(self, image: ImageId) -> bytes:
        with self.images.open_layer(self.images.layer(image)) as reader:
            return b"".join(reader)

    def holds(self, image: Image) -> bool:
        """Whether the image is complete, and consistent to the byte."""
        fresh = Images(self.driver)
        if not fresh.is_complete(image.id):
            return False
        description = fresh.json(image.id)
        stored = b"".join(fresh.open_layer(fresh.layer(image.id)))
        assert description == image.json
        assert payload_of(description, stored) in fresh.checksums(image.id)
        assert json.loads(self.driver.get(paths.image_ancestry(image.id))) == image.ancestry
        assert stored == image.layer
        return True

    def everything(self) -> set[str]:
        """The path of every content in the store."""
        return {
            path for top in (paths.IMAGES, paths.APART, paths.REPOSITORIES, paths.UPLOADS) for path in self._below(top)
        }

    def _below(self, path: str) -> Iterator[str]:
        if not self.driver.exists(path):
            return
        for name in self.driver.list(path):
            below = f"{path}/{name}"
            if _is_content(self.driver, below):
                yield below
            else:
                yield from self._below(below)


def _is_content(driver: Driver, path: str) -> bool:
    try:
        driver.stat(path)
    except PathNotFound:
        return False
    return True


def in_blocks(content: bytes, size: int = 1000) -> Iterable[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
