"""Pushes on a disk that gets full: nothing shows, what was on its way is gone, and with space the same push works."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from registry_service.graph.errors import LayerMissing
from registry_service.storage import paths
from registry_service.storage.driver import StorageFull
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.units.registry_service.graph.store import Image, Store, in_blocks, payload_of

BASE = Image("base")
MEBIBYTE = 2**20
HALF = MEBIBYTE // 2


def main(root: Path) -> None:
    store = Store(Guard(Filesystem(root)))
    layer = os.urandom(MEBIBYTE)
    payload = payload_of(BASE.json, layer)
    full_while_receiving(store, root, layer, payload)
    full_while_sealing(store, root, layer, payload)
    store.push.seal(BASE.id, "uploader", payload=payload, tarsum=None)
    assert store.layer_of(BASE.id) == layer


def full_while_receiving(store: Store, root: Path, layer: bytes, payload: str) -> None:
    store.describe(BASE)
    fill(root, leave=HALF)
    with pytest.raises(StorageFull):
        store.push.receive(BASE.id, "uploader", in_blocks(layer))
    with pytest.raises(LayerMissing):
        store.push.seal(BASE.id, "uploader", payload=payload, tarsum=None)
    assert not store.driver.exists(paths.IMAGES)
    assert os.statvfs(root).f_bavail * os.statvfs(root).f_bsize >= HALF // 2
    (root / "filler").unlink()


def full_while_sealing(store: Store, root: Path, layer: bytes, payload: str) -> None:
    store.push.receive(BASE.id, "uploader", in_blocks(layer))
    fill(root, leave=0)
    with pytest.raises(StorageFull):
        store.push.seal(BASE.id, "uploader", payload=payload, tarsum=None)
    assert not store.images.is_complete(BASE.id)
    (root / "filler").unlink()
    assert not store.images.is_complete(BASE.id)
    # What was moved already is gone with the failure: the layer comes again.
    store.describe(BASE)
    store.push.receive(BASE.id, "uploader", in_blocks(layer))


def fill(root: Path, leave: int) -> None:
    """Take all space but so many bytes."""
    with (root / "filler").open("wb", buffering=0) as filler:
        if leave:
            filler.write(bytes(os.statvfs(root).f_bavail * os.statvfs(root).f_bsize - leave))
            return
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
