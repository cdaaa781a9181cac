"""Checksums of a layer: the payload checksum of its compressed bytes, and the tarsum of its files (protocol §4).

    payload = sha256( JSON ‖ "\\n" ‖ layer as sent )
    tarsum  = hash( JSON ‖ the entries' hashes in hex, sorted )
    entry   = hash( key₁ ‖ value₁ ‖ key₂ ‖ value₂ ‖ … ‖ body )

The payload checksum is computed while a layer is received, in `push`. A tarsum is independent of the compression, and
costs a pass through the archive: it is computed only for daemons that send no payload checksum.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator

from common.checksums import Checksum
from common.errors import Invalid
from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.tar import Header, entries
from registry_service.graph.unpack import unpacked

_TARSUM = re.compile(r"tarsum(?P<version>\.v1|\.dev)?\+(?P<hash>sha256|sha512)")


def is_checksum(text: str) -> bool:
    """Whether a text from the store is a well-formed checksum."""
    try:
        Checksum(text)
    except Invalid:
        return False
    return True


def is_tarsum(checksum: Checksum) -> bool:
    return checksum.algorithm.startswith("tarsum")


def tarsum_holds(wanted: Checksum, description: bytes, blocks: Iterable[bytes]) -> bool:
    """Whether an image's JSON and layer, in any compression, have this tarsum (v0, v1 or dev).

    Raises LayerUnreadable for a layer that is no tar archive.
    """
    return str(wanted) in tarsums(wanted.algorithm, description, blocks)


def tarsums(algorithm: str, description: bytes, blocks: Iterable[bytes]) -> set[str]:
    """The tarsums that daemons compute for a layer by an algorithm such as `tarsum+sha256`; empty if it is unknown.

    They differ if a path occurs twice: up to 1.2 the last entry counts, later all entries do.
    """
    match = _TARSUM.fullmatch(algorithm)
    if match is None:
        return set()
    by_name: dict[bytes, str] = {}
    all_of_them: list[str] = []
    for header, body in entries(unpacked(blocks)):
        digest = _entry_hash(match["hash"], _fields(header, with_mtime=match["version"] is None), body)
        all_of_them.append(digest)
        by_name[_cleaned(header.name)] = digest
    return {f"{algorithm}:{_total(match['hash'], description, digests)}" for digests in (all_of_them, by_name.values())}


def _entry_hash(name: str, fields: Iterator[bytes], body: Iterable[bytes]) -> str:
    digest = hashlib.new(name, b"".join(fields))
    for part in body:
        digest.update(part)
    return digest.hexdigest()


def _total(name: str, description: bytes, digests: Iterable[str]) -> str:
    digest = hashlib.new(name, description)
    for one in sorted(digests):
        digest.update(one.encode())
    return digest.hexdigest()


def _fields(header: Header, *, with_mtime: bool) -> Iterator[bytes]:
    """Keys and values in tarsum's order; v1 and dev omit the time and add extended attributes."""
    if header.is_sparse:
        raise LayerUnreadable("Layer has sparse files, which tarsum does not define")
    yield b"name%bmode%duid%dgid%dsize%d" % (header.name, header.mode, header.uid, header.gid, header.size)
    if with_mtime:
        yield b"mtime%d" % header.mtime
    yield b"typeflag%blinkname%b" % (header.typeflag, header.linkname)
    yield b"uname%bgname%b" % (header.uname, header.gname)
    yield b"devmajor%ddevminor%d" % (header.devmajor, header.devminor)
    if not with_mtime:
        for key, value in sorted(header.xattrs.items()):
            yield key + value


def _cleaned(name: bytes) -> bytes:
    return posixpath.normpath(b"/" + name.lstrip(b"/") if name.startswith(b"/") else name)
