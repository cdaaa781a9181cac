"""Reading of an OCI image layout: a folder of blobs, of which nothing is taken on trust.

Names of blobs are digests and nothing else, no symbolic link is followed, and what is no plain file is not opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from common.errors import Invalid, NotFound
from registry_service.oci.digests import Digest
from registry_service.oci.layout import REF_NAME
from registry_service.oci.saved_image import MAX_JSON_BYTES, SavedImage, SavedLayer, chosen, parsed
from registry_service.storage.driver import BLOCK

_DEEPEST = 4
"""Indexes that lead to indexes."""

_CONFIGS = (
    "",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None


class _Manifest(msgspec.Struct):
    """A manifest has a config and layers, an index has manifests."""

    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None


def read_layout(folder: Path, reference: str) -> SavedImage:
    """The image that the index gives this name, or the only one. Raises Invalid."""
    index = parsed(_content(folder, "index.json"), _Manifest, "index.json")
    listed = index.manifests or []
    named = {name: each for each in listed if (name := (each.annotations or {}).get(REF_NAME))}
    unnamed = [each for each in listed if not (each.annotations or {}).get(REF_NAME)]
    manifest = _manifest(folder, chosen(named, unnamed, reference))
    if manifest.config is None or manifest.config.media_type not in _CONFIGS:
        raise Invalid("What has this name is no image, but something else that is kept like one")
    config = _blob(folder, manifest.config)
    return SavedImage(config, [_layer(folder, each) for each in manifest.layers or []])


def _manifest(folder: Path, descriptor: _Descriptor) -> _Manifest:
    for _ in range(_DEEPEST):
        manifest = parsed(_blob(folder, descriptor), _Manifest, f"The manifest {descriptor.digest:.80}")
        if manifest.manifests is None:
            return manifest
        if manifest.config is not None or manifest.layers is not None:
            raise Invalid(f"{descriptor.digest} is a manifest and an index at once")
        descriptor = _for_platform(manifest.manifests)
    raise Invalid("Indexes lead to indexes without an end")


def _for_platform(manifests: Sequence[_Descriptor]) -> _Descriptor:
    """v1 knows one platform, linux on amd64; of any other if there is no choice."""
    images = [each for each in manifests if each.platform is None or each.platform.os != "unknown"]
    wanted = [each for each in images if each.platform == _Platform("linux", "amd64")]
    if not wanted and len(images) != 1:
        raise Invalid("The image is there for several platforms, and none of them is linux/amd64")
    return (wanted or images)[0]


def _blob(folder: Path, descriptor: _Descriptor) -> bytes:
    """A small one, which is what its digest says."""
    digest = _digest(descriptor)
    content = _content(folder, "blobs", "sha256", digest.hex)
    if Digest.of(content) != digest:
        raise Invalid(f"The blob {digest} is damaged: it comes to {Digest.of(content)}")
    return content


def _layer(folder: Path, descriptor: _Descriptor) -> SavedLayer:
    digest = _digest(descriptor)
    return SavedLayer(f"layer {digest}", digest, partial(_blocks, folder, "blobs", "sha256", digest.hex))


def _digest(descriptor: _Descriptor) -> Digest:
    try:
        return Digest.parse(descriptor.digest)
    except NotFound as error:
        raise Invalid(f"The blob {descriptor.digest:.80} has a digest of a kind that is not known here") from error


def _content(folder: Path, *parts: str) -> bytes:
    content = bytearray()
    for block in _blocks(folder, *parts):
        content += block
        if len(content) > MAX_JSON_BYTES:
            raise Invalid(f"{'/'.join(parts)} has more than {MAX_JSON_BYTES} bytes")
    return bytes(content)


def _blocks(folder: Path, *parts: str) -> Iterator[bytes]:
    file = _open(folder, parts)
    try:
        while block := os.read(file, BLOCK):
            yield block
    finally:
        os.close(file)


def _open(folder: Path, parts: Sequence[str]) -> int:
    """A plain file below a folder. Raises Invalid."""
    name = "/".join(parts)
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for number, part in enumerate(parts, 1):
            kind = os.O_DIRECTORY if number < len(parts) else os.O_NONBLOCK
            above, at = at, os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=at)
            os.close(above)
    except OSError as error:
        raise Invalid(f"{folder} is no OCI image layout, or not a whole one: {_words(error, name)}") from error
    if not stat.S_ISREG(os.fstat(at).st_mode):
        os.close(at)
        raise Invalid(f"{name} is no file")
    return at


def _words(error: OSError, name: str) -> str:
    if error.errno == errno.ELOOP:
        return f"{name} is a symbolic link, which is not followed"
    return f"{name}: {error.strerror}"
