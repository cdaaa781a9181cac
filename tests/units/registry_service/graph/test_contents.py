"""Listings and differences of layers (protocol §3.8)."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from typing import Any

import pytest

from registry_service.graph import tar
from registry_service.graph.errors import LayerUnreadable
from registry_service.graph.images import Images
from registry_service.storage import paths
from registry_service.storage.driver import StorageFull
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph import tars
from tests.units.registry_service.graph.store import Image, Store, image_id, payload_of

BASE = Image(
    "base", files={"./": b"", "./etc/": b"", "./etc/hosts": b"1", "./gone": b"", "./back": b"1", "./same": b""}
)
MIDDLE = Image("middle", BASE, {"etc/hosts": b"22", "etc/.wh.nothing": b"", "./.wh.back": b"", ".wh.bare": b""})
TOP = Image(
    "top", MIDDLE, {"./.wh.gone": b"", "./back": b"2", "etc/hosts": b"333", "./new": b"", "./.wh..wh.plnk/9": b""}
)


def push_layer(store: Store, layer: bytes) -> Any:
    image = image_id("pushed")
    description = json.dumps({"id": image}).encode()
    store.push.begin(image, description, "uploader")
    store.push.receive(image, "uploader", [layer])
    store.push.seal(image, "uploader", payload=payload_of(description, layer), tarsum=None)
    return image


def test_every_kind_of_file(store: Store) -> None:
    layer = tars.write(
        tars.member("./", type=tarfile.DIRTYPE, mode=0o755),
        tars.member("./f", b"123", mode=0o4644, uid=1, gid=2, mtime=1400000000.7),
        tars.member("./d/", type=tarfile.DIRTYPE),
        tars.member("./l", type=tarfile.LNKTYPE, linkname="f"),
        tars.member("./s", type=tarfile.SYMTYPE, linkname="f"),
        tars.member("./c", type=tarfile.CHRTYPE, devmajor=1),
        tars.member("./b", type=tarfile.BLKTYPE),
        tars.member("./p", type=tarfile.FIFOTYPE),
        tars.member("./t", b"1", type=tarfile.CONTTYPE),
        tars.member("./" + "long/" * 60 + "é", b"1"),
    )
    layer = tars.without_trailer(layer) + tars.header(b"v7/", typeflag=b"\0", magic=b"")
    image = push_layer(store, layer + tars.header(b"./u", typeflag=b"Z"))
    assert store.images.files(image) == [
        ["/", "d", False, 0, 0, 0o755, 0, 0],
        ["/f", "f", False, 3, 1400000000, 0o4644, 1, 2],
        ["/d", "d", False, 0, 0, 0o644, 0, 0],
        ["/l", "l", False, 0, 0, 0o644, 0, 0],
        ["/s", "s", False, 0, 0, 0o644, 0, 0],
        ["/c", "c", False, 0, 0, 0o644, 0, 0],
        ["/b", "b", False, 0, 0, 0o644, 0, 0],
        ["/p", "i", False, 0, 0, 0o644, 0, 0],
        ["/t", "t", False, 1, 0, 0o644, 0, 0],
        ["/" + "long/" * 60 + "é", "f", False, 1, 0, 0o644, 0, 0],
        ["v7", "d", False, 0, 0, 0o644, 0, 0],
        ["/u", "u", False, 0, 0, 0o644, 0, 0],
    ]


@pytest.mark.parametrize(
    ("name", "shown", "is_deleted"),
    [
        (".", "/", False),
        ("./", "/", False),
        ("./x", "/x", False),
        ("x", "x", False),
        ("/x", "/x", False),
        ("x/y/", "x/y", False),
        ("./.wh.x", "/x", True),
        (".wh.x", "x", True),
        ("a/.wh.b", "a/b", True),
        ("./a/.wh.b", "/a/b", True),
        ("./.wh..wh.aufs", None, False),
        ("./.wh..wh.plnk/", None, False),
        ("./.wh..wh.plnk/1.2", None, False),
        (".wh..wh.orph", None, False),
        ("a/.wh..wh..opq", None, False),
        ("a.wh.b", "a.wh.b", False),
    ],
)
def test_names(store: Store, name: str, shown: str | None, is_deleted: bool) -> None:
    kind = tarfile.DIRTYPE if name.endswith(("/", ".")) and "wh" not in name else tarfile.REGTYPE
    image = push_layer(store, tars.write(tars.member(name, type=kind)))
    assert [entry[:3:2] for entry in store.images.files(image)] == ([[shown, is_deleted]] if shown else [])


def test_name_that_is_no_utf8_is_readable_json(store: Store) -> None:
    image = push_layer(store, tars.header(b"./\xff\xfe") + bytes(1024))
    assert store.images.files(image)[0][0] == "/\ufffd\ufffd"


def test_header_about_the_whole_is_no_file(store: Store) -> None:
    content = tars.padded(b"18 comment=abcdef\n"[:18])
    image = push_layer(store, tars.header(b"g", size=18, typeflag=b"g") + content + tars.header(b"./a") + bytes(1024))
    assert [entry[0] for entry in store.images.files(image)] == ["/a"]


@pytest.mark.parametrize("packer", tars.PACKERS)
def test_every_compression(store: Store, packer: str) -> None:
    layer = tars.without_trailer(tars.write(tars.member("./a", b"x" * 5000), tars.member("./b")))
    image = push_layer(store, tars.PACKERS[packer](layer))
    assert [entry[0] for entry in store.images.files(image)] == ["/a", "/b"]


@pytest.mark.parametrize(
    "layer",
    [b"no tar at all" * 100, gzip.compress(b"no tar" * 100), b"\x1f\x8brubbish", b"x"],
    ids=["long", "gzip", "rubbish in gzip", "one byte"],
)
def test_what_is_no_tar(store: Store, layer: bytes) -> None:
    image = push_layer(store, layer)
    for ask in (store.images.files, store.images.diff):
        with pytest.raises(LayerUnreadable, match="Layer format not supported"):
            ask(image)
    assert not store.driver.exists(paths.image_files(image))


def test_cut_layer(store: Store) -> None:
    whole = gzip.compress(tars.write(tars.member("./a", os.urandom(5000))))
    image = push_layer(store, whole[: len(whole) // 2])
    with pytest.raises(LayerUnreadable, match="Layer is cut short"):
        store.images.files(image)


def test_a_layer_that_cannot_be_listed_is_unpacked_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until another one takes its place."""
    image = push_layer(store, b"no tar at all")
    reads: list[str] = []
    opened = store.driver.open_reader
    monkeypatch.setattr(store.driver, "open_reader", lambda path, *rest: reads.append(path) or opened(path, *rest))
    for ask in (store.images.files, store.images.diff, store.images.files):
        with pytest.raises(LayerUnreadable, match="Layer format not supported"):
            ask(image)
    assert reads == [paths.image_layer(image)]
    store.driver.put(paths.image_layer(image), tars.write(tars.member("./a")))
    store.images.forget(image)
    assert [entry[0] for entry in store.images.files(image)] == ["/a"]


@pytest.mark.parametrize("limit", ["MAX_ENTRIES", "MAX_NAME_BYTES"])
def test_too_many_files(store: Store, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    image = push_layer(store, tars.write(*(tars.member(f"./{number:07}") for number in range(5))))
    monkeypatch.setattr(tar, limit, 5 * 9 - 1 if limit == "MAX_NAME_BYTES" else 4)
    with pytest.raises(LayerUnreadable, match="more files than can be listed"):
        store.images.files(image)


def test_difference(store: Store) -> None:
    store.add(BASE, MIDDLE, TOP)
    assert names(store.images.diff(BASE.id)) == {
        "deleted": [],
        "changed": [],
        "created": ["/", "/back", "/etc", "/etc/hosts", "/gone", "/same"],
    }
    assert names(store.images.diff(MIDDLE.id)) == {
        "deleted": ["/back", "bare", "etc/nothing"],
        "changed": ["etc/hosts"],
        "created": [],
    }
    assert names(store.images.diff(TOP.id)) == {
        "deleted": ["/gone"],
        "changed": ["etc/hosts"],
        # It was deleted in between, so it is new here.
        "created": ["/back", "/new"],
    }
    assert store.images.diff(TOP.id)["changed"]["etc/hosts"] == ["f", False, 3, 0, 0o644, 0, 0]


def names(diff: dict[str, Any]) -> dict[str, list[str]]:
    return {key: sorted(files) for key, files in diff.items()}


def test_kept_and_not_computed_again(store: Store) -> None:
    store.add(BASE)
    files, diff = store.images.files(BASE.id), store.images.diff(BASE.id)
    assert json.loads(store.driver.get(paths.image_files(BASE.id))) == files
    assert json.loads(store.driver.get(paths.image_diff(BASE.id))) == diff
    store.driver.put(paths.image_files(BASE.id), b'[["/kept", "f", false, 0, 0, 0, 0, 0]]')
    store.driver.put(paths.image_diff(BASE.id), b'{"deleted": {}, "changed": {}, "created": {"/kept": []}}')
    assert store.images.files(BASE.id)[0][0] == "/kept"
    assert list(store.images.diff(BASE.id)["created"]) == ["/kept"]


@pytest.mark.parametrize("kept", [b"", b"{", b"{}", b'[["/a/.wh.b", "f", false, 0, 0, 0, 0, 0]]', b'[[".wh.b"]]', b"7"])
def test_what_is_kept_wrongly_is_computed_again(store: Store, kept: bytes) -> None:
    store.add(BASE)
    store.driver.put(paths.image_files(BASE.id), kept)
    store.driver.put(paths.image_diff(BASE.id), kept if kept != b"{}" else b"[]")
    assert len(store.images.files(BASE.id)) == 6
    assert len(store.images.diff(BASE.id)["created"]) == 6


def test_answer_without_keeping_it() -> None:
    class Full(Memory):
        def put(self, path: str, content: bytes) -> None:
            if path.endswith(("_files", "_diff")):
                raise StorageFull(path)
            super().put(path, content)

    store = Store(Full())
    store.add(BASE)
    assert len(store.images.files(BASE.id)) == 6
    assert len(store.images.diff(BASE.id)["created"]) == 6


def test_listing_goes_through_offload(store: Store) -> None:
    done: list[str] = []

    def offload(function: Any, *arguments: Any) -> Any:
        done.append(function.__name__)
        return function(*arguments)

    store.add(BASE)
    for _ in range(2):
        Images(store.driver, offload=offload).files(BASE.id)
    assert done == ["listing", "dumps", "loads"]
