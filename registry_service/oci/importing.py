"""Import of an image that today's tools have saved, as the v1 images that Docker would push of it.

All layers are staged and verified before the first image is published, then published base first, as a push does it,
and the tag is set last. So what is wrong with any of it leaves nothing behind, and a process that is killed leaves what
a push would: stages, which are swept, and images that no tag reaches yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.agents import Agent
from common.checksums import Checksum
from common.errors import Conflict, Failure, Invalid
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.condemned import Intents
from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.holdings import Holder, Holdings
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.graph.repositories import Repositories
from registry_service.graph.tags import Tags
from registry_service.oci import gojson, layers
from registry_service.oci.chain import EMPTY_LAYER, ChainImage, Salt, derive, layers_of
from registry_service.oci.digests import Digest, verified
from registry_service.oci.saved_image import SavedImage, SavedLayer
from registry_service.oci.translation import Translations

_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Imported:
    """The image that the tag names now, and how many of its layers were stored, and how many were there."""

    image: ImageId
    stored: int
    there: int


class Import:
    """Imports images into one store. `repositories` lists what a repository has, and is None where an index does."""

    def __init__(
        self,
        push: Push,
        images: Images,
        holdings: Holdings,
        tags: Tags,
        intents: Intents,
        translations: Translations,
        repositories: Repositories | None,
    ) -> None:
        self._push = push
        self._images = images
        self._holdings = holdings
        self._tags = tags
        self._intents = intents
        self._translations = translations
        self._repositories = repositories

    def run(self, saved: SavedImage, repository: RepositoryName, tag: Tag, holder: Holder) -> Imported:
        """Let a tag name a saved image. Raises Invalid for what is wrong with it, Conflict where its ids are taken."""
        _require_linux(saved.config)
        if not layers_of(saved.config):
            saved = SavedImage(saved.config, [*saved.layers, _NO_LAYER])
        chain = self._chain(saved, str(repository), holder)
        stored = self._publish(saved, chain, holder)
        image = holder.find(chain[-1].id) or chain[-1].id
        with self._intents.reaching(self._images.ancestry(image)):
            self._tags.require_taggable(image)
            image = self._holdings.carry(image, repository)
            self._translations.keep(image, saved.config)
            if self._repositories is not None:
                self._repositories.add_images(repository, [self._entry(each) for each in self._images.ancestry(image)])
            self._tags.set(repository, tag, image, Agent())
        return Imported(image, stored, len(chain) - stored)

    def _entry(self, image: ImageId) -> dict[str, str]:
        """Of a repository's list of images."""
        return {"id": image, "checksum": next(iter(self._images.checksums(image)), "")}

    def _chain(self, saved: SavedImage, salt: str, holder: Holder) -> list[ChainImage]:
        """The images. Docker's own ids are guessed easily, and real Dockers pack layers anew: where there is another
        image of such an id, it and all above it have other ids.
        """
        chain = derive(saved.config)
        if len(chain) != len(saved.layers):
            raise Invalid(f"The image has {len(saved.layers)} layers, and its config names {len(chain)}")
        taken = self._taken(chain, holder)
        if taken is not None:
            chain = derive(saved.config, Salt(salt, taken))
            if self._taken(chain, holder) is not None:
                raise Conflict("The image's ids are those of other images here")
        return chain

    def _taken(self, chain: Iterable[ChainImage], holder: Holder) -> int | None:
        """The number of the first image whose id is another's."""
        return next((number for number, each in enumerate(chain) if self._is_held(each, holder) is False), None)

    def _is_held(self, image: ChainImage, holder: Holder) -> bool | None:
        """Whether the holder has just this image; None where it has none of this id."""
        held = holder.find(image.id)
        if held is None or not self._push.promise(held):
            return None
        try:
            diff_id = self._translations.layer(held).diff_id
        except Failure:
            return False
        return diff_id == image.diff_id and self._images.json(held) == image.json

    def _publish(self, saved: SavedImage, chain: Sequence[ChainImage], holder: Holder) -> int:
        """How many images were published; the holder has the others."""
        uploader = f"import {secrets.token_hex(8)}"
        missing = [pair for pair in zip(chain, saved.layers, strict=True) if not self._is_held(pair[0], holder)]
        try:
            payloads = [self._stage(image, layer, uploader, holder) for image, layer in missing]
            for (image, _), payload in zip(missing, payloads, strict=True):
                self._push.seal(image.id, uploader, payload=payload, tarsum=None, holder=holder)
        except BaseException:
            for image, _ in missing:
                self._push.abandon(image.id, uploader)
            raise
        return len(missing)

    def _stage(self, image: ChainImage, layer: SavedLayer, uploader: str, holder: Holder) -> Checksum:
        blocks = _verified(layer, image.diff_id)
        self._push.adopt(image.id, image.json, uploader, holder=holder)
        return self._push.receive(image.id, uploader, blocks, holder=holder).payload


_NO_LAYER = SavedLayer("empty layer", None, lambda: [EMPTY_LAYER])


def _require_linux(config: bytes) -> None:
    system = gojson.raw_members(config).get("os", b'""')
    if system not in (b'""', b'"linux"', b"null"):
        raise Invalid("The image is not for linux, and v1 knows nothing else")


def _verified(layer: SavedLayer, diff_id: Digest) -> Iterable[bytes]:
    """The layer's blocks, to be read again. Raises Invalid unless it is what config and manifest say."""
    if next(iter(layer.open()), b"").startswith(_ZSTD):
        raise Invalid(
            f"The {layer.name} is compressed with zstd, which no daemon of v1 unpacks: copy the image with"
            " `skopeo copy --dest-compress-format gzip` first"
        )
    try:
        found = layers.examine(layer.open())
    except LayerUnreadable as error:
        raise Invalid(f"The {layer.name} cannot be unpacked: {error.message}") from error
    if layer.digest not in (None, found.digest):
        raise Invalid(f"The {layer.name} is damaged: it comes to {found.digest}")
    if found.diff_id != diff_id:
        raise Invalid(f"The {layer.name} is not the one that the config names: it unpacks to {found.diff_id}")
    return verified(found.digest, layer.open())
