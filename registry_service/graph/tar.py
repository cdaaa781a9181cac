"""A streaming tar parser in constant memory.

Python's tarfile does not suffice, because a tarsum hashes header fields as they were written: the type flag, directory
names with their slash, numbers before rounding. Names are bytes. Formats: v7, ustar, GNU (long names, base-256 numbers,
sparse files) and PAX. An archive ends with two blocks of zeros, one, or none: daemons up to 1.2 write no trailer
(protocol §1.7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from registry_service.graph.errors import LayerUnreadable

BLOCK = 512

MAX_EXTENSION = 1024**2
"""The limit in bytes of a long name or a PAX header; names in file systems have a few KiB at most."""

REGULAR, OLD_REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO, CONTIGUOUS = (
    b"0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7",
)  # fmt: skip
SPARSE, LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL = b"S", b"L", b"K", b"x", b"g"

MAX_ENTRIES = 250_000
MAX_NAME_BYTES = 32 * 1024**2
"""Limits of entries and of the length of all names: callers keep something of each entry until the end."""

_BODILESS = (HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO)
_OCTAL = re.compile(rb"[0-7]*")
_PAX_RECORD = re.compile(rb"(\d{1,7}) ")
_PAX_NUMBER = re.compile(rb"(-?\d{1,18})(?:\.(\d*))?")
_XATTR = b"SCHILY.xattr."


@dataclass(slots=True, kw_only=True)
class Header:
    """An entry's header. `size` is the declared size in bytes, `body` the number of bytes that follow it."""

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
    """Fields of extended headers (GNU, PAX), which override those of the header that follows."""

    name: bytes | None = None
    linkname: bytes | None = None
    records: dict[bytes, bytes] = field(default_factory=dict)


def entries(blocks: Iterable[bytes], *, is_whole: bool = False) -> Iterator[tuple[Header, Iterator[bytes]]]:
    """Each entry's header and body; a body has to be read before the next entry is requested, or is skipped.

    Iteration raises LayerUnreadable for data that is no tar archive, for a truncated header or body, for more than
    MAX_ENTRIES entries or MAX_NAME_BYTES of names, and with `is_whole` for anything but zeros after the end of the
    archive, which some programs extract.
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
    if is_whole and not stream.has_zeros_only():
        raise LayerUnreadable("Layer has more behind its end")


def require_beginning(head: bytes) -> None:
    """Raises LayerUnreadable unless an archive may begin with this, its first block, or is that whole."""
    if head.strip(b"\0"):
        if len(head) < BLOCK:
            raise LayerUnreadable
        _verify(head)


def _next_header(stream: _Stream) -> Header | None:
    """The next entry's header with its extended headers applied; None at the end of the archive."""
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
        """The next `count` bytes, fewer at the end."""
        taken = self._some(count)
        while len(taken) < count:
            more = self._some(count - len(taken))
            if not more:
                break
            taken += more
        return taken

    def counted(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes in blocks. Raises LayerUnreadable if the stream ends before."""
        while count:
            part = self._some(count)
            if not part:
                raise LayerUnreadable("Layer is cut short")
            count -= len(part)
            yield part

    def skip_padding(self, body: int) -> None:
        """Skip to the next header; the padding of the last body may be missing."""
        self.take(-body % BLOCK)

    def has_zeros_only(self) -> bool:
        """Read the rest; whether it is nothing but zeros."""
        while part := self._some(BLOCK * BLOCK):
            if part.strip(b"\0"):
                return False
        return True

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
    """A numeric field: octal digits, or GNU's base-256 encoding (big-endian two's complement, first bit set)."""
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
    """A PAX number without its fraction, rounded down."""
    if not value:
        return otherwise
    match = _PAX_NUMBER.fullmatch(value)
    if match is None:
        raise LayerUnreadable
    whole = int(match[1])
    return whole - 1 if match[1].startswith(b"-") and (match[2] or b"").strip(b"0") else whole
