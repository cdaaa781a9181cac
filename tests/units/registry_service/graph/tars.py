"""Tars for the tests: written by the standard library, by hand, and drawn at random."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable

from hypothesis import strategies as st

Packer = Callable[[bytes], bytes]


def gzip_flushed_often(content: bytes) -> bytes:
    """As daemons write it: flushed after every chunk."""
    packer = zlib.compressobj(wbits=31)
    parts = [
        packer.compress(content[at : at + 100]) + packer.flush(zlib.Z_SYNC_FLUSH) for at in range(0, len(content), 100)
    ]
    return b"".join([*parts, packer.flush()])


def gzip_unended(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH)


def in_two(pack: Packer) -> Packer:
    """Two streams one after the other, which are one."""
    return lambda content: pack(content[: len(content) // 2]) + pack(content[len(content) // 2 :])


PACKERS: dict[str, Packer] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip, flushed": gzip_flushed_often,
    "gzip, unended": gzip_unended,
    "gzip, twice": in_two(gzip.compress),
    "gzip, padded": lambda content: gzip.compress(content) + bytes(1000),
    "bzip2": bz2.compress,
    "bzip2, twice": in_two(bz2.compress),
    "xz": lzma.compress,
    "xz, twice": in_two(lzma.compress),
}


def without_trailer(tar: bytes) -> bytes:
    """As daemons up to 1.2 send it: the end-of-archive zeros left out."""
    with tarfile.open(fileobj=io.BytesIO(tar), encoding="utf-8") as archive:
        ends = [info.offset_data + (info.size + 511) // 512 * 512 * info.isreg() for info in archive]
    return tar[: max(ends, default=0)]


def write(*members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_, encoding="utf-8") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def header(name: bytes, size: int | bytes = 0, typeflag: bytes = b"0", **raw: bytes) -> bytes:
    """One header block by hand; `raw` replaces fields by the bytes given."""
    block = bytearray(512)
    fields: dict[str, tuple[int, int, bytes]] = {
        "name": (0, 100, name),
        "mode": (100, 8, b"0000644\0"),
        "uid": (108, 8, b"0000000\0"),
        "gid": (116, 8, b"0000000\0"),
        "size": (124, 12, size if isinstance(size, bytes) else b"%011o\0" % size),
        "mtime": (136, 12, b"00000000000\0"),
        "typeflag": (156, 1, typeflag),
        "linkname": (157, 100, b""),
        "magic": (257, 8, b"ustar\00000"),
        "uname": (265, 32, b""),
        "gname": (297, 32, b""),
        "devmajor": (329, 8, b"0000000\0"),
        "devminor": (337, 8, b"0000000\0"),
        "prefix": (345, 155, b""),
        "tail": (345, 167, b""),
    }
    for key, (at, width, default) in fields.items():
        content = raw.get(key, default)
        assert len(content) <= width
        block[at : at + len(content)] = content
    block[148:156] = b" " * 8
    block[148:156] = raw.get("checksum", b"%06o\0 " % sum(block))
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


_names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
    st.text("abc/é", min_size=90, max_size=300),
    st.sampled_from(["./", ".", "./a", "a", "a//b", "./.wh.x", "x/.wh.y", "/abs", "a/../b"]),
).filter(lambda name: name.strip("/") != "")

_numbers = st.one_of(st.integers(0, 7), st.sampled_from([1000, 0o7777777, 0o10000000, 2**31, 2**33]))


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    # tarfile itself puts the slash behind a directory, and takes it off whatever it reads.
    info = tarfile.TarInfo(draw(_names).rstrip("/"))
    info.type = draw(
        st.sampled_from(
            [
                tarfile.REGTYPE,
                tarfile.REGTYPE,
                tarfile.DIRTYPE,
                tarfile.LNKTYPE,
                tarfile.SYMTYPE,
                tarfile.CHRTYPE,
                tarfile.BLKTYPE,
                tarfile.FIFOTYPE,
                tarfile.CONTTYPE,
            ]
        )
    )
    content = draw(st.binary(max_size=1500)) if info.type in (tarfile.REGTYPE, tarfile.CONTTYPE) else b""
    info.size = len(content)
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(_numbers), draw(_numbers)
    info.mtime = draw(st.one_of(st.integers(0, 2**34), st.integers(1000, 2**40).map(lambda number: number / 1000)))
    info.uname, info.gname = draw(st.sampled_from(["", "root", "é", "u" * 40])), draw(st.sampled_from(["", "wheel"]))
    if info.type in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        info.linkname = draw(_names)
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = draw(st.integers(0, 255)), draw(st.integers(0, 255))
    xattrs = draw(st.dictionaries(st.sampled_from(["user.a", "security.capability", "é"]), st.text("xyz", max_size=9)))
    info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in xattrs.items()}
    return info, content


formats = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
