"""Choosing a driver by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.settings import SettingsError
from registry_service.storage import factory


@pytest.mark.parametrize("name", ["memory", "filesystem"])
def test_known_drivers(name: str, tmp_path: Path) -> None:
    driver = factory.create(name, str(tmp_path))
    assert driver.name == name
    driver.put("a", b"1")
    assert driver.get("a") == b"1"


def test_unknown_driver_lists_the_known() -> None:
    with pytest.raises(SettingsError, match=r"storage 'ftp' is unknown; there are: .*filesystem, .*memory"):
        factory.create("ftp", "")
