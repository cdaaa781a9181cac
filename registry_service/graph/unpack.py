"""Decompression of layers: gzip, bzip2, xz, or none (protocol §1.5).

A truncated stream is decompressed as far as it goes, since daemons up to 1.2 do not terminate theirs; the tar parser
decides whether the archive is complete. CPU and memory are bounded in proportion to the compressed size. How a stream
ended `Unpacking` tells whoever has to know.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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


class Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Gunzip:
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


def _unxz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


@dataclass(frozen=True, slots=True)
class _Compression:
    name: str
    magic: bytes
    make: Callable[[], Decompressor]


class Unpacking:
    """The decompression of one layer, block by block: `feed` each block, then `finish`.

    Both yield blocks of at most BLOCK bytes, if those fed are no larger, and raise LayerUnreadable. What follows a
    stream and is no other stream is refused, unless it `ends_at_junk`: then it is passed over. `gunzip` makes what
    decompresses gzip.
    """

    def __init__(self, *, ends_at_junk: bool = False, gunzip: Callable[[], Decompressor] = Gunzip) -> None:
        self.compression: str | None = None
        """What the layer is compressed with, known after some bytes; None for no compression."""
        self.length = 0
        """Bytes of the layer up to the end of its last whole stream."""
        self.has_gaps = False
        """Whether there was padding between streams."""
        self.decompressor: Decompressor | None = None
        """What decompresses the last stream."""
        self._ends_at_junk = ends_at_junk
        self._kinds = (
            _Compression("gzip", b"\x1f\x8b", gunzip),
            _Compression("bzip2", b"BZh", bz2.BZ2Decompressor),
            _Compression("xz", b"\xfd7zXZ\x00", _unxz),
        )
        self._kind: _Compression | None = None
        self._head: bytes | None = b""
        self._pending = b""
        self._is_at_end = False
        self._fed = 0
        self._allowed = FREE_BYTES

    @property
    def is_cut(self) -> bool:
        """Whether the last stream, as far as it was fed, has not ended."""
        return self.decompressor is not None and not self.decompressor.eof

    def feed(self, block: bytes) -> Iterator[bytes]:
        if self._head is None:
            yield from self._unpack(block)
            return
        self._head += block
        if len(self._head) >= _MAGIC:
            yield from self._begin()

    def finish(self) -> Iterator[bytes]:
        if self._head:
            yield from self._begin()

    def _begin(self) -> Iterator[bytes]:
        head, self._head = self._head or b"", None
        self._kind = next((kind for kind in self._kinds if head.startswith(kind.magic)), None)
        if self._kind is not None:
            self.compression = self._kind.name
            self.decompressor = self._kind.make()
        return self._unpack(head)

    def _unpack(self, block: bytes) -> Iterator[bytes]:
        if self._kind is None:
            self.length += len(block)
            yield block
            return
        for start in range(0, len(block), _FEED):
            feed = block[start : start + _FEED]
            self._fed += len(feed)
            self._allowed += MOST_RATIO * len(feed)
            self._pending += feed
            while decompressor := self._next_decompressor(self._kind):
                yield from self._step(decompressor)
                if not decompressor.eof and decompressor.needs_input:
                    break

    def _next_decompressor(self, kind: _Compression) -> Decompressor | None:
        """What decompresses the pending bytes; None where more are needed, or nothing of it is a stream.

        Several streams in a row are one; zeros between or after them are padding.
        """
        if self._is_at_end:
            self._pending = b""
        elif self.decompressor is not None and self.decompressor.eof:
            stripped = self._pending.lstrip(b"\0")
            padding = self._fed - len(stripped) > self.length
            self._pending = stripped
            self._is_at_end = self._ends_at_junk and not stripped.startswith(kind.magic[: len(stripped)])
            if self._is_at_end or len(stripped) < (len(kind.magic) if self._ends_at_junk else 1):
                return None
            self.has_gaps = self.has_gaps or padding
            self.decompressor = kind.make()
        return None if self._is_at_end else self.decompressor

    def _step(self, decompressor: Decompressor) -> Iterator[bytes]:
        try:
            answer = decompressor.decompress(self._pending, BLOCK)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise LayerUnreadable from error
        self._pending = decompressor.unused_data
        if decompressor.eof:
            self.length = self._fed - len(self._pending)
        self._allowed -= len(answer)
        if self._allowed < 0:
            raise LayerUnreadable("Layer unpacks to far more than a layer may")
        if answer:
            yield answer


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompressed blocks, of at most BLOCK bytes if the input's are. Iteration raises LayerUnreadable."""
    unpacking = Unpacking()
    for block in blocks:
        yield from unpacking.feed(block)
    yield from unpacking.finish()
