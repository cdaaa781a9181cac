"""Which layers come to the same, and which only look like it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterable

import pytest

from registry_service.graph import layer_contents
from tests.units.registry_service.graph.store import in_blocks

Change = Callable[[tarfile.TarInfo], None]


def entry(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.mtime = kind, len(content), 0o644, 1_400_000_000
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*entries: tuple[tarfile.TarInfo, bytes], layout: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest(layer: bytes) -> str:
    return layer_contents.digest(in_blocks(layer))


def tree() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [
        entry("./", kind=tarfile.DIRTYPE, mode=0o755),
        entry("./bin/", kind=tarfile.DIRTYPE, mode=0o755),
        entry("./bin/sh", b"#!", mode=0o755),
        entry("./bin/bash", kind=tarfile.SYMTYPE, linkname="sh"),
        entry("./bin/dash", kind=tarfile.LNKTYPE, linkname="./bin/sh"),
        entry("./dev/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("./etc/passwd", b"root"),
        entry("./.wh.gone"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        lambda: gzip.compress(tar(*tree()), 1),
        lambda: bz2.compress(tar(*tree())),
        lambda: lzma.compress(tar(*tree())),
        lambda: tar(*tree(), layout=tarfile.GNU_FORMAT),
        lambda: tar(*tree(), layout=tarfile.USTAR_FORMAT),
        lambda: tar(*[tree()[at] for at in (0, 6, 1, 2, 4, 3, 7, 5)]),
        lambda: tar(*[(changed(info, mtime=7), content) for info, content in tree()]),
        lambda: tar(*[(changed(info, mode=info.mode | 0o100000), content) for info, content in tree()]),
        lambda: tar(*[(changed(info, name=info.name.removeprefix("./") or "."), content) for info, content in tree()]),
        lambda: tar(*[(changed(info, uname="x", gname="y"), content) for info, content in tree()]),
        lambda: tar(entry("etc/passwd", b"an older one"), *tree()),
    ],
    ids=[
        "gzip", "bzip2", "xz", "GNU", "ustar", "order", "times", "type in mode", "names without dot", "names of owners",
        "an earlier entry of a path",
    ],
)  # fmt: skip
def test_packed_differently_it_is_the_same(other: Callable[[], bytes]) -> None:
    assert digest(other()) == digest(gzip.compress(tar(*tree())))


def changed(info: tarfile.TarInfo, **fields: object) -> tarfile.TarInfo:
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize(
    ("at", "fields"),
    [
        (2, {"mode": 0o4755}),
        (2, {"uid": 1}),
        (2, {"gid": 1}),
        (2, {"name": "./bin/zsh"}),
        (2, {"pax_headers": {"SCHILY.xattr.security.capability": "\1\0\0\2"}}),
        (2, {"type": tarfile.FIFOTYPE}),
        (3, {"linkname": "evil"}),
        (4, {"linkname": "./etc/passwd"}),
        (5, {"devminor": 4}),
    ],
    ids=["setuid", "owner", "group", "name", "capability", "type", "symbolic link", "hard link", "device"],
)
def test_any_other_attribute_makes_another_layer(at: int, fields: dict[str, object]) -> None:
    other = tree()
    other[at] = changed(other[at][0], **fields), other[at][1]
    assert digest(tar(*other)) != digest(tar(*tree()))


def test_other_bytes_of_a_file_make_another_layer() -> None:
    assert digest(tar(*tree()[:2], entry("./bin/sh", b"#?", mode=0o755), *tree()[3:])) != digest(tar(*tree()))


GOOD, EVIL = entry("bin/sh", b"good"), entry("bin/sh", b"evil")
LINKED = entry("a", kind=tarfile.LNKTYPE, linkname="bin/sh")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([GOOD, EVIL], [EVIL, GOOD]),
        ([EVIL, LINKED, GOOD], [EVIL, GOOD, LINKED]),
        ([GOOD, entry("bin/.wh.sh")], [entry("bin/.wh.sh"), GOOD]),
        ([GOOD, entry("bin/.wh..wh..opq")], [entry("bin/.wh..wh..opq"), GOOD]),
        ([entry("d", kind=tarfile.SYMTYPE, linkname="/etc"), entry("d/passwd"), entry("d/", kind=tarfile.DIRTYPE)],
         [entry("d/", kind=tarfile.DIRTYPE), entry("d/passwd")]),
        ([entry("d/passwd"), entry("d", kind=tarfile.SYMTYPE, linkname="/etc")],
         [entry("d", kind=tarfile.SYMTYPE, linkname="/etc"), entry("d/passwd")]),
        ([entry("d/../../etc/passwd")], [entry("etc/passwd")]),
    ],
    ids=["files", "hard link", "whiteout", "opaque", "through a link", "link in place", "dots"],
)  # fmt: skip
def test_order_counts_where_it_decides_what_is_extracted(
    one: list[tuple[tarfile.TarInfo, bytes]], other: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    assert digest(tar(*one)) != digest(tar(*other))


def test_what_stands_behind_the_end_is_not_overlooked() -> None:
    assert digest(tar(GOOD) + tar(EVIL)) != digest(tar(GOOD))
    assert digest(tar(GOOD)[:-10240].ljust(1536, b"\0") + tar(EVIL)) != digest(tar(GOOD))
    assert digest(tar(GOOD) + bytes(512)) == digest(tar(GOOD))


@pytest.mark.parametrize(
    "layer",
    [b"no tar", gzip.compress(b"no tar"), tar(*tree())[:700], b"\xfe" * 5000],
    ids=["text", "gzip of text", "cut", "noise"],
)
def test_what_is_no_tar_is_the_same_only_byte_for_byte(layer: bytes) -> None:
    assert digest(layer) == digest(layer)
    assert digest(layer) != digest(layer + b"x")
    assert digest(layer).startswith("packed:")


def test_a_path_of_many_parts_costs_no_more_than_its_bytes() -> None:
    deep = tar(*[entry("a/" * 400_000 + str(number)) for number in range(20)])
    assert digest(deep).startswith("packed:")


def test_blocks_may_come_in_any_size() -> None:
    layer = gzip.compress(tar(*tree()))
    pieces: Iterable[bytes] = (layer[at : at + 7] for at in range(0, len(layer), 7))
    assert layer_contents.digest(pieces) == digest(layer)
