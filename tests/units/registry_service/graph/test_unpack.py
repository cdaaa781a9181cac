"""Unpacking a layer, whatever it is packed with."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Iterator

import pytest

from registry_service.graph import unpack
from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.unpack import BLOCK, FREE_BYTES, MOST_RATIO, unpacked
from tests.units.registry_service.graph.store import in_blocks
from tests.units.registry_service.graph.tars import PACKERS

CONTENT = os.urandom(300_000) + bytes(2_000_000) + b"end"


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("size", [1000, 32 * 1024, 10**7])
def test_comes_back(packer: str, size: int) -> None:
    blocks = list(unpacked(in_blocks(PACKERS[packer](CONTENT), size)))
    assert b"".join(blocks) == CONTENT
    assert all(0 < len(block) <= max(BLOCK, size) for block in blocks)


@pytest.mark.parametrize("packer", PACKERS)
def test_byte_by_byte(packer: str) -> None:
    content = b"some content" * 100
    assert b"".join(unpacked(in_blocks(PACKERS[packer](content), 1))) == content


@pytest.mark.parametrize("content", [b"", b"\x1f", b"BZ", b"\xfd7zX", b"plain"])
def test_short_and_plain(content: bytes) -> None:
    assert b"".join(unpacked([content])) == content


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_cut_streams_are_read_as_far_as_they_go(pack: object) -> None:
    assert callable(pack)
    whole = pack(CONTENT)
    part = b"".join(unpacked([whole[: len(whole) // 2]]))
    assert CONTENT.startswith(part)


def test_cut_at_any_byte_gives_all_there_is() -> None:
    """Also where the answer is full to the byte and all of the input is used up."""
    packed = gzip.compress(bytes(2 * BLOCK))
    for length in range(250, 300):
        expected = zlib.decompressobj(31).decompress(packed[:length])
        assert sum(map(len, unpacked([packed[:length]]))) == len(expected)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("where", ["middle", "behind"])
def test_rubbish_is_refused(pack: object, where: str) -> None:
    assert callable(pack)
    whole = pack(CONTENT)
    broken = whole + b"rubbish" * 10 if where == "behind" else whole[:20] + b"\xff" * 100 + whole[120:]
    with pytest.raises(LayerUnreadable, match="Layer format not supported"):
        b"".join(unpacked([broken]))


def test_errors_of_the_store_are_not_the_layers() -> None:
    def failing() -> Iterator[bytes]:
        yield gzip.compress(CONTENT)[:1000]
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(unpacked(failing()))


def test_bomb_is_refused_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A KiB of bzip2 that would unpack to hundreds of GiB. Of the GiB that any layer may have, a sixteenth will do."""
    free = FREE_BYTES // 16
    monkeypatch.setattr(unpack, "FREE_BYTES", free)
    piece = bz2.compress(bytes(45_000_000))
    assert len(piece) < 100
    sizes: list[int] = []
    with pytest.raises(LayerUnreadable, match="far more than a layer may"):
        sizes.extend(map(len, unpacked([piece * 1000])))
    assert free <= sum(sizes) < free + MOST_RATIO * 1000 * len(piece) + BLOCK


def test_demand_for_memory_is_refused() -> None:
    """An xz that asks for a dictionary of a GiB."""
    modest = lzma.compress(b"x")
    assert list(unpacked([modest])) == [b"x"]
    # The dictionary's size is a byte of the block's header, 36 for 1 GiB, and a checksum covers it.
    length = (modest[12] + 1) * 4
    header = bytearray(modest[12 : 12 + length])
    header[header.index(b"\x21\x01") + 2] = 36
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    greedy = modest[:12] + bytes(header) + modest[12 + length :]
    assert lzma.decompress(greedy) == b"x"
    with pytest.raises(LayerUnreadable):
        list(unpacked([greedy]))
