"""Translations: an image as a config and two manifests, computed once, kept in the store, and shared by all who ask.

A translation needs one pass over each layer of the ancestry that has no record yet. Few layers are read at once, each
in blocks; whoever asks for one that is being read waits for it. Nothing is computed while an image is pushed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from threading import Lock
from typing import TypeVar

from common.cache import Cache
from common.errors import Invalid, NotFound
from common.names import ImageId
from registry_service.graph.errors import ImageBusy, LayerUnreadable
from registry_service.graph.hashing_writer import HashingWriter
from registry_service.graph.images import CACHE_BYTES, CACHE_SECONDS, Images, Layer
from registry_service.graph.unpack import Unpacking
from registry_service.metrics import TRANSLATION_SECONDS, TRANSLATIONS
from registry_service.oci import layers, manifests
from registry_service.oci.chain import layers_of
from registry_service.oci.config import MOST_BYTES, are_left_out, history_step, image_config
from registry_service.oci.digests import Digest
from registry_service.oci.layers import Examined, LayerCut
from registry_service.oci.manifests import OCI, SCHEMA2, Manifest, ManifestLayer
from registry_service.oci.records import ImageRecord, Kind, LayerRecord, Named, Records
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Offload, PathNotFound, Reader, directly

AT_ONCE = 2
"""Layers read and configs made at the same time; each keeps a core busy."""

CHECK_SECONDS = 10.0
"""How long a translation is given out without a look at whether its layers are still those it was made of."""

REFUSED_SECONDS = 600.0
"""How long what cannot be translated is known as such: finding out takes a pass over a layer."""

_CACHED_LAYERS = 16384
_CACHED_REFUSED = 10_000
_LOCKS = 4096

T = TypeVar("T")


class Untranslatable(NotFound):
    """There is nothing that today's clients could be given for an image; the message says why."""


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer of a translated image: the blob's digest and size, and the image that it is the layer of."""

    digest: Digest
    size: int
    image: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """An image in the words of the OCI distribution protocol; its layers the base first."""

    config: bytes
    config_digest: Digest
    schema2: Manifest
    oci: Manifest
    layers: tuple[LayerBlob, ...]

    @property
    def weight(self) -> int:
        return 1024 + len(self.config) + len(self.schema2.content) + len(self.oci.content)


class Translations:
    """The translations of one store. An image kept apart for a repository has a translation of its own."""

    def __init__(
        self,
        driver: Driver,
        images: Images,
        records: Records,
        *,
        offload: Offload = directly,
        at_once: int = AT_ONCE,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._driver = driver
        self._images = images
        self._records = records
        self._offload = offload
        self._working = threading.Semaphore(at_once)
        self._translated: Cache[str, Translated] = Cache(CACHE_BYTES, check_seconds)
        self._layers: Cache[str, LayerRecord] = Cache(_CACHED_LAYERS, CACHE_SECONDS)
        # By path: the content that cannot be translated, by entity tags, and why.
        self._refused: Cache[str, tuple[str, str]] = Cache(_CACHED_REFUSED, REFUSED_SECONDS)
        self._locks: Cache[str, Lock] = Cache(_LOCKS)

    def of(self, image: ImageId) -> Translated:
        """The translation, computed where it is not known yet, which may take a while.

        Raises ImageNotFound, also for an ancestor, and Untranslatable.
        """
        return self._translated.compute(paths.image(image), self._locks, lambda: self._translate(image), _weight)

    def keep(self, image: ImageId, config: bytes) -> None:
        """Offer an image by the config that it was derived from, layer by layer. Raises as `of` does."""
        ancestry = self._images.ancestry(image)[::-1]
        found = [self.layer(each) for each in ancestry]
        kept = list(range(len(layers_of(config))))
        self._records.keep_image(image, _recorded_image(config, ancestry, found, kept))
        self._translated.discard(paths.image(image))

    def layer(self, image: ImageId) -> LayerRecord:
        """What is recorded of an image's own layer, examined where nothing is. Raises as `of` does."""
        return self._recorded(image, self._images.layer(image))

    def blob(self, image: ImageId) -> Layer:
        """An image's own layer as a blob, to be opened as any layer. Raises as `of` does."""
        stored = self._images.layer(image)
        return self._blob(image, stored, self._recorded(image, stored))

    def content(self, named: Named, digest: Digest) -> Manifest | bytes | Layer | None:
        """What an image has under a digest: a manifest, a config or a layer's blob; None where it has not, or not any
        more. Raises as `of` does.
        """
        if named.kind is Kind.LAYER:
            stored = self._images.layer(named.image)
            record = self._recorded(named.image, stored)
            return self._blob(named.image, stored, record) if record.digest == digest else None
        translated = self.of(named.image)
        found: dict[Digest, Manifest | bytes] = {
            translated.config_digest: translated.config,
            translated.schema2.digest: translated.schema2,
            translated.oci.digest: translated.oci,
        }
        return found.get(digest)

    def _blob(self, image: ImageId, stored: Layer, record: LayerRecord) -> Layer:
        etag = f'"{record.digest}"'
        if record.blob is None:
            return replace(stored, etag=etag)
        path = paths.oci_layer_blob(image, record.blob)
        try:
            return Layer(path, record.size, etag, self._driver.stat(path).modified)
        except PathNotFound:
            # Somebody cleared it away: it is written again.
            self._records.drop_layer(image)
            self._layers.discard(paths.image_layer(image))
            raise ImageBusy from None

    def _recorded(self, image: ImageId, stored: Layer) -> LayerRecord:
        path = paths.image_layer(image)
        known = self._layers.get(path)
        if known is not None and known.of == stored.etag:
            return known
        self._layers.discard(path)
        return self._layers.compute(path, self._locks, lambda: self._record(image, stored))

    def _translate(self, image: ImageId) -> Translated:
        ancestry = self._images.ancestry(image)[::-1]
        found = [self.layer(each) for each in ancestry]
        of = _identity(found)
        record = self._records.image(image)
        if record is None or record.of != of:
            record = self._records.keep_image(image, self._converted(ancestry, found, of))
        return _translated(record, ancestry, found)

    def _converted(self, ancestry: Sequence[ImageId], found: Sequence[LayerRecord], of: str) -> ImageRecord:
        image, left_out = ancestry[-1], are_left_out([layer.is_empty for layer in found])
        kept = [index for index, is_out in enumerate(left_out) if not is_out]
        self._require_not_refused(paths.image(image), of)
        try:
            with self._working:
                config = self._config(ancestry, left_out, [found[index].diff_id for index in kept])
        except Invalid as error:
            words = f"The JSON of image {image}, or of one that it is based on, is none"
            raise self._refusal(paths.image(image), of, words) from error
        if config is None:
            words = f"The config of image {image} would take more than {MOST_BYTES} bytes, which clients refuse"
            raise self._refusal(paths.image(image), of, words)
        return _recorded_image(config, ancestry, found, kept)

    def _config(
        self, ancestry: Sequence[ImageId], left_out: Iterable[bool], diff_ids: Sequence[Digest]
    ) -> bytes | None:
        """None for one that is too large. Each JSON is dropped before the next is read: together they have no bound."""
        history: list[bytes] = []
        size = 0
        for image, is_out in zip(ancestry, left_out, strict=True):
            history.append(self._offload(history_step, self._images.json(image), is_out))
            size += len(history[-1])
            if size > MOST_BYTES:
                return None
        config: bytes = self._offload(image_config, self._images.json(ancestry[-1]), diff_ids, history)
        return config if len(config) <= MOST_BYTES else None

    def _record(self, image: ImageId, stored: Layer) -> LayerRecord:
        record = self._records.layer(image)
        if record is not None and record.of == stored.etag:
            return record
        self._require_not_refused(stored.path, stored.etag)
        with self._working, TRANSLATION_SECONDS.timed():
            try:
                found = self._examined(image, stored)
            except LayerUnreadable as error:
                words = f"The layer of image {image} cannot be unpacked: {error.message}"
                raise self._refusal(stored.path, stored.etag, words) from error
        TRANSLATIONS.add("done")
        self._require_unchanged(image, stored)
        kept = self._records.keep_layer(image, found)
        if record is not None and record.blob != kept.blob:
            self._records.drop_blob(image, record)
        return kept

    def _require_not_refused(self, path: str, of: str) -> None:
        refused, words = self._refused.get(path) or ("", "")
        if refused == of:
            raise Untranslatable(words)

    def _refusal(self, path: str, of: str, words: str) -> Untranslatable:
        self._refused.put(path, (of, words))
        TRANSLATIONS.add("refused")
        return Untranslatable(words)

    def _require_unchanged(self, image: ImageId, stored: Layer) -> None:
        """What was read is no other layer's: an operator may have replaced it meanwhile."""
        if not self._images.is_complete(image) or self._images.layer(image).etag != stored.etag:
            raise ImageBusy

    def _examined(self, image: ImageId, stored: Layer) -> LayerRecord:
        found = self._examine(stored)
        digest, size, blob = found.digest, found.size, None
        if found.is_inflated:
            words = (
                f"The layer of image {image} can be offered unpacked only, which takes {found.unpacked_size} bytes:"
                f" for one of {found.size} bytes no more than {found.most_unpacked} are stored"
            )
            raise self._refusal(stored.path, stored.etag, words)
        if not found.is_carried:
            blob = found.digest.hex
            digest, size = self._write(paths.oci_layer_blob(image, blob), stored, found)
        return LayerRecord(
            of=stored.etag,
            digest=digest,
            size=size,
            diff_id=found.diff_id,
            unpacked_size=found.unpacked_size,
            is_empty=found.is_empty,
            is_gzip=found.keep is not None,
            blob=blob,
        )

    def _examine(self, stored: Layer) -> Examined:
        try:
            return self._read(stored, layers.examine)
        except LayerCut:
            self._read(stored, layers.require_whole_archive)
            return self._read(stored, layers.examine_cut)

    def _read(self, stored: Layer, work: Callable[[Iterable[bytes]], T]) -> T:
        with self._images.open_layer(stored) as reader:
            done: T = self._offload(work, reader)
        return done

    def _write(self, path: str, stored: Layer, found: Examined) -> tuple[Digest, int]:
        """Write the layer in the form that is offered; its digest and its size."""
        hashed, size = hashlib.sha256(), 0
        with self._images.open_layer(stored, 0, found.keep) as reader, self._driver.open_writer(path) as writer:
            hashing = HashingWriter(self._driver, writer, hashed, self._offload)
            for piece in self._unpacked(reader) if found.keep is None else chain(reader, (found.end,)):
                hashing.write(piece)
                size += len(piece)
            writer.commit()
        return Digest.of_hex(hashed.hexdigest()), size

    def _unpacked(self, reader: Reader) -> Iterator[bytes]:
        """As `unpack.unpacked`, which cannot be offloaded whole: what it reads from belongs to this thread."""
        unpacking = Unpacking(ends_at_junk=True)
        for block in reader:
            yield from self._offloaded(unpacking.feed(block))
        yield from self._offloaded(unpacking.finish())

    def _offloaded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        while piece := self._offload(next, pieces, b""):
            yield piece


def _identity(found: Iterable[LayerRecord]) -> str:
    """What is another one as soon as one of these layers is."""
    return hashlib.sha256("\n".join(layer.of for layer in found).encode()).hexdigest()


def _recorded_image(
    config: bytes, ancestry: Sequence[ImageId], found: Sequence[LayerRecord], kept: Sequence[int]
) -> ImageRecord:
    """With the layers of these numbers, the base being 0."""
    blobs = [ManifestLayer(found[index].digest, found[index].size, found[index].is_gzip) for index in kept]
    return ImageRecord(
        of=_identity(found),
        config=config.decode(),
        schema2=manifests.manifest(SCHEMA2, config, blobs).content.decode(),
        oci=manifests.manifest(OCI, config, blobs).content.decode(),
        images=tuple(ancestry[index] for index in kept),
    )


def _translated(record: ImageRecord, ancestry: Sequence[ImageId], found: Sequence[LayerRecord]) -> Translated:
    by_image = {image: (image, layer) for image, layer in zip(ancestry, found, strict=True)}
    config = record.config.encode()
    return Translated(
        config=config,
        config_digest=Digest.of(config),
        schema2=manifests.as_stored(SCHEMA2, record.schema2.encode()),
        oci=manifests.as_stored(OCI, record.oci.encode()),
        layers=tuple(
            LayerBlob(layer.digest, layer.size, image) for image, layer in (by_image[each] for each in record.images)
        ),
    )


def _weight(translated: Translated) -> int:
    return translated.weight
