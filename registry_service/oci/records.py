"""What translations leave in the store beside each image, and the hints at images by digest.

A record says of which content it is, by the entity tags of the layers it was made of. So one that is left over from a
layer that was replaced is told from a valid one by whoever reads it; a push has nothing to drop, and nothing to pay. It
is created exclusively: of several registries that translate one image, all offer what the first of them wrote. What a
hint says is never believed; it is looked up where it points to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from common.errors import Failure
from common.names import ImageId, RepositoryName
from registry_service.oci.digests import Digest
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound
from registry_service.storage.paths import ApartImageId

T = TypeVar("T")


class Kind(StrEnum):
    """What a digest may be of."""

    LAYER = "layer"
    CONFIG = "config"
    SCHEMA2 = "schema2"
    OCI = "oci"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """A layer and the blob that it is offered as. `of` is the layer's entity tag; `blob` is the end of the name of what
    is offered in its place, None where that is the layer itself.
    """

    of: str
    digest: Digest
    size: int
    diff_id: Digest
    unpacked_size: int
    is_empty: bool
    is_gzip: bool
    blob: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image's config and manifests, and the images whose layers these name, the base first."""

    of: str
    config: str
    schema2: str
    oci: str
    images: tuple[ImageId, ...]

    def content(self, kind: Kind) -> bytes:
        """The config, or a manifest."""
        return {Kind.CONFIG: self.config, Kind.SCHEMA2: self.schema2, Kind.OCI: self.oci}[kind].encode()

    def digests(self) -> dict[Kind, Digest]:
        """Of the config and the manifests."""
        return {kind: Digest.of(self.content(kind)) for kind in (Kind.CONFIG, Kind.SCHEMA2, Kind.OCI)}


@dataclass(frozen=True, slots=True)
class Named:
    """An image that may have something of a digest, and what."""

    image: ImageId
    kind: Kind


class _Record(Protocol):
    @property
    def of(self) -> str: ...


R = TypeVar("R", bound=_Record)


class Records:
    """The records of one store."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def layer(self, image: ImageId) -> LayerRecord | None:
        return self._read(paths.oci_layer(image), LayerRecord)

    def keep_layer(self, image: ImageId, record: LayerRecord) -> LayerRecord:
        """The record that counts from now on: this one, or one of the same layer that was there first."""
        self._hint(record.digest, Named(image, Kind.LAYER))
        return self._keep(paths.oci_layer(image), record)

    def drop_layer(self, image: ImageId) -> None:
        self._drop(paths.oci_layer(image))

    def drop_blob(self, image: ImageId, record: LayerRecord) -> None:
        """Remove what was offered in place of a layer that was replaced."""
        if record.blob is not None:
            self._drop(paths.oci_layer_blob(image, record.blob))

    def image(self, image: ImageId) -> ImageRecord | None:
        return self._read(paths.oci_image(image), ImageRecord)

    def keep_image(self, image: ImageId, record: ImageRecord) -> ImageRecord:
        """As `keep_layer`."""
        for kind, digest in record.digests().items():
            self._hint(digest, Named(image, kind))
        return self._keep(paths.oci_image(image), record)

    def hint(self, digest: Digest, apart_for: RepositoryName | None = None) -> Named | None:
        """The image that was first with a digest: a shared one, or one that a repository keeps apart."""
        named = self._read(paths.digest(digest.hex, apart_for), Named)
        if named is None or apart_for is None:
            return named
        return Named(ApartImageId(named.image, apart_for), named.kind)

    def forget(self, image: ImageId) -> None:
        """Drop the hints at an image that is about to be deleted. Another one that has the same digest is found by
        what its repository holds.
        """
        apart_for = image.repository if isinstance(image, ApartImageId) else None
        for digest in self._digests(image):
            named = self.hint(digest, apart_for)
            if named is not None and named.image == image:
                self._drop(paths.digest(digest.hex, apart_for))

    def _digests(self, image: ImageId) -> Iterator[Digest]:
        layer, described = self.layer(image), self.image(image)
        if layer is not None:
            yield layer.digest
        if described is not None:
            yield from described.digests().values()

    def _hint(self, digest: Digest, named: Named) -> None:
        """Written before the record, which could not be found by its digest without."""
        apart_for = named.image.repository if isinstance(named.image, ApartImageId) else None
        path, content = paths.digest(digest.hex, apart_for), msgspec.json.encode(named, enc_hook=str)
        if not self._driver.create(path, content):
            first = self.hint(digest, apart_for)
            if first is None or not self._has(first, digest):
                self._driver.put(path, content)

    def _has(self, named: Named, digest: Digest) -> bool:
        """Whether an image is recorded with a digest."""
        if named.kind is Kind.LAYER:
            layer = self.layer(named.image)
            return layer is not None and layer.digest == digest
        image = self.image(named.image)
        return image is not None and Digest.of(image.content(named.kind)) == digest

    def _keep(self, path: str, record: R) -> R:
        content = msgspec.json.encode(record, enc_hook=str)
        if self._driver.create(path, content):
            return record
        first = self._read(path, type(record))
        if first is not None and first.of == record.of:
            return first
        self._driver.put(path, content)
        return record

    def _drop(self, path: str) -> None:
        with suppress(PathNotFound):
            self._driver.delete(path)

    def _read(self, path: str, kind: type[T]) -> T | None:
        """None also for what makes no sense: it is written anew."""
        try:
            content = self._driver.get(path)
        except PathNotFound:
            return None
        try:
            return msgspec.json.decode(content, type=kind, dec_hook=_parse)
        except (msgspec.MsgspecError, Failure):
            return None


def _parse(kind: type[Any], text: Any) -> Any:
    return Digest.parse(text) if kind is Digest else kind(text)
