"""A push, step by step: absent → described → received → sealed (protocol §3.3 to §3.5, §4.3).

`begin` stages the JSON, `receive` stages the layer and computes its payload checksum in the same pass,
`seal` verifies and publishes. Until then only the uploader can see it, and any step may be repeated. What came whole
and is never sealed, because its uploader sends no checksums, `conclude` publishes when a child or a tag needs it.

Publishing is in `publication`: a process may be killed between any two steps of

    stage → publish and hold → drop the stage

and the next push of the image goes on from there.

Whoever comes second with an image that another repository has pushed uploads it, and either holds the same image or,
where the content differs, keeps its own apart (see `holdings`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from common.checksums import Checksum
from common.names import ImageId
from registry_service.graph import layer_contents, stages
from registry_service.graph.checksums import is_tarsum, tarsum_holds
from registry_service.graph.collected import Collected
from registry_service.graph.description import are_equivalent, read_parent
from registry_service.graph.errors import (
    ChecksumMismatch,
    ChecksumMissing,
    ImageExists,
    ImageNotFound,
    LayerEmpty,
    LayerMissing,
    LayerUnreadable,
    UnknownParent,
)
from registry_service.graph.hashing_writer import HashingWriter
from registry_service.graph.holdings import EVERYBODY, Holder
from registry_service.graph.images import Images
from registry_service.graph.leases import STALE_SECONDS
from registry_service.graph.publication import WAIT_SECONDS, OtherContent, Publication, Publisher
from registry_service.graph.stages import DeclaredChecksums, Received, Stage
from registry_service.metrics import BYTES_RECEIVED, LAYERS_RECEIVED, PUSHES
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Offload, PathNotFound, directly
from registry_service.storage.paths import ApartImageId

PIECE = 256 * 1024
"""Bytes hashed and written at a time."""


COMPARED_AT_ONCE = 2
"""Uploads that are compared with an image's layer at the same time; each keeps a core busy."""

SUMMED_AT_ONCE = 2
"""Tarsums computed at the same time, likewise; a layer of some megabytes may unpack to gigabytes."""

MOST_LAYERS = 4
"""Of the layers that an uploader sent for one image, only the last are looked through for the checksum."""

TARSUM_DAEMONS = ((0, 6), (0, 9))
"""Docker 0.6 to 0.8 send no payload checksum, 0.9 a wrong one: their tarsum counts (protocol §4.3)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A received image, verified: JSON, layer, ancestors as they are held, the image first, and checksums."""

    description: bytes
    received: Received
    ancestry: list[ImageId]
    checksums: list[Checksum]


class Push:
    """Pushes of images into one store."""

    def __init__(
        self,
        driver: Driver,
        images: Images,
        expiry_seconds: float,
        *,
        offload: Offload = directly,
        wait_seconds: float = WAIT_SECONDS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._driver = driver
        self._images = images
        self._expiry_seconds = expiry_seconds
        self._offload = offload
        self._publisher = Publisher(driver, images, wait_seconds=wait_seconds, stale_seconds=stale_seconds)
        self._collected = Collected(driver)
        self._summing = threading.Semaphore(SUMMED_AT_ONCE)
        self._comparing = threading.Semaphore(COMPARED_AT_ONCE)

    def parent_of(self, image: ImageId, description: bytes) -> ImageId | None:
        """The parent that an image's JSON names, None for a base image. Raises Invalid for invalid JSON."""
        return read_parent(image, description)

    def promise(self, image: ImageId) -> bool:
        """Whether an image is complete, which whoever pushes may rely on (see `graph.condemned`)."""
        return self._publisher.promise(image)

    def require_parent(self, parent: ImageId) -> None:
        """Raises UnknownParent unless the parent is complete, ImageBusy."""
        if not self._publisher.require(parent):
            raise UnknownParent

    def begin(
        self,
        image: ImageId,
        description: bytes,
        uploader: str,
        *,
        declared: Checksum | None = None,
        holder: Holder = EVERYBODY,
    ) -> None:
        """Stage an image's JSON, verbatim. `declared` is the checksum that Docker 0.4 and 0.5 send along.

        Raises Invalid for invalid JSON or an invalid parent, ImageExists when the holder has the image complete
        (protocol §3.3).
        """
        parent = self.parent_of(image, description)
        if parent is not None:
            image.require_creatable()
        self._ancestry(image, parent, holder)
        if self._find_done(image, holder) is not None:
            raise ImageExists
        is_payload = declared is not None and not is_tarsum(declared)
        self._stage(image, uploader).describe(
            description,
            DeclaredChecksums(payload=declared if is_payload else None, tarsum=None if is_payload else declared),
        )

    def adopt(self, image: ImageId, description: bytes, uploader: str, *, holder: Holder = EVERYBODY) -> None:
        """Stage the JSON of an image that another registry has; `seal` asks for its parent, which may come meanwhile.

        Raises Invalid for invalid JSON, ImageExists when the holder has the image complete.
        """
        self.parent_of(image, description)
        if self._find_done(image, holder) is not None:
            raise ImageExists
        self._stage(image, uploader).describe(description, DeclaredChecksums())

    def receive(
        self, image: ImageId, uploader: str, blocks: Iterable[bytes], *, holder: Holder = EVERYBODY
    ) -> Received:
        """Stage a layer while it comes; whatever `blocks` raises leaves nothing behind (protocol §3.4).

        A layer whose checksum was declared with the JSON is sealed at once: Docker 0.4 and 0.5 send nothing more.
        Raises ImageNotFound before `begin`, ImageExists when the holder has the image complete, ChecksumMismatch.
        """
        stage = self._stage(image, uploader)
        description = self._description(image, stage, holder)
        received = self._take_in(stage, description, blocks)
        declared = stage.declared().payload
        if declared is None:
            return received
        if not declared.agrees_with(received.payload):
            stage.drop_layers()
            raise ChecksumMismatch
        # Another uploader was first, and pulls get its layer: to this uploader that is a success.
        with suppress(ImageExists):
            self._publish(image, stage, description, received, [received.payload], holder)
        return received

    def abandon(self, image: ImageId, uploader: str) -> None:
        """Drop what an uploader staged."""
        self._stage(image, uploader).drop()

    def seal(
        self,
        image: ImageId,
        uploader: str,
        *,
        payload: str | None,
        tarsum: str | None,
        docker_version: tuple[int, int] | None = None,
        holder: Holder = EVERYBODY,
    ) -> None:
        """Verify what was received against the uploader's checksums, and publish it (protocol §3.5, §4.3).

        A tarsum sent before the layer is recorded and must match in the end. Sealing again what is complete succeeds.
        Raises ChecksumMissing, ImageNotFound before `begin`, LayerMissing, ChecksumMismatch, ImageExists when
        another upload with other content was first, ImageBusy when another is being published and does not end.
        """
        wanted = _wanted(payload, tarsum, docker_version)
        stage = self._stage(image, uploader)
        if self._is_stored(image, wanted, holder):
            stage.drop()
            PUSHES.add("existed")
            return
        try:
            self._verify_and_publish(image, stage, wanted, holder, is_early=not payload)
        except (ImageNotFound, ImageExists, LayerMissing):
            # A concurrent request of the same uploader may have been first, and dropped the stage.
            if not self._is_stored(image, wanted, holder):
                raise
        except ChecksumMismatch:
            PUSHES.add("refused")
            raise

    def conclude(self, image: ImageId, uploader: str, *, holder: Holder = EVERYBODY) -> None:
        """Publish an image that is needed now and was received whole, if its uploader declared no checksum at all:
        Google's client sends none. Raises ImageExists when another upload with other content was first.
        """
        held = holder.find(image)
        if held is not None and self.promise(held):
            return
        stage = self._stage(image, uploader)
        description, received = stage.description(), stage.recent(1)
        if description is not None and received and stage.declared() == DeclaredChecksums():
            self._publish(image, stage, description, received[0], [received[0].payload], holder)

    def expire(self) -> int:
        """Drop uploads that have not grown for the expiry time, and what else was left by killed processes: their
        unfinished publications, and what the driver knows of. Returns how many uploads."""
        expired = stages.expire(self._driver, self._expiry_seconds)
        for image in set(expired):
            self._publisher.end(image)
        self._driver.sweep()
        return len(expired)

    def tarsum_holds(self, wanted: Checksum, description: bytes, received: Received) -> bool:
        """Whether a received layer has this tarsum; one that is no tar has none."""
        try:
            with self._summing, self._driver.open_reader(received.path) as reader:
                return bool(self._offload(tarsum_holds, wanted, description, reader))
        except LayerUnreadable:
            return False
        except PathNotFound as error:
            raise LayerMissing from error

    def _stage(self, image: ImageId, uploader: str) -> Stage:
        return Stage(self._driver, image, uploader)

    def _description(self, image: ImageId, stage: Stage, holder: Holder) -> bytes:
        description = stage.description()
        if description is not None:
            return description
        held = holder.find(image)
        if held is not None and self.promise(held):
            raise ImageExists
        raise ImageNotFound

    def _ancestry(self, image: ImageId, parent: ImageId | None, holder: Holder) -> list[ImageId]:
        """With the ancestors as they are held. A parent that is not held has been found readable by the caller."""
        if parent is None:
            return [image]
        parent = holder.find(parent) or parent
        self.require_parent(parent)
        inherited = self._images.ancestry(parent)
        self._publisher.rescue(inherited[1:])
        if image in inherited:
            raise UnknownParent("Image depends on itself")
        return [image, *inherited]

    def _take_in(self, stage: Stage, description: bytes, blocks: Iterable[bytes]) -> Received:
        digest = hashlib.sha256(description + b"\n")
        name, writer = stage.open_layer()
        size = 0
        with writer:
            hashing = HashingWriter(self._driver, writer, digest, self._offload)
            for piece in _pieces(blocks):
                hashing.write(piece)
                size += len(piece)
            if not size:
                raise LayerEmpty
            writer.commit()
        LAYERS_RECEIVED.add()
        BYTES_RECEIVED.add(amount=size)
        return stage.record(name, Checksum(f"sha256:{digest.hexdigest()}"), description)

    def _find_done(self, image: ImageId, holder: Holder) -> ImageId | None:
        """The image as it is held and done."""
        held = holder.find(image)
        return held if held is not None and self._publisher.is_done(held) else None

    def _is_stored(self, image: ImageId, wanted: list[Checksum], holder: Holder) -> bool:
        held = self._find_done(image, holder)
        return held is not None and not holder.pushed(image).union(self._images.checksums(held)).isdisjoint(wanted)

    def _verify_and_publish(
        self, image: ImageId, stage: Stage, wanted: list[Checksum], holder: Holder, *, is_early: bool
    ) -> None:
        description = self._description(image, stage, holder)
        received = stage.recent(MOST_LAYERS)
        if received:
            layer, checksums = _Verification(self, stage, description).of(received, wanted)
            self._publish(image, stage, description, layer, checksums, holder)
        elif is_early:
            stage.declare(DeclaredChecksums(stage.declared().payload, wanted[0]))
        else:
            raise LayerMissing

    def _publish(
        self,
        image: ImageId,
        stage: Stage,
        description: bytes,
        received: Received,
        checksums: list[Checksum],
        holder: Holder,
    ) -> None:
        ancestry = self._ancestry(image, self.parent_of(image, description), holder)
        upload = Upload(description, received, ancestry, checksums)
        published = None
        if not any(isinstance(ancestor, ApartImageId) for ancestor in ancestry):
            published = self._publish_at(image, upload, holder)
        apart = holder.apart(image)
        if published is None and apart is not None:
            published = self._publish_at(apart, upload, holder)
        stage.drop()
        PUSHES.add("conflict" if published is None else "published")
        if published is None:
            raise ImageExists

    def _publish_at(self, image: ImageId, upload: Upload, holder: Holder) -> ImageId | None:
        """The image, published or found there with the same content, and held; None where other content was first."""
        publication = Publication(
            subject=upload.received.payload,
            description=upload.description,
            ancestry=upload.ancestry,
            checksums=upload.checksums,
            bring_layer=partial(self._move, upload.received),
            hold=partial(holder.keep, image, upload.checksums),
            # A repository of the same name may have left another image there.
            is_leftover=lambda: isinstance(image, ApartImageId) and holder.find(image) is None,
            is_permitted=partial(self._is_permitted, image, upload, holder),
        )
        try:
            if self._publisher.publish(image, publication):
                return image
        except OtherContent:
            return None
        if not self._is_same(image, upload):
            return None
        holder.keep(image, upload.checksums)
        return image

    def _is_permitted(self, image: ImageId, upload: Upload, holder: Holder) -> bool:
        if isinstance(image, ApartImageId) or holder.apart(image) is None:
            return True
        return self._collected.permits(image, upload.received.payload)

    def _move(self, received: Received, path: str) -> None:
        try:
            self._driver.move(received.path, path)
        except PathNotFound as error:
            raise LayerMissing from error

    def _is_same(self, image: ImageId, upload: Upload) -> bool:
        """Whether a complete image has the same content as an upload, packed in any way."""
        known = self._images.describe(image)
        if upload.received.payload in known.checksums:
            return True
        if not are_equivalent(known.json, upload.description):
            return False
        with self._comparing:
            stored = self._digest(paths.image_layer(image))
            return stored is not None and stored == self._digest(upload.received.path)

    def _digest(self, layer: str) -> str | None:
        try:
            with self._driver.open_reader(layer) as reader:
                digest: str = self._offload(layer_contents.digest, reader)
        except PathNotFound:
            return None
        return digest


class _Verification:
    """Verifies the layers of one stage against their uploader's checksums (protocol §4.3)."""

    def __init__(self, push: Push, stage: Stage, description: bytes) -> None:
        self._push = push
        self._stage = stage
        self._description = description
        self._early_tarsum = stage.declared().tarsum

    def of(self, received: list[Received], wanted: list[Checksum]) -> tuple[Received, list[Checksum]]:
        """The layer meant, and the checksums that hold for it. Raises ChecksumMismatch, with the layers dropped."""
        for one in wanted:
            for layer in received:
                sums = self._holding(layer, one)
                if sums:
                    return layer, sums
        self._stage.drop_layers()
        raise ChecksumMismatch

    def _holding(self, layer: Received, wanted: Checksum) -> list[Checksum]:
        """Payload checksum and tarsums of a layer, if the wanted one and the early one are among them."""
        sums = [layer.payload]
        for one in (wanted, self._early_tarsum):
            if one is None or one in sums:
                continue
            if not is_tarsum(one) or not self._push.tarsum_holds(one, self._description, layer):
                return []
            sums.append(one)
        return sums


def _wanted(payload: str | None, tarsum: str | None, docker_version: tuple[int, int] | None) -> list[Checksum]:
    """The checksums of which one must hold: the payload's; where that is absent or known to be wrong, the tarsum."""
    first, last = TARSUM_DAEMONS
    relies_on_tarsum = not payload or (docker_version is not None and first <= docker_version <= last)
    wanted = [payload, tarsum] if relies_on_tarsum else [payload]
    if not any(wanted):
        raise ChecksumMissing
    return [Checksum(one) for one in wanted if one]


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces large enough to be worth a hash, a write and a thread."""
    gathered = bytearray()
    for block in blocks:
        if not gathered and len(block) >= PIECE:
            yield block
            continue
        gathered += block
        if len(gathered) >= PIECE:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
