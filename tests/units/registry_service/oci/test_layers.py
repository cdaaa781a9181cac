"""Layers in every form that daemons, other clients and accidents left in stores, and the blobs offered for them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.unpack import BLOCK, Gunzip
from registry_service.oci import layers
from registry_service.oci.layers import Examined, LayerCut, examine, examine_cut
from registry_service.oci.translation import Untranslatable
from tests.units.registry_service.graph.store import in_blocks, tar
from tests.units.registry_service.graph.tars import (
    gzip_flushed_often,
    gzip_unended,
    header,
    in_two,
    member,
    without_trailer,
    write,
)
from tests.units.registry_service.oci.store import TAR, Made, OciStore, gunzip_strictly, inflated

MARKS = tar({".wh..wh.plnk/": b"", ".wh..wh.plnk/257.1": b"x", ".wh.gone": b"", "dir/": b"", "dir/.wh..wh..opq": b""})
TWICE = write(member("a", b"first"), member("a", b"second"))
GNU_LONG = write(member("long/" * 60 + "name", b"long"), format_=tarfile.GNU_FORMAT)
SPECIAL = write(
    member("fifo", type=tarfile.FIFOTYPE),
    member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    member("file", b"1", mode=0o4755, uid=70000, pax_headers={"SCHILY.xattr.user.a": "b", "mtime": "1.5"}),
    member("hard", type=tarfile.LNKTYPE, linkname="file"),
)
SPARSE = header(
    b"sparse",
    512,
    b"S",
    magic=b"ustar  \0",
    tail=bytes(41) + b"%011o\0%011o\0" % (0, 512) + bytes(73) + b"%011o\0" % 512,
)
PACKED = gzip.compress(TAR, mtime=0)

STORED: dict[str, tuple[bytes, bytes]] = {
    "gzip": (PACKED, TAR),
    "gzip, several members": (in_two(gzip.compress)(TAR), TAR),
    "gzip, flushed often": (gzip_flushed_often(TAR), TAR),
    "gzip, with a name": (b"\x1f\x8b\x08\x08" + bytes(6) + b"layer.tar\0" + PACKED[10:], TAR),
    "tar": (TAR, TAR),
    "tar without its end": (without_trailer(TAR), without_trailer(TAR)),
    "gzip, tar without its end": (gzip.compress(without_trailer(TAR)), without_trailer(TAR)),
    "gzip, no byte of tar": (gzip.compress(b""), b""),
    "gzip, no file": (gzip.compress(bytes(1024)), bytes(1024)),
    "gzip, no file, a long end": (gzip.compress(bytes(10240)), bytes(10240)),
    "gzip, marks of AUFS": (gzip.compress(MARKS), MARKS),
    "gzip, a name twice": (gzip.compress(TWICE), TWICE),
    "gzip, long names": (gzip.compress(GNU_LONG), GNU_LONG),
    "gzip, PAX and devices": (gzip.compress(SPECIAL), SPECIAL),
    "gzip, sparse": (gzip.compress(SPARSE + bytes(512)), SPARSE + bytes(512)),
}

MENDED: dict[str, tuple[bytes, bytes]] = {
    "gzip, zeros behind": (PACKED + bytes(1000), TAR),
    "gzip, one zero behind": (PACKED + b"\0", TAR),
    "gzip, junk behind": (PACKED + b"junk" * 100, TAR),
    "gzip, a byte of a member behind": (PACKED + b"\x1f", TAR),
    "gzip, several members, zeros and junk behind": (in_two(gzip.compress)(TAR) + bytes(9) + b"junk", TAR),
    "gzip, not ended": (gzip_unended(TAR), TAR),
    "gzip, the second member not ended": (gzip.compress(TAR[:5000]) + gzip_unended(TAR[5000:]), TAR),
    **{f"gzip, {bytes_} bytes of the end missing": (PACKED[:-bytes_], TAR) for bytes_ in range(1, 9)},
}

UNPACKED: dict[str, tuple[bytes, bytes]] = {
    "bzip2": (bz2.compress(TAR), TAR),
    "bzip2, twice": (in_two(bz2.compress)(TAR), TAR),
    "bzip2, junk behind": (bz2.compress(TAR) + b"junk", TAR),
    "xz": (lzma.compress(TAR), TAR),
    "xz, zeros behind": (lzma.compress(TAR) + bytes(8), TAR),
    "gzip, zeros between members": (gzip.compress(TAR[:5000]) + bytes(7) + gzip.compress(TAR[5000:]), TAR),
}

FORMS = {**STORED, **MENDED, **UNPACKED}


def all_of(blocks: Iterable[bytes]) -> Examined:
    """As translations examine a layer."""
    stored = b"".join(blocks)
    try:
        return examine(in_blocks(stored, BLOCK))
    except LayerCut:
        return examine_cut(in_blocks(stored, BLOCK))


@pytest.mark.parametrize("form", FORMS)
def test_blob_is_whole_and_of_the_same_tar(store: OciStore, form: str) -> None:
    stored, unpacked = FORMS[form]
    image = Made("image", stored=stored)
    store.add(image)
    record, blob = store.translations.layer(image.id), store.blob(image.id)
    assert record.diff_id == f"sha256:{hashlib.sha256(unpacked).hexdigest()}"
    assert record.unpacked_size == len(unpacked)
    assert record.is_empty == (not unpacked.strip(b"\0"))
    assert (gunzip_strictly(blob) if record.is_gzip else blob) == unpacked
    assert store.layer_of(image.id) == stored


@pytest.mark.parametrize("form", STORED)
def test_stored_bytes_are_offered_where_all_clients_read_them(store: OciStore, form: str) -> None:
    image = Made("image", stored=STORED[form][0])
    store.add(image)
    before = store.everything()
    assert store.blob(image.id) == STORED[form][0]
    assert {path.rpartition("/")[2] for path in store.everything() - before} == {"_oci_layer"}


@pytest.mark.parametrize("form", MENDED)
def test_gzip_is_mended_and_not_packed_again(store: OciStore, form: str) -> None:
    stored = MENDED[form][0]
    image = Made("image", stored=stored)
    store.add(image)
    blob = store.blob(image.id)
    shorter, longer = sorted((blob, stored), key=len)
    assert longer.startswith(shorter)
    assert len(blob) - len(stored) <= 13


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 511, 70_000])
def test_blocks_of_any_size_come_to_the_same(form: str, size: int) -> None:
    stored = FORMS[form][0]
    try:
        found = examine(in_blocks(stored, size))
    except LayerCut:
        found = examine_cut(in_blocks(stored, size))
    assert found == all_of([stored])


@pytest.mark.parametrize("form", FORMS)
def test_zlib_finds_the_same(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On machines for which there is no ISA-L."""
    by_isal = all_of([FORMS[form][0]])
    assert layers.igzip_lib is not None
    monkeypatch.setattr(layers, "igzip_lib", None)
    assert layers.fast_gunzip() is Gunzip
    assert all_of([FORMS[form][0]]) == by_isal


@pytest.mark.parametrize("cut", [20, 300, 1000])
def test_gzip_cut_in_the_zeros_at_the_end_is_offered_as_tar(store: OciStore, cut: int) -> None:
    """What is missing is no file."""
    whole = TAR + bytes(2**20)
    packer = zlib.compressobj(wbits=31)
    stored = packer.compress(whole) + packer.flush()
    image = Made("image", stored=stored[:-cut])
    store.add(image)
    blob = store.blob(image.id)
    assert not store.translations.layer(image.id).is_gzip
    assert len(TAR) <= len(blob) < len(whole)
    assert whole.startswith(blob)


NOISE = tar({"file": os.urandom(10_000)})

NO_LAYERS = {
    "text": b"this is no layer at all" * 100,
    "short": b"x",
    "noise": os.urandom(5000),
    "gzip of text": gzip.compress(b"text" * 1000),
    "gzip cut in a file": gzip.compress(NOISE)[:3000],
    "gzip with a wrong checksum": PACKED[:-8] + bytes(4) + PACKED[-4:],
    "gzip, broken": PACKED[:200] + b"\xff" * 50 + PACKED[250:],
    "gzip, its second member broken": PACKED + PACKED[:10] + b"\xff" * 50,
    "xz cut in a file": lzma.compress(NOISE)[:3000],
    "half a block of zeros and more": bytes(100) + b"x",
}


@pytest.mark.parametrize("form", NO_LAYERS)
def test_what_no_client_could_unpack_is_told(store: OciStore, form: str) -> None:
    image = Made("image", stored=NO_LAYERS[form])
    store.add(image)
    before = store.everything()
    for _ in range(2):
        with pytest.raises(Untranslatable, match=f"The layer of image {image.id} cannot be unpacked"):
            store.translations.of(image.id)
    assert store.everything() == before


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_small_layer_takes_no_large_part_of_the_store(store: OciStore, pack: Callable[[bytes], bytes]) -> None:
    """Only what was pushed counts against anybody's quota."""
    image = Made("image", stored=inflated(pack))
    store.add(image)
    before = store.everything()
    for _ in range(2):
        with pytest.raises(Untranslatable, match=f"The layer of image {image.id} can be offered unpacked only, which"):
            store.translations.of(image.id)
    assert store.everything() == before


@pytest.mark.parametrize(
    ("form", "size", "unpacked_size", "is_inflated"),
    [
        ("xz", 1, 64 * 2**20, False),
        ("xz", 1, 64 * 2**20 + 1, True),
        ("xz", 10 * 2**20, 200 * 2**20, False),
        ("bzip2", 10 * 2**20, 200 * 2**20 + 1, True),
        ("gzip, zeros between members", 10 * 2**20, 200 * 2**20 + 1, True),
        ("gzip", 1, 2**30, False),
        ("gzip, zeros behind", 1, 2**30, False),
        ("tar", 2**30, 2**30, False),
    ],
)
def test_tar_may_take_some_times_what_was_pushed(form: str, size: int, unpacked_size: int, is_inflated: bool) -> None:
    found = replace(all_of([FORMS[form][0]]), size=size, unpacked_size=unpacked_size)
    assert found.is_inflated == is_inflated


def test_memory_does_not_grow_with_a_layer() -> None:
    """50 MiB of zeros in a block of 50 KiB, and 50 MiB of noise."""
    noise, zeros = os.urandom(BLOCK), gzip.compress(tar({})[:512] + bytes(50 * 2**20))

    def blocks() -> Iterator[bytes]:
        packer = zlib.compressobj(0, wbits=31)
        yield zeros
        yield from (packer.compress(noise) for _ in range(200))
        yield packer.flush()

    tracemalloc.start()
    found = examine(blocks())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.unpacked_size == 512 + 50 * 2**20 + 200 * BLOCK
    assert most < 10 * BLOCK


def test_what_does_not_begin_as_an_archive_is_read_no_further() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"no archive" * 1000
        raise AssertionError("It is known already")

    with pytest.raises(LayerUnreadable):
        examine(blocks())
