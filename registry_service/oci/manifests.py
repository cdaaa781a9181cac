"""Manifests: a config and its layers as text that is fixed to the byte, in two dialects, Docker's schema 2 and OCI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from registry_service.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class Dialect:
    """The media types of one kind of manifest."""

    manifest: str
    config: str
    gzip_layer: str
    tar_layer: str


SCHEMA2 = Dialect(
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    gzip_layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
    tar_layer="application/vnd.docker.image.rootfs.diff.tar",
)
OCI = Dialect(
    manifest="application/vnd.oci.image.manifest.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    gzip_layer="application/vnd.oci.image.layer.v1.tar+gzip",
    tar_layer="application/vnd.oci.image.layer.v1.tar",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it is sent."""

    media_type: str
    content: bytes
    digest: Digest


@dataclass(frozen=True, slots=True)
class ManifestLayer:
    digest: Digest
    size: int
    is_gzip: bool


def manifest(dialect: Dialect, config: bytes, layers: Sequence[ManifestLayer]) -> Manifest:
    """The manifest of a config and its layers, the base first."""
    described = {
        "schemaVersion": 2,
        "mediaType": dialect.manifest,
        "config": _descriptor(dialect.config, len(config), Digest.of(config)),
        "layers": [
            _descriptor(dialect.gzip_layer if layer.is_gzip else dialect.tar_layer, layer.size, layer.digest)
            for layer in layers
        ],
    }
    return as_stored(dialect, json.dumps(described, indent=3).encode())


def as_stored(dialect: Dialect, content: bytes) -> Manifest:
    return Manifest(dialect.manifest, content, Digest.of(content))


def layer_digests(content: bytes) -> list[Digest]:
    """The layers that a manifest of ours names, the base first."""
    return [Digest.parse(layer["digest"]) for layer in json.loads(content)["layers"]]


def _descriptor(media_type: str, size: int, digest: Digest) -> dict[str, str | int]:
    return {"mediaType": media_type, "size": size, "digest": digest}
