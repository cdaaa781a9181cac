"""Reading tars of every kind, and refusing what is none."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_service.graph import tar
from registry_service.graph.errors import LayerUnreadable
from tests.units.registry_service.graph import tars
from tests.units.registry_service.graph.store import in_blocks

END = bytes(1024)


def read(content: bytes, block: int = 1000) -> list[tuple[tar.Header, bytes]]:
    return [(header, b"".join(body)) for header, body in tar.entries(in_blocks(content, block))]


def one(content: bytes) -> tar.Header:
    ((header, _),) = read(content)
    return header


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_field(format_: int) -> None:
    fields = {"mode": 0o4755, "uid": 12, "gid": 34, "mtime": 1400000000, "uname": "user", "gname": "group"}
    ((header, body),) = read(tars.write(tars.member("a/b", b"content", **fields), format_=format_))
    assert body == b"content"
    assert (header.name, header.size, header.body, header.typeflag) == (b"a/b", 7, 7, b"0")
    assert (header.mode, header.uid, header.gid, header.mtime) == (0o4755, 12, 34, 1400000000)
    assert (header.uname, header.gname, header.linkname) == (b"user", b"group", b"")
    assert (header.devmajor, header.devminor, header.xattrs, header.is_sparse) == (0, 0, {}, False)


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["n" * 100, "n" * 101, "d/" * 200 + "é", "n" * 5000])
def test_long_names(format_: int, name: str) -> None:
    header = one(tars.write(tars.member(name, type=tarfile.SYMTYPE, linkname=name[::-1]), format_=format_))
    assert header.name == name.encode()
    assert header.linkname == name[::-1].encode()


def test_ustar_prefix() -> None:
    name = "d" * 80 + "/" + "n" * 80
    assert one(tars.write(tars.member(name), format_=tarfile.USTAR_FORMAT)).name == name.encode()


def test_gnu_keeps_times_where_ustar_keeps_a_prefix() -> None:
    assert one(tars.header(b"a", magic=b"ustar  \0", prefix=b"12345670123\0") + END).name == b"a"


def test_before_ustar_there_were_no_user_names() -> None:
    header = one(tars.header(b"a", magic=b"", uname=b"rubbish", prefix=b"rubbish") + END)
    assert (header.name, header.uname) == (b"a", b"")


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_large_numbers(format_: int) -> None:
    header = one(tars.write(tars.member("a", uid=2**31, gid=2**40, mtime=2**35), format_=format_))
    assert (header.uid, header.gid, header.mtime) == (2**31, 2**40, 2**35)


def test_numbers_before_the_epoch() -> None:
    assert one(tars.write(tars.member("a", mtime=-5), format_=tarfile.GNU_FORMAT)).mtime == -5


@pytest.mark.parametrize(
    ("mtime", "whole"),
    [(b"5", 5), (b"5.9", 5), (b"5.", 5), (b"0.5", 0), (b"-0.5", -1), (b"-1.0", -1), (b"-1.5", -2), (b"-2", -2)],
)
def test_fractions_are_cut_towards_the_past(mtime: bytes, whole: int) -> None:
    assert one(pax(b"mtime", mtime) + tars.header(b"a") + END).mtime == whole


def pax(key: bytes, value: bytes, typeflag: bytes = b"x") -> bytes:
    record = b" %b=%b\n" % (key, value)
    size = len(record) + len(str(len(record) + 2))
    content = b"%d%b" % (size, record)
    assert len(content) == size
    return tars.header(b"pax", size=len(content), typeflag=typeflag) + tars.padded(content)


def test_pax_beats_gnu_and_header() -> None:
    gnu = tars.header(b"././@LongLink", size=4, typeflag=b"L") + tars.padded(b"gnu\0")
    assert one(gnu + tars.header(b"plain") + END).name == b"gnu"
    assert one(gnu + pax(b"path", b"pax") + tars.header(b"plain") + END).name == b"pax"
    assert one(pax(b"path", b"") + tars.header(b"plain") + END).name == b"plain"


def test_extensions_count_for_one_entry() -> None:
    content = pax(b"path", b"first") + tars.header(b"x") + tars.header(b"second") + END
    assert [header.name for header, _ in read(content)] == [b"first", b"second"]


def test_pax_size() -> None:
    ((header, body),) = read(pax(b"size", b"5") + tars.header(b"a", size=0) + tars.padded(b"12345") + END)
    assert (header.size, body) == (5, b"12345")


def test_extended_attributes() -> None:
    header = one(pax(b"SCHILY.xattr.security.capability", b"\1\0\0\2=\n\xff") + tars.header(b"a") + END)
    assert header.xattrs == {b"security.capability": b"\1\0\0\2=\n\xff"}


def test_header_about_the_whole_is_an_entry() -> None:
    """Daemons take it for one, so it counts in a tarsum."""
    content = pax(b"comment", b"abc", typeflag=b"g") + tars.header(b"a") + END
    assert [header.typeflag for header, _ in read(content)] == [b"g", b"0"]


@pytest.mark.parametrize("typeflag", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_what_has_no_body_has_none_whatever_its_size(typeflag: bytes) -> None:
    content = tars.header(b"a", size=1234, typeflag=typeflag) + tars.header(b"b") + END
    (first, _), (second, _) = read(content)
    assert (first.size, first.body, second.name) == (1234, 0, b"b")


def test_devices() -> None:
    header = one(tars.header(b"a", typeflag=b"4", devmajor=b"0000010\0", devminor=b"0000377\0") + END)
    assert (header.devmajor, header.devminor) == (8, 255)


def test_old_sparse_files() -> None:
    """Stored size, real size, and a map that goes on in further blocks."""
    tail = bytearray(167)
    tail[137] = 1
    tail[138:150] = b"00000010000\0"
    more = bytearray(512)
    more[504] = 1
    content = tars.header(b"a", size=3, typeflag=b"S", tail=bytes(tail)) + more + bytes(512) + tars.padded(b"abc")
    ((header, body), (after, _)) = read(content + tars.header(b"b") + END)
    assert (header.size, body, header.is_sparse, after.name) == (4096, b"abc", True, b"b")


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_sparse_files_of_real_tar(tmp_path: Path, version: str) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(10**6)
        file.write(b"end")
    command = ["tar", "-cS", "--format=pax", f"--sparse-version={version}", "-C", tmp_path, "sparse"]
    header = one(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert (header.name, header.size, header.is_sparse) == (b"sparse", 10**6 + 3, True)


@pytest.mark.parametrize("format_", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_formats_of_real_tar(tmp_path: Path, format_: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/file").write_bytes(b"x" * 1000)
    (tmp_path / "directory/link").symlink_to("file")
    command = ["tar", "-c", f"--format={format_}", "--sort=name", "-C", tmp_path, "./directory"]
    content = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    found = [(header.name, header.typeflag, body) for header, body in read(content)]
    assert found == [
        (b"./directory/", b"5", b""),
        (b"./directory/file", b"\0" if format_ == "v7" else b"0", b"x" * 1000),
        (b"./directory/link", b"2", b""),
    ]


@pytest.mark.parametrize("end", [b"", bytes(511), bytes(512), bytes(1024), bytes(10240), bytes(1024) + b"rubbish"])
def test_ends(end: bytes) -> None:
    content = tars.header(b"a", size=5) + tars.padded(b"12345")
    assert len(read(content + end)) == 1


def test_padding_of_the_last_body_may_be_missing() -> None:
    assert [body for _, body in read(tars.header(b"a", size=5) + b"12345")] == [b"12345"]


def test_nothing_is_an_empty_tar() -> None:
    assert read(b"") == []


def test_bodies_may_be_left_unread() -> None:
    content = b"".join(
        tars.header(b"%d" % size, size=size) + tars.padded(b"x" * size) for size in (0, 1, 511, 512, 5000)
    )
    names, first_parts = [], []
    for header, body in tar.entries(in_blocks(content + END, 600)):
        names.append(header.name)
        if header.size > 600:
            first_parts.append(next(body))
    assert names == [b"0", b"1", b"511", b"512", b"5000"]
    assert len(first_parts) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"\1" * 512,
        b"x",
        b"<html>" * 200,
        tars.header(b"a", checksum=b"0000000\0"),
        tars.header(b"a", mode=b"0000648\0"),
        tars.header(b"a", uid=b"-000001\0"),
        tars.header(b"a", size=5)[:300],
        tars.header(b"a", size=5) + b"1234",
        tars.header(b"a", size=0o77777777777) + END,
        tars.header(b"a", size=0, mtime=b"x" * 12),
        tars.header(b"a", size=b"\x80" + b"\x7f" * 11),
        tars.header(b"a", size=(-5).to_bytes(12, "big", signed=True)),
        tars.header(b"x", size=4, typeflag=b"x") + tars.padded(b"9 a="),
        tars.header(b"x", size=4, typeflag=b"x") + tars.padded(b"abcd"),
        tars.header(b"x", size=5, typeflag=b"x") + tars.padded(b"5 ab\n"),
        tars.header(b"x", size=6, typeflag=b"x") + tars.padded(b"0 a=b\n"),
        tars.header(b"x", size=10**7, typeflag=b"x") + bytes(10**7),
        tars.header(b"L", size=2**31, typeflag=b"L") + END,
        pax(b"size", b"-1") + tars.header(b"a"),
        pax(b"size", b"x") + tars.header(b"a"),
        pax(b"mtime", b"1e5") + tars.header(b"a"),
        pax(b"uid", b"9" * 100) + tars.header(b"a"),
        tars.header(b"a", typeflag=b"S", tail=bytes(137) + b"\1" + b"00000010000\0"),
    ],
)
def test_what_is_no_tar(content: bytes) -> None:
    with pytest.raises(LayerUnreadable) as caught:
        read(content)
    assert caught.value.message


def test_signed_sums_of_old_writers() -> None:
    block = bytearray(tars.header("é".encode()))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(byte - 256 if byte > 127 else byte for byte in block)
    assert one(bytes(block) + END).name == "é".encode()


def test_constant_memory() -> None:
    """A file of 16 GiB passes as a stream of the same block."""

    def blocks() -> Iterator[bytes]:
        yield tars.header(b"huge", size=b"\x80" + (2**34).to_bytes(11, "big"))
        zeros = bytes(2**20)
        for _ in range(2**14):
            yield zeros
        yield tars.header(b"after")

    found = []
    tracemalloc.start()
    for header, body in tar.entries(blocks()):
        found.append((header.name, sum(map(len, body))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(b"huge", 2**34), (b"after", 0)]
    assert peak < 3 * 2**20


@settings(max_examples=200, deadline=None)
@given(st.lists(tars.members(), max_size=5), tars.formats, st.integers(0, 20_000), st.binary(max_size=3))
def test_damage_is_refused_or_read(
    drawn: list[tuple[tarfile.TarInfo, bytes]], format_: int, where: int, damage: bytes
) -> None:
    content = bytearray(tars.write(*drawn, format_=format_))
    where %= len(content)
    content[where : where + len(damage)] = damage
    for damaged in (content, content[:where]):
        with suppress(LayerUnreadable):
            read(bytes(damaged))


@settings(max_examples=100, deadline=None)
@given(st.lists(tars.members(), max_size=5), tars.formats)
def test_bodies_are_those_of_tarfile(drawn: list[tuple[tarfile.TarInfo, bytes]], format_: int) -> None:
    content = tars.write(*drawn, format_=format_)
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8") as archive:
        expected = [
            (info.name.rstrip("/"), info.size, content[info.offset_data :][: info.size] if info.isreg() else b"")
            for info in archive
        ]
    found = [(header.name.decode().rstrip("/"), header.size, body) for header, body in read(content)]
    assert found == expected
