"""Fills the disk at a directory through the filesystem driver: what fails publishes nothing, and works with space."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common.errors import OutOfSpace
from registry_service.storage import factory
from registry_service.storage.driver import Driver, StorageFull
from tests.conformance.drivers_contract import generated
from tests.conformance.drivers_small_disk import MEBIBYTES

TOO_MUCH = 2 * MEBIBYTES * 4


def main(root: Path) -> None:
    driver = factory.create("filesystem", str(root))
    driver.put("images/old/json", b"old")
    for act in (_put, _create, _write):
        with pytest.raises(StorageFull, match="filesystem: no space is left for: images/new/layer") as caught:
            act(driver, "images/new/layer", TOO_MUCH)
        assert isinstance(caught.value, OutOfSpace)
        assert str(root) not in caught.value.message
        assert not driver.exists("images/new")
        assert list(driver.list("images")) == ["old"]
        # What was begun is gone, so there is space again: the same now works where it is small enough.
        act(driver, "images/new/layer", 4)
        assert driver.get("images/new/layer") == b"".join(generated(4))
        driver.delete("images/new")
    with pytest.raises(StorageFull):
        _put(driver, "images/old/json", TOO_MUCH)
    assert driver.get("images/old/json") == b"old"


def _put(driver: Driver, path: str, blocks: int) -> None:
    driver.put(path, b"".join(generated(blocks)))


def _create(driver: Driver, path: str, blocks: int) -> None:
    driver.create(path, b"".join(generated(blocks)))


def _write(driver: Driver, path: str, blocks: int) -> None:
    with driver.open_writer(path) as writer:
        for block in generated(blocks):
            writer.write(block)
        writer.commit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
