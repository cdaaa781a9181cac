"""Decompression of layers: gzip, bzip2, xz, or none (protocol §1.5).

A truncated stream is decompressed as far as it goes, since daemons up to 1.2 do not terminate theirs; the tar parser
decides whether the archive is complete. CPU and memory are bounded in proportion to the compressed size.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from registry_service.graph.errors import LayerUnreadable

BLOCK = 256 * 1024

FREE_BYTES = 1024**3
"""Any layer may decompress to this many bytes; beyond, the ratio is limited to the best that gzip achieves."""

MOST_RATIO = 1100

XZ_MEMORY = 128 * 1024**2
"""`xz -9` needs 65 MiB to decompress; the format allows a dictionary of 4 GiB."""

_FEED = 32 * 1024
_MAGIC = 6


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        unpacked = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        # A full answer may leave more behind even where all of the input is consumed.
        self.needs_input = not self._inflate.unconsumed_tail and len(unpacked) < max_length
        return unpacked


def _unxz() -> _Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


_KINDS: tuple[tuple[bytes, Callable[[], _Unpacker]], ...] = (
    (b"\x1f\x8b", _Gunzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", _unxz),
)


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompressed blocks, of at most BLOCK bytes if the input's are. Iteration raises LayerUnreadable."""
    source = iter(blocks)
    head = b""
    while len(head) < _MAGIC:
        block = next(source, b"")
        if not block:
            break
        head += block
    for magic, make in _KINDS:
        if head.startswith(magic):
            return _unpack(make, _chain(head, source))
    return _chain(head, source)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _unpack(make: Callable[[], _Unpacker], blocks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = make()
    allowed = FREE_BYTES
    ended = False
    for feed in _in_feeds(blocks):
        allowed += MOST_RATIO * len(feed)
        pending, wants = feed, False
        while not wants:
            if ended:
                # Several streams in a row are one; zeros between or after them are padding.
                unpacker, pending = make(), pending.lstrip(b"\0")
                if not pending:
                    break
            answer = _step(unpacker, pending)
            allowed -= len(answer)
            if allowed < 0:
                raise LayerUnreadable("Layer unpacks to far more than a layer may")
            if answer:
                yield answer
            ended = unpacker.eof
            pending = unpacker.unused_data
            wants = not ended and unpacker.needs_input


def _in_feeds(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), _FEED):
            yield block[start : start + _FEED]


def _step(unpacker: _Unpacker, pending: bytes) -> bytes:
    try:
        return unpacker.decompress(pending, BLOCK)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise LayerUnreadable from error
