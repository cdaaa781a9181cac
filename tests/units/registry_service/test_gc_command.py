"""`wharfinger-registry gc`: what is told, to people and to programs, and that nothing goes within the grace period."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from tests.units.registry_service import commands
from tests.units.registry_service.graph.store import Image, Store

BASE = Image("base")
LOOSE = Image("loose", BASE)
DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(Filesystem(tmp_path))
    store.add(BASE, LOOSE)
    store.tags.set(RepositoryName("acme", "app"), Tag("latest"), BASE.id, Agent())
    return store


def let_pass(root: Path, days: float) -> None:
    """As if the stone of the image that no tag reaches had been set so long ago."""
    then = time.time() - days * DAY
    os.utime(root / paths.condemned(paths.image(LOOSE.id)), (then, then))


def test_condemned_first_deleted_later(store: Store, tmp_path: Path) -> None:
    size = len(LOOSE.layer)
    assert f"1 ({size} bytes) would be condemned" in commands.run(tmp_path, "gc", "--dry-run").stdout
    assert f"1 ({size} bytes) condemned\n" in commands.run(tmp_path, "gc").stdout
    assert f"1 ({size} bytes) condemned before" in commands.run(tmp_path, "gc").stdout
    let_pass(tmp_path, days=1.1)
    assert "0 (0 bytes) deleted\n" in commands.run(tmp_path, "gc", "--keep-days", "2").stdout
    assert f"1 ({size} bytes) would be deleted now" in commands.run(tmp_path, "gc", "--dry-run").stdout
    assert store.holds(LOOSE)
    told = json.loads(commands.run(tmp_path, "gc", "--json").stdout)
    assert (told["images"], told["reached"], told["deleted"], told["deleted_bytes"]) == (2, 1, 1, size)
    assert told["repositories"] == [{"repository": "acme/app", "before": len(BASE.layer), "after": len(BASE.layer)}]
    assert store.holds(BASE)
    assert not Store(store.driver).images.is_complete(LOOSE.id)


def test_a_pace_is_kept(store: Store, tmp_path: Path) -> None:
    begun = time.monotonic()
    commands.run(tmp_path, "gc", "--dry-run")
    commands.run(tmp_path, "gc", "--pace", "40")
    assert time.monotonic() - begun > 0.25
    assert store.driver.exists(paths.condemned(paths.image(LOOSE.id)))
