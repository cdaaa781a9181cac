"""Reads a tar as it streams by, header by header, in constant memory.

Not tarfile of the standard library, because a tarsum is made of what stands in the headers: the type
as written, names with the slash of directories, the numbers before anybody rounds them. Names stay bytes. Known are
v7, ustar, GNU (long names, base-256 numbers, sparse files) and PAX. The end is two blocks of zeros, one, or none:
daemons up to 1.2 send no trailer (protocol §1.7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from registry_service.graph.errors import LayerUnreadable

BLOCK = 512

MAX_EXTENSION = 1024**2
"""Bytes of a long name or of a PAX header; file systems have names of some KiB."""

REGULAR, OLD_REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO, CONTIGUOUS = (
    b"0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7",
)  # fmt: skip
SPARSE, LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL = b"S", b"L", b"K", b"x", b"g"

MAX_ENTRIES = 250_000
MAX_NAME_BYTES = 32 * 1024**2
"""Who reads a tar keeps something of each file to the end: one with more files, or longer names in all, is refused."""

_BODILESS = (HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO)
_OCTAL = re.compile(rb"[0-7]*")
_PAX_RECORD = re.compile(rb"(\d{1,7}) ")
_PAX_NUMBER = re.compile(rb"(-?\d{1,18})(?:\.(\d*))?")
_XATTR = b"SCHILY.xattr."


@dataclass(slots=True, kw_only=True)
class Header:
    """What a tar says of one file. `size` as declared, in bytes; `body` how many of them follow in the tar."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    typeflag: bytes
    linkname: bytes
    uname: bytes
    gname: bytes
    devmajor: int
    devminor: int
    body: int
    is_sparse: bool = False
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Extensions:
    """What was said ahead of a header, to replace what that one says."""

    name: bytes | None = None
    linkname: bytes | None = None
    records: dict[bytes, bytes] = field(default_factory=dict)


def entries(blocks: Iterable[bytes]) -> Iterator[tuple[Header, Iterator[bytes]]]:
    """Each file's header and body; a body is read before the next header is asked for, or not at all.

    Raises LayerUnreadable while iterated: for what is no tar, for one that ends within a header or a body, and for
    more files than can be kept in mind.
    """
    stream = _Stream(blocks)
    count = name_bytes = 0
    while (header := _next_header(stream)) is not None:
        count, name_bytes = count + 1, name_bytes + len(header.name)
        if count > MAX_ENTRIES or name_bytes > MAX_NAME_BYTES:
            raise LayerUnreadable("Layer has more files than can be listed")
        body = stream.counted(header.body)
        yield header, body
        for _ in body:
            pass
        stream.skip_padding(header.body)


def _next_header(stream: _Stream) -> Header | None:
    """The next file's header, with what was said ahead of it; None at the end."""
    extensions = _Extensions()
    while True:
        block = stream.take(BLOCK)
        if not block.strip(b"\0"):
            return None
        if len(block) < BLOCK:
            raise LayerUnreadable
        header = _read_header(block, stream)
        if header.typeflag not in (PAX, LONG_NAME, LONG_LINK):
            _apply(extensions, header)
            return header
        _extend(extensions, header.typeflag, _take_extension(stream, header.size))


class _Stream:
    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._block = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        taken = self._some(count)
        while len(taken) < count:
            more = self._some(count - len(taken))
            if not more:
                break
            taken += more
        return taken

    def counted(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, in parts."""
        while count:
            part = self._some(count)
            if not part:
                raise LayerUnreadable("Layer is cut short")
            count -= len(part)
            yield part

    def skip_padding(self, body: int) -> None:
        """To the next header; padding after the very last body may be missing."""
        self.take(-body % BLOCK)

    def _some(self, count: int) -> bytes:
        if self._at == len(self._block):
            self._block, self._at = next(self._blocks, b""), 0
        part = self._block[self._at : self._at + count]
        self._at += len(part)
        return part


def _read_header(block: bytes, stream: _Stream) -> Header:
    _verify(block)
    typeflag = block[156:157]
    size = _number(block[124:136])
    if not 0 <= size < 2**63:
        raise LayerUnreadable
    is_device = typeflag in (CHARACTER, BLOCK_DEVICE)
    extended = block[257:262] == b"ustar"
    header = Header(
        name=_name(block),
        mode=_number(block[100:108]),
        uid=_number(block[108:116]),
        gid=_number(block[116:124]),
        size=size,
        mtime=_number(block[136:148]),
        typeflag=typeflag,
        linkname=_text(block[157:257]),
        uname=_text(block[265:297]) if extended else b"",
        gname=_text(block[297:329]) if extended else b"",
        devmajor=_number(block[329:337]) if extended and is_device else 0,
        devminor=_number(block[337:345]) if extended and is_device else 0,
        body=0 if typeflag in _BODILESS else size,
    )
    if typeflag == SPARSE:
        _read_sparse(header, block, stream)
    return header


def _verify(block: bytes) -> None:
    said = _number(block[148:156])
    blanked = block[:148] + b" " * 8 + block[156:]
    # Some old writers summed up signed characters.
    if said != sum(blanked) and said != sum(byte - 256 if byte > 127 else byte for byte in blanked):
        raise LayerUnreadable


def _name(block: bytes) -> bytes:
    name = _text(block[:100])
    # Only ustar has a prefix there; GNU keeps times in its place.
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _text(part: bytes) -> bytes:
    return part.partition(b"\0")[0]


def _number(part: bytes) -> int:
    """Octal digits, or where those do not suffice, GNU's big-endian two's complement marked by the first bit."""
    if part[0] & 0x80:
        value = int.from_bytes(bytes([part[0] & 0x7F]) + part[1:], "big")
        return value - (1 << (8 * len(part) - 1)) if part[0] & 0x40 else value
    digits = _text(part.strip(b" \0")).strip()
    if _OCTAL.fullmatch(digits) is None:
        raise LayerUnreadable
    return int(digits or b"0", 8)


def _read_sparse(header: Header, block: bytes, stream: _Stream) -> None:
    header.is_sparse = True
    header.size = _number(block[483:495])
    more = block[482]
    while more:
        block = stream.take(BLOCK)
        if len(block) < BLOCK:
            raise LayerUnreadable("Layer is cut short")
        more = block[504]


def _take_extension(stream: _Stream, size: int) -> bytes:
    if size > MAX_EXTENSION:
        raise LayerUnreadable("Layer has a file name longer than any file system takes")
    content = b"".join(stream.counted(size))
    stream.skip_padding(size)
    return content


def _extend(extensions: _Extensions, typeflag: bytes, content: bytes) -> None:
    if typeflag == LONG_NAME:
        extensions.name = _text(content)
    elif typeflag == LONG_LINK:
        extensions.linkname = _text(content)
    else:
        extensions.records = dict(_pax_records(content))


def _pax_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        match = _PAX_RECORD.match(content, at)
        end = at + int(match[1]) if match else 0
        record = content[match.end() : end] if match else b""
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or end > len(content):
            raise LayerUnreadable
        yield key, value
        at = end


def _apply(extensions: _Extensions, header: Header) -> None:
    records = extensions.records
    header.name = records.get(b"path") or extensions.name or header.name
    header.linkname = records.get(b"linkpath") or extensions.linkname or header.linkname
    header.uname = records.get(b"uname") or header.uname
    header.gname = records.get(b"gname") or header.gname
    header.uid = _pax_number(records.get(b"uid"), header.uid)
    header.gid = _pax_number(records.get(b"gid"), header.gid)
    header.mtime = _pax_number(records.get(b"mtime"), header.mtime)
    if b"size" in records:
        header.size = _pax_number(records[b"size"], header.size)
        header.body = 0 if header.typeflag in _BODILESS else header.size
        if header.size < 0:
            raise LayerUnreadable
    header.xattrs = {key.removeprefix(_XATTR): value for key, value in records.items() if key.startswith(_XATTR)}
    _apply_sparse(records, header)


def _apply_sparse(records: dict[bytes, bytes], header: Header) -> None:
    if any(key.startswith(b"GNU.sparse.") for key in records):
        header.is_sparse = True
        header.name = records.get(b"GNU.sparse.name") or header.name
        header.size = _pax_number(records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size"), header.size)


def _pax_number(value: bytes | None, otherwise: int) -> int:
    """Whole seconds, or whatever is counted; fractions are cut towards the past."""
    if not value:
        return otherwise
    match = _PAX_NUMBER.fullmatch(value)
    if match is None:
        raise LayerUnreadable
    whole = int(match[1])
    return whole - 1 if match[1].startswith(b"-") and (match[2] or b"").strip(b"0") else whole
