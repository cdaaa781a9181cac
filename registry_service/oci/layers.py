"""What a layer blob is made of: one pass over a stored layer, and what has to be written where OCI cannot carry it.

Nothing in the tar is ever changed, so its diff id is that of what was pushed. The stored bytes are offered where every
client reads them: a tar, or gzip whole to its last byte. Else the layer is written once more, in a form that is the
same on every machine, because no compressor has a say in it:

    padding or junk behind gzip     the same bytes without it
    gzip without its end            the same bytes, and the end that is missing
    bzip2, xz, gzip cut elsewhere   the tar, as far as it unpacks
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from registry_service.graph import tar
from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.unpack import Decompressor, Gunzip, Unpacking, unpacked
from registry_service.oci.digests import Digest

try:
    from isal import igzip_lib
except ImportError:
    # There are no wheels of it for this machine.
    igzip_lib = None  # type: ignore[assignment]

FREE_BYTES = 64 * 1024**2
"""A tar of this size may be written in place of any layer, however small that is."""

MOST_RATIO = 20
"""How often the size of what was pushed, which is what people pay for and quotas count, its tar may take beyond that.
Packed by xz, file systems take a third to a tenth of their size; a kilobyte of zeros in bzip2 would take a gigabyte.
"""

_GZIP = "gzip"

_FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
"""An empty block of deflate that says it is the last one: what follows a stream that was flushed, but not ended."""

_TRAILER_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What one pass found. `keep` bytes of what is stored and `end` are gzip in a form that OCI can carry; where it is
    None, the tar is.
    """

    digest: Digest
    size: int
    diff_id: Digest
    unpacked_size: int
    is_empty: bool
    is_tar: bool
    keep: int | None
    end: bytes

    @property
    def is_carried(self) -> bool:
        """Whether the stored bytes are a blob as they are."""
        return self.is_tar or (self.keep == self.size and not self.end)

    @property
    def most_unpacked(self) -> int:
        """How many bytes of tar may be written in place of what is stored."""
        return max(FREE_BYTES, MOST_RATIO * self.size)

    @property
    def is_inflated(self) -> bool:
        """Whether only the tar can be offered, and takes more than may be written."""
        return not self.is_tar and self.keep is None and self.unpacked_size > self.most_unpacked


def examine(blocks: Iterable[bytes], gunzip: Callable[[], Decompressor] | None = None) -> Examined:
    """One pass over a stored layer. Raises LayerUnreadable for what is no tar archive in any compression.

    A layer whose end is missing raises LayerCut: it takes another pass, see `examine_cut`. `gunzip` inflates it, the
    fastest there is if None.
    """
    return _Pass(gunzip or fast_gunzip()).over(blocks)


def examine_cut(blocks: Iterable[bytes]) -> Examined:
    """The same for a layer that may have no end: as far as zlib unpacks it, and with the end that is missing."""
    return _Pass(_EndlessGunzip, is_cut_allowed=True).over(blocks)


def require_whole_archive(blocks: Iterable[bytes]) -> None:
    """Raises LayerUnreadable for an archive that is cut short."""
    for _ in tar.entries(unpacked(blocks)):
        pass


class LayerCut(LayerUnreadable):
    """A compressed stream that has not ended."""

    words = "Layer is cut short"


class _Pass:
    """Counts and hashes what is stored and what it unpacks to."""

    def __init__(self, gunzip: Callable[[], Decompressor], *, is_cut_allowed: bool = False) -> None:
        self._unpacking = Unpacking(ends_at_junk=True, gunzip=gunzip)
        self._is_cut_allowed = is_cut_allowed
        self._stored = hashlib.sha256()
        self._tar = hashlib.sha256()
        self._head = b""
        self._size = 0
        self._unpacked_size = 0
        self._is_empty = True

    def over(self, blocks: Iterable[bytes]) -> Examined:
        for block in blocks:
            self._stored.update(block)
            self._size += len(block)
            self._take(self._unpacking.feed(block))
        self._take(self._unpacking.finish())
        if self._unpacking.is_cut and not self._is_cut_allowed:
            raise LayerCut
        tar.require_beginning(self._head)
        keep, end = self._kept()
        return Examined(
            digest=Digest.of_hex(self._stored.hexdigest()),
            size=self._size,
            diff_id=Digest.of_hex(self._tar.hexdigest()),
            unpacked_size=self._unpacked_size,
            is_empty=self._is_empty,
            is_tar=self._unpacking.compression is None,
            keep=keep,
            end=end,
        )

    def _take(self, blocks: Iterator[bytes]) -> None:
        for block in blocks:
            self._tar.update(block)
            self._unpacked_size += len(block)
            # Comparing goes on no further than to the first byte that is not zero, which most blocks begin with.
            self._is_empty = self._is_empty and not block.strip(b"\0")
            if len(self._head) < tar.BLOCK:
                self._head += block[: tar.BLOCK - len(self._head)]
                if len(self._head) == tar.BLOCK:
                    tar.require_beginning(self._head)

    def _kept(self) -> tuple[int | None, bytes]:
        unpacking = self._unpacking
        if unpacking.compression != _GZIP or unpacking.has_gaps:
            return None, b""
        if not unpacking.is_cut:
            return unpacking.length, b""
        end = unpacking.decompressor.missing_end() if isinstance(unpacking.decompressor, _EndlessGunzip) else None
        return (None, b"") if end is None else (self._size, end)


class _EndlessGunzip(Gunzip):
    """Inflates what may have no end, and knows the end that is missing."""

    def __init__(self) -> None:
        super().__init__()
        self._crc = 0
        self._length = 0

    def decompress(self, data: bytes, max_length: int) -> bytes:
        answer = super().decompress(data, max_length)
        self._crc = zlib.crc32(answer, self._crc)
        self._length += len(answer)
        return answer

    def missing_end(self) -> bytes | None:
        """What makes the stream a whole one; None where it is cut in the middle of a block."""
        trailer = self._crc.to_bytes(4, "little") + (self._length % 2**32).to_bytes(4, "little")
        ends = (_FINAL_BLOCK + trailer, *(trailer[missing:] for missing in range(_TRAILER_BYTES)))
        return next((end for end in ends if self._ends_with(end)), None)

    def _ends_with(self, end: bytes) -> bool:
        with suppress(zlib.error):
            attempt = self._inflate.copy()
            return not attempt.decompress(end, 1) and attempt.eof and not attempt.unused_data
        return False


def fast_gunzip() -> Callable[[], Decompressor]:
    """What inflates gzip fastest on this machine."""
    return Gunzip if igzip_lib is None else _IsalGunzip


class _IsalGunzip:
    """Inflates at more than twice the speed of zlib; of a stream that is cut it withholds some of the last bytes."""

    def __init__(self) -> None:
        self._inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

    @property
    def eof(self) -> bool:
        return bool(self._inflate.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._inflate.needs_input)

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._inflate.unused_data
        return unused

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            answer: bytes = self._inflate.decompress(data, max_length)
        except igzip_lib.error as error:  # type: ignore[misc]
            raise ValueError(str(error)) from error
        return answer
