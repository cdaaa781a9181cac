"""The tests of translations run on the memory driver and on the filesystem driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_service.storage.driver import Driver
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.units.registry_service.oci.store import OciStore


@pytest.fixture(params=["memory", "filesystem"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    return Guard(Memory() if request.param == "memory" else Filesystem(tmp_path))


@pytest.fixture
def store(driver: Driver) -> OciStore:
    return OciStore(driver)
