"""A store as docker-registry 0.5 to 0.9.1 left it on a disk, oddities included (protocol §6.1)."""

from __future__ import annotations

import bz2
import json
import lzma
from pathlib import Path

from common.names import ImageId
from tests.units.registry_service.graph.store import image_id, payload_of, tar

FIRST = ImageId("8dbd9e392a964056")
"""The very first public images had ids of 16 digits."""

BASE, MIDDLE, TOP = (image_id(name) for name in ("old base", "old middle", "old top"))
MARKED, NO_LAYER, EMPTY_LAYER, ORPHAN = (image_id(name) for name in ("marked", "no layer", "empty layer", "orphan"))

LAYERS = {
    FIRST: tar({"./first": b"1"}),
    BASE: lzma.compress(tar({"./etc/": b"", "./etc/hosts": b"1", "./old": b"2"})),
    MIDDLE: bz2.compress(tar({"etc/hosts": b"changed", "etc/.wh.nothing": b"", "new": b"3"})),
    TOP: lzma.compress(tar({"./.wh.old": b"", "./.wh..wh.aufs": b"", "./new": b"4", "./newer": b"5"})),
    ORPHAN: tar({"./orphan": b"1"}),
}


def json_of(image: ImageId, parent: ImageId | None = None) -> bytes:
    # As 0.9.1 wrote none of it itself: spacing and order are the daemon's.
    described = {"parent": parent, "id": image} if parent else {"id": image}
    return json.dumps(described, separators=(" ,", " : ")).encode()


def build(root: Path) -> None:
    """Write the files and nothing else."""
    images = root / "images"
    # 0.5: no ancestry, the checksum bare.
    _write(images / FIRST, json=json_of(FIRST), layer=LAYERS[FIRST], _checksum=b"sha256:" + b"a" * 64)
    _write(images / BASE, json=json_of(BASE, FIRST), layer=LAYERS[BASE])
    # 0.6 to 0.8: tarsums only. The ancestry was written when there was one.
    _write(
        images / MIDDLE,
        json=json_of(MIDDLE, BASE),
        layer=LAYERS[MIDDLE],
        _checksum=json.dumps(["tarsum+sha256:" + "b" * 64]).encode(),
        ancestry=json.dumps([MIDDLE, BASE, FIRST]).encode(),
    )
    # 0.9.1, with listings that miss whiteouts below the root.
    _write(
        images / TOP,
        json=json_of(TOP, MIDDLE),
        layer=LAYERS[TOP],
        _checksum=json.dumps([payload_of(json_of(TOP, MIDDLE), LAYERS[TOP])]).encode(),
        ancestry=json.dumps([TOP, MIDDLE, BASE, FIRST]).encode(),
    )
    _write(images / MIDDLE, _files=b'[["etc/.wh.nothing", "f", false, 0, 0, 420, 0, 0]]')
    _write(images / MARKED, json=json_of(MARKED), layer=b"cut sho", ancestry=b"[]", _inprogress=b"true")
    _write(images / NO_LAYER, json=json_of(NO_LAYER), ancestry=json.dumps([NO_LAYER]).encode())
    _write(images / EMPTY_LAYER, json=json_of(EMPTY_LAYER), layer=b"", ancestry=json.dumps([EMPTY_LAYER]).encode())
    _write(images / ORPHAN, json=json_of(ORPHAN, image_id("gone")), layer=LAYERS[ORPHAN], _checksum=b"rubbish \xff")
    repositories = root / "repositories"
    _write(
        repositories / "acme" / "app",
        tag_latest=TOP.encode(),
        tag_old=BASE.encode() + b"\n",
        tag_gone=image_id("gone").encode(),
        tag__foo=MIDDLE.encode(),
        # The trap: metadata of `_foo`, which looks like a tag `foo_json`.
        tag_foo_json=b'{"last_update": 7, "docker_version": "0.9.1", "arch": null}',
        taglatest_json=b'{"last_update": 1400000000, "docker_version": "1.0.0", "docker_go_version": "go1.2",'
        b' "arch": "amd64", "os": "linux", "kernel": "3.13"}',
        tagold_json=b"not json",
        json=b'{"last_update": 1400000000, "docker_version": "1.0.0"}',
        _index_images=json.dumps([{"id": TOP, "Tag": "latest"}, {"id": BASE, "checksum": "tarsum+sha256:x"}]).encode(),
        _images_list=json.dumps([TOP]).encode(),
    )
    _write(repositories / "acme" / "untagged", _index_images=b"[]")
    _write(repositories / "acme" / "b%252Fc", **{"tag_a%2Bb": BASE.encode()})
    _write(repositories / "acme" / "broken", _index_images=b'[{"id": "x"}][{"id"', tag_latest=BASE.encode())
    _write(repositories / "Acme" / "UPPER", tag_latest=BASE.encode(), _private=b"")
    _write(repositories / "library" / "busybox", tag_latest=FIRST.encode())
    (repositories / "acme" / "emptied").mkdir()


def _write(directory: Path, **files: bytes) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
