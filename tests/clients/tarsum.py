"""Tarsum as the daemons compute it (protocol §4.2), written from raw tar blocks and apart from the registry's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK = 512
_XATTR = "SCHILY.xattr."


@dataclass
class _Entry:
    """One header as Go's archive/tar presents it, and the file's body."""

    header: bytes
    body: bytes
    name: str
    linkname: str
    xattrs: dict[str, str] = field(default_factory=dict)


def tarsum(json: bytes, tar: bytes, version: int = 0) -> str:
    """`tarsum+sha256:…` (0) or `tarsum.v1+sha256:…` (1) of an image's JSON and its layer, decompressed."""
    hashes = sorted(_hash_of(entry, version) for entry in _entries(tar))
    label = "tarsum.v1+sha256" if version else "tarsum+sha256"
    return f"{label}:{hashlib.sha256(json + ''.join(hashes).encode()).hexdigest()}"


def _hash_of(entry: _Entry, version: int) -> str:
    header = entry.header
    fields = [
        ("name", entry.name),
        ("mode", _number(header[100:108])),
        ("uid", _number(header[108:116])),
        ("gid", _number(header[116:124])),
        ("size", _number(header[124:136])),
        ("mtime", _number(header[136:148])),
        ("typeflag", chr(header[156])),
        ("linkname", entry.linkname),
        ("uname", _text(header[265:297])),
        ("gname", _text(header[297:329])),
        ("devmajor", _number(header[329:337])),
        ("devminor", _number(header[337:345])),
    ]
    if version:
        fields = [(key, value) for key, value in fields if key != "mtime"] + sorted(entry.xattrs.items())
    text = "".join(f"{key}{value}" for key, value in fields)
    return hashlib.sha256(text.encode() + entry.body).hexdigest()


def _entries(tar: bytes) -> Iterator[_Entry]:
    """Walk the blocks; a missing end-of-archive marker is no matter (Docker 0.6 to 1.2 never wrote one)."""
    position, long_name, long_link, pax = 0, "", "", {}
    while position + BLOCK <= len(tar) and tar[position : position + BLOCK].strip(b"\0"):
        header = tar[position : position + BLOCK]
        size, kind = _number(header[124:136]), chr(header[156])
        body = tar[position + BLOCK : position + BLOCK + size]
        position += BLOCK + -(-size // BLOCK) * BLOCK
        if kind == "L":
            long_name = _text(body)
        elif kind == "K":
            long_link = _text(body)
        elif kind == "x":
            pax = _pax(body)
        else:
            name = pax.get("path") or long_name or _short_name(header)
            link = pax.get("linkpath") or long_link or _text(header[157:257])
            xattrs = {key.removeprefix(_XATTR): value for key, value in pax.items() if key.startswith(_XATTR)}
            yield _Entry(header, body, name, link, xattrs)
            long_name, long_link, pax = "", "", {}


def _short_name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _pax(body: bytes) -> dict[str, str]:
    records = {}
    while body:
        length, _, rest = body.partition(b" ")
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        records[key.decode()] = value.decode()
        body = body[int(length) :]
    return records


def _number(octal: bytes) -> int:
    return int(octal.strip(b"\0 ") or b"0", 8)


def _text(padded: bytes) -> str:
    return padded.split(b"\0", 1)[0].decode()
