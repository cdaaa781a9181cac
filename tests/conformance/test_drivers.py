"""Every storage driver takes the same suite; each in a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_service.storage import factory
from registry_service.storage.driver import Driver
from tests.conformance.drivers_contract import DriverContract, read
from tests.conformance.drivers_shared import LARGE, SharedDriverContract
from tests.conformance.drivers_small_disk import run_on_small_disk
from tests.servers.store import Store


class TestMemory(DriverContract):
    @pytest.fixture
    def driver(self) -> Driver:
        return factory.create("memory", "")


class TestFilesystem(SharedDriverContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store("filesystem", str(tmp_path))

    def test_reads_past_four_gib(self, driver: Driver, tmp_path: Path) -> None:
        """More than 32 bits count, that take no space: all zeros but for the end."""
        driver.put("layer", b"")
        with (tmp_path / "layer").open("r+b") as file:
            file.truncate(LARGE)
            file.seek(-3, 2)
            file.write(b"end")
        assert driver.stat("layer").size == LARGE
        assert read(driver.open_reader("layer", LARGE - 4, 4)) == b"\0end"
        assert read(driver.open_reader("layer", LARGE - 10**6)) == bytes(10**6 - 3) + b"end"
        assert read(driver.open_reader("layer", 4 * 1024**3 - 5, 10)) == bytes(10)

    def test_full_disk(self, tmp_path: Path) -> None:
        run_on_small_disk(tmp_path, "tests.conformance.drivers_full")
