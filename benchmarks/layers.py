"""The images that are pushed and pulled: chains of gzipped tars of random bytes, a big base and small tops.

A `Pattern` holds the bytes, made once; an `Image` is cast from it in no time, with ids and digests of its own,
because every layer ends in an empty gzip member (RFC 1952 §2.2) that names the image. So a push can be repeated
with a new image each time, and no server meets bytes it has already.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import struct
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.wire import Upload

CHUNK = 32 * 1024
"""Daemons sent layers in HTTP chunks of this many bytes: the buffer of Go's io.Copy."""

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def layer_sizes(layers: int, total: int) -> list[int]:
    """Base first, each layer half the one below it; about `total` bytes in all."""
    shares = [0.5**position for position in range(layers)]
    return [max(1024, round(total * share / sum(shares))) for share in shares]


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Filling:
    """The bytes that one layer has in every image of a pattern, also as a file cut into HTTP chunks."""

    def __init__(self, size: int, seed: str) -> None:
        self.content = gzip.compress(_tar(random.Random(seed).randbytes(size)), compresslevel=0, mtime=0)
        self.hash = hashlib.sha256(self.content)

    @cached_property
    def framed(self) -> tuple[int, int]:
        """File descriptor and length of the content in chunked transfer coding, without the last chunk."""
        descriptor = os.memfd_create("layer")
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            for start in range(0, len(self.content), CHUNK):
                file.write(frame(self.content[start : start + CHUNK]))
            return descriptor, file.tell()


@dataclass(frozen=True)
class Layer:
    """One image of the v1 chain, or one layer of the v2 image: the same bytes. `json` is what v1 pushes."""

    filling: Filling
    tail: bytes
    id: str
    json: bytes

    @property
    def size(self) -> int:
        return len(self.filling.content) + len(self.tail)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the bytes."""
        state = self.filling.hash.copy()
        state.update(self.tail)
        return state.hexdigest()

    @property
    def chunks(self) -> Upload:
        """What a push sends."""
        descriptor, length = self.filling.framed
        return Upload(descriptor, length, frame(self.tail) + frame(b""))

    @cached_property
    def payload(self) -> str:
        """The checksum that closes a v1 push: JSON, newline and bytes (protocol §4.1)."""
        state = hashlib.sha256(self.json + b"\n")
        state.update(self.filling.content)
        state.update(self.tail)
        return "sha256:" + state.hexdigest()

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(self.filling.content)
            file.write(self.tail)


@dataclass(frozen=True)
class Image:
    """`layers` are in the order of a pull, base first; `config` and `manifest` say the same to a v2 registry."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)

    @property
    def id(self) -> str:
        return self.layers[-1].id

    @property
    def ancestry(self) -> list[str]:
        """The image itself first, its base last."""
        return [layer.id for layer in reversed(self.layers)]

    @cached_property
    def config(self) -> bytes:
        """The image's configuration as a v2 registry keeps it: a blob."""
        history = [{"created": _CREATED, "created_by": f"/bin/sh -c #(nop) step {layer.id}"} for layer in self.layers]
        rootfs = {"type": "layers", "diff_ids": ["sha256:" + layer.id for layer in self.layers]}
        return json.dumps(_description(self.id) | {"history": history, "rootfs": rootfs}).encode()

    @cached_property
    def manifest(self) -> bytes:
        layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        layers = [
            {"mediaType": layer_type, "size": each.size, "digest": "sha256:" + each.sha256} for each in self.layers
        ]
        config_type = "application/vnd.docker.container.image.v1+json"
        config = {"mediaType": config_type, "size": len(self.config), "digest": digest(self.config)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        return json.dumps(manifest, indent=3).encode()

    def prepare(self) -> None:
        """Hash everything now, so that nobody has to while time is taken."""
        _ = self.manifest, self.config, [(layer.payload, layer.filling.framed) for layer in self.layers]


class Pattern:
    """Bytes for images of so many layers and so many bytes in all."""

    def __init__(self, layers: int, total: int) -> None:
        sizes = layer_sizes(layers, total)
        self.fillings = [Filling(size, f"{position}/{sizes}") for position, size in enumerate(sizes)]

    def image(self, name: str) -> Image:
        """An image of this pattern; another name makes other ids and digests."""
        tail = gzip_comment(name)
        return Image(name, tuple(_layers(self.fillings, tail, name)))


def frame(content: bytes) -> bytes:
    """One chunk of chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def gzip_comment(text: str) -> bytes:
    """A gzip member that unpacks to nothing and carries a comment."""
    head = b"\x1f\x8b\x08\x10" + bytes(5) + b"\xff"
    return head + text.encode() + b"\0" + b"\x03\0" + struct.pack("<II", 0, 0)


_CREATED = "2015-04-22T21:12:14.128Z"


def _layers(fillings: Iterable[Filling], tail: bytes, name: str) -> Iterable[Layer]:
    parent = None
    for position, filling in enumerate(fillings):
        own_id = hashlib.sha256(f"{name}/{position}".encode()).hexdigest()
        description = _description(own_id) | {"id": own_id, "Size": len(filling.content)}
        if parent is not None:
            description["parent"] = parent
        yield Layer(filling, tail, own_id, json.dumps(description).encode())
        parent = own_id


def _description(own_id: str) -> dict[str, Any]:
    """What a daemon of 2015 wrote about an image, about as long."""
    config = {
        "Hostname": own_id[:12], "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False,
        "AttachStderr": False, "PortSpecs": None, "ExposedPorts": {"80/tcp": {}}, "Tty": False, "OpenStdin": False,
        "StdinOnce": False, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Cmd": ["/bin/sh", "-c", "#(nop) CMD [\"nginx\" \"-g\" \"daemon off;\"]"], "Image": own_id, "Volumes": None,
        "WorkingDir": "", "Entrypoint": None, "NetworkDisabled": False, "OnBuild": [], "Labels": {},
    }  # fmt: skip
    return {
        "created": _CREATED, "container": own_id, "container_config": config, "docker_version": "1.6.2",
        "config": config, "architecture": "amd64", "os": "linux",
    }  # fmt: skip


def _tar(content: bytes) -> bytes:
    entry = tarfile.TarInfo("usr/lib/content")
    entry.size = len(content)
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512 + 1024)
