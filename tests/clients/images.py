"""Images made for a test: real layers with files, folders, links, whiteouts, packed as each generation packs them."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import secrets
import tarfile
import zlib
from dataclasses import dataclass
from functools import cached_property

from tests.clients.tarsum import tarsum

READ_SIZE = 4096
"""A daemon packs what it reads from the tar in pieces, and flushes behind each."""

TRAILER = b"\0" * 1024


@dataclass(frozen=True)
class Image:
    """One image as a daemon holds it: the JSON's exact bytes, the plain tar, and the packed layer in chunks."""

    id: str
    parent: str | None
    json: bytes
    tar: bytes
    chunks: tuple[bytes, ...]

    @cached_property
    def layer(self) -> bytes:
        return b"".join(self.chunks)

    @cached_property
    def payload(self) -> str:
        """The payload checksum (protocol §4.1)."""
        digest = hashlib.sha256(self.json + b"\n" + self.layer).hexdigest()
        return f"sha256:{digest}"

    @cached_property
    def wrong_payload(self) -> str:
        """What Docker 0.9 sends in its place: the local tar's hash, without the JSON (protocol §4.3)."""
        return f"sha256:{hashlib.sha256(self.tar).hexdigest()}"

    @cached_property
    def tarsum(self) -> str:
        return tarsum(self.json, self.tar)

    @cached_property
    def tarsum_v1(self) -> str:
        return tarsum(self.json, self.tar, version=1)


Chain = tuple[Image, ...]
"""An image and all it is based on; the base first."""


def make_chain(length: int = 3, *, packing: str = "gzip", trailer: bool = True, content_ids: bool = False) -> Chain:
    """A fresh chain nobody has seen before.

    `packing` is gzip (flushed behind every piece), xz or plain; without `trailer` the end-of-archive blocks
    are left away. With `content_ids` only the top image has a full JSON, as from Docker 1.10 on.
    """
    tars = [make_tar(_contents(number)) for number in range(length - 1)] + [TRAILER]
    if length == 1:
        tars = [make_tar(_contents(0))]
    ids = _content_ids(tars) if content_ids else [secrets.token_hex(32) for _ in tars]
    chain: list[Image] = []
    for number, (image_id, tar) in enumerate(zip(ids, tars, strict=True)):
        parent = chain[-1].id if chain else None
        minimal = content_ids and number < length - 1
        document = _minimal(image_id, parent) if minimal else describe(image_id, parent, len(tar))
        chunks = pack(tar if trailer else tar.removesuffix(TRAILER), packing)
        chain.append(Image(image_id, parent, document, tar, chunks))
    return tuple(chain)


def make_image(parent: str | None = None, *, size: int = 3000, image_id: str | None = None) -> Image:
    """One image; its layer holds `size` incompressible bytes."""
    image_id = image_id or secrets.token_hex(32)
    tar = make_tar({"srv/data": secrets.token_bytes(size)})
    return Image(image_id, parent, describe(image_id, parent, len(tar)), tar, pack(tar, "gzip"))


def describe(image_id: str, parent: str | None, size: int) -> bytes:
    """A full image JSON with what a careless server would lose: unknown keys, escapes, big numbers, key order."""
    command = ["/bin/sh", "-c", "#(nop) ADD <file> & more"]
    document = {
        "id": image_id,
        **({"parent": parent} if parent else {}),
        "created": "2014-03-04T12:00:00.123456789Z",
        "container": secrets.token_hex(32),
        "container_config": {"Hostname": "größe", "Env": ["PATH=/bin"], "Cmd": command, "Labels": None},
        "docker_version": "0.9.1",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/true"], "ExposedPorts": {"80/tcp": {}}},
        "architecture": "amd64",
        "os": "linux",
        "Size": size,
        "zz-unknown": {"kept": [1.0, 12345678901234567890, "\u2028"]},
    }
    return json.dumps(document).replace("<", "\\u003c").replace("&", "\\u0026").encode()


def make_tar(files: dict[str, bytes]) -> bytes:
    """A tar of the files and, beside them, one of every kind of entry a layer may hold."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, "srv/", tarfile.DIRTYPE, mode=0o755)
        for name, content in files.items():
            _add(tar, name, tarfile.REGTYPE, content=content)
        _add(tar, "srv/link", tarfile.SYMTYPE, linkname="data")
        _add(tar, "srv/same", tarfile.LNKTYPE, linkname=next(iter(files)))
        _add(tar, "srv/.wh.gone", tarfile.REGTYPE)
        _add(tar, "srv/" + "long-name/" * 15 + "file", tarfile.REGTYPE, content=b"deep")
    return target.getvalue()


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, *, content: bytes = b"", linkname: str = "", mode: int = 0o644
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname, entry.mode = kind, len(content), linkname, mode
    entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime = 1000, 50, "build", "staff", 1393934400
    tar.addfile(entry, io.BytesIO(content))


def pack(tar: bytes, packing: str) -> tuple[bytes, ...]:
    """The layer in the chunks a daemon writes to the wire."""
    pieces = [tar[at : at + READ_SIZE] for at in range(0, len(tar), READ_SIZE)]
    if packing == "plain":
        return tuple(pieces)
    if packing == "xz":
        packer = lzma.LZMACompressor(preset=0)
        return tuple(filter(None, [*map(packer.compress, pieces), packer.flush()]))
    gzip = zlib.compressobj(6, zlib.DEFLATED, 31)
    return (*(gzip.compress(piece) + gzip.flush(zlib.Z_SYNC_FLUSH) for piece in pieces), gzip.flush())


def unpack(layer: bytes) -> bytes:
    """The tar in a layer, told by its first bytes as daemons do (protocol §1.5)."""
    if layer.startswith(b"\x1f\x8b"):
        return zlib.decompress(layer, 31)
    if layer.startswith(b"\xfd7zXZ\0"):
        return lzma.decompress(layer)
    return layer


def _contents(number: int) -> dict[str, bytes]:
    return {"srv/data": secrets.token_bytes(2000 + 9000 * number), "srv/text": b"layer %d\n" % number * 50}


def _minimal(image_id: str, parent: str | None) -> bytes:
    document = {"id": image_id, "parent": parent} if parent else {"id": image_id}
    return json.dumps(document, separators=(",", ":")).encode()


def _content_ids(tars: list[bytes]) -> list[str]:
    """Chain ids for the base images, a config digest for the top one (protocol §8.4)."""
    ids, chain = [], ""
    for tar in tars[:-1]:
        diff = f"sha256:{hashlib.sha256(tar).hexdigest()}"
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff}'.encode()).hexdigest()}" if chain else diff
        ids.append(chain.removeprefix("sha256:"))
    return [*ids, secrets.token_hex(32)]
