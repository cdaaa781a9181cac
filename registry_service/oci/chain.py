"""The v1 images of an image config: ids, parents and JSONs as Docker 1.10 to 17.05 derive them when they push by v1.

Each layer is an image. The last one has the config's digest for its id and all of the config that v1 knows for its
JSON; those below have the ids of their chains of layers, and JSONs of nothing but id and parent. So whoever derives the
images of one config, Docker or this, comes to the same.

Ids that anybody can compute anybody can push something else under. Such ids are replaced by `salted` ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import Invalid
from common.names import ImageId
from registry_service.oci import gojson
from registry_service.oci.digests import Digest
from registry_service.oci.gojson import Object

EMPTY_LAYER = bytes(1024)
"""The layer of an image that has none: v1 has no image without."""

_LEFT_OUT = ("rootfs", "history", "os.version", "os.features", "moby.buildkit.cache.v0")


@dataclass(frozen=True, slots=True)
class ChainImage:
    """One v1 image, to be pushed with the layer of this diff id."""

    id: ImageId
    json: bytes
    diff_id: Digest


@dataclass(frozen=True, slots=True)
class Salt:
    """Ids from the image of this number on, the base being 0, are others: those of `text`."""

    text: str
    first: int


def layers_of(config: bytes) -> list[Digest]:
    """The diff ids that an image config names, the base first. Raises Invalid."""
    rootfs = gojson.decode(gojson.raw_members(config).get("rootfs", b"null"))
    diff_ids = dict(rootfs).get("diff_ids") if isinstance(rootfs, Object) else None
    if not isinstance(diff_ids, list) or isinstance(diff_ids, Object):
        raise Invalid("The image's config names no layers")
    return [_diff_id(each) for each in diff_ids]


def derive(config: bytes, salt: Salt | None = None) -> list[ChainImage]:
    """The images, the base first. Raises Invalid."""
    diff_ids = layers_of(config) or [Digest.of(EMPTY_LAYER)]
    ids = list(_ids(config, diff_ids))
    if salt is not None:
        ids[salt.first :] = [_salted(each, salt.text) for each in ids[salt.first :]]
    parents = [None, *ids[:-1]]
    jsons = [_plain(id_, parent) for id_, parent in zip(ids[:-1], parents, strict=False)]
    jsons.append(_whole(config, ids[-1], parents[-1]))
    return [ChainImage(*each) for each in zip(ids, jsons, diff_ids, strict=True)]


def _diff_id(text: Any) -> Digest:
    if type(text) is not str:
        raise Invalid("The image's config names a layer by what is no digest")
    return Digest.parse(text)


def _ids(config: bytes, diff_ids: Sequence[Digest]) -> Iterator[ImageId]:
    chain = diff_ids[0]
    for above in diff_ids[1:]:
        yield ImageId(chain.hex)
        chain = Digest.of(f"{chain} {above}".encode())
    yield ImageId(Digest.of(config).hex)


def _salted(image: ImageId, salt: str) -> ImageId:
    return ImageId(hashlib.sha256(f"v1:{salt}:{image}".encode()).hexdigest())


def _plain(image: ImageId, parent: ImageId | None) -> bytes:
    members = [("id", gojson.string(image))]
    if parent is not None:
        members.append(("parent", gojson.string(parent)))
    return gojson.object_(members)


def _whole(config: bytes, image: ImageId, parent: ImageId | None) -> bytes:
    """The members as they were written; what daemons would take for another id or parent is left out."""
    kept = {
        name: raw
        for name, raw in gojson.raw_members(config).items()
        if name not in _LEFT_OUT and gojson.folded(name) not in ("id", "parent")
    }
    kept["id"] = gojson.string(image)
    if parent is not None:
        kept["parent"] = gojson.string(parent)
    return gojson.map_(kept.items())
